"""The screening of a feature set: each feature by as-of month, against the first month, the outcome and the other features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.months import Month
from core.purpose import Purpose
from models.definition import ScorecardParameters
from models.information_values import information_values
from models.screening.expected_breaks import ExpectedBreak, explained_by
from models.screening.leak_probe import SUSPICIOUS, Suspect, alone, suspects
from models.screening.likeness import groups, rank_correlation
from models.screening.stability import Stability, bin_counts, bin_edges, stability

#: How features are binned for their information value: no sign and small bins, so that rare
#: events such as arrears keep a bin of their own.
_BINNING = ScorecardParameters(max_features=1, max_bins=10, min_bin_share=0.002)

#: Share of missing cells from which a feature is told as empty.
EMPTY = 0.99


@dataclass(frozen=True)
class FeatureScreen:
    """One feature. `missing` and `psi` by as-of month, `psi_by_platform` at the last month against all of its rows.

    `iv`, `auc` (value alone) and `auc_gap` (being missing alone) are None without outcomes. `expected`: by month, the change of
    rules that explains a shift.
    """

    name: str
    missing: Mapping[str, float]
    psi: Mapping[str, Stability]
    psi_by_platform: Mapping[str, Stability]
    expected: Mapping[str, ExpectedBreak]
    iv: float | None = None
    auc: float | None = None
    auc_gap: float | None = None

    @property
    def alarms(self) -> list[str]:
        """Months whose shift is proven, material and not explained."""
        return [month for month, told in self.psi.items() if told.moved and month not in self.expected]

    @property
    def empty(self) -> bool:
        """Missing almost everywhere in the last month."""
        return list(self.missing.values())[-1] >= EMPTY


@dataclass(frozen=True)
class Screening:
    """All features, groups of features that say the same, and suspects of a leak; `rows` by as-of month."""

    feature_set: str
    rows: Mapping[str, int]
    outcomes: int
    events: int
    features: Sequence[FeatureScreen]
    alike: Sequence[Sequence[str]]
    suspects: Sequence[Suspect] = field(default_factory=tuple)
    purpose: Purpose = Purpose.RISK

    @property
    def figures(self) -> dict[str, float | int]:
        """What to follow over months: counts of features by finding, and the greatest information value and PSI of the last
        month (PSI of shifts that a change of rules explains left aside)."""
        month = list(self.rows)[-1]
        told = {
            "subjects": self.rows[month],
            "outcomes": self.outcomes,
            "events": self.events,
            "features": len(self.features),
            "features_empty": sum(each.empty for each in self.features),
            "features_moved": sum(bool(each.alarms) for each in self.features),
            "features_moved_as_expected": sum(
                any(each.psi[month].moved for month in each.expected) for each in self.features
            ),
            "groups_alike": len(self.alike),
            "leak_suspects": len({each.feature for each in self.suspects}),
            "missing_share": float(np.mean([each.missing[month] for each in self.features])),
        }
        strengths = [each.iv for each in self.features if each.iv is not None]
        shifts = [
            each.psi[month].psi
            for each in self.features
            if month in each.psi and month not in each.expected and np.isfinite(each.psi[month].psi)
        ]
        largest = {"largest_iv": max(strengths, default=None), "largest_psi": max(shifts, default=None)}
        return told | {name: value for name, value in largest.items() if value is not None}


@dataclass(frozen=True)
class SourceOf:
    """What a feature stands on: `columns` as table.column, and how many months its window sees."""

    columns: frozenset[str]
    months_back: int


def screen(
    feature_set: str,
    features: pd.DataFrame,
    sources: Mapping[str, SourceOf],
    breaks: tuple[ExpectedBreak, ...],
    outcomes: pd.Series | None = None,
    platform: pd.Series | None = None,
    compared: Sequence[str] | None = None,
) -> Screening:
    """Screen `features` (index subject_no, as_of; float64, NaN = missing); the months `compared` (all) stand against the first.

    `outcomes`: 0/1 by the same index, for part of the rows. `platform`: its name by the same index, last month.
    """
    months = features.index.get_level_values("as_of").astype(str).to_numpy()
    ordered = sorted(set(months))
    by_month = {month: np.flatnonzero(months == month) for month in compared or ordered}
    matrix = features.to_numpy(dtype=np.float64)
    names = [str(name) for name in features.columns]
    known, target = _outcomes(features, outcomes)
    both = len(np.unique(target)) == 2
    platforms = _platforms(features, platform, list(by_month)[-1])
    told = [
        _one(
            name,
            matrix[:, place],
            by_month,
            sources[name],
            breaks,
            platforms,
            known if both else None,
            target,
        )
        for place, name in enumerate(names)
    ]
    correlation = rank_correlation(matrix[by_month[list(by_month)[-1]]])
    return Screening(
        feature_set,
        {month: len(rows) for month, rows in by_month.items()},
        len(target),
        int(target.sum()),
        told,
        [[names[place] for place in group] for group in groups(correlation)],
        _suspects(told, matrix, known, target) if both else (),
    )


def _suspects(
    told: Sequence[FeatureScreen], matrix: np.ndarray, known: np.ndarray, target: np.ndarray
) -> Sequence[Suspect]:
    """Suspects among the features that are strong enough to be any."""
    strong = [i for i, each in enumerate(told) if max(each.auc or 0.0, each.auc_gap or 0.0) >= SUSPICIOUS]
    return suspects([told[i].name for i in strong], matrix[known][:, strong], target) if strong else ()


def _one(
    name: str,
    values: np.ndarray,
    by_month: Mapping[str, np.ndarray],
    source: SourceOf,
    breaks: tuple[ExpectedBreak, ...],
    platforms: Mapping[str, np.ndarray],
    known: np.ndarray | None,
    target: np.ndarray,
) -> FeatureScreen:
    first = next(iter(by_month))
    edges = bin_edges(values[by_month[first]])
    counts = {month: bin_counts(values[rows], edges) for month, rows in by_month.items()}
    missing = {month: float(count[-1] / max(count.sum(), 1)) for month, count in counts.items()}
    psi = {month: stability(counts[first], count) for month, count in counts.items() if month != first}
    expected = {}
    for month in psi:
        # The earlier window reaches back so far: a change inside it shows as soon as the two windows differ.
        earlier = Month.parse(first).plus(-source.months_back)
        found = explained_by(breaks, set(source.columns), earlier, Month.parse(month))
        if found is not None:
            expected[month] = found
    last = counts[list(by_month)[-1]]
    own = {platform: bin_counts(values[rows], edges) for platform, rows in platforms.items()}
    strength = _strength(values, known, target)
    return FeatureScreen(
        name,
        missing,
        psi,
        {platform: stability(last - count, count) for platform, count in own.items() if len(own) > 1},
        expected,
        *strength,
    )


def _strength(
    values: np.ndarray, known: np.ndarray | None, target: np.ndarray
) -> tuple[float | None, float | None, float | None]:
    if known is None:
        return None, None, None
    rows = values[known]
    return float(information_values(rows[:, None], target, _BINNING)[0]), *alone(rows, target)


def _outcomes(features: pd.DataFrame, outcomes: pd.Series | None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows with an outcome, and the outcomes."""
    if outcomes is None or not len(outcomes):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int8)
    aligned = outcomes.reindex(features.index).to_numpy(dtype=np.float64)
    known = np.flatnonzero(~np.isnan(aligned))
    return known, aligned[known].astype(np.int8)


def _platforms(features: pd.DataFrame, platform: pd.Series | None, month: str) -> Mapping[str, np.ndarray]:
    """Positions of the last month's rows by platform."""
    if platform is None:
        return {}
    aligned = platform.reindex(features.index)
    here = features.index.get_level_values("as_of").astype(str) == month
    return {
        str(name): np.flatnonzero(here & (aligned == name).to_numpy())
        for name in sorted(aligned[here].dropna().unique())
    }
