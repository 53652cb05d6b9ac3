"""What a cut-off would approve, cost and bring, from a histogram of points: any cut-off is then a sum, not another scoring.

Expected profit of one approved account = exposure * (margin * (1 - PD) - LGD * PD) - cost; expected loss = exposure * LGD * PD
(Basel Committee, An Explanatory Note on the Basel II IRB Risk Weight Functions, 2005: EL = PD * LGD * EAD). Both are linear in
PD, so counts and sums of PD by bin give them exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.decision.policy import Economics

#: One bin for each of the points 0 to 1,000; scores beyond lie in the outer bins.
BINS = 1_001


@dataclass(frozen=True)
class ScoreHistogram:
    """By points 0..1000: rows that the cut-off decides, their sum of PD, and of those with a decided outcome rows and events.

    `total`: all rows, those included that a veto keeps from approval whatever their score.
    """

    rows: np.ndarray
    pd: np.ndarray
    decided: np.ndarray
    events: np.ndarray
    total: int


@dataclass(frozen=True)
class CutOff:
    """What approving from `points` on gives. Rates of all rows; `bad_rate` of approved rows with a decided outcome, None without
    any; amounts in CNY, expected over the performance window."""

    points: int
    approved: int
    approve_rate: float
    decided: int
    events: int
    bad_rate: float | None
    mean_pd: float | None
    expected_loss: float
    expected_profit: float


def score_histogram(
    points: np.ndarray, pd: np.ndarray, target: np.ndarray, vetoed: np.ndarray | None = None
) -> ScoreHistogram:
    """Count integer points (n,) with their PD and target (1 event, 0 none, -1 undecided); `vetoed` rows only in the total."""
    free = np.ones(len(points), dtype=bool) if vetoed is None else ~vetoed
    places = np.clip(points[free], 0, BINS - 1).astype(np.int64)
    target = target[free]
    return ScoreHistogram(
        rows=np.bincount(places, minlength=BINS),
        pd=np.bincount(places, weights=pd[free], minlength=BINS),
        decided=np.bincount(places[target >= 0], minlength=BINS),
        events=np.bincount(places[target == 1], minlength=BINS),
        total=len(points),
    )


def what_if(histogram: ScoreHistogram, economics: Economics) -> list[CutOff]:
    """All 1,001 cut-offs, by points."""
    rows, pd, decided, events = (
        np.cumsum(each[::-1])[::-1]
        for each in (histogram.rows, histogram.pd, histogram.decided, histogram.events)
    )
    loss = economics.exposure_amt * economics.lgd * pd
    profit = economics.exposure_amt * economics.margin_rate * (rows - pd) - loss - economics.cost_amt * rows
    total = max(1, histogram.total)
    return [
        CutOff(
            points=place,
            approved=int(rows[place]),
            approve_rate=float(rows[place] / total),
            decided=int(decided[place]),
            events=int(events[place]),
            bad_rate=float(events[place] / decided[place]) if decided[place] else None,
            mean_pd=float(pd[place] / rows[place]) if rows[place] else None,
            expected_loss=float(loss[place]),
            expected_profit=float(profit[place]),
        )
        for place in range(BINS)
    ]


def most_profitable(cut_offs: list[CutOff]) -> CutOff:
    """The cut-off of the highest expected profit; of equals the highest points, which take the least risk."""
    return max(cut_offs, key=lambda each: (round(each.expected_profit, 6), each.points))


def break_even_pd(economics: Economics) -> float | None:
    """The PD at which an account brings nothing: (margin * exposure - cost) / (exposure * (margin + LGD)); None without exposure.

    An account below it is worth approving.
    """
    scale = economics.exposure_amt * (economics.margin_rate + economics.lgd)
    return (
        (economics.exposure_amt * economics.margin_rate - economics.cost_amt) / scale if scale > 0.0 else None
    )


def shown(cut_offs: list[CutOff], marked: tuple[int, ...], every: int = 10) -> list[CutOff]:
    """Every tenth cut-off over the range in which something changes, and the marked ones."""
    moving = [
        now.points
        for now, after in zip(cut_offs, cut_offs[1:], strict=False)
        if now.approved != after.approved
    ]
    low, high = (moving[0], moving[-1]) if moving else (0, 0)
    return [
        each
        for each in cut_offs
        if each.points in marked or (each.points % every == 0 and low - every < each.points < high + every)
    ]
