"""Resident id numbers (GB 11643): found in any text, checked, and brought to one form.

A number is one when it has 18 digits (the last may be X) that aren't part of a longer run of digits, a date
of birth at digits 7 to 14 and the check digit of GB 11643-1999 (MOD 11-2). Full-width digits, lower-case x,
and blanks or hyphens between digits don't hide it. Of random 18-digit numbers 9 in 100,000 pass.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange

import pyarrow as pa
import pyarrow.compute as pc

#: An id has at least so many bytes however it is written; nearly every cell is shorter and costs nothing.
_SHORTEST = 18
#: What may stand between two digits: blanks (also full-width), hyphens and dashes, dots.
_BETWEEN = "[\\s\u00a0\u2000-\u200b\u3000\\-\u2010-\u2015\u2212\uff0d_.\u00b7]{0,3}"
_DIGIT = "[0-9\uff10-\uff19]"
_ROUGH = f"{_DIGIT}(?:{_BETWEEN}{_DIGIT}){{16}}{_BETWEEN}(?:{_DIGIT}|[xX\uff38\uff58])"
_CANDIDATE = re.compile(f"(?<![0-9])(?=(?P<number>[0-9](?:{_BETWEEN}[0-9]){{16}}{_BETWEEN}[0-9xX])(?![0-9]))")
#: A whole cell that is a pseudonym holds hexadecimal digits at random; it isn't text.
_WHOLE_TOKEN = "^k[0-9]+:[0-9a-f]{40}$"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


def is_resident_id(number: str) -> bool:
    """Whether 18 characters are a resident id by date of birth and check digit."""
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        return False
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    if not (1900 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return False
    return number[17] == check_digit(number[:17])


def check_digit(body: str) -> str:
    """The 18th character for 17 digits (MOD 11-2)."""
    return _CHECKS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, body, strict=True)) % 11]


def eighteen_digits(number: str) -> str:
    """The 18-digit form of an old 15-digit id (its two-digit year lies in the 1900s); others unchanged."""
    if not re.fullmatch(r"[0-9]{15}", number):
        return number
    body = number[:6] + "19" + number[6:]
    return body + check_digit(body)


def holds_resident_id(text: str) -> bool:
    """Whether a resident id stands anywhere in the text."""
    plain = unicodedata.normalize("NFKC", text)
    return any(
        is_resident_id("".join(re.findall(r"[0-9xX]", match["number"])).upper())
        for match in _CANDIDATE.finditer(plain)
    )


def suspects(texts: pa.Array) -> list[int]:
    """Positions of the texts that hold a resident id, ascending."""
    long = pc.greater_equal(pc.binary_length(texts), _SHORTEST)
    if not pc.any(long).as_py():
        return []
    rough = pc.and_(long, pc.invert(pc.match_substring_regex(texts, _WHOLE_TOKEN)))
    rough = pc.and_(rough, pc.match_substring_regex(pc.if_else(rough, texts, ""), _ROUGH))
    return [
        place for place in pc.indices_nonzero(rough).to_pylist() if holds_resident_id(texts[place].as_py())
    ]
