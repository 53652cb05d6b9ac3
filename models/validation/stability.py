"""Do scores, features and ranks stay what they were: PSI and CSI, Gini over vintages, rank between months."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.definition_file import Bilingual
from features.stability import spearman
from models.discrimination import auc
from models.screening.stability import ALPHA, bin_counts, bin_edges, stability
from models.validation.declared import judge, unmeasured
from models.validation.finding import Finding, Interval, Table
from models.validation.scored_sample import ScoredSample

#: Weeks in a month: the Home-Credit metric knows weeks, our vintages are months.
WEEKS = 52.0 / 12.0

#: Weights of the falling slope (a week) and of the unrest in that metric.
FALLING, UNREST = 88.0, 0.5

#: Features told in the CSI table, largest first.
SHOWN = 20

ONE_VINTAGE = Bilingual(zh="只有一个观察月。", en="There is only one vintage.")


def stability_findings(
    sample: ScoredSample,
    reference: ScoredSample | None = None,
    features: np.ndarray | None = None,
    reference_features: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> list[Finding]:
    """PSI against `reference` and CSI of features (n, p) against (m, p) where they are given; Gini and ranks over vintages."""
    found = []
    if reference is not None and len(reference):
        found.append(score_psi(reference.pd, sample.pd))
    if features is not None and reference_features is not None and len(reference_features):
        found.append(feature_psi(reference_features, features, names))
    return [*found, *gini_over_vintages(sample), rank_between_vintages(sample)]


def score_psi(reference: np.ndarray, pd: np.ndarray) -> Finding:
    """PSI = sum over ten bins of (a - e) ln(a / e), bins at the deciles of the reference (Siddiqi 2017, ch. 14).

    The limits 0.1 and 0.25 know nothing of size: without any drift P(PSI > 0.1) is 75 % at 50 rows. Without drift
    PSI / (1/n + 1/m) is chi-square with bins - 1 degrees of freedom (Yurdakul 2018), so no limit lies below that quantile
    at 1 %. Why not a chi-square test alone: with a million rows it proves shifts of no matter.
    """
    edges = bin_edges(reference)
    expected, actual = bin_counts(reference, edges), bin_counts(pd, edges)
    told = stability(expected, actual)
    shares = tuple(
        (i + 1, float(expected[i] / expected.sum()), float(actual[i] / actual.sum()))
        for i in range(len(edges) + 1)
    )
    return judge(
        "stability.score_psi",
        told.psi,
        n=len(pd),
        chance=told.limit,
        details=(Table("score_bins", ("bin", "reference_share", "share"), shares),),
    )


def feature_psi(reference: np.ndarray, features: np.ndarray, names: Sequence[str]) -> Finding:
    """CSI: the PSI of each feature, missing cells a bin of their own; the value is the largest one.

    Why beside the score's PSI: two features may move against each other and leave the score where it was. The chance limit is
    that of the largest feature at 1 % divided by the number of features (Bonferroni), as the largest of many is looked at.
    """
    alpha = ALPHA / max(len(names), 1)
    told = []
    for place, name in enumerate(names):
        edges = bin_edges(reference[:, place])
        then, now = bin_counts(reference[:, place], edges), bin_counts(features[:, place], edges)
        found = stability(then, now, alpha)
        told.append((name, found.psi, found.limit, float(then[-1] / then.sum()), float(now[-1] / now.sum())))
    told.sort(key=lambda row: (-row[1], row[0]))
    columns = ("feature", "psi", "chance_limit", "reference_missing", "missing")
    return judge(
        "stability.feature_psi",
        told[0][1],
        n=len(features),
        chance=told[0][2],
        about=told[0][0],
        details=(Table("features", columns, tuple(told[:SHOWN])),),
    )


def gini_over_vintages(sample: ScoredSample) -> list[Finding]:
    """Straight line through Gini by vintage: its slope a month, and mean + 88 min(0, slope a week) - 0.5 sd of residuals.

    Metric of the competition Home Credit - Credit Risk Model Stability (Kaggle 2024, evaluation page), where the slope is
    a week; ours is a month / (52/12). Why beside the mean: it pays for a model that decays or swings. The metric has no
    error of its own, so the verdict stands on the slope with Student's t interval (vintages - 2 degrees of freedom); vintages
    share subjects, so that interval is rough, and with three vintages very wide.
    """
    names = ("stability.gini_slope", "stability.gini_metric")
    months, ginis, rows = [], [], []
    for number, month in enumerate(sample.vintages):
        one = sample.take(sample.vintage_no == number)
        if one.both:
            value = 2.0 * auc(one.outcome, one.pd) - 1.0
            months.append(_month_number(month))
            ginis.append(value)
            rows.append((month, len(one), one.events, value))
    if len(ginis) < 3:
        few = Bilingual(
            zh="不足三个可衡量的观察月。", en="Fewer than three vintages in which Gini can be measured."
        )
        return [unmeasured(name, few, len(sample), sample.events) for name in names]
    slope, error, residuals = _line(np.array(months, dtype=np.float64), np.array(ginis))
    metric = float(np.mean(ginis)) + FALLING * min(0.0, slope / WEEKS) - UNREST * float(residuals.std())
    reach = _t_quantile(len(ginis) - 2) * error
    table = Table("by_vintage", ("vintage", "rows", "events", "gini"), tuple(rows))
    told: dict[str, Any] = {"n": len(sample), "events": sample.events}
    return [
        judge(names[0], slope, interval=Interval(slope - reach, slope + reach), details=(table,), **told),
        judge(names[1], metric, **told),
    ]


def rank_between_vintages(sample: ScoredSample) -> Finding:
    """Spearman's correlation of pd between each two neighbouring vintages, over subjects in both; the smallest is judged.

    Why beside PSI: shuffled scores have a PSI of 0. A monthly score that reorders subjects can't be acted upon.
    """
    name = "stability.rank_correlation"
    if len(sample.vintages) < 2:
        return unmeasured(name, ONE_VINTAGE, len(sample))
    rows = []
    for number, (month, later) in enumerate(zip(sample.vintages, sample.vintages[1:], strict=False)):
        a, b = paired(sample, number, number + 1)
        if len(a) > 2:
            rows.append((month, later, len(a), spearman(sample.pd[a], sample.pd[b])))
    if not rows:
        none = Bilingual(zh="相邻观察月没有共同主体。", en="Neighbouring vintages share no subjects.")
        return unmeasured(name, none, len(sample))
    table = Table("pairs", ("vintage", "later", "subjects", "spearman"), tuple(rows))
    return judge(name, min(row[3] for row in rows), n=sum(row[2] for row in rows), details=(table,))


def paired(sample: ScoredSample, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (k,), (k,) of the subjects that stand in both vintages, given by their places in `vintages`."""
    a, b = (np.flatnonzero(sample.vintage_no == number) for number in (first, second))
    _, in_a, in_b = np.intersect1d(
        sample.subject_no[a], sample.subject_no[b], assume_unique=True, return_indices=True
    )
    return a[in_a], b[in_b]


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Slope, its standard error, and residuals of the least-squares line."""
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    residuals = y - y.mean() - slope * centred
    error = float(np.sqrt(residuals @ residuals / (len(x) - 2) / (centred @ centred)))
    return slope, error, residuals


def _t_quantile(degrees: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, degrees))


def _month_number(month: str) -> int:
    """Months since year 0 of 2026-06; other texts can't be vintages."""
    year, _, rest = month.partition("-")
    return int(year) * 12 + int(rest[:2]) - 1
