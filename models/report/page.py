"""The report as one HTML page in both languages: nothing is loaded from anywhere, no script runs, it prints well on A4.

The reader chooses 中文, English or both with three buttons that are plain CSS.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Literal

from models.report.cell_text import cell_text, is_number, verdict_of
from models.report.document import Report
from models.report_blocks import Cell, Paragraph, Picture, Table

TEMPLATE = Path(__file__).parent / "page.html.j2"

Shown = Literal["zh", "en", "both"]


def render_page(report: Report, shown: Shown = "zh") -> str:
    """The page; `shown`: the language it opens in. The same report gives the same text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "text": cell_text,
        "verdict": verdict_of,
        "bilingual": lambda cell: not isinstance(cell, str | int | float) and cell is not None,
        "right": is_number,
        "data_uri": _data_uri,
    }
    environment.tests |= {
        "paragraph": lambda block: isinstance(block, Paragraph),
        "picture": lambda block: isinstance(block, Picture),
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        report=report, shown=shown, right=_right, form=_form
    )


def _right(table: Table, place: int) -> bool:
    """Whether a column stands on the right: all of its cells are numbers, and not all are missing."""
    cells: list[Cell] = [row[place] for row in table.rows]
    return all(is_number(cell) for cell in cells) and any(cell is not None for cell in cells)


def _form(table: Table, place: int) -> str:
    return table.formats[place] if table.formats else ""


def _data_uri(picture: Picture) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(picture.svg).decode("ascii")
