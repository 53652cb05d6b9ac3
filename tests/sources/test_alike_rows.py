"""Rows that are alike are found exactly, whatever the numbers that stand for them do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.alike_rows import alike, text_marks

PAIRS = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), max_size=30)


@given(PAIRS, st.integers(1, 4))
def test_rows_alike_are_those_that_stand_more_than_once(rows: list[tuple[int, int]], told_apart: int) -> None:
    columns = [np.array([row[n] for row in rows], dtype=np.int64) for n in (0, 1)]
    # Marks may be the same where values are not: the values decide.
    marks = [column % told_apart for column in columns]
    found = alike(marks, lambda some: pa.table({str(n): pa.array(c[some]) for n, c in enumerate(columns)}))
    assert found.tolist() == [rows.count(row) > 1 for row in rows]


@given(st.lists(st.text("01", min_size=11, max_size=11), max_size=40), st.integers(0, 5))
def test_marks_are_the_same_where_texts_are(texts: list[str], skipped: int) -> None:
    marks = text_marks(pa.array(texts, pa.string()).slice(skipped))
    if marks is None:
        assert len(texts) <= skipped
        return
    rest = texts[skipped:]
    assert [marks.tolist().index(mark) for mark in marks.tolist()] == [rest.index(text) for text in rest]


@pytest.mark.parametrize("texts", [["1234567"], ["12345678", "123456789"], []])
def test_texts_that_are_short_or_of_several_lengths_have_no_marks(texts: list[str]) -> None:
    assert text_marks(pa.array(texts, pa.string())) is None
