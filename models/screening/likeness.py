"""Features that say the same: groups joined by rank correlation."""

from __future__ import annotations

import numpy as np

#: Rows looked at: the standard error of a correlation over so many is below 0.01.
ROWS = 20_000

#: From here on two features are told as one group.
ALIKE = 0.9


def rank_correlation(values: np.ndarray) -> np.ndarray:
    """Spearman's correlation (p, p) of features (n, p); missing values rank lowest, together. Constant features give 0."""
    from scipy.stats import rankdata

    step = max(1, len(values) // ROWS)
    chosen = np.where(np.isnan(values[::step]), -np.inf, values[::step])
    ranks = rankdata(chosen, axis=0)
    ranks -= ranks.mean(axis=0)
    length = np.sqrt((ranks**2).sum(axis=0))
    scaled = np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0)
    return scaled.T @ scaled


def groups(correlation: np.ndarray, alike: float = ALIKE) -> list[list[int]]:
    """Positions that hang together by |correlation| >= `alike` (single linkage), each group ascending, singles left out."""
    root = list(range(len(correlation)))

    def top(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for i, j in zip(*np.nonzero(np.triu(np.abs(correlation) >= alike, k=1)), strict=True):
        root[top(int(j))] = top(int(i))
    found: dict[int, list[int]] = {}
    for i in range(len(root)):
        found.setdefault(top(i), []).append(i)
    return [members for members in found.values() if len(members) > 1]
