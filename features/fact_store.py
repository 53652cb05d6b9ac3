"""Keep monthly facts in step with the raw months they are folded from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pyarrow.compute as pc

from core.clock import Clock
from core.derivation import record_derivation
from core.months import Month
from core.state import StateDatabase
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.receipts import require_receipt
from features.fact_definition import FactDefinition
from features.fold import coded_columns, fold_month
from sources.versions import accepted_by_period, resolver


@dataclass(frozen=True)
class Folded:
    """What one folding gave: rows, different subjects, rows that are corrections of earlier knowledge."""

    rows: int
    subjects: int
    corrections: int


def fold_partition(
    store: TableStore,
    state: StateDatabase,
    clock: Clock,
    definition: FactDefinition,
    schema: TableSchema,
    month: Month,
) -> Folded:
    """Fold one raw month into its facts; GateRefused where no passing receipt vouches for the raw month as it is now.

    A month without any delivery gives no facts. Folding the same rows again changes nothing.
    """
    period = str(month)
    if period not in store.partitions(definition.raw_table):
        return Folded(0, 0, 0)
    require_receipt(state, store, definition.raw_table, period)
    # The business key tells versions of a row apart; of the rest only what a measure uses is read.
    wanted = {*definition.source_columns, *schema.business_key} - {
        "subject_id",
        "period",
    }
    raw = store.read(
        definition.raw_table,
        [period],
        columns=[
            "subject_no",
            *sorted(wanted),
            "received_at",
            "delivery_no",
            "revision",
            "row_no",
        ],
        encoded=coded_columns(definition, schema),
        schema=schema.arrow_with_envelope(),
    )
    facts = fold_month(
        raw, definition, schema, resolver(schema, state, definition.raw_table, period, vouched=True), month
    )
    store.replace(definition.fact_table, period, facts)
    record_derivation(
        state,
        store,
        clock,
        (definition.fact_table, period),
        [(definition.raw_table, period)],
        recipe_hash(definition, accepted_by_period(state, definition.raw_table).get(period, [])),
    )
    subjects = len(pc.unique(facts.column("subject_no")))
    return Folded(facts.num_rows, subjects, facts.num_rows - subjects)


def recipe_hash(definition: FactDefinition, accepted: list[int]) -> str:
    """Hash of the definition and of the accepted deliveries: facts made by another one, or before a delivery of the month
    was accepted, are stale even where the raw rows lie there unchanged."""
    return hashlib.sha256(f"{definition.model_dump_json()}\n{accepted}".encode()).hexdigest()
