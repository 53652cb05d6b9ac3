"""Population stability of one feature between two sets of rows, with a limit that knows how many rows there are.

PSI = sum over bins of (a - e) ln(a / e), e and a the shares of the expected and the actual rows (Siddiqi 2017, ch. 14). The
usual limits 0.1 and 0.25 know nothing of size: with no drift at all and ten bins PSI exceeds 0.1 in 75 of 100 samples of 50 rows.
Without drift PSI / (1/n + 1/m) follows a chi-square distribution with bins - 1 degrees of freedom (Yurdakul 2018): the limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Chance that a feature that hasn't moved is told as moved.
ALPHA = 0.01

#: Below this a proven shift is too small to matter to anyone.
MATERIAL = 0.1

#: Half a row stands in for an empty bin, so that no share is 0.
_HALF = 0.5


@dataclass(frozen=True)
class Stability:
    """PSI, the limit that chance alone seldom passes, and whether the shift is both proven and material."""

    psi: float
    limit: float
    bins: int

    @property
    def moved(self) -> bool:
        """Beyond chance and of material size."""
        return self.psi > max(self.limit, MATERIAL)


def bin_edges(expected: np.ndarray, bins: int = 10) -> np.ndarray:
    """Inner edges (at most bins - 1, rising) at quantiles of the expected rows; missing values are a bin of their own."""
    known = np.sort(expected[np.isfinite(expected)])
    if not len(known):
        return np.empty(0)
    edges = np.unique(known[(np.arange(1, bins) * len(known)) // bins])
    return edges[edges < known[-1]]


def bin_counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Rows per bin, (edges + 2,): edges[i-1] < x <= edges[i], missing last."""
    from models.screening.kernels import empty_counts, rows_per_bin

    counts = empty_counts(edges)
    rows_per_bin(values, edges, counts)
    return counts


def stability(expected: np.ndarray, actual: np.ndarray, alpha: float = ALPHA) -> Stability:
    """PSI of counts per bin (both (bins,)); bins that are empty on both sides count for nothing."""
    from scipy.stats import chi2

    there = (expected + actual) > 0
    e, a = expected[there].astype(np.float64), actual[there].astype(np.float64)
    n, m = e.sum(), a.sum()
    if not n or not m:
        return Stability(float("nan"), float("nan"), int(there.sum()))
    e_share = np.where(e > 0, e, _HALF) / n
    a_share = np.where(a > 0, a, _HALF) / m
    psi = float(((a_share - e_share) * np.log(a_share / e_share)).sum())
    degrees = max(int(there.sum()) - 1, 1)
    limit = float((1.0 / n + 1.0 / m) * chi2.ppf(1.0 - alpha, degrees))
    return Stability(psi, limit, int(there.sum()))
