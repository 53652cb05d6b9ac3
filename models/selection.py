"""Which of many features a model may learn from, decided on the rows that it is fitted on and on nothing else.

Among hundreds of features some fit a few dozen bads by chance, and a ranking by information value (IV) puts those with the
most bins first. Here a feature has to be better than chance for its number of bins, hold in both halves of the vintages, be no
twin of a stronger one, and the bads have to be enough for so many.

Without any effect IV * G * B / (G + B) follows a chi-square distribution with bins - 1 degrees of freedom (G goods, B bads;
Yurdakul 2018 shows it for the same formula under the name PSI), so that the IV to be expected by chance is
(bins - 1) * (1/G + 1/B). Rows of one subject in several vintages tell one story: G and B are distinct subjects, not rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from models.binning import FeatureBins
from models.definition import SelectionParameters

#: Rows looked at for correlations between features; all rows are used for everything else.
CORRELATION_ROWS = 100_000


class Fate(StrEnum):
    """What became of a feature."""

    KEPT = "kept"
    CHANCE = "chance"
    UNSTABLE = "unstable"
    UNSIGNED = "unsigned"
    ALIKE = "alike"
    BEYOND = "beyond"


@dataclass(frozen=True)
class ScreenedFeature:
    """`iv` beside the IV that chance gives (`chance_iv`), the chance of one as large (`p_value`), and the stronger twin."""

    name: str
    iv: float
    chance_iv: float
    p_value: float
    fate: Fate
    alike: str = ""


@dataclass(frozen=True)
class Selection:
    """All features, most surprising first. `events`: distinct subjects with the event; `room`: features that they carry."""

    features: tuple[ScreenedFeature, ...]
    events: int
    room: int

    @property
    def kept(self) -> list[str]:
        """Names of those that a model may learn from, strongest first."""
        return [feature.name for feature in self.features if feature.fate is Fate.KEPT]


def select_features(
    bins: Sequence[FeatureBins],
    matrix: np.ndarray,
    target: np.ndarray,
    rules: SelectionParameters,
    *,
    subject_no: np.ndarray | None = None,
    as_of: np.ndarray | None = None,
) -> Selection:
    """Judge every column of the (n, p) matrix, whose `bins` were fitted on the same rows and 0/1 target (n,).

    `subject_no` and `as_of` (n,): without them each row is a subject of its own and nothing is said of stability.
    """
    events, others = distinct(target == 1, subject_no), distinct(target == 0, subject_no)
    room = max(rules.least_features, min(rules.max_features, int(events / rules.events_per_feature)))
    need_sign = events < rules.signs_below_events
    halves = _halves(as_of)
    ranked = sorted(
        ((_surprise(entry, events, others), place) for place, entry in enumerate(bins)),
        key=lambda each: (each[0][0], -bins[each[1]].iv, bins[each[1]].name),
    )
    stride = max(1, len(matrix) // CORRELATION_ROWS)
    kept: list[tuple[str, np.ndarray]] = []
    found: list[ScreenedFeature] = []
    for (log_p, chance_iv), place in ranked:
        entry, alike = bins[place], ""
        if log_p > np.log(rules.max_p_value):
            fate = Fate.CHANCE
        elif need_sign and entry.sign == 0:
            fate = Fate.UNSIGNED
        elif len(kept) == room:
            fate = Fate.BEYOND
        else:
            woe = entry.transform(matrix[:, place])
            fate = Fate.KEPT if all(_separates(woe[half], target[half]) for half in halves) else Fate.UNSTABLE
            short = _unit(woe[::stride])
            if fate is Fate.KEPT and short is None:
                fate = Fate.CHANCE
            elif fate is Fate.KEPT and short is not None:
                alike = next(
                    (n for n, other in kept if abs(float(short @ other)) > rules.max_correlation), ""
                )
                if alike:
                    fate = Fate.ALIKE
                else:
                    kept.append((entry.name, short))
        found.append(ScreenedFeature(entry.name, entry.iv, chance_iv, float(np.exp(log_p)), fate, alike))
    return Selection(tuple(found), events, room)


def distinct(rows: np.ndarray, subject_no: np.ndarray | None) -> int:
    """Subjects in the rows chosen by a mask; rows where nothing is known of subjects."""
    return int(rows.sum()) if subject_no is None else len(np.unique(subject_no[rows]))


def _surprise(entry: FeatureBins, events: int, others: int) -> tuple[float, float]:
    """Log of the chance of an IV as large, and the IV that chance gives on average."""
    from scipy.stats import chi2

    free = len(entry.woe) + entry.missing_seen - 1
    if free < 1 or not events or not others:
        return 0.0, 0.0
    scale = 1.0 / events + 1.0 / others
    return float(chi2.logsf(max(entry.iv, 0.0) / scale, free)), free * scale


def _halves(as_of: np.ndarray | None) -> list[np.ndarray]:
    """Masks of the earlier and the later half of the vintages; none with a single vintage."""
    months = np.empty(0) if as_of is None else np.unique(as_of)
    if as_of is None or len(months) < 2:
        return []
    later = as_of >= months[len(months) // 2]
    return [~later, later]


def _separates(woe: np.ndarray, target: np.ndarray) -> bool:
    """Whether events have the lower WoE on average here too; true where a half holds one class only and says nothing."""
    bad = target == 1
    return not bad.any() or bool(bad.all()) or float(woe[bad].mean()) < float(woe[~bad].mean())


def _unit(values: np.ndarray) -> np.ndarray | None:
    """Centred and of length one; None for a constant."""
    centred = values - values.mean()
    length = float(np.sqrt((centred**2).sum()))
    return None if length < 1e-12 else centred / length
