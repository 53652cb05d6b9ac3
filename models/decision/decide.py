"""A policy put on scores and features: one outcome a row, with the rules that fired."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.decision.outcome import Outcome
from models.decision.policy import DecisionPolicy, Veto

_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}
_OUTCOMES = np.array([str(outcome) for outcome in Outcome], dtype=object)


@dataclass(frozen=True)
class Decisions:
    """`outcome` (n,) of what comes out, `by_score` (n,) of what the cut-offs alone say; `fired`: rule -> (n,) bool."""

    outcome: np.ndarray
    by_score: np.ndarray
    fired: dict[str, np.ndarray]

    def rules(self, row: int) -> list[str]:
        """Rules that fired on a row, in the policy's order."""
        return [rule for rule, rows in self.fired.items() if rows[row]]

    @property
    def vetoed(self) -> np.ndarray:
        """Rows (bool) on which any rule fired."""
        none = np.zeros(len(self.outcome), dtype=bool)
        return np.logical_or.reduce([none, *self.fired.values()])


def decide(policy: DecisionPolicy, points: np.ndarray, features: pd.DataFrame) -> Decisions:
    """Outcomes for integer `points` (n,) and `features` (n rows, at least those that the vetoes name)."""
    by_score = np.select(
        [points >= policy.cut_offs.approve_from, points >= policy.cut_offs.decline_below],
        [_RANK[Outcome.APPROVE], _RANK[Outcome.REFER]],
        default=_RANK[Outcome.DECLINE],
    )
    worst, fired = by_score.copy(), {}
    for veto in policy.vetoes:
        rows = fires(veto, features[veto.feature].to_numpy(dtype=np.float64, na_value=np.nan))
        fired[veto.rule] = rows
        worst = np.where(rows, np.maximum(worst, _RANK[veto.outcome]), worst)
    return Decisions(_OUTCOMES[worst], _OUTCOMES[by_score], fired)


def fires(veto: Veto, values: np.ndarray) -> np.ndarray:
    """Rows (bool) on which a rule fires."""
    missing = np.isnan(values)
    bounded = veto.at_least is not None or veto.at_most is not None
    with np.errstate(invalid="ignore"):
        low = values >= (-np.inf if veto.at_least is None else veto.at_least)
        high = values <= (np.inf if veto.at_most is None else veto.at_most)
    return np.asarray((~missing & low & high & bounded) | (missing & veto.missing))
