"""The inventory of models as one page for whoever answers for all of them: every version, its owner, and what is due next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from models.inventory import InventoryLine

TEMPLATE = Path(__file__).parent / "inventory_page.html.j2"


def inventory_page(lines: Sequence[InventoryLine], today: date) -> str:
    """Self-contained HTML; what is overdue on `today` stands out. The same inventory gives the same text."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    newest = {line.model: line for line in reversed(lines)}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        lines=lines, models=list(newest.values()), today=today
    )
