"""Typed values are exact, and what doesn't parse is marked, never guessed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources import cells
from sources.written_dates import DateForm


def money(texts: list[str], unit: str = "CNY") -> list[Decimal | str | None]:
    array = pa.array(texts, pa.string())
    read = cells.money(array, cells.missing(array, [""]), unit)
    return ["bad" if bad else value for value, bad in zip(read.values.to_pylist(), read.bad, strict=True)]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("1234.5", "CNY", "1234.50"),
        ("-0.01", "CNY", "-0.01"),
        ("+7", "CNY", "7.00"),
        (" 7.10 ", "CNY", "7.10"),
        ("0.10000", "CNY", "0.10"),
        ("7.", "CNY", "7.00"),
        ("-0", "CNY", "0.00"),
        ("0.000001", "CNY_10K", "0.01"),
        ("1.234567", "CNY_10K", "12345.67"),
        ("12.30000000", "CNY_10K", "123000.00"),
        ("-3", "CNY_10K", "-30000.00"),
        ("1", "FEN", "0.01"),
        ("-12345", "FEN", "-123.45"),
        ("12.0", "FEN", "0.12"),
        ("9999999999999999.99", "CNY", "9999999999999999.99"),
        ("0009999999999999999.99", "CNY", "9999999999999999.99"),
        ("10000000000000000", "CNY", None),
        ("0.001", "CNY", None),
        ("0.0000001", "CNY_10K", None),
        ("0.5", "FEN", None),
        ("1,000.00", "CNY", None),
        ("1e3", "CNY", None),
        (".5", "CNY", None),
        ("--1", "CNY", None),
        ("１２", "CNY", None),
        ("NaN", "CNY", None),
    ],
)
def test_money_is_exact_to_the_fen(text: str, unit: str, value: str | None) -> None:
    assert money([text], unit) == ["bad" if value is None else Decimal(value)]


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.sampled_from(["FEN", "CNY", "CNY_10K"]), st.integers(0, 3))
def test_money_round_trip(fen: int, unit: str, zeros: int) -> None:
    places = {"FEN": 0, "CNY": 2, "CNY_10K": 6}[unit]
    digits = f"{abs(fen):0{places + 1}d}"
    whole, part = digits[: len(digits) - places], digits[len(digits) - places :] + "0" * zeros
    text = ("-" if fen < 0 else "") + whole + ("." + part if part else "")
    assert money([text, ""], unit) == [Decimal(fen).scaleb(-2), None]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("12.00", 12),
        ("-2147483648", -(2**31)),
        ("007", 7),
        ("2147483648", "bad"),
        ("12.5", "bad"),
        ("x", "bad"),
    ],
)
def test_whole_numbers(text: str, value: object) -> None:
    read = cells.whole_number(pa.array([text]), np.array([False]), pa.int32())
    assert ("bad" if read.bad[0] else read.values[0].as_py()) == value


@pytest.mark.parametrize(
    ("text", "value"), [("12.5", 12.5), ("-1", -1.0), ("1e5", "bad"), ("inf", "bad"), ("nan", "bad")]
)
def test_numbers(text: str, value: object) -> None:
    read = cells.number(pa.array([text]), np.array([False]))
    assert ("bad" if read.bad[0] else read.values[0].as_py()) == value


@pytest.mark.parametrize(
    ("form", "text", "day"),
    [
        ("%Y/%m/%d", "2017/7/18", date(2017, 7, 18)),
        ("%Y%m%d", "20170718", date(2017, 7, 18)),
        ("%Y%m%d", "2017718", None),
        ("%Y%m", "202008", date(2020, 8, 1)),
        ("%Y%m", "20208", None),
        ("%Y-%m", "2020-8", date(2020, 8, 1)),
        ("%Y-%m-%d %H:%M:%S", "2022-3-22 23:13:05", date(2022, 3, 22)),
        ("%Y-%m-%d %H:%M:%S", "2022-3-22 25:13:05", None),
        ("%Y-%m-%d", "2023-02-29", None),
        ("%Y-%m-%d", "２０２３-01-01", None),
        ("%Y年%m月%d日", "2023年1月9日", date(2023, 1, 9)),
    ],
)
def test_dates_are_read_by_their_form(form: str, text: str, day: date | None) -> None:
    read = cells.days(pa.array([text]), np.zeros(1, bool), [form], [])
    assert read.values.to_pylist() == [day] and read.bad.tolist() == [day is None]


@pytest.mark.parametrize("form", ["%d/%m", "%Y", "%y%m", "%B %Y"])
def test_a_date_form_without_year_and_month_is_an_error(form: str) -> None:
    with pytest.raises(ValueError, match="a date form"):
        DateForm.of(form)


def test_sentinels_are_null_in_whatever_form_they_come() -> None:
    texts = pa.array(["9999-9-9", "99990909", "9999-99-99", "2020-01-01"])
    read = cells.days(texts, np.zeros(4, bool), ["%Y-%m-%d", "%Y%m%d"], ["9999-9-9", "9999-99-99"])
    assert read.values.to_pylist() == [None, None, None, date(2020, 1, 1)]
    assert not read.bad.any()


def test_a_declared_code_wins_over_a_null_token() -> None:
    texts = pa.array(["无", " 有 ", "?"])
    read = cells.coded(texts, cells.missing(texts, ["无"]), {"无": "none", "有": "some"}, pa.string())
    assert read.values.to_pylist() == ["none", "some", None]
    assert read.bad.tolist() == [False, False, True]
