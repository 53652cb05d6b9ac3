"""Cox's recalibration: outcome on the log-odds of the prediction, logit P(y = 1) = a + b z. Two parameters, by Newton."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.points import probability


@dataclass(frozen=True)
class Recalibration:
    """`intercept` a and `slope` b with cluster-robust errors; `level` is a where b is held at 1, with its own error.

    `log_likelihood` of (a, b), of (level, 1) and of (0, 1).
    """

    intercept: float
    slope: float
    slope_error: float
    level: float
    level_error: float
    log_likelihood: tuple[float, float, float]


def recalibrate(z: np.ndarray, outcome: np.ndarray, cluster: np.ndarray) -> Recalibration | None:
    """Fit on log-odds z (n,) and 0/1 outcomes (n,); None with one outcome, one score, or scores that separate the outcomes.

    Errors by the sandwich of Liang and Zeger, Biometrika 73 (1986) 13-22: scores are summed per cluster, so that vintages of
    one subject don't count as so many subjects.
    """
    if outcome.min() == outcome.max() or z.min() == z.max():
        return None
    if z[outcome == 1].min() > z[outcome == 0].max() or z[outcome == 1].max() < z[outcome == 0].min():
        return None
    y = outcome.astype(np.float64)
    design = np.column_stack([np.ones(len(z)), z])
    both = _newton(design, np.zeros(len(z)), y)
    level = _newton(design[:, :1], z, y)
    members = np.unique(cluster, return_inverse=True)[1].ravel()
    errors = _sandwich(design, design @ both, y, members)
    level_error = _sandwich(design[:, :1], z + level[0], y, members)[0]
    told = tuple(_log_likelihood(each, y) for each in (design @ both, z + level[0], z))
    return Recalibration(
        float(both[0]),
        float(both[1]),
        float(errors[1]),
        float(level[0]),
        float(level_error),
        (told[0], told[1], told[2]),
    )


def _newton(design: np.ndarray, offset: np.ndarray, y: np.ndarray) -> np.ndarray:
    beta = np.zeros(design.shape[1])
    if design.shape[1] == 2:
        beta[1] = 1.0
    reached = _log_likelihood(offset + design @ beta, y)
    for _ in range(100):
        p = probability(offset + design @ beta)
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(beta)), design.T @ (y - p))
        scale = 1.0
        # A full step may jump over the maximum where the start lies far off: halve it until it climbs.
        while scale > 1e-6:
            climbed = _log_likelihood(offset + design @ (beta + scale * step), y)
            if climbed >= reached - 1e-12:
                break
            scale /= 2.0
        beta, reached = beta + scale * step, climbed
        if float(np.abs(step).max()) < 1e-10:
            break
    return beta


def _sandwich(design: np.ndarray, z: np.ndarray, y: np.ndarray, members: np.ndarray) -> np.ndarray:
    p = probability(z)
    bread = np.linalg.inv((design * (p * (1.0 - p))[:, None]).T @ design)
    sums = np.column_stack([np.bincount(members, column * (y - p)) for column in design.T])
    groups = len(sums)
    meat = sums.T @ sums * (groups / max(groups - 1, 1))
    return np.sqrt(np.diag(bread @ meat @ bread))


def _log_likelihood(z: np.ndarray, y: np.ndarray) -> float:
    return float((y * z - np.logaddexp(0.0, z)).sum())
