"""Packed keys are equal exactly where the rows are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from core.row_keys import count_of_different, order_of, packed_keys, repeated

ROWS = st.lists(
    st.tuples(
        st.integers(-(2**62), 2**62),
        st.sampled_from([None, "a", "b", ""]),
        st.integers(0, 3),
        st.one_of(st.none(), st.integers(0, 2)),
    ),
    max_size=30,
)


def _columns(rows: list[tuple]) -> list[pa.Array]:
    kinds = (pa.int64(), pa.string(), pa.int32(), pa.int64())
    return [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(kinds)]


@given(ROWS)
def test_equal_keys_mean_equal_rows(rows: list[tuple]) -> None:
    keys = packed_keys(_columns(rows))
    assert len(set(zip(keys.tolist(), rows, strict=True))) == len(set(rows)) == len(set(keys.tolist()))


@given(ROWS, st.integers(0, 30))
def test_every_row_that_stands_twice_is_found(rows: list[tuple], cut: int) -> None:
    rows = rows + rows[:cut]
    times = Counter(rows)
    found = repeated(packed_keys(_columns(rows)))
    assert found.tolist() == [place for place, row in enumerate(rows) if times[row] > 1]


def test_keys_wider_than_a_number_are_still_exact() -> None:
    wide = pa.array(np.arange(0, 2**61, 2**58))
    keys = packed_keys([wide, wide, wide])
    assert len(np.unique(keys)) == len(wide)


def test_chunks_of_one_column_share_their_codes() -> None:
    chunked = pa.chunked_array([["x", "y"], ["y", "z"]])
    assert packed_keys([chunked]).tolist()[1] == packed_keys([chunked]).tolist()[2]


@given(st.lists(st.integers(-3, 60), max_size=40))
def test_rows_are_put_in_order_as_a_stable_sort_does(numbers: list[int]) -> None:
    given_numbers = np.array(numbers, dtype=np.int32)
    order = order_of(given_numbers)
    wanted = np.argsort(given_numbers, kind="stable")
    assert (np.arange(len(numbers)) if order is None else order).tolist() == wanted.tolist()


@given(st.permutations(range(20)), st.integers(1, 20))
def test_numbers_that_stand_once_are_put_in_order(numbers: list[int], taken: int) -> None:
    given_numbers = np.array(numbers[:taken], dtype=np.int32)
    order = order_of(given_numbers)
    assert (given_numbers if order is None else given_numbers[order]).tolist() == sorted(numbers[:taken])


@given(st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 9), max_size=40))
def test_different_numbers_are_counted(numbers: list[int]) -> None:
    assert count_of_different(np.array(numbers, dtype=np.int64)) == len(set(numbers))


def test_numbers_too_far_apart_to_be_digits_are_numbered() -> None:
    wide = [0, 2**61, 1]
    rows = [(small, far) for small in range(16) for far in wide]
    columns = [pa.array([row[place] for row in rows], pa.int64()) for place in (0, 1)]
    assert len(set(packed_keys(columns).tolist())) == len(rows)
