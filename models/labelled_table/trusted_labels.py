"""Labels that nobody verified against labels that were: what share of them was turned round.

In each group of scores let p be the event rate of verified rows; flips of a share f make it f + (1 - 2f) p among the others
(Copas, J. Royal Statistical Society B 50 (1988) 225-265). The p of every group are free, so the score may be miscalibrated, and
it may have been trained on the poison: only its order matters, and that is the same for both. Why beside
`models.validation.leakage.flipped_labels`, which has no verified rows: that one must find the floor among the best scores and
sees 2 % of flips only where those are nearly free of events. Verified rows must be drawn like the others, not chosen
for their outcome: a difference of base rates beyond the score looks like flips.
"""

from __future__ import annotations

import numpy as np

from models.validation.declared import judge
from models.validation.finding import Finding, Interval

GROUPS = 20

#: Shares tried: steps of 0.0005 up to 0.3.
_SHARES = np.linspace(0.0, 0.3, 601)
_RATES = np.linspace(0.0005, 0.9995, 1_000)

_CHI2_95 = 3.841458820694124


def flips_against_trusted(score: np.ndarray, outcome: np.ndarray, trusted: np.ndarray) -> Finding:
    """From scores (n,) out of fold, outcomes 0/1 and whether each was verified (bool); profile likelihood over f.

    Interval by the chi-square with one degree of freedom; p from half of it, as f can't be negative.
    """
    from scipy.stats import chi2

    order = np.argsort(score, kind="stable")
    group = np.empty(len(score), dtype=np.int64)
    group[order] = np.arange(len(score)) * GROUPS // len(score)
    sides = [
        (
            np.bincount(group[side], minlength=GROUPS),
            np.bincount(group[side], outcome[side], minlength=GROUPS),
        )
        for side in (trusted, ~trusted)
    ]
    profile = np.array([_profile(float(share), sides) for share in _SHARES])
    best = int(profile.argmax())
    inside = _SHARES[2.0 * (profile[best] - profile) <= _CHI2_95]
    ratio = 2.0 * float(profile[best] - profile[0])
    return judge(
        "leakage.flipped_labels",
        float(_SHARES[best]),
        n=int((~trusted).sum()),
        events=int(outcome[~trusted].sum()),
        interval=Interval(float(inside.min()), float(inside.max()), 0.95),
        p_value=float(0.5 * chi2.sf(ratio, 1)) if best else 1.0,
        about="unverified labels",
    )


def _profile(share: float, sides: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Largest log-likelihood at a share, over the event rate of every group."""
    (rows, hits), (others, told) = sides
    flipped = share + (1.0 - 2.0 * share) * _RATES
    likelihood = (
        np.outer(hits, np.log(_RATES))
        + np.outer(rows - hits, np.log1p(-_RATES))
        + np.outer(told, np.log(flipped))
        + np.outer(others - told, np.log1p(-flipped))
    )
    return float(likelihood.max(axis=1).sum())
