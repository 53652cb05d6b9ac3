"""How far scores, features, grades and sources have moved. PSI and its limit of chance: `models.screening.stability`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.monitoring.measure import Measure
from models.screening.stability import ALPHA, bin_counts, bin_edges, stability
from models.validation.grade_movement import migration_matrix, mobility


@dataclass(frozen=True)
class FeatureReference:
    """The reference month's features as counts per bin, so that its rows needn't be held beside another month's.

    `edges`, `counts`: one array a feature, missing last; `without`: source -> share of subjects without any value from it.
    """

    names: tuple[str, ...]
    edges: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    without: Mapping[str, float]


def feature_reference(
    matrix: np.ndarray, names: Sequence[str], sources: Mapping[str, Sequence[str]]
) -> FeatureReference:
    """Of (n, p) features."""
    edges = tuple(bin_edges(matrix[:, place]) for place in range(len(names)))
    counts = tuple(bin_counts(matrix[:, place], cut) for place, cut in enumerate(edges))
    return FeatureReference(tuple(names), edges, counts, without_source(matrix, names, sources))


def score_drift(measure: str, reference: np.ndarray, scores: np.ndarray, about: str = "") -> Measure:
    """PSI of points (n,) against reference points (m,), bins at the deciles of the reference."""
    edges = bin_edges(reference)
    told = stability(bin_counts(reference, edges), bin_counts(scores, edges))
    return Measure(measure, told.psi, len(scores), about, told.limit)


def feature_drift(reference: FeatureReference, matrix: np.ndarray) -> list[Measure]:
    """`feature_psi` of every feature, largest first, and `features_moved`: the share that moved beyond chance and by 0.1 or more.

    The limit of chance is at 1 % divided by the number of features (Bonferroni): the largest of many is looked at.
    """
    alpha = ALPHA / max(len(reference.names), 1)
    told, moved = [], 0
    for place, name in enumerate(reference.names):
        now = bin_counts(matrix[:, place], reference.edges[place])
        found = stability(reference.counts[place], now, alpha)
        told.append(Measure("feature_psi", found.psi, len(matrix), name, found.limit))
        moved += found.moved
    told.sort(key=lambda each: (-(each.value or 0.0), each.about))
    share = moved / len(reference.names) if reference.names else None
    return [Measure("features_moved", share, len(reference.names), events=moved), *told]


def without_source(
    matrix: np.ndarray, names: Sequence[str], sources: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Share of subjects for whom all the model's features of a source are missing, by source; empty without rows."""
    if not len(matrix):
        return {}
    missing, place = np.isnan(matrix), {name: number for number, name in enumerate(names)}
    return {
        source: float(missing[:, [place[name] for name in wanted if name in place]].all(axis=1).mean())
        for source, wanted in sorted(sources.items())
        if any(name in place for name in wanted)
    }


def source_drift(reference: Mapping[str, float] | None, now: Mapping[str, float], rows: int) -> list[Measure]:
    """`source_missing` by source, with the reference's share as `chance`; `source_missing_rise`: the greatest rise against it."""
    told = [
        Measure("source_missing", share, rows, source, None if reference is None else reference.get(source))
        for source, share in now.items()
    ]
    rises = [(each.value - each.chance, each.about) for each in told if None not in (each.value, each.chance)]  # type: ignore[operator]
    rise, about = max(rises, default=(None, ""))
    return [Measure("source_missing_rise", rise, rows, about), *told]


def grade_shares(grade: np.ndarray, grades: int) -> list[Measure]:
    """`grade_share` of every grade, 1 the best."""
    counts = np.bincount(grade, minlength=grades + 1)[1:]
    return [
        Measure(
            "grade_share",
            counts[i] / len(grade) if len(grade) else None,
            len(grade),
            str(i + 1),
            events=int(counts[i]),
        )
        for i in range(grades)
    ]


def grade_moves(before: pd.DataFrame, after: pd.DataFrame, grades: int) -> list[Measure]:
    """Month to month over subjects in both (subject_no, grade): `grade_mobility` (Shorrocks), `grade_jumps` of two grades or
    more, `grade_worse` minus better, and `grade_moves` counted by `from>to`."""
    both = before[["subject_no", "grade"]].merge(after[["subject_no", "grade"]], on="subject_no")
    a, b = (both[name].to_numpy(dtype=np.int64) for name in ("grade_x", "grade_y"))
    if not len(both):
        return [Measure(name, None) for name in ("grade_mobility", "grade_jumps", "grade_worse")]
    counts = migration_matrix(a, b, grades)
    moves = [
        Measure("grade_moves", float(counts[i, j]), len(both), f"{i + 1}>{j + 1}", events=int(counts[i, j]))
        for i in range(grades)
        for j in range(grades)
        if counts[i, j]
    ]
    return [
        Measure("grade_mobility", mobility(counts), len(both)),
        Measure("grade_jumps", float((np.abs(a - b) >= 2).mean()), len(both)),
        Measure("grade_worse", float((b > a).mean() - (b < a).mean()), len(both)),
        *moves,
    ]
