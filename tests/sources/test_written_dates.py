"""Dates and moments read all at once agree with a slow reader that takes one text after the other."""

from __future__ import annotations

from datetime import date, datetime, time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.written_dates import DateForm, read_moments

FORMS = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y/%m/%d",
    "%Y年%m月%d日",
    "%Y-%m-%d %H:%M:%S",
    "%Y%m%d%H%M%S.%f",
    "%Y%m",
    "%Y-%m",
    "%YQ%q",
)


def slowly(text: str, forms: tuple[str, ...]) -> datetime | None:
    """The first form that fits, one text and one form at a time."""
    for form in forms:
        match = DateForm.of(form).pattern.fullmatch(text)
        if match is None:
            continue
        parts = match.groupdict()
        fraction = int((parts.pop("fraction", None) or "0").ljust(6, "0"))
        found = {name: int(value) for name, value in parts.items()}
        if "quarter" in found and not 1 <= found["quarter"] <= 4:
            continue
        month = found.get("month", 3 * found.get("quarter", 0))
        second = found.get("second", 0)
        try:
            day = date(found["year"], month, found.get("day", 1))
            clock = time(
                found.get("hour", 0), found.get("minute", 0), 59 if second == 60 else second, fraction
            )
        except ValueError:
            continue
        return datetime.combine(day, clock)
    return None


numbers = st.integers(0, 9999)
written = st.one_of(
    st.builds("{:04d}-{}-{}".format, numbers, st.integers(0, 13), st.integers(0, 32)),
    st.builds("{:04d}{:02d}{:02d}".format, numbers, st.integers(0, 13), st.integers(0, 32)),
    st.builds("{:04d}年{}月{}日".format, numbers, st.integers(0, 13), st.integers(0, 32)),
    st.builds(
        "{:04d}-{:02d}-{:02d} {:02d}:{:02d}:{:02d}".format,
        numbers, st.integers(1, 12), st.integers(1, 31), st.integers(0, 25), st.integers(0, 61), st.integers(0, 62),
    ),
    st.builds(
        "{:04d}{:02d}{:02d}{:02d}0000.{}".format,
        numbers, st.integers(1, 12), st.integers(1, 31), st.integers(0, 24), numbers,
    ),
    st.builds("{:04d}Q{}".format, numbers, st.integers(0, 9)),
    st.builds("{:04d}{:02d}".format, numbers, st.integers(0, 13)),
    st.text(max_size=12),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(written, max_size=20), st.lists(st.sampled_from(FORMS), min_size=1, max_size=4, unique=True))
def test_many_at_once_are_read_as_one_by_one(texts, forms):
    read = read_moments(pa.array(texts, pa.string()), [DateForm.of(form) for form in forms])
    assert [None if np.isnat(moment) else moment.item() for moment in read] == [
        slowly(text, tuple(forms)) for text in texts
    ]


@pytest.mark.parametrize(
    "text", ["2024-02-30", "0000-01-01", "2024-13-01", "2024-01-01x", "x2024-01-01", "2024-01-01\n"]
)
def test_what_is_no_day_is_no_moment(text):
    assert np.isnat(read_moments(pa.array([text]), [DateForm.of("%Y-%m-%d")]))[0]
