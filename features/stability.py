"""How alike two distributions or two orders are: population stability index and rank correlation."""

from __future__ import annotations

import numpy as np

#: Bins of equal size on the first sample.
BINS = 10

#: Share that stands for an empty bin: a bin that only one side fills must not make the index infinite.
_EMPTY = 1e-4

#: 95 % point of the index of two samples of n from one distribution, ten bins, is about 34/n.
_NOISE = 34.0


def psi(first: np.ndarray, second: np.ndarray, bins: int = BINS) -> float:
    """Population stability index of `second` beside `first`, both of any length; NaN is a bin of its own; 0 of an empty one.

    Sum over bins of (q - p) x ln(q / p), p and q the shares of both samples in bins cut at the quantiles of `first`. It says
    nothing about who has which value: shuffled values give 0. See Siddiqi (2017), ch. 15.
    """
    if not len(first) or not len(second):
        return 0.0
    told = first[~np.isnan(first)]
    edges = np.unique(np.quantile(told, np.linspace(0, 1, bins + 1)[1:-1])) if len(told) else np.empty(0)
    p, q = _shares(first, edges), _shares(second, edges)
    return float(np.sum((q - p) * np.log(q / p)))


def psi_noise(rows: int) -> float:
    """What two samples of `rows` from one distribution reach in one of twenty cases; a limit below it would tell of nothing."""
    return _NOISE / max(1, rows)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Rank correlation over places where both are there, ties ranked by their mean. Of one value only on both sides it is 1
    where the two are the same, else 0."""
    from scipy.stats import rankdata

    both = ~(np.isnan(first) | np.isnan(second))
    a, b = rankdata(first[both]), rankdata(second[both])
    if len(a) < 2:
        return 1.0
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    if spread == 0.0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return float(a @ b) / spread


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    places = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.maximum(np.bincount(places, minlength=len(edges) + 2) / len(values), _EMPTY)
