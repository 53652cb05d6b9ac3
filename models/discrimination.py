"""How well a score ranks: AUC with DeLong's interval, KS, Gini, the event rate of the top decile.

Scores are "higher = likelier event" everywhere here; targets are 0/1 with both classes present.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AucEstimate:
    """AUC with its standard error and a two-sided interval at `confidence`."""

    auc: float
    standard_error: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.auc:.3f} ({self.low:.3f}-{self.high:.3f})"


@dataclass(frozen=True)
class AucDifference:
    """AUC of the first score minus that of the second on the same rows."""

    difference: float
    standard_error: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Discrimination:
    """All measures of one score on one set of rows."""

    rows: int
    events: int
    auc: AucEstimate
    gini: float
    ks: float
    top_decile_rate: float
    top_decile_capture: float


def auc(target: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve; ties count half (Mann-Whitney)."""
    return float(placements(target, score)[0].mean())


def auc_interval(target: np.ndarray, score: np.ndarray, confidence: float = 0.95) -> AucEstimate:
    """AUC with DeLong's standard error and a normal interval, cut at 0 and 1.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837-845; placements from ranks after Sun and Xu,
    IEEE Signal Processing Letters 21 (2014) 1389-1393: n log n, where the definition compares every event
    with every non-event.
    """
    of_events, of_others = placements(target, score)
    estimate = float(of_events.mean())
    error = float(np.sqrt(_variance(of_events) + _variance(of_others)))
    reach = _normal_quantile(confidence) * error
    return AucEstimate(estimate, error, max(0.0, estimate - reach), min(1.0, estimate + reach), confidence)


def clustered_auc_interval(
    target: np.ndarray, score: np.ndarray, cluster: np.ndarray, confidence: float = 0.95
) -> AucEstimate:
    """AUC with an interval for rows that hang together: several vintages of one subject share a `cluster` (n,).

    Obuchowski, Biometrics 53 (1997) 567-578, eq. 5-7: placements are summed per cluster before their variance is taken, with
    the covariance of a cluster's events and non-events. Why beside DeLong's: that one takes rows as independent, so with a
    subject in three vintages its interval is up to sqrt(3) too narrow. With one row per cluster the two are the same but for
    that covariance, which is then none.
    """
    of_events, of_others = placements(target, score)
    estimate = float(of_events.mean())
    error = _clustered_error(target, of_events, of_others, cluster)
    reach = _normal_quantile(confidence) * error
    return AucEstimate(estimate, error, max(0.0, estimate - reach), min(1.0, estimate + reach), confidence)


def _clustered_error(
    target: np.ndarray, of_events: np.ndarray, of_others: np.ndarray, cluster: np.ndarray
) -> float:
    """Standard error of the mean of placements, or of their paired differences, summed per cluster; 1/2 for too few of them."""
    is_event = target.astype(bool)
    _, place = np.unique(cluster, return_inverse=True)
    place = place.ravel()
    clusters = int(place.max()) + 1
    m = np.bincount(place[is_event], minlength=clusters)
    n = np.bincount(place[~is_event], minlength=clusters)
    if (m > 0).sum() < 2 or (n > 0).sum() < 2:
        return 0.5
    events = np.bincount(place[is_event], of_events, clusters) - m * float(of_events.mean())
    others = np.bincount(place[~is_event], of_others, clusters) - n * float(of_others.mean())
    variance = (
        _corrected(int((m > 0).sum())) * float(events @ events) / m.sum() ** 2
        + _corrected(int((n > 0).sum())) * float(others @ others) / n.sum() ** 2
        + 2.0 * _corrected(clusters) * float(events @ others) / (m.sum() * n.sum())
    )
    return float(np.sqrt(max(variance, 0.0)))


def _corrected(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else 1.0


def auc_difference(
    target: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    confidence: float = 0.95,
    cluster: np.ndarray | None = None,
) -> AucDifference:
    """Paired difference of two AUCs on the same rows with DeLong's interval, which knows that the scores are
    correlated.

    With a `cluster` (n,) per row, such as its subject, the variance is Obuchowski's (1997, eq. 8-10): differences of placements
    are summed per cluster first, as several vintages of one subject are no independent rows.
    """
    events_a, others_a = placements(target, first)
    events_b, others_b = placements(target, second)
    estimate = float(events_a.mean() - events_b.mean())
    if cluster is not None:
        error = _clustered_error(target, events_a - events_b, others_a - others_b, cluster)
    else:
        error = float(np.sqrt(_variance(events_a - events_b) + _variance(others_a - others_b)))
    reach = _normal_quantile(confidence) * error
    return AucDifference(estimate, error, estimate - reach, estimate + reach, confidence)


def kolmogorov_smirnov(target: np.ndarray, score: np.ndarray) -> float:
    """Greatest distance between the score distributions of events and non-events."""
    false_rate, true_rate = roc_points(target, score)
    return float(np.max(np.abs(true_rate - false_rate)))


def roc_points(target: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at every distinct score, from (0, 0) to (1, 1)."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    events = np.cumsum(target[order])[ends]
    others = ends + 1 - events
    true_rate = np.concatenate([[0.0], events / max(int(events[-1]), 1)])
    false_rate = np.concatenate([[0.0], others / max(int(others[-1]), 1)])
    return false_rate, true_rate


def discrimination(
    target: np.ndarray, score: np.ndarray, confidence: float = 0.95, cluster: np.ndarray | None = None
) -> Discrimination | None:
    """Every measure at once; None where only one class is there, as nothing can then be measured.

    With `cluster` (n,) the interval is that of `clustered_auc_interval`.
    """
    events = int(target.sum())
    if events == 0 or events == len(target):
        return None
    estimate = (
        auc_interval(target, score, confidence)
        if cluster is None
        else clustered_auc_interval(target, score, cluster, confidence)
    )
    # Stable order, so that ties at the tenth of the rows are cut the same way each time.
    top = np.argsort(-score, kind="stable")[: max(1, len(score) // 10)]
    return Discrimination(
        rows=len(target),
        events=events,
        auc=estimate,
        gini=2.0 * estimate.auc - 1.0,
        ks=kolmogorov_smirnov(target, score),
        top_decile_rate=float(target[top].mean()),
        top_decile_capture=float(target[top].sum() / events),
    )


def placements(target: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each event the share of non-events below it, for each non-event the share of events above it; ties
    half.
    """
    from scipy.stats import rankdata

    is_event = target.astype(bool)
    events, others = score[is_event], score[~is_event]
    m, n = len(events), len(others)
    if m == 0 or n == 0:
        raise ValueError("both classes are needed to measure discrimination")
    together = rankdata(np.concatenate([events, others]))
    of_events = (together[:m] - rankdata(events)) / n
    of_others = 1.0 - (together[m:] - rankdata(others)) / m
    return of_events, of_others


def _variance(placements: np.ndarray) -> float:
    """Variance of a mean of placements; with one placement nothing can be said, so it is the widest possible,
    1/4.
    """
    return float(placements.var(ddof=1) / len(placements)) if len(placements) > 1 else 0.25


def _normal_quantile(confidence: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(0.5 + confidence / 2.0))
