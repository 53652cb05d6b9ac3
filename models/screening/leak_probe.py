"""A feature that alone knows the outcome knows it from the future.

Government data separates bads from goods moderately: the strongest honest signal known (tax arrears) has an AUC of some 0.75
alone. A single column, or the mere fact that it is missing, that ranks better than `SUSPICIOUS` is named for a person to look at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.discrimination import auc, auc_interval

#: AUC of one feature alone from which it is suspected; the lower end of its interval must pass, so that few rows don't accuse.
SUSPICIOUS = 0.85


@dataclass(frozen=True)
class Suspect:
    """A feature, whether its `value` or its `gap` (being missing) tells the outcome, and how well."""

    feature: str
    by: str
    auc: float
    low: float


def alone(values: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """AUC of the value alone (missing ones stand at the median) and of being missing alone, each in its better direction (0.5
    where it says nothing); `target` 0/1 with both classes."""
    from models.screening.kernels import pairs_won

    missing, event = np.isnan(values), target.astype(bool)
    events, others = np.sort(values[event & ~missing]), np.sort(values[~event & ~missing])
    gaps, other_gaps = int(event.sum()) - len(events), int((~event).sum()) - len(others)
    m, n = len(events) + gaps, len(others) + other_gaps
    won = pairs_won(events, others) + 0.5 * gaps * other_gaps
    if (gaps or other_gaps) and len(events) + len(others):
        middle = float(np.median(values[~missing]))
        won += gaps * _below(others, middle) + other_gaps * (len(events) - _below(events, middle))
    of_value, of_gap = won / (m * n), 0.5 + 0.5 * (gaps / m - other_gaps / n)
    return max(of_value, 1.0 - of_value), max(of_gap, 1.0 - of_gap)


def _below(ascending: np.ndarray, value: float) -> float:
    """Entries below a value, those equal to it counting half."""
    return 0.5 * float(np.searchsorted(ascending, value, "left") + np.searchsorted(ascending, value, "right"))


def suspects(
    names: list[str], values: np.ndarray, target: np.ndarray, suspicious: float = SUSPICIOUS
) -> list[Suspect]:
    """Features (n, p) that alone rank the outcome (0/1, (n,)) too well, strongest first."""
    found = []
    for name, column in zip(names, values.T, strict=True):
        # No interval ends above its middle: what is weaker than the limit needs none, and that is nearly every feature.
        if max(alone(column, target)) < suspicious:
            continue
        missing = np.isnan(column)
        filled = np.where(missing, np.nanmedian(column) if not missing.all() else 0.0, column)
        for by, score in (("value", filled), ("gap", missing.astype(np.float64))):
            if score.min() == score.max():
                continue
            turned = score if auc(target, score) >= 0.5 else -score
            told = auc_interval(target, turned, confidence=0.99)
            if told.low >= suspicious:
                found.append(Suspect(name, by, told.auc, told.low))
    return sorted(found, key=lambda each: (-each.auc, each.feature))
