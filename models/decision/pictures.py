"""Pictures of a policy study as self-contained SVG; the same study gives the same bytes. Labels are English."""

from __future__ import annotations

from typing import Any

from models.decision.study import PolicyStudy
from models.report.drawing import BLUE, ORANGE, SOFT, svg_of


def rates_picture(study: PolicyStudy) -> bytes:
    """Share approved and bad rate of the approved by cut-off; a line where the policy stands."""

    def draw(figure: Any) -> None:
        left = figure.add_subplot()
        right = left.twinx()
        moving = _moving(study)
        left.plot([c.points for c in moving], [c.approve_rate for c in moving], color=BLUE, label="approved")
        known = [c for c in moving if c.bad_rate is not None]
        right.plot([c.points for c in known], [c.bad_rate for c in known], color=ORANGE)
        left.axvline(study.policy.cut_offs.approve_from, color=SOFT, linestyle=":")
        left.set(xlabel="approve from, points", ylabel="share approved (blue)", ylim=(0, 1.02))
        right.set(ylabel="bad rate of the approved (orange)")
        right.set_ylim(bottom=0.0)
        right.grid(False)

    return svg_of(draw, (5.2, 3.2))


def profit_picture(study: PolicyStudy) -> bytes:
    """Expected profit and loss by cut-off, in ten thousand yuan; lines where the policy and the most profitable cut-off stand."""

    def draw(figure: Any) -> None:
        axes, moving = figure.add_subplot(), _moving(study)
        axes.plot(
            [c.points for c in moving],
            [c.expected_profit / 1e4 for c in moving],
            color=BLUE,
            label="expected profit",
        )
        axes.plot(
            [c.points for c in moving],
            [c.expected_loss / 1e4 for c in moving],
            color=ORANGE,
            label="expected loss",
        )
        axes.axvline(study.policy.cut_offs.approve_from, color=SOFT, linestyle=":", label="policy")
        axes.axvline(study.best.points, color=BLUE, linewidth=0.8, linestyle="--", label="most profitable")
        axes.set(xlabel="approve from, points", ylabel="10,000 CNY")
        axes.legend()

    return svg_of(draw, (5.2, 3.2))


def _moving(study: PolicyStudy) -> list[Any]:
    """The cut-offs over which anything changes."""
    counts = [each.approved for each in study.cut_offs]
    low = max((place for place, count in enumerate(counts) if count == counts[0]), default=0)
    high = next((place for place, count in enumerate(counts) if count == 0), len(counts) - 1)
    return list(study.cut_offs[max(0, low - 5) : high + 6])
