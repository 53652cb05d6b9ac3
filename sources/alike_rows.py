"""Which rows are alike in all of some columns.

Nearly always none is, and that is seen by one mixed number a row: rows whose numbers differ are different. The few whose numbers
are the same are then looked at exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from core.token_index import fixed_width
from sources.grain import group_numbers

#: An odd number whose bits are spread evenly (the golden ratio's).
_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD = 8


def alike(marks: Sequence[np.ndarray], exact: Callable[[np.ndarray], pa.Table]) -> np.ndarray:
    """Which rows share all their values with another row, bool (rows,).

    `marks`: whole numbers by column that are the same where the values are. `exact` gives the values of the rows at these
    positions.
    """
    mixed = np.zeros(len(marks[0]), dtype=np.uint64)
    for mark in marks:
        mixed = _mixed(mixed + mark.astype(np.uint64) + np.uint64(1))
    ordered = np.sort(mixed)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    found = np.zeros(len(mixed), dtype=bool)
    suspects = np.flatnonzero(np.isin(mixed, np.unique(twice))) if len(twice) else np.empty(0, dtype=np.int64)
    if len(suspects):
        numbers, count = group_numbers(exact(suspects))
        found[suspects] = np.bincount(numbers, minlength=count)[numbers] > 1
    return found


def text_marks(texts: pa.StringArray) -> np.ndarray | None:
    """A number for each text by its bytes, uint64 (texts,); None unless all have one length of 8 bytes or more, as tokens do."""
    letters = fixed_width(texts)
    if letters is None or letters.shape[1] < _WORD:
        return None
    length = letters.shape[1]
    mixed = np.zeros(len(texts), dtype=np.uint64)
    for start in (*range(0, length - _WORD, _WORD), length - _WORD):
        words = np.ascontiguousarray(letters[:, start : start + _WORD]).view(np.uint64)[:, 0]
        mixed = _mixed(mixed + words)
    return mixed


def _mixed(numbers: np.ndarray) -> np.ndarray:
    numbers = numbers * _MIX
    return numbers ^ (numbers >> np.uint64(29))
