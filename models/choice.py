"""Which candidate ships: the scorecard, unless LightGBM is clearly better on rows that neither has seen."""

from __future__ import annotations

from dataclasses import dataclass

from models.candidates import CandidateKind
from models.definition import ChallengeRule
from models.discrimination import AucDifference


@dataclass(frozen=True)
class Choice:
    """The candidate that ships and the numbers it was chosen by (LightGBM's AUC minus the scorecard's)."""

    ships: CandidateKind
    difference: float | None
    low: float | None
    high: float | None
    margin: float
    confidence: float
    method: str
    reason_zh: str
    reason_en: str


def choose(difference: AucDifference | None, rule: ChallengeRule, method: str) -> Choice:
    """LightGBM ships where the difference reaches the margin and its whole interval lies above zero; else the
    scorecard.

    `difference` is None where it can't be measured. A scorecard that can't be told from LightGBM is
    preferred: each point of it can be read and argued with.
    """
    if difference is None:
        return Choice(
            CandidateKind.SCORECARD, None, None, None, rule.margin, rule.confidence, method,
            "没有足够的未见样本比较两者，按规则使用评分卡。",
            "Too few unseen rows to compare the two; by rule the scorecard ships.",
        )  # fmt: skip
    low, high = difference.low, difference.high
    wins = difference.difference >= rule.margin and low > 0.0
    share = f"{rule.confidence:.0%}"
    numbers = f"{difference.difference:+.3f} ({share}: {low:+.3f} … {high:+.3f})"
    if wins:
        zh = f"LightGBM 的 AUC 高出 {numbers}，达到要求的 {rule.margin:.3f} 且区间在零以上。"
        en = f"LightGBM's AUC is better by {numbers}: at least the margin of {rule.margin:.3f}, and the interval lies above zero."
    else:
        zh = f"LightGBM 与评分卡的 AUC 之差为 {numbers}，未达到 {rule.margin:.3f} 或区间包含零，使用评分卡。"
        en = (
            f"LightGBM's AUC minus the scorecard's is {numbers}: below the margin of {rule.margin:.3f} or not told from "
            "zero, so the scorecard ships."
        )
    ships = CandidateKind.LIGHTGBM if wins else CandidateKind.SCORECARD
    finite = abs(low) < float("inf")
    return Choice(
        ships,
        difference.difference,
        low if finite else None,
        high if finite else None,
        rule.margin,
        rule.confidence,
        method,
        zh,
        en,
    )
