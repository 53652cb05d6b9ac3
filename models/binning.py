"""Weight of evidence (WoE) binning of one feature, and its information value (IV).

WoE of a bin = ln((goods + k(1-p)) / (bads + kp)) - ln(goods of all / bads of all), with base rate p and k
`prior_rows`: with k = 0 this is ln(share of goods / share of bads), Siddiqi (2017) ch. 10; with k > 0 each
bin is pulled towards 0, the more the fewer rows it has, and an empty bin is exactly 0. IV = sum over bins of
(share of goods - share of bads) * WoE. Higher WoE is safer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.definition import ScorecardParameters

#: Rows looked at when edges are chosen; counts always use all rows. 20 quantiles of 100k rows are exact to
#: 0.1 %.
EDGE_ROWS = 100_000

#: Edges are rounded to so many significant digits: readable, and no edge is the value of one subject.
EDGE_DIGITS = 5


@dataclass(frozen=True)
class FeatureBins:
    """One binned feature. Bin i holds edges[i-1] < x <= edges[i]; the outer ones are open; missing stands
    apart.

    `woe`, `goods`, `bads` have len(edges) + 1 entries. `missing_seen` False: missing never occurred in
    training, its WoE is declared 0. `low`, `high` bound the training values (1 % and 99 % quantile, rounded):
    golden rows are drawn between.
    """

    name: str
    sign: int
    edges: tuple[float, ...]
    woe: tuple[float, ...]
    goods: tuple[int, ...]
    bads: tuple[int, ...]
    missing_woe: float
    missing_goods: int
    missing_bads: int
    iv: float
    low: float
    high: float

    @property
    def missing_seen(self) -> bool:
        """Whether training rows with a missing value stand behind `missing_woe`."""
        return self.missing_goods + self.missing_bads > 0

    def transform(self, values: np.ndarray) -> np.ndarray:
        """WoE (n,) of values (n,); NaN gets the WoE of missing, a value beyond the training range that of the
        outer bin.
        """
        table = np.array([*self.woe, self.missing_woe])
        places = np.searchsorted(np.array(self.edges), values, side="left")
        return table[np.where(np.isnan(values), len(self.woe), places)]


def fit_bins(
    values: np.ndarray, target: np.ndarray, name: str, sign: int, rules: ScorecardParameters
) -> FeatureBins:
    """Bin one feature against a 0/1 target (both (n,), the target with both classes).

    Quantile edges, small bins merged, then neighbours pooled until the event rate is monotone where `sign` is
    given (+1: rises with the value). A feature that contradicts its sign ends in one bin with an IV of
    missing alone.
    """
    missing = np.isnan(values)
    known, outcome = values[~missing], target[~missing]
    edges = quantile_edges(known, rules.max_bins)
    places = np.searchsorted(edges, known, side="left")
    rows = np.bincount(places, minlength=len(edges) + 1)
    bads = np.bincount(places, weights=outcome, minlength=len(edges) + 1).astype(np.int64)
    groups = merge_small([[i] for i in range(len(rows))], rows, rules.min_bin_share * len(values))
    base = float(target.mean())
    if sign != 0:
        groups = _pool(groups, rows, bads, sign, rules.prior_rows, base)
    edges = edges[[group[-1] for group in groups[:-1]]]
    bin_bads = np.array([bads[group].sum() for group in groups])
    bin_goods = np.array([rows[group].sum() for group in groups]) - bin_bads
    missing_bads = int(target[missing].sum())
    missing_goods = int(missing.sum()) - missing_bads
    all_goods, all_bads = np.append(bin_goods, missing_goods), np.append(bin_bads, missing_bads)
    woe = weight_of_evidence(all_goods, all_bads, rules.prior_rows)
    low, high = _range(known)
    return FeatureBins(
        name=name,
        sign=sign,
        edges=tuple(edges.tolist()),
        woe=tuple(woe[:-1].tolist()),
        goods=tuple(bin_goods.tolist()),
        bads=tuple(bin_bads.tolist()),
        missing_woe=float(woe[-1]),
        missing_goods=missing_goods,
        missing_bads=missing_bads,
        iv=information_value(all_goods, all_bads, woe),
        low=low,
        high=high,
    )


def weight_of_evidence(goods: np.ndarray, bads: np.ndarray, prior_rows: float) -> np.ndarray:
    """WoE per bin of counts per bin (all bins of a feature together, the missing one included); formula
    above.

    With `prior_rows` 0 half a row stands in for an empty cell, so that no bin is infinite; an empty bin is 0
    in any case.
    """
    base = bads.sum() / (goods.sum() + bads.sum())
    smooth_goods = goods + prior_rows * (1.0 - base)
    smooth_bads = bads + prior_rows * base
    occupied = goods + bads > 0
    smooth_goods = np.where(occupied & (smooth_goods == 0.0), 0.5, smooth_goods)
    smooth_bads = np.where(occupied & (smooth_bads == 0.0), 0.5, smooth_bads)
    woe = np.zeros(len(goods))
    woe[occupied] = np.log(smooth_goods[occupied] / smooth_bads[occupied]) - np.log(goods.sum() / bads.sum())
    return woe


def information_value(goods: np.ndarray, bads: np.ndarray, woe: np.ndarray) -> float:
    """IV of one feature from counts and WoE per bin."""
    return float(((goods / goods.sum() - bads / bads.sum()) * woe).sum())


def quantile_edges(known: np.ndarray, max_bins: int) -> np.ndarray:
    """At most max_bins - 1 rising edges, each midway between two neighbouring values near a quantile."""
    finite = np.sort(known[:: max(1, len(known) // EDGE_ROWS)])
    finite = finite[np.isfinite(finite)]
    if len(finite) < 2 or finite[0] == finite[-1]:
        return np.empty(0)
    places = (np.arange(1, max_bins) * len(finite)) // max_bins
    values = np.unique(finite[places])
    above = np.searchsorted(finite, values, side="right")
    values, above = values[above < len(finite)], above[above < len(finite)]
    return np.unique(_rounded((values + finite[above]) / 2.0))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{value:.{EDGE_DIGITS}g}") for value in values])


def _range(known: np.ndarray) -> tuple[float, float]:
    finite = known[np.isfinite(known)]
    if len(finite) == 0:
        return 0.0, 0.0
    low, high = _rounded(np.quantile(finite[:: max(1, len(finite) // EDGE_ROWS)], [0.01, 0.99]))
    return float(low), float(high)


def merge_small(groups: list[list[int]], rows: np.ndarray, least: float) -> list[list[int]]:
    """Join the smallest bin to its smaller neighbour until every bin has `least` rows."""
    sizes = [int(rows[group].sum()) for group in groups]
    while len(groups) > 1 and min(sizes) < max(least, 1.0):
        i = sizes.index(min(sizes))
        left = i > 0 and (i == len(groups) - 1 or sizes[i - 1] <= sizes[i + 1])
        j = i - 1 if left else i
        groups[j : j + 2] = [groups[j] + groups[j + 1]]
        sizes[j : j + 2] = [sizes[j] + sizes[j + 1]]
    return groups


def _pool(
    groups: list[list[int]], rows: np.ndarray, bads: np.ndarray, sign: int, prior: float, base: float
) -> list[list[int]]:
    """Pool adjacent violators: neighbours whose smoothed event rate runs against the sign become one bin."""
    pooled: list[tuple[list[int], float, float]] = []
    for group in groups:
        new = (group, float(rows[group].sum()), float(bads[group].sum()))
        while pooled and sign * (_rate(new, prior, base) - _rate(pooled[-1], prior, base)) <= 0.0:
            last = pooled.pop()
            new = (last[0] + new[0], last[1] + new[1], last[2] + new[2])
        pooled.append(new)
    return [group for group, _, _ in pooled]


def _rate(pool: tuple[list[int], float, float], prior: float, base: float) -> float:
    return (pool[2] + prior * base) / (pool[1] + prior)
