"""Maximum likelihood of a logistic recalibration whose outcomes are turned round with probability f."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.points import probability
from models.validation.logistic_recalibration import recalibrate

#: 95 % point of the chi-square with one degree of freedom.
_CHI2_95 = 3.841458820694124

#: Groups of scores that the likelihood is taken over.
GROUPS = 500

#: Half of all labels turned round is pure noise; more can't be told from a score that ranks the wrong way.
MOST = 0.45


@dataclass(frozen=True)
class Flips:
    """Estimated share of outcomes that were turned round, its 95 % profile interval, and p of no flips."""

    share: float
    low: float
    high: float
    p_value: float


def fit_flips(z: np.ndarray, outcome: np.ndarray) -> Flips | None:
    """From log-odds z (n,) and outcomes 0/1 (n,); None where a recalibration can't be fitted (one outcome, one score).

    More than GROUPS different scores are put into so many groups of equal size with their mean log-odds: the likelihood then
    costs the same for any number of rows, and within a group the log-odds differ too little to matter.
    """
    from scipy.optimize import brentq, minimize_scalar
    from scipy.stats import chi2

    start = recalibrate(z, outcome, np.arange(len(z)))
    if start is None or start.slope <= 0.0:
        return None
    mean, rows, hits = _grouped(z, outcome)
    begin = np.array([start.intercept, start.slope])

    def profile(f: float) -> float:
        return _profiled(f, mean, rows, hits, begin)

    best = minimize_scalar(
        lambda f: -profile(float(f)), bounds=(0.0, MOST), method="bounded", options={"xatol": 1e-6}
    )
    none, top = profile(0.0), float(-best.fun)
    share = float(best.x) if top > none else 0.0
    top = max(top, none)

    def missed(f: float) -> float:
        return 2.0 * (top - profile(f)) - _CHI2_95

    low = 0.0 if share <= 0.0 or missed(0.0) <= 0.0 else float(brentq(missed, 0.0, share, xtol=1e-5))
    high = MOST if missed(MOST) <= 0.0 else float(brentq(missed, share, MOST, xtol=1e-5))
    ratio = 2.0 * (top - none)
    return Flips(share, low, high, float(0.5 * chi2.sf(ratio, 1)) if ratio > 0.0 else 1.0)


def _grouped(z: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values, group = np.unique(z, return_inverse=True)
    group = group.ravel()
    if len(values) > GROUPS:
        order = np.argsort(z, kind="stable")
        group = np.empty(len(z), dtype=np.int64)
        group[order] = np.arange(len(z)) * GROUPS // len(z)
    rows = np.bincount(group).astype(np.float64)
    return np.bincount(group, z) / rows, rows, np.bincount(group, outcome)


def _profiled(f: float, z: np.ndarray, rows: np.ndarray, hits: np.ndarray, begin: np.ndarray) -> float:
    """Largest log-likelihood over intercept and slope at a share f, by Fisher scoring with halved steps."""
    design = np.column_stack([np.ones(len(z)), z])
    beta = begin.copy()
    reached = _likelihood(f, design @ beta, rows, hits)
    for _ in range(60):
        own = probability(design @ beta)
        p = f + (1.0 - 2.0 * f) * own
        slope = (1.0 - 2.0 * f) * own * (1.0 - own)
        variance = np.maximum(p * (1.0 - p), 1e-15)
        gradient = design.T @ ((hits - rows * p) * slope / variance)
        curvature = (design * (rows * slope**2 / variance)[:, None]).T @ design + 1e-10 * np.eye(2)
        step = np.clip(np.linalg.solve(curvature, gradient), -2.0, 2.0)
        scale = 1.0
        while scale > 1e-6:
            climbed = _likelihood(f, design @ (beta + scale * step), rows, hits)
            if climbed >= reached:
                break
            scale /= 2.0
        else:
            break
        done = climbed - reached < 1e-9
        beta, reached = beta + scale * step, climbed
        if done:
            break
    return reached


def _likelihood(f: float, eta: np.ndarray, rows: np.ndarray, hits: np.ndarray) -> float:
    p = np.clip(f + (1.0 - 2.0 * f) * probability(eta), 1e-15, 1.0 - 1e-15)
    return float((hits * np.log(p) + (rows - hits) * np.log1p(-p)).sum())
