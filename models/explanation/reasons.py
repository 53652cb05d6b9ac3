"""Reasons for asked subjects: at most four, distinct, each of which raises the subject's PD against the reference.

Contributions of features are added up by reason code. From the largest down, each code is checked by putting its features at the
reference and scoring again; only one that lowers the score is told. So what is promised holds for trees too, where contributions
alone promise nothing about a changed input: with a reason's features at the reference, and everything else as it is, the log-odds
are lower, and the PD is lower or, between two steps of an isotonic calibration, equal. Where a model isn't additive, the effects
of two reasons don't add up to that of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.explanation.reason_plan import ReasonPlan
from models.explanation.reference import Reference
from models.explanation.scored_model import ScoredModel
from models.points import FACTOR

#: Domain rule L16: the principal reasons, top four.
MOST = 4

#: A code is told from one point (before calibration) on: less can't be seen in the score.
LEAST_POINTS = 1.0

#: Rows explained at a time; the result doesn't depend on it.
CHUNK_ROWS = 8_192

#: Contributions nearer to each other than this are a tie, which the code's name decides.
_TIE = 1e-9


@dataclass(frozen=True)
class Reason:
    """`points`: how many the code's features take away against the reference; `pd_at_reference`: the PD with them there."""

    code: str
    points: float
    pd_at_reference: float


@dataclass(frozen=True)
class Reasons:
    """Of one row: its PD, its reasons in falling order, and `told_share` (0 to 1): how much of what raises the PD the told ones
    make up; the rest is withheld, too small or fails the check."""

    pd: float
    reasons: tuple[Reason, ...]
    told_share: float


def reasons_for(
    model: ScoredModel, matrix: np.ndarray, reference: Reference, plan: ReasonPlan, threads: int = 1
) -> list[Reasons]:
    """Reasons by row of an (n, p) matrix in the model's column order; the same row gets the same reasons in any company."""
    told: list[Reasons] = []
    for start in range(0, len(matrix), CHUNK_ROWS):
        chunk = np.ascontiguousarray(matrix[start : start + CHUNK_ROWS], dtype=np.float64)
        told += _of_chunk(model, chunk, reference.vector(model.names), plan, threads)
    return told


def _of_chunk(
    model: ScoredModel, matrix: np.ndarray, reference: np.ndarray, plan: ReasonPlan, threads: int
) -> list[Reasons]:
    raw = model.log_odds(matrix, threads)
    contributions = model.contributions(matrix, reference, threads)
    members, codes = _members(matrix, plan)
    sums = np.zeros((len(codes), len(matrix)))
    for place in range(matrix.shape[1]):
        for row, code in enumerate(codes):
            if place in members[code]:
                sums[row] += np.where(members[code][place], contributions[:, place], 0.0)
    raising = np.maximum(contributions, 0.0).sum(axis=1)
    order = _order(sums)
    found: list[list[tuple[int, float]]] = [[] for _ in range(len(matrix))]
    for rank in range(len(codes)):
        candidates = order[rank]
        worth = sums[candidates, np.arange(len(matrix))]
        rows = np.flatnonzero((worth * FACTOR >= LEAST_POINTS) & (np.array([len(f) for f in found]) < MOST))
        if not len(rows):
            break
        there = _at_reference(matrix[rows], reference, [codes[c] for c in candidates[rows]], members, rows)
        lowered = model.log_odds(there, threads)
        for at, value in zip(rows.tolist(), lowered.tolist(), strict=True):
            if value < raw[at]:
                found[at].append((int(candidates[at]), value))
    return [
        _row(model, float(raw[row]), codes, sums[:, row], found[row], float(raising[row])) for row in range(len(matrix))
    ]  # fmt: skip


def _members(matrix: np.ndarray, plan: ReasonPlan) -> tuple[dict[str, dict[int, np.ndarray]], list[str]]:
    """Code -> column -> rows (bool) in which the column speaks for the code."""
    missing = np.isnan(matrix)
    silent = {facts: missing[:, list(places)].all(axis=1) for facts, places in plan.sources.items()}
    of_source = {place: silent[facts] for facts, places in plan.sources.items() for place in places}
    members: dict[str, dict[int, np.ndarray]] = {}
    for place, (code, absent) in enumerate(zip(plan.code, plan.absent, strict=True)):
        if code:
            members.setdefault(code, {})[place] = ~missing[:, place]
        if absent:
            members.setdefault(absent, {})[place] = missing[:, place] & of_source[place]
    return members, sorted(members)


def _order(sums: np.ndarray) -> np.ndarray:
    """(codes, n): codes of each row by falling contribution; ties in the order of their names."""
    rounded = np.round(sums / _TIE) * _TIE
    return np.argsort(-rounded, axis=0, kind="stable")


def _at_reference(
    matrix: np.ndarray,
    reference: np.ndarray,
    codes: list[str],
    members: dict[str, dict[int, np.ndarray]],
    rows: np.ndarray,
) -> np.ndarray:
    """Rows with the features of their code at the reference."""
    changed = matrix.copy()
    for position, (code, row) in enumerate(zip(codes, rows, strict=True)):
        for place, speaks in members[code].items():
            if speaks[row]:
                changed[position, place] = reference[place]
    return changed


def _row(
    model: ScoredModel,
    raw: float,
    codes: list[str],
    sums: np.ndarray,
    found: list[tuple[int, float]],
    raising: float,
) -> Reasons:
    own = float(model.calibrated(np.array([raw]))[0])
    reasons = []
    for place, lowered in found:
        there = np.array([lowered])
        points = FACTOR * (own - float(model.calibrated(there)[0]))
        reasons.append(Reason(codes[place], round(points, 1), float(model.probability(there)[0])))
    share = sum(float(sums[place]) for place, _ in found) / raising if raising > 0.0 else 0.0
    return Reasons(float(model.probability(np.array([raw]))[0]), tuple(reasons), min(1.0, max(0.0, share)))
