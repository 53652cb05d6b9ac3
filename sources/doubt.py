"""Doubt in a delivery: what is well-formed and still can't be right, judged against what the feed sent before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.errors import Refusal
from core.state import Delivery
from core.table_schema import TableSchema
from sources.adapter import Adapter
from sources.amounts import Figures, figures_of, shifted_units
from sources.convert import Converted
from sources.ledger import UNITS, VOLUME, standing_full
from sources.volume import judge_volume

#: How often too large or too small, as people say it.
_TIMES = {2: "100", 4: "10,000", 6: "1,000,000"}


@dataclass(frozen=True)
class Judged:
    """Figures to keep, warnings to tell, and the reason to hold the delivery, if there is one."""

    figures: Figures
    warnings: dict[str, Any]
    doubt: Refusal | None


def judge(
    session: Session,
    entry: Delivery,
    converted: Converted,
    adapter: Adapter,
    schema: TableSchema,
    accepted: int,
) -> Judged:
    """Hold `accepted` source rows and their amounts against the feed's standing deliveries. What an operator waived for this
    delivery is still told, and holds it no more.
    """
    standing = standing_full(session, entry)
    waived = entry.waived.split(",")
    figures = figures_of(converted.rows, schema)
    warnings: dict[str, Any] = {}
    doubt = None
    volume = judge_volume(entry, accepted, standing, adapter.volume)
    if volume:
        warnings["volume"] = {finding.against: finding.told() for finding in volume}
        worst = next((finding for finding in volume if finding.hold), None)
        if worst is not None and "VOLUME" not in waived:
            doubt = Refusal(
                VOLUME,
                f"{worst.rows:,} rows where the {worst.against} let expect {worst.expected:,}.",
                remedy="Ask the source; a whole revision replaces it, or let it in: gscene deliveries waive.",
            )
    shifted = shifted_units(entry.period, figures, standing)
    if shifted:
        warnings["units"] = shifted
        if "UNITS" not in waived:
            doubt = _other_unit(shifted, adapter)
    return Judged(figures, warnings, doubt)


def _other_unit(shifted: dict[str, int], adapter: Adapter) -> Refusal:
    column, power = next(iter(shifted.items()))
    size = "large" if power > 0 else "small"
    rule = adapter.columns.get(column)
    return Refusal(
        UNITS,
        f"the amounts of {', '.join(sorted(shifted))} are about {_TIMES[abs(power)]} times too {size} "
        "against the feed's last months: another unit?",
        column=rule.source_column if rule is not None else None,
        remedy="Ask the source; a corrected revision replaces it, or let it in: gscene deliveries waive.",
    )
