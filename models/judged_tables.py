"""What the record keeps of the judged rows: ROC vertices, grades with intervals, bands of points. Counts and
rates, never rows.
"""

from __future__ import annotations

import numpy as np

from models.discrimination import roc_points
from models.grades import GradeScale
from models.points import probability
from models.training_record import GradeRecord

#: Points between two vertices of the ROC curves that the record keeps.
ROC_VERTICES = 100

#: Width in points of the bands of the score distribution that the record keeps.
BAND_POINTS = 20.0


def roc_vertices(target: np.ndarray, score: np.ndarray) -> tuple[tuple[float, float], ...]:
    """(false positive rate, true positive rate), some 100 points of the curve; empty without both outcomes."""
    if len(target) == 0 or target.min() == target.max():
        return ()
    false_rate, true_rate = roc_points(target, score)
    places = np.unique(np.linspace(0, len(false_rate) - 1, ROC_VERTICES + 1).astype(int))
    return tuple((round(float(false_rate[i]), 4), round(float(true_rate[i]), 4)) for i in places)


def grade_table(scale: GradeScale, calibrated: np.ndarray, events: np.ndarray) -> tuple[GradeRecord, ...]:
    """Every grade of the scale with rows, events, predicted and observed rate, of calibrated log-odds (n,)
    and 0/1 events.
    """
    grade = scale.of(calibrated)
    expected = probability(calibrated)
    table = []
    for number in range(1, scale.count + 1):
        inside = grade == number
        rows, hits = int(inside.sum()), int(events[inside].sum())
        low, high = wilson_interval(hits, rows)
        table.append(
            GradeRecord(
                number,
                rows,
                hits,
                float(expected[inside].mean()) if rows else 0.0,
                hits / rows if rows else 0.0,
                low,
                high,
            )
        )
    return tuple(table)


def wilson_interval(hits: int, rows: int, z: float = 1.6448536269514722) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927), 90 % by default; (0, 1) without rows."""
    if rows == 0:
        return 0.0, 1.0
    rate = hits / rows
    centre = (rate + z * z / (2 * rows)) / (1 + z * z / rows)
    reach = z * float(np.sqrt(rate * (1 - rate) / rows + z * z / (4 * rows * rows))) / (1 + z * z / rows)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def score_bands(points: np.ndarray, events: np.ndarray) -> tuple[tuple[float, int, int], ...]:
    """(lowest points of the band, non-events, events) for every band of the judged rows."""
    if len(points) == 0:
        return ()
    band = np.floor(points / BAND_POINTS).astype(int)
    return tuple(
        (
            float(number * BAND_POINTS),
            int(((band == number) & (events == 0)).sum()),
            int(((band == number) & (events == 1)).sum()),
        )
        for number in range(band.min(), band.max() + 1)
    )
