"""Cells that are a number and nothing else: resident ids, credit codes, telephones, bank cards; all at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.identity import numbers
from sources.identity.clues import CARD, ENOUGH, PHONE, RANDOM_RESIDENT, RESIDENT, SHORT_RESIDENT, USCC, Clue

#: Amounts in fen begin with 13 to 19 more often than every 14th time: first digits of amounts are small (Benford).
_RANDOM_PHONE = 0.2

#: A column is of numbers, not of telephones, when so much of it is digits of other lengths.
_NUMERIC = 0.5


def number_clues(texts: pa.Array, lengths: np.ndarray, column: pa.Array) -> list[Clue]:
    """Clues in texts of digits and capital letters (`lengths` in bytes); `column` are all the column's different texts.
    Positions are those in `texts`.
    """
    clues: list[Clue] = []
    for length, look in _BY_LENGTH.items():
        rows = np.flatnonzero(lengths == length)
        if len(rows):
            some = texts if len(rows) == len(texts) else texts.take(pa.array(rows))
            found = look(numbers.characters(some, length), column)
            clues += [clue.at(rows) for clue in found if len(clue.hits)]
    return clues


def _phones(matrix: np.ndarray, column: pa.Array) -> list[Clue]:
    digits = _all_digits(matrix)
    # 0 begins landlines and padded numbers.
    among = digits & (matrix[:, 0] != ord("0"))
    hits = np.flatnonzero(among & numbers.mobile_phones(matrix))
    count = int(among.sum())
    # A few amounts in fen that look like telephones don't make a column of amounts one of telephones.
    least, share = (5, 0.5) if len(hits) and _of_numbers(column, count) else (1, 0.0)
    return [Clue(PHONE, hits, count, ((count, _RANDOM_PHONE),), least, share)]


def _with_country(matrix: np.ndarray, _: pa.Array) -> list[Clue]:
    called = _all_digits(matrix) & (matrix[:, 0] == ord("8")) & (matrix[:, 1] == ord("6"))
    hits = np.flatnonzero(called & numbers.mobile_phones(matrix[:, 2:]))
    # 86 begins every hundredth number of 13 digits, and 7 % of those go on like a mobile telephone.
    count = int(_all_digits(matrix).sum())
    return [Clue(PHONE, hits, count, ((count, 0.01),))]


def _of_numbers(column: pa.Array, phones: int) -> bool:
    if len(column) < ENOUGH:
        return False
    found = pc.sum(pc.match_substring_regex(column, r"^-?[0-9][0-9,]*(?:\.[0-9]+)?$")).as_py()
    return found - phones > _NUMERIC * len(column)


def _fifteen(matrix: np.ndarray, _: pa.Array) -> list[Clue]:
    among = int(_all_digits(matrix).sum())
    hits = np.flatnonzero(numbers.short_resident_ids(matrix))
    # Old registration numbers begin with a region too: 1 in 27 of them has a day where an id has it.
    return [Clue(SHORT_RESIDENT, hits, among, ((among, 0.04),), 1, 0.5)]


def _eighteen(matrix: np.ndarray, column: pa.Array) -> list[Clue]:
    forms = np.flatnonzero(numbers.uscc_forms(matrix))
    checked = forms[numbers.uscc_checks(matrix[forms])]
    strong = checked[numbers.organisation_codes(matrix[checked, 8:17])]
    clues = [Clue(USCC, strong, len(matrix), ((len(forms), 1 / 341),))]
    every = np.flatnonzero(numbers.uscc_checks(matrix))
    if len(every) >= 0.01 * len(column):
        clues.append(Clue(USCC, every, len(matrix), ((len(matrix), 1 / 31),), ENOUGH))
    # Among credit codes one resident id is no chance: a sole proprietor's.
    others = np.delete(np.arange(len(matrix)), strong)
    others = others[_all_digits(matrix[others, :17])]
    dated = others[numbers.resident_dates(matrix[others]) & numbers.in_province(matrix[others])]
    hits = dated[numbers.resident_checks(matrix[dated])]
    chances = ((len(others), RANDOM_RESIDENT), (len(dated), 1 / 11))
    return [*clues, Clue(RESIDENT, hits, len(others), chances), *_cards(matrix, column)]


def _cards(matrix: np.ndarray, _: pa.Array) -> list[Clue]:
    digits = np.flatnonzero(_all_digits(matrix))
    issued = digits[numbers.card_issuers(matrix[digits])]
    hits = issued[numbers.cards(matrix[issued])]
    # Of numbers that begin like a card every tenth passes; payment codes of 16 to 20 digits often begin like one.
    return [Clue(CARD, hits, len(digits), ((len(issued), 0.1),), 1, 0.5)]


_BY_LENGTH: dict[int, Callable[[np.ndarray, pa.Array], list[Clue]]] = {
    11: _phones,
    13: _with_country,
    15: _fifteen,
    16: _cards,
    17: _cards,
    18: _eighteen,
    19: _cards,
}


def _all_digits(matrix: np.ndarray) -> np.ndarray:
    digits: np.ndarray = (matrix >= ord("0")) & (matrix <= ord("9"))
    return np.asarray(digits.all(axis=1))
