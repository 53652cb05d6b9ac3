"""Check digits and forms of the numbers that identify somebody, for one number and for many at once.

Many numbers are a matrix of their characters, uint8 of shape (numbers, characters): `characters` makes it. Every check gives
a mask of shape (numbers,).

Sources: GB 11643-1999 (resident id: date of birth at 7-14, MOD 11-2), its predecessor of 15 digits, GB 32100-2015 (unified
social credit code, MOD 31), GB 11714-1997 (organisation code, weights 3 7 9 10 5 8 4 2, MOD 11), GS 15-2006 (registration
number of 15 digits, ISO 7064 MOD 11,10), ISO/IEC 7812-1 (card numbers, Luhn).
"""

from __future__ import annotations

import re
from calendar import monthrange

import numpy as np
import pyarrow as pa

RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
RESIDENT_CHECKS = "10X98765432"

#: No I, O, S, V, Z: they look like digits.
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

#: Registering department and kind of body, the first two characters of a credit code.
USCC_BODIES = frozenset(
    "11 12 13 19 21 29 31 32 33 34 35 39 41 49 51 52 53 54 55 59 61 62 69 71 72 79 81 89 91 92 93 A1 A9 N1 N2 N3 N9 Y1".split()
)
#: First two digits of region codes; those of provinces never change when counties do. 9 begins the number of a foreigner's
#: permanent residence card, whose province follows.
PROVINCES = (
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46,
    50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83,
)  # fmt: skip
OLDEST, YOUNGEST = 1900, 2099

_ZERO, _NINE, _X = ord("0"), ord("9"), ord("X")
_NOT = 99
_IS_PROVINCE = np.isin(np.arange(100), PROVINCES)


def _values(alphabet: str) -> np.ndarray:
    """Value of each byte in an alphabet, 99 for bytes outside it; shape (256,)."""
    values = np.full(256, _NOT, dtype=np.int64)
    for value, character in enumerate(alphabet):
        values[ord(character)] = value
    return values


_USCC_VALUES = _values(USCC_ALPHABET)
_BASE_36 = _values("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_BODY_PAIRS = np.isin(np.arange(65536), [(ord(pair[0]) << 8) | ord(pair[1]) for pair in sorted(USCC_BODIES)])


def characters(texts: pa.Array, length: int) -> np.ndarray:
    """The bytes of texts that all have `length` bytes, uint8 (texts, length); a view, not a copy."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if not len(texts):
        return np.zeros((0, length), dtype=np.uint8)
    data = np.frombuffer(texts.buffers()[2], dtype=np.uint8)[int(offsets[0]) : int(offsets[-1])]
    return data.reshape(len(texts), length)


def is_resident_id(number: str) -> bool:
    """Whether 18 characters are a resident id by date of birth and check digit; regions aren't looked at, they get retired.

    >>> is_resident_id("11010519491231002X"), is_resident_id("110105194912310020")
    (True, False)
    """
    if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
        return False
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    if not (OLDEST <= year <= YOUNGEST and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return False
    return number[17] == resident_check(number[:17])


def resident_check(body: str) -> str:
    """Check character of the first 17 digits of a resident id."""
    return RESIDENT_CHECKS[
        sum(weight * int(digit) for weight, digit in zip(RESIDENT_WEIGHTS, body, strict=True)) % 11
    ]


def resident_ids(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 18) are resident ids."""
    return resident_dates(numbers) & resident_checks(numbers)


def resident_dates(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 18) are 17 digits with a day of birth and a last character that a resident id may have."""
    digits = numbers[:, :17].astype(np.int64) - _ZERO
    last = numbers[:, 17]
    good = ((digits >= 0) & (digits <= 9)).all(axis=1) & (((last >= _ZERO) & (last <= _NINE)) | (last == _X))
    return good & _is_day(_number(digits[:, 6:10]), digits[:, 10:14])


def resident_checks(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 18), the first 17 of them digits, have the check character of MOD 11-2."""
    total = (numbers[:, :17].astype(np.int64) - _ZERO) @ np.array(RESIDENT_WEIGHTS)
    expected = np.frombuffer(RESIDENT_CHECKS.encode(), dtype=np.uint8)
    return expected[total % 11] == numbers[:, 17]


def short_resident_ids(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 15) may be resident ids as issued until 1999: digits, a province and a day of the 1900s.

    They have no check digit: 1 in 80 random numbers of 15 digits passes.
    """
    digits = numbers.astype(np.int64) - _ZERO
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)
    return good & in_province(numbers) & _is_day(1900 + _number(digits[:, 6:8]), digits[:, 8:12])


def in_province(numbers: np.ndarray, at: int = 0) -> np.ndarray:
    """Which rows name a province with the two digits at `at`; or, at the start of a number, with 9 and the next two."""
    digits = numbers[:, at : at + 3].astype(np.int64) - _ZERO
    digits = np.where((digits >= 0) & (digits <= 9), digits, 0)
    named = _IS_PROVINCE[digits[:, 0] * 10 + digits[:, 1]]
    if at == 0:
        named |= (digits[:, 0] == 9) & _IS_PROVINCE[digits[:, 1] * 10 + digits[:, 2]]
    return named


def uscc_forms(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 18) have the form of a credit code: a body, a region in a province, nine characters and one more."""
    values = _USCC_VALUES[numbers]
    pairs = (numbers[:, 0].astype(np.int64) << 8) | numbers[:, 1]
    good = (values < 31).all(axis=1) & (values[:, 2:8] < 10).all(axis=1) & _BODY_PAIRS[pairs]
    # 10 is the registry of the state itself.
    state = (numbers[:, 2] == ord("1")) & (numbers[:, 3] == _ZERO)
    return good & (in_province(numbers, 2) | state)


def uscc_checks(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 18) carry the check character of MOD 31; characters outside the alphabet fail."""
    values = _USCC_VALUES[numbers]
    total = np.where(values < 31, values, 0)[:, :17] @ np.array(USCC_WEIGHTS)
    return (values < 31).all(axis=1) & ((31 - total % 31) % 31 == values[:, 17])


def organisation_codes(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 9) are organisation codes: eight characters and the check character of MOD 11."""
    values = _BASE_36[numbers]
    good = (values[:, :8] < 36).all(axis=1)
    rest = (11 - np.where(values < 36, values, 0)[:, :8] @ np.array(ORGANISATION_WEIGHTS) % 11) % 11
    expected = np.where(rest == 10, _X, rest + _ZERO)
    return good & (expected == numbers[:, 8])


def usccs(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 18) are credit codes by form and by both check characters, its own and the organisation code's."""
    return uscc_forms(numbers) & uscc_checks(numbers) & organisation_codes(numbers[:, 8:17])


def registration_numbers(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 15) are registration numbers of businesses: digits with the check digit of MOD 11,10."""
    digits = numbers.astype(np.int64) - _ZERO
    good = ((digits >= 0) & (digits <= 9)).all(axis=1) & in_province(numbers)
    product = np.full(len(numbers), 10)
    for place in range(14):
        total = (product + np.where(good, digits[:, place], 0)) % 10
        product = np.where(total == 0, 10, total) * 2 % 11
    return good & ((11 - product) % 10 == digits[:, 14])


def cards(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 15 to 19) of digits pass Luhn."""
    digits = numbers.astype(np.int64) - _ZERO
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)
    doubled = digits[:, -2::-2] * 2
    total = digits[:, -1::-2].sum(axis=1) + (doubled - 9 * (doubled > 9)).sum(axis=1)
    return good & (total % 10 == 0)


def card_issuers(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 15 to 19) of digits begin like a card: UnionPay 62, older Chinese cards 9558 and 60, and with 16
    digits Visa 4, Mastercard 51-55 and JCB 35.
    """
    digits = numbers.astype(np.int64) - _ZERO
    first, second = digits[:, 0], digits[:, :2] @ np.array([10, 1])
    issued = (second == 62) | (second == 60) | (digits[:, :4] @ np.array([1000, 100, 10, 1]) == 9558)
    if numbers.shape[1] == 16:
        issued |= (first == 4) | ((second >= 51) & (second <= 55)) | (second == 35)
    return issued & (numbers.shape[1] >= 16)


def mobile_phones(numbers: np.ndarray) -> np.ndarray:
    """Which rows of (n, 11) of digits begin like a mobile telephone of the mainland, 13 to 19."""
    return (numbers[:, 0] == ord("1")) & (numbers[:, 1] >= ord("3")) & (numbers[:, 1] <= _NINE)


def _number(digits: np.ndarray) -> np.ndarray:
    return digits @ (10 ** np.arange(digits.shape[1] - 1, -1, -1))


def _is_day(year: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Which years (n,) and digits MMDD (n, 4) are a day."""
    month, day = digits[:, 0] * 10 + digits[:, 1], digits[:, 2] * 10 + digits[:, 3]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    known = (month >= 1) & (month <= 12)
    last = lengths[np.where(known, month, 0)] + (leap & (month == 2))
    return known & (day >= 1) & (day <= last) & (year >= OLDEST) & (year <= YOUNGEST)
