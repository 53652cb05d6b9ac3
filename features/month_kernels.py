"""Laying a month's rows out by subject, compiled: one pass over the rows, in the order in which versions become known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.monthly_facts import FactBlocks
from features.window_kernels import compiled


@compiled
def lay(row, ranges, tile, position, values, known, absent):  # type: ignore[no-untyped-def]
    """Write one month of one tile: `values` into `row` (width,) at `position` where `known`; later rows win.

    `ranges` says where the tile's rows lie. Subjects without a known row, or whose last one says that everything was taken back
    (NaN), are `absent`: NaN or 0.
    """
    width = len(row)
    first = tile * width
    # The first run has nearly every subject, in order: what it leaves out is filled on the way.
    begin, end = ranges[0, tile], ranges[0, tile + 1]
    blank = 0
    if end > begin and known[begin]:
        for i in range(begin, end):
            place = position[i] - first
            while blank < place:
                row[blank] = absent
                blank += 1
            v = values[i]
            row[place] = v if v == v else absent
            blank = place + 1
    while blank < width:
        row[blank] = absent
        blank += 1
    for run in range(1, ranges.shape[0]):
        begin, end = ranges[run, tile], ranges[run, tile + 1]
        # The rows of a run became known together.
        if end > begin and known[begin]:
            for i in range(begin, end):
                v = values[i]
                row[position[i] - first] = v if v == v else absent


@compiled
def mark(seen, position, known):  # type: ignore[no-untyped-def]
    """Set `seen` for every subject with a known row."""
    for i in range(len(position)):
        if known[i]:
            seen[position[i]] = True


def known_subjects(blocks: Sequence[FactBlocks], subjects: int, cutoff: np.datetime64) -> np.ndarray:
    """Whether any block had a record of the subject by the cutoff, bool (subjects,)."""
    seen = np.zeros(subjects, dtype=np.bool_)
    for block in blocks:
        mark(seen, block.position, block.known(cutoff))
    return seen
