"""The window formulas of two measures, compiled like those of one: over the same months, held side by side.

Both take float64 of shape (months, subjects), oldest month first, NaN = no record, and give float64 (subjects,), NaN = missing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from features.window_kernels import compiled, divide, total
from features.windows import FLAT

_NAN = np.nan


@compiled
def share_of(x, whole):  # type: ignore[no-untyped-def]
    """Sum of one measure divided by the sum of another over the same window."""
    return divide(total(x), total(whole))


@compiled
def months_below(x, y):  # type: ignore[no-untyped-def]
    """Months in which one measure is below another (paid below due); missing where no month has both."""
    months, subjects = x.shape
    out, count = np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            v, w = x[m, j], y[m, j]
            both = v == v and w == w
            out[j] += 1.0 if both and v < w else 0.0
            count[j] += 1.0 if both else 0.0
    for j in range(subjects):
        out[j] = out[j] if count[j] > 0 else _NAN
    return out


@compiled
def co_movement(x, y):  # type: ignore[no-untyped-def]
    """Correlation of two measures over the months that have both; missing below six of them or where one never changes."""
    months, subjects = x.shape
    count, mx, my = np.zeros(subjects), np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            v, w = x[m, j], y[m, j]
            both = v == v and w == w
            count[j] += 1.0 if both else 0.0
            mx[j] += v if both else 0.0
            my[j] += w if both else 0.0
    for j in range(subjects):
        mx[j] /= max(count[j], 1.0)
        my[j] /= max(count[j], 1.0)
    xy, xx, yy = np.zeros(subjects), np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            both = x[m, j] == x[m, j] and y[m, j] == y[m, j]
            dx = x[m, j] - mx[j] if both else 0.0
            dy = y[m, j] - my[j] if both else 0.0
            xy[j] += dx * dy
            xx[j] += dx * dx
            yy[j] += dy * dy
    out = np.empty(subjects)
    for j in range(subjects):
        # What is left of rounding is no movement.
        moves = xx[j] > FLAT * mx[j] * mx[j] and yy[j] > FLAT * my[j] * my[j]
        out[j] = xy[j] / np.sqrt(xx[j] * yy[j]) if count[j] > 5 and moves else _NAN
    return out


#: The formulas of two measures by the name used in the catalogue.
KERNELS_OF_TWO: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "share_of": share_of,
    "months_below": months_below,
    "co_movement": co_movement,
}
