"""The table of pseudonyms finds what `index_in` finds, whatever was added in which portions."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.token_index import SHORTEST, TokenIndex, fixed_width

# Few letters at the end only, so that texts often hash alike in some bits and begin alike.
texts = st.text("01é", min_size=9, max_size=9).map(lambda end: "k1:" + "0" * 10 + end)
wide = texts.filter(lambda text: len(text.encode()) == 22)


@given(st.lists(wide, unique=True, min_size=1, max_size=120), st.lists(wide, min_size=1), st.integers(1, 50))
def test_places_are_those_of_index_in(known: list[str], asked: list[str], portion: int) -> None:
    index = TokenIndex(22)
    for start in range(0, len(known), portion):
        index.add(fixed_width(pa.array(known[start : start + portion])))
    queries = pa.array([*asked, *known])
    expected = pc.fill_null(pc.index_in(queries, value_set=pa.array(known)), -1).to_numpy()
    assert index.find(fixed_width(queries)).tolist() == expected.tolist()
    assert len(index) == len(known)


def test_texts_that_hash_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.token_index._hashes", lambda texts: np.full(len(texts), 7, dtype=np.uint64))
    known = pa.array([f"k1:{number:040x}" for number in range(50)])
    index = TokenIndex(43)
    index.add(fixed_width(known))
    assert index.find(fixed_width(known)).tolist() == list(range(50))
    assert index.find(fixed_width(pa.array([f"k1:{99:040x}"]))).tolist() == [-1]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=8), st.integers(0, 3))
def test_only_texts_of_one_length_are_seen_as_bytes(values: list[str | None], offset: int) -> None:
    array = pa.array(values, pa.string())[offset:]
    seen = fixed_width(array)
    left = values[offset:]
    lengths = {None if text is None else len(text.encode()) for text in left}
    if len(lengths) == 1 and not lengths & {None, 0}:
        assert seen is not None and [bytes(row).decode() for row in seen] == left
    else:
        assert seen is None


def test_too_short_texts_are_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        TokenIndex(SHORTEST - 1)
