"""What performance to expect before any outcome has shown, from the calibrated probabilities alone.

Confidence-based performance estimation (CBPE; J. Bialek et al., "Estimating model performance under covariate shift without
labels", arXiv 2401.08348): if each p is right, the expected counts of events and non-events at every score are known, and with
them AUC and Brier. It sees a change of who is scored. It can't see that the same people have become riskier (concept drift): only
outcomes can.
"""

from __future__ import annotations

import numpy as np

from models.monitoring.measure import Measure

#: Groups of like probability, and draws of outcomes, for the interval.
GROUPS, DRAWS = 1_000, 200


def expected_auc(p: np.ndarray) -> float | None:
    """Expected pairs that rank rightly over expected pairs, of one event and one non-event each; None where there are none.

    Sum over i != j of p_i (1 - p_j) (1 where p_i > p_j, 1/2 where equal), over the same sum without the bracket.
    """
    values, place = np.unique(p, return_inverse=True)
    events = np.bincount(place.ravel(), p, len(values))
    others = np.bincount(place.ravel(), 1.0 - p, len(values))
    with_itself = float((p * (1.0 - p)).sum())
    pairs = float(events.sum() * others.sum()) - with_itself
    if pairs <= 1e-12:
        return None
    below = np.cumsum(others) - others
    return (float((events * (below + 0.5 * others)).sum()) - 0.5 * with_itself) / pairs


def expected_performance(p: np.ndarray, reference: np.ndarray | None, seed: int = 0) -> list[Measure]:
    """`expected_rate`, `expected_brier`, `expected_auc` of calibrated p (n,), with 95 % of what outcomes drawn from p would give;
    `expected_auc_fall` against the same estimate on the reference's p (m,): like with like."""
    if not len(p):
        return [
            Measure(name, None)
            for name in ("expected_rate", "expected_brier", "expected_auc", "expected_auc_fall")
        ]
    rate, value = float(p.mean()), expected_auc(p)
    reach = 1.96 * float(np.sqrt((p * (1.0 - p)).sum())) / len(p)
    low, high = _auc_interval(p, seed)
    before = expected_auc(reference) if reference is not None and len(reference) else None
    fall = None if before is None or value is None else before - value
    return [
        Measure("expected_rate", rate, len(p), low=max(0.0, rate - reach), high=min(1.0, rate + reach)),
        Measure("expected_brier", float((p * (1.0 - p)).mean()), len(p)),
        Measure("expected_auc", value, len(p), low=low, high=high),
        Measure("expected_auc_fall", fall, len(p)),
    ]


def _auc_interval(p: np.ndarray, seed: int) -> tuple[float | None, float | None]:
    groups = np.array_split(np.sort(p), min(GROUPS, len(p)))
    size = np.array([len(group) for group in groups])
    chance = np.clip([float(group.mean()) for group in groups], 0.0, 1.0)
    events = np.random.default_rng(seed).binomial(size, chance, (DRAWS, len(groups)))
    others = size - events
    below = np.cumsum(others, axis=1) - others
    pairs = events.sum(axis=1) * others.sum(axis=1)
    told = pairs > 0
    if not told.any():
        return None, None
    right = (events * (below + 0.5 * others)).sum(axis=1)
    low, high = np.quantile(right[told] / pairs[told], (0.025, 0.975))
    return float(low), float(high)
