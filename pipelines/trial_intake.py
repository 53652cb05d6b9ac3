"""What a platform on trial delivers: taken in and judged like everything else, in a place that nothing else reads."""

from __future__ import annotations

from core.errors import GateRefused, Refusal
from core.subject import SubjectKind
from expectations.receipts import require_receipt, require_receipts, write_receipt
from expectations.validate import validate_partitions
from pipelines.workplace import Workplace
from sources.migration.definition import MigratedTable, MigrationDefinition
from sources.month_intake import take_in_month, waiting_months


def take_in_trial(workplace: Workplace, definition: MigrationDefinition) -> None:
    """Take in what waits on the trial lane for the migration's tables and write receipts. Every delivery is tried; the first
    Refusal is raised when all have been."""
    refused: Refusal | None = None
    waiting = waiting_months(workplace.state, "trial")
    named = {(table.subject, table.table) for table in definition.tables}
    with workplace.progress.stage(
        "trial deliveries", sum(len(waiting.get(place, {})) for place in named)
    ) as stage:
        for kind, table in sorted(named):
            for month in waiting.get((kind, table), {}):
                try:
                    take_in_month(
                        kind, workplace.blueprint.schemas[table], month, adapters=workplace.blueprint.adapters,
                        store=workplace.store, registry=workplace.trial_registry(kind), state=workplace.state,
                        archive=workplace.settings.archive, keys=workplace.settings.keys, clock=workplace.clock,
                    )  # fmt: skip
                except Refusal as refusal:
                    refused = refused or refusal
                stage.advance(note=f"{kind}/{table} {month}")
            validate_trial(workplace, kind, table)
    if refused is not None:
        raise refused


def validate_trial(workplace: Workplace, kind: SubjectKind, table: str) -> None:
    """Judge the months of a trial table that no receipt vouches for as they are now."""
    name, contracts = f"trial/{kind}/{table}", workplace.blueprint.contracts
    unjudged = []
    for month in workplace.store.partitions(name):
        try:
            require_receipt(workplace.state, workplace.store, name, month, contracts)
        except GateRefused:
            unjudged.append(month)
    for judged in validate_partitions(workplace.store, contracts[table], name, unjudged):
        write_receipt(
            workplace.state,
            judged.table,
            judged.partition,
            judged.content_hash,
            judged.outcome,
            workplace.clock,
        )


def require_both_sides(workplace: Workplace, table: MigratedTable, months: list[str]) -> None:
    """GateRefused unless receipts vouch for the months compared, on both sides."""
    for folder, remedy in (
        ("raw", "Run gscene run, which validates them."),
        ("trial", "Have the new platform correct and send them again, then check again."),
    ):
        name = f"{folder}/{table.name}"
        there = [month for month in months if month in workplace.store.partitions(name)]
        try:
            require_receipts(workplace.state, workplace.store, name, there, workplace.blueprint.contracts)
        except GateRefused as refused:
            raise GateRefused(refused.message, remedy) from None
