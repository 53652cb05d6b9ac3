"""Laying a month's rows out by subject, compiled: one pass over the rows, in the order in which versions become known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from features.monthly_facts import FactBlocks
from features.window_kernels import compiled


@compiled
def clear(array, month):  # type: ignore[no-untyped-def]
    """No record of any subject in this month of `array` (tiles, months, tile)."""
    for tile in range(array.shape[0]):
        for j in range(array.shape[2]):
            array[tile, month, j] = np.nan


@compiled
def lay(array, month, position, values, known, absent):  # type: ignore[no-untyped-def]
    """Write `values` into one month of `array` (tiles, months, tile) at `position` where `known`; later rows win.

    Subjects without a known row, or whose last one says that everything was taken back (NaN), are `absent`: NaN or 0.
    """
    width = array.shape[2]
    for i in range(len(position)):
        if known[i]:
            array[position[i] // width, month, position[i] % width] = values[i]
    if absent == absent:
        for tile in range(array.shape[0]):
            for j in range(width):
                v = array[tile, month, j]
                array[tile, month, j] = v if v == v else absent


@compiled
def mark(seen, position, known):  # type: ignore[no-untyped-def]
    """Set `seen` for every subject with a known row."""
    for i in range(len(position)):
        if known[i]:
            seen[position[i]] = True


def known_subjects(blocks: Sequence[FactBlocks], subjects: int, cutoff: datetime) -> np.ndarray:
    """Whether any block had a record of the subject by the cutoff, bool (subjects,)."""
    seen = np.zeros(subjects, dtype=np.bool_)
    for block in blocks:
        mark(seen, block.position, block.known(cutoff))
    return seen
