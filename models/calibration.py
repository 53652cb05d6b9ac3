"""Calibration: from a model's own log-odds to a probability that fits what happened and the central tendency.

Platt scaling (logistic regression on the model's log-odds; Platt 1999, with the target smoothing of Lin, Lin
and Weng, Machine Learning 68 (2007) 267-276), or isotonic regression where at least 1,000 events carry it;
then one shift of all log-odds so that the mean probability over the calibration rows is the central tendency
(中心违约趋势).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.telemetry import quiet
from models.points import log_odds, probability

#: Events from which isotonic regression is trusted: fewer make steps of a handful of events each.
ISOTONIC_EVENTS = 1_000

#: No isotonic step lies outside these probabilities: 0.03 % was the PD floor of Basel II, and log-odds must
#: stay finite.
FLOOR, CEILING = 0.0003, 0.9997

#: A slope this small says that the score carries nothing; a negative one would turn the ranking round.
LEAST_SLOPE = 0.05


@dataclass(frozen=True)
class Calibration:
    """Calibrated log-odds = f(z) + shift; f is slope * z + intercept, or linear between knots (flat outside
    them).
    """

    kind: Literal["platt", "isotonic"]
    slope: float
    intercept: float
    knots_in: tuple[float, ...]
    knots_out: tuple[float, ...]
    shift: float
    central_tendency: float
    rows: int
    events: int

    def apply(self, raw_log_odds: np.ndarray) -> np.ndarray:
        """Calibrated log-odds (n,) of raw model log-odds (n,); never turns two rows round."""
        return self._shape(raw_log_odds) + self.shift

    def _shape(self, raw: np.ndarray) -> np.ndarray:
        if self.kind == "isotonic":
            return np.asarray(np.interp(raw, np.array(self.knots_in), np.array(self.knots_out)))
        return self.slope * raw + self.intercept


def fit_calibration(
    raw_log_odds: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray | None = None,
    central_tendency: float | None = None,
) -> Calibration:
    """Fit on out-of-sample log-odds (n,) and 0/1 targets, where an indeterminate outcome counts as 0.

    `weights` (n,) let several out-of-fold scores of one subject count as one. Without `central_tendency` it
    is the observed rate.
    """
    weight = np.ones(len(target)) if weights is None else weights
    events = float((weight * target).sum())
    tendency = events / float(weight.sum()) if central_tendency is None else central_tendency
    knots_in: tuple[float, ...] = ()
    knots_out: tuple[float, ...] = ()
    slope, intercept = 1.0, 0.0
    kind: Literal["platt", "isotonic"] = "isotonic" if events >= ISOTONIC_EVENTS else "platt"
    if kind == "isotonic":
        knots_in, knots_out = _isotonic(raw_log_odds, target, weight)
    else:
        slope, intercept = _platt(raw_log_odds, target, weight)
    shape = Calibration(
        kind, slope, intercept, knots_in, knots_out, 0.0, tendency, round(weight.sum()), round(events)
    )
    shift = _shift(shape.apply(raw_log_odds), weight, tendency)
    return Calibration(
        kind, slope, intercept, knots_in, knots_out, shift, tendency, round(weight.sum()), round(events)
    )


def _platt(raw: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and intercept by Newton's method on the weighted log-likelihood with smoothed targets."""
    events = float((weight * target).sum())
    others = float(weight.sum()) - events
    smooth = np.where(target == 1, (events + 1.0) / (events + 2.0), 1.0 / (others + 2.0))
    centre = float(np.average(raw, weights=weight))
    spread = float(np.sqrt(np.average((raw - centre) ** 2, weights=weight)))
    base = float(log_odds((events + 1.0) / (events + others + 2.0)))
    if spread < 1e-9:
        return LEAST_SLOPE, base - LEAST_SLOPE * centre
    design = np.column_stack([(raw - centre) / spread, np.ones(len(raw))])
    beta = np.array([spread, base])
    for _ in range(100):
        p = probability(design @ beta)
        gradient = design.T @ (weight * (smooth - p))
        curvature = (design * (weight * p * (1.0 - p))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        beta = beta + np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-12:
            break
    slope = max(float(beta[0]) / spread, LEAST_SLOPE)
    return slope, float(beta[1]) - slope * centre


def _isotonic(
    raw: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots in raw and calibrated log-odds: the ends of every step of the isotonic fit."""
    quiet(os.environ)
    from sklearn.isotonic import IsotonicRegression

    fit = IsotonicRegression(y_min=FLOOR, y_max=CEILING, out_of_bounds="clip")
    fit.fit(raw, target, sample_weight=weight)
    knots, first = np.unique(fit.X_thresholds_, return_index=True)
    levels = np.maximum.accumulate(log_odds(fit.y_thresholds_[first]))
    return tuple(knots.tolist()), tuple(levels.tolist())


def _shift(calibrated: np.ndarray, weight: np.ndarray, tendency: float) -> float:
    """The shift of log-odds at which the mean probability is `tendency`, to 1e-12."""
    from scipy.optimize import brentq

    total = float(weight.sum())

    def excess(shift: float) -> float:
        return float((weight * probability(calibrated + shift)).sum()) / total - tendency

    return float(brentq(excess, -50.0, 50.0, xtol=1e-13, rtol=8.9e-16))
