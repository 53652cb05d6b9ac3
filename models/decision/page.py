"""A policy study as one self-contained page; counts and rates, never a row of anybody."""

from __future__ import annotations

import base64
from pathlib import Path

from models.decision.outcome import TEXTS
from models.decision.pictures import profit_picture, rates_picture
from models.decision.study import PolicyStudy

TEMPLATE = Path(__file__).parent / "page.html.j2"

CELLS = {
    "both": ("两者均通过", "approved by both"),
    "swapped_in": ("仅挑战者通过（换入）", "swapped in: the challenger alone"),
    "swapped_out": ("仅冠军通过（换出）", "swapped out: the champion alone"),
    "neither": ("两者均不通过", "approved by neither"),
}


def page(study: PolicyStudy, champion: str, challenger: str = "") -> str:
    """One HTML page in both languages; `champion`, `challenger`: names of the versions. The same study gives the same text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        study=study,
        policy=study.policy,
        champion=champion,
        challenger=challenger,
        outcomes=TEXTS,
        cells=CELLS,
        rates=_uri(rates_picture(study)),
        profit=_uri(profit_picture(study)),
        share=lambda value: "–" if value is None else f"{100 * value:.2f} %",
        count=lambda value: f"{value:,}",
        amount=lambda value: f"{value:,.0f}",
    )


def _uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
