"""What a raw asset tells of rows that are held back: counts by reason and column with the shape of one cell, never a cell."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from core.months import Month
from core.subject import TableOwner
from expectations.contract import Contract
from pipelines.asset_style import asset_key
from pipelines.metadata import numbers, table
from pipelines.partitions import as_of_months, months_of
from pipelines.workplace import Workplace
from sources.quarantine import Held, in_quarantine

#: Lines of the table; the command line lists all.
_LONGEST = 20


def quarantine_check(contract: Contract, owner: TableOwner) -> dg.AssetChecksDefinition:
    """The check `quarantine` of `raw/<owner>/<table>`: warns while rows of a month are held back. It blocks nothing: the rows
    that came in are good, and what is missing is told.
    """

    @dg.asset_check(
        asset=asset_key("raw", owner, contract.table),
        name="quarantine",
        blocking=False,
        partitions_def=as_of_months,
        description="Is anything held back until its adapter is mended? See gscene quarantine list. 是否有行被隔离待修复适配器。",
    )
    def nothing_held(
        context: dg.AssetCheckExecutionContext, workplace: dg.ResourceParam[Workplace]
    ) -> dg.AssetCheckResult:
        months = months_of(context.op_execution_context)
        held = [one for month in months for one in held_in(workplace, contract, owner, month)]
        return dg.AssetCheckResult(
            passed=not held, severity=dg.AssetCheckSeverity.WARN, metadata=told_of_held(held)
        )

    return nothing_held


def held_in(workplace: Workplace, contract: Contract, owner: TableOwner, month: Month) -> list[Held]:
    """What deliveries of one table and month hold back."""
    with workplace.state.session() as session:
        return in_quarantine(session, owner=str(owner), table=contract.table, period=str(month))


def told_of_held(held: Sequence[Held]) -> dict[str, Any]:
    """Metadata: rows held now, and by reason; a small table where there are any."""
    by_reason: dict[str, int] = {}
    for one in held:
        by_reason[one.reason] = by_reason.get(one.reason, 0) + one.still
    told = numbers(
        {"rows_in_quarantine": sum(by_reason.values())}
        | {f"in_quarantine_{reason}": rows for reason, rows in sorted(by_reason.items())}
    )
    if not held:
        return told
    rows = [
        (one.delivery_no, f"{one.reason} {one.reason_zh}", one.column, one.still, f"`{one.shape}`")
        for one in sorted(held, key=lambda one: -one.still)[:_LONGEST]
    ]
    return told | table("quarantine", ["delivery", "reason", "column", "rows", "shape"], rows)
