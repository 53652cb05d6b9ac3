"""Resident ids are found however they are written; codes, tokens and invoice numbers are not mistaken for
them.
"""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.identity.resident_id import (
    _CHECKS,
    _WEIGHTS,
    holds_resident_id,
    is_resident_id,
    suspects,
)


def resident_id(region: int, day: str, order: int) -> str:
    """An id with its check digit."""
    body = f"{region:06d}{day}{order:03d}"
    return body + _CHECKS[sum(w * int(d) for w, d in zip(_WEIGHTS, body, strict=True)) % 11]


IDS = st.builds(
    resident_id,
    st.integers(110000, 659999),
    st.dates(min_value=__import__("datetime").date(1900, 1, 1))
    .filter(lambda d: d.year < 2100)
    .map(lambda d: f"{d:%Y%m%d}"),
    st.integers(0, 999),
)
#: Anything that may stand around an id but no digit.
AROUND = st.text(st.characters(exclude_categories=["Cs", "Nd", "No", "Nl", "Cc"]), max_size=6)


def test_published_examples() -> None:
    # GB 11643-1999, annex: 11010519491231002X and 440524188001010014 (born before 1900: not looked for).
    assert is_resident_id("11010519491231002X")
    assert not is_resident_id("110105194912310020")
    assert not is_resident_id("11010519491331002X")
    assert not is_resident_id("440524188001010014")


@given(IDS, AROUND, AROUND, st.sampled_from(["as is", "full width", "hyphens", "blanks", "lower"]))
def test_an_id_is_found_in_any_text(number: str, before: str, after: str, form: str) -> None:
    written = {
        "as is": number,
        "full width": "".join(chr(ord(c) + 0xFEE0) for c in number),
        "hyphens": f"{number[:6]}-{number[6:14]}－{number[14:]}",
        "blanks": f"{number[:6]} {number[6:14]}\u3000{number[14:]}",
        "lower": number.lower(),
    }[form]
    text = before + written + after
    assert suspects(pa.array(["", text])) == [1]


@given(IDS, st.integers(0, 9))
def test_part_of_a_longer_number_is_none(number: str, digit: int) -> None:
    if number.endswith("X"):
        assert not holds_resident_id(f"{digit}{number}")
    else:
        longer = f"{digit}{number}"
        assert holds_resident_id(longer) is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10413231",
        "A09920",
        "2017/7/18",
        "91330106MA2CFMQT5K",
        "6222021234567890123",
        "12345678901234567890",
    ],
)
def test_what_is_no_id(text: str) -> None:
    assert suspects(pa.array([text])) == []


def test_whole_tokens_never_alarm_but_text_with_one_is_searched() -> None:
    # 40 hexadecimal digits that happen to hold an id between letters.
    token = "k1:" + "ab" * 11 + "110105199003070011"
    inside = token[-18:]
    assert len(token) == 43
    if not is_resident_id(inside):
        body = inside[:17]
        check = _CHECKS[sum(w * int(d) for w, d in zip(_WEIGHTS, body, strict=True)) % 11]
        number = body + check if check != "X" else resident_id(110105, "19900307", 2)
        token = "k1:" + "ab" * 11 + number
    assert holds_resident_id(token)
    assert suspects(pa.array([token])) == []
    assert suspects(pa.array([token + " "])) == [0]
