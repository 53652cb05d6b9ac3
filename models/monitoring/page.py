"""A monitored month as one self-contained page in both languages; aggregates only."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.definition_file import Bilingual
from models.monitoring.blocks import decision_blocks, monitoring_blocks
from models.monitoring.measure import Monitored
from models.monitoring.triggers import Decision, TriggerPolicy
from models.report_blocks import Cell, Paragraph, Part, Picture, Table

TEMPLATE = Path(__file__).parent / "page.html.j2"

HEADINGS = {
    Part.STABILITY: Bilingual(zh="稳定性", en="Stability"),
    Part.OUTCOMES: Bilingual(zh="预期与实际表现", en="Expected and realised performance"),
}


def page(
    title: Bilingual,
    monitored: Monitored,
    history: Mapping[str, Monitored],
    decisions: Sequence[Decision],
    policy: TriggerPolicy,
) -> str:
    """The page; the same months give the same text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    sections = [
        (Bilingual(zh="结论", en="What it calls for"), decision_blocks(decisions, policy)),
        *((HEADINGS[part], blocks) for part, blocks in monitoring_blocks(monitored, history).items()),
    ]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        title=title, monitored=monitored, sections=sections, kind=_kind, cell=_cell, uri=_uri
    )


def _kind(block: object) -> str:
    return {Paragraph: "paragraph", Table: "table", Picture: "picture"}[type(block)]


def _cell(value: Cell, form: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, Bilingual):
        return f"{value.zh} {value.en}"
    return format(value, form) if form and not isinstance(value, str) else str(value)


def _uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
