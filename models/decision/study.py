"""A policy tried on judged rows before anybody adopts it: cut-offs, vetoes and, beside a challenger, the swap set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.decision.decide import Decisions, decide
from models.decision.judged_scores import JudgedScores
from models.decision.outcome import Outcome
from models.decision.policy import DecisionPolicy
from models.decision.swap_set import SwapSet, swap_set
from models.decision.what_if import CutOff, break_even_pd, most_profitable, score_histogram, shown, what_if


@dataclass(frozen=True)
class VetoCount:
    """Rows on which a rule fires; of those that the score alone would approve; their decided outcomes and events; and rows on
    which no other rule fires."""

    rule: str
    rows: int
    approved_by_score: int
    decided: int
    events: int
    alone: int


@dataclass(frozen=True)
class PolicyStudy:
    """What a policy does on `rows` rows. `outcomes`: outcome -> (rows, decided, events). `own` is the policy's cut-off, `best`
    the most profitable one; both after vetoes. `cut_offs`: all 1,001."""

    policy: DecisionPolicy
    rows: int
    months: tuple[str, ...]
    seen: bool
    outcomes: dict[Outcome, tuple[int, int, int]]
    vetoes: tuple[VetoCount, ...]
    own: CutOff
    best: CutOff
    break_even_pd: float | None
    cut_offs: tuple[CutOff, ...]
    swap: SwapSet | None = None

    @property
    def table(self) -> list[CutOff]:
        """The cut-offs that are shown."""
        return shown(list(self.cut_offs), (self.policy.cut_offs.approve_from, self.best.points))

    def plain(self) -> dict[str, Any]:
        """For JSON, with the shown cut-offs."""
        return {
            "policy": self.policy.name, "policy_sha256": self.policy.sha256, "model": self.policy.model, "rows": self.rows,
            "months": list(self.months), "rows_seen_in_training": self.seen,
            "outcomes": {
                str(outcome): dict(zip(("rows", "decided", "events"), counts, strict=True))
                for outcome, counts in self.outcomes.items()
            },
            "vetoes": [asdict(veto) for veto in self.vetoes],
            "own": asdict(self.own), "best": asdict(self.best), "break_even_pd": self.break_even_pd,
            "cut_offs": [asdict(each) for each in self.table],
            "swap_set": None if self.swap is None else asdict(self.swap),
        }  # fmt: skip


def study_policy(
    policy: DecisionPolicy, judged: JudgedScores, challenger_from: int | None = None
) -> PolicyStudy:
    """The study on the first version's points; with a second version the swap set too (the first is the champion)."""
    target, features = judged.sample.target, judged.sample.features
    decided = decide(policy, judged.points[0], features)
    cut_offs = what_if(
        score_histogram(judged.points[0], judged.pd[0], target, decided.vetoed), policy.economics
    )
    swap = None
    if len(judged.points) > 1:
        swap = swap_set(
            judged.points[0],
            judged.points[1],
            target,
            policy.cut_offs.approve_from,
            challenger_from,
            decided.vetoed,
        )
    return PolicyStudy(
        policy=policy,
        rows=len(judged.sample),
        months=judged.months,
        seen=judged.seen,
        outcomes={outcome: _counts(decided.outcome == str(outcome), target) for outcome in Outcome},
        vetoes=tuple(_vetoes(decided, target)),
        own=cut_offs[policy.cut_offs.approve_from],
        best=most_profitable(cut_offs),
        break_even_pd=break_even_pd(policy.economics),
        cut_offs=tuple(cut_offs),
        swap=swap,
    )


def with_economics(policy: DecisionPolicy, **changes: float | None) -> DecisionPolicy:
    """The same policy under other amounts and rates, for a what-if; None leaves an entry as it is."""
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        return policy
    plain = policy.model_dump() | {"economics": policy.economics.model_dump() | given}
    return DecisionPolicy.model_validate(plain)


def with_cut_offs(
    policy: DecisionPolicy, approve_from: int | None, decline_below: int | None
) -> DecisionPolicy:
    """The same policy with other cut-offs, for a what-if."""
    given = {"approve_from": approve_from, "decline_below": decline_below}
    plain = policy.cut_offs.model_dump() | {name: value for name, value in given.items() if value is not None}
    return DecisionPolicy.model_validate(policy.model_dump() | {"cut_offs": plain})


def _counts(rows: np.ndarray, target: np.ndarray) -> tuple[int, int, int]:
    return int(rows.sum()), int((target[rows] >= 0).sum()), int((target[rows] == 1).sum())


def _vetoes(decided: Decisions, target: np.ndarray) -> list[VetoCount]:
    fired = sum((rows.astype(int) for rows in decided.fired.values()), np.zeros(len(target), dtype=int))
    told = []
    for rule, rows in decided.fired.items():
        count, outcomes, events = _counts(rows, target)
        approved = int((rows & (decided.by_score == str(Outcome.APPROVE))).sum())
        told.append(VetoCount(rule, count, approved, outcomes, events, int((rows & (fired == 1)).sum())))
    return told
