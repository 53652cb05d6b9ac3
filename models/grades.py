"""Grades: a master scale of bands of equal width in points around the central tendency; 1 is the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.definition import GradeParameters
from models.points import FACTOR, log_odds, probability


@dataclass(frozen=True)
class GradeScale:
    """`bounds`: rising calibrated event log-odds between neighbouring bands (count - 1 of them)."""

    bounds: tuple[float, ...]
    event_is_wanted: bool

    @property
    def count(self) -> int:
        """Number of grades."""
        return len(self.bounds) + 1

    def of(self, calibrated: np.ndarray) -> np.ndarray:
        """Grade (int8) of calibrated event log-odds: 1 = least likely default, or likeliest response."""
        band = np.searchsorted(np.array(self.bounds), calibrated, side="left")
        return ((self.count - band) if self.event_is_wanted else band + 1).astype(np.int8)

    def upper_probabilities(self) -> list[float]:
        """Highest event probability of each band in rising order; the last one is 1."""
        return [*probability(np.array(self.bounds)).tolist(), 1.0]


def grade_scale(
    parameters: GradeParameters, central_tendency: float, event_is_wanted: bool = False
) -> GradeScale:
    """Bands of `step_points` points each, the middle bound at the central tendency.

    Bounds follow from the definition and the central tendency alone, not from the sample, so that a grade
    means the same odds from one training to the next.
    """
    half = parameters.count / 2.0
    offsets = (np.arange(1, parameters.count) - half) * parameters.step_points / FACTOR
    return GradeScale(tuple((float(log_odds(central_tendency)) + offsets).tolist()), event_is_wanted)
