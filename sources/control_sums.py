"""Sums that the manifest tells, held against the delivered amounts, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np

from core.errors import Refusal
from core.money import FEN_PER_UNIT, fen
from sources import cells
from sources.adapter import Adapter
from sources.column_rule import Reading
from sources.delivered_rows import DeliveredRows
from sources.shape import shape


def check_control_sums(delivered: DeliveredRows, adapter: Adapter, control_sums: Mapping[str, str]) -> None:
    """Compare sums over all delivered rows with the manifest's, exactly. Raises REFUSED/CONTROL_SUM or
    MANIFEST.

    Cells that are no amounts refuse the delivery, unless the adapter holds unreadable rows back: then they add nothing, as
    the source's own sum can't have counted them either.
    """
    readings = [*adapter.columns.values(), *adapter.working.values()]
    rules = {rule.source_column: rule for rule in readings if rule.unit in FEN_PER_UNIT}
    for row in adapter.unpivot.rows if adapter.unpivot is not None else ():
        rules |= {source: adapter.columns[name] for name, source in row.source_columns.items()}
    for column, stated in control_sums.items():
        rule = rules.get(column)
        if rule is None or rule.unit not in FEN_PER_UNIT:
            raise Refusal(
                "REFUSED/MANIFEST",
                f"a control sum of `{shape(column)}`, which isn't an amount of {adapter.adapter}.",
                remedy="Have the source name amount columns in its control sums.",
            )
        if Decimal(_sum(delivered, adapter, column, rule)) != Decimal(stated) * FEN_PER_UNIT[rule.unit]:
            raise Refusal(
                "REFUSED/CONTROL_SUM",
                "the amounts don't add up to the sum in the manifest.",
                file=delivered.file,
                column=column,
                remedy="Rows or amounts were lost on the way: have the source send the period again.",
            )


def _sum(delivered: DeliveredRows, adapter: Adapter, column: str, rule: Reading) -> int:
    texts = cells.normalised(delivered.texts(column), rule.normalise)
    absent = cells.missing(texts, (*adapter.nulls, *rule.nulls))
    plain = cells.ungrouped(texts, rule.thousands) if rule.thousands is not None else texts
    read = cells.money(plain, absent, rule.unit or "CNY")
    hits = read.bad[delivered.places(column)]
    if hits.any() and "unreadable" not in adapter.quarantine.hold:
        raise delivered.refuse(
            "REFUSED/TYPE",
            int(hits.argmax()),
            column,
            "not an amount",
            "Have the source correct the cell and send the period again, or correct the column in "
            f"{adapter.adapter}.yaml.",
        )
    times = np.bincount(delivered.places(column), minlength=len(texts))
    # Python integers: a sum of a whole country may pass 64 bits.
    return sum(int(amount) * int(count) for amount, count in zip(fen(read.values), times, strict=True))
