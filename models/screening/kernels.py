"""What is counted once per feature and month, compiled: thousands of columns of 100,000 rows are looked at for one page."""

from __future__ import annotations

import numpy as np

from features.window_kernels import compiled


@compiled
def rows_per_bin(values, edges, out):  # type: ignore[no-untyped-def]
    """Add to `out` (edges + 2,) the rows per bin: edges[i-1] < x <= edges[i], missing last."""
    last = len(edges) + 1
    for i in range(len(values)):
        v = values[i]
        place = 0
        for e in range(len(edges)):
            place += edges[e] < v
        out[place if v == v else last] += 1


@compiled
def rows_and_events_per_bin(values, target, edges, rows, events):  # type: ignore[no-untyped-def]
    """The same, and the sum of `target` (0/1) beside it."""
    last = len(edges) + 1
    for i in range(len(values)):
        v = values[i]
        place = 0
        for e in range(len(edges)):
            place += edges[e] < v
        place = place if v == v else last
        rows[place] += 1
        events[place] += target[i]


@compiled
def pairs_won(events, others):  # type: ignore[no-untyped-def]
    """Pairs (event, other) in which the event's value is greater, ties counting half; both ascending."""
    won, below, through = 0.0, 0, 0
    for i in range(len(events)):
        while below < len(others) and others[below] < events[i]:
            below += 1
        through = max(through, below)
        while through < len(others) and others[through] == events[i]:
            through += 1
        won += 0.5 * (below + through)
    return won


def empty_counts(edges: np.ndarray) -> np.ndarray:
    """Zeros for the bins of these edges, missing included."""
    return np.zeros(len(edges) + 2, dtype=np.int64)
