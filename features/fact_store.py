"""Keep monthly facts in step with the raw months they are folded from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from core.clock import Clock
from core.derivation import Partition, record_derivation, require_fresh
from core.errors import GateRefused
from core.months import Month
from core.state import StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.receipts import require_receipts
from features.fact_definition import FactDefinition
from features.fold import RULES, coded_columns, fact_schema, fold_month
from features.linked_facts import LinkedFacts
from features.linked_fold import Numbering, fold_linked
from features.look_back import fold_looking_back
from features.monthly_facts import MonthlyFacts, delivered_since
from sources.versions import Resolver, accepted_by_period, ledger_deliveries, resolver


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
    """Fold one raw month into its facts; GateRefused where no passing receipt vouches for the raw months that they need, as they
    are now.

    A month without any accepted delivery gives no facts, one with empty deliveries alone gives facts of nobody, which say since
    when it counts as delivered (not those that look back: see `features.look_back`). Folding the same rows again changes nothing.
    Linked facts (`schema` is then of no use) are joined from facts, which must be in step themselves.
    """
    if isinstance(definition, LinkedFacts):
        return _link_partition(store, state, clock, definition, month)
    period = str(month)
    inputs = raw_months(store, definition, month)
    accepted = accepted_by_period(state, definition.raw_table)
    if not _delivered(store, definition, month, accepted):
        return Folded(0, 0, 0)
    require_receipts(state, store, definition.raw_table, [str(each) for each in inputs])
    if definition.look_back:
        months = {each: _raw_month(store, state, definition, schema, each) for each in inputs}
        facts = fold_looking_back(months, month, definition, schema)
    else:
        facts = fact_schema(definition).empty_table()
        if inputs:
            raw, resolve = _raw_month(store, state, definition, schema, month)
            facts = fold_month(raw, definition, schema, resolve, month)
        known = ledger_deliveries(state, definition.raw_table, period).values()
        facts = delivered_since(facts, min(entry.received_at for entry in known if entry.accepted))
    store.replace(definition.fact_table, period, facts)
    record_derivation(
        state,
        store,
        clock,
        (definition.fact_table, period),
        [(definition.raw_table, str(each)) for each in inputs],
        recipe_hash(definition, accepted, inputs or [month]),
    )
    return _counted(facts)


def _delivered(
    store: TableStore, definition: FactDefinition, month: Month, accepted: Mapping[str, list[int]]
) -> bool:
    """Whether a month has facts: rows, or where they don't look back an accepted delivery without any."""
    there = str(month) in store.partitions(definition.raw_table)
    return there or (not definition.look_back and bool(accepted.get(str(month))))


def _link_partition(
    store: TableStore, state: StateDatabase, clock: Clock, definition: LinkedFacts, month: Month
) -> Folded:
    """Join one month of linked facts; GateRefused where the facts of either side lag behind their raw months."""
    if str(month) not in store.partitions(definition.link.fact_table):
        return Folded(0, 0, 0)
    first = month.plus(-definition.look_back)
    months_in_step(store, state, definition.link, month, month)
    months_in_step(store, state, definition.other, first, month)
    inputs = linked_months(store, definition, month)
    link = store.read(
        definition.link.fact_table, [str(month)], ["subject_no", "known_at", definition.through.measure]
    )
    measures = sorted({carried.measure for carried in definition.carry.values()})
    other = {
        month.index - Month.parse(period).index: store.read(
            table, [period], ["subject_no", "known_at", *measures]
        )
        for table, period in inputs
        if table == definition.other.fact_table
    }
    since = {
        age: MonthlyFacts(store, definition.other.fact_table, [month.plus(-age)]).first_known(
            month.plus(-age)
        )
        for age in other
    }
    pseudonyms = SubjectRegistry(store, definition.through.subject).pseudonyms()
    facts = fold_linked(link, other, Numbering.of(pseudonyms), definition, since)
    store.replace(definition.fact_table, str(month), facts)
    made = (definition.fact_table, str(month))
    record_derivation(state, store, clock, made, inputs, recipe_hash(definition, {}, []))
    return _counted(facts)


def linked_months(store: TableStore, definition: LinkedFacts, month: Month) -> list[Partition]:
    """Fact partitions that linked facts of a month are joined from: those of the link, and the other's that are there."""
    there = set(store.partitions(definition.other.fact_table))
    ages = sorted({0, *(carried.against for carried in definition.carry.values())}, reverse=True)
    other = [str(month.plus(-age)) for age in ages if str(month.plus(-age)) in there]
    return [
        (definition.link.fact_table, str(month)),
        *((definition.other.fact_table, period) for period in other),
    ]


def _counted(facts: pa.Table) -> Folded:
    subjects = len(pc.unique(facts.column("subject_no")))
    return Folded(facts.num_rows, subjects, facts.num_rows - subjects)


def raw_months(store: TableStore, definition: FactDefinition, month: Month) -> list[Month]:
    """Delivered months that the facts of a month are folded from: itself, and those looked back over."""
    there = set(store.partitions(definition.raw_table))
    every = [month.plus(-back) for back in range(definition.look_back, -1, -1)]
    return [each for each in every if str(each) in there]


def require_in_step(
    store: TableStore,
    state: StateDatabase,
    definition: FactDefinition,
    month: Month,
    accepted: Mapping[str, list[int]],
) -> Partition:
    """The fact partition of a month; GateRefused unless it was folded from the raw months as they are now. `accepted` is
    `accepted_by_period` of the raw table."""
    made = (definition.fact_table, str(month))
    if isinstance(definition, LinkedFacts):
        inputs_then = linked_months(store, definition, month)
        require_fresh(state, store, made, inputs_then, recipe_hash(definition, {}, []))
        return made
    inputs = raw_months(store, definition, month)
    raw = [(definition.raw_table, str(each)) for each in inputs]
    require_fresh(state, store, made, raw, recipe_hash(definition, accepted, inputs or [month]))
    return made


def months_in_step(
    store: TableStore, state: StateDatabase, definition: FactDefinition, first: Month, last: Month
) -> list[Partition]:
    """Fact partitions of the delivered months from `first` to `last`; GateRefused for one that isn't made from what it stands on
    as that is now. Of linked facts' own sources only the fact partitions are looked at."""
    if isinstance(definition, LinkedFacts):
        accepted, periods = {}, store.partitions(definition.link.fact_table)
    else:
        accepted = accepted_by_period(state, definition.raw_table)
        periods = delivered_periods(store, definition, accepted)
    return [
        require_in_step(store, state, definition, Month.parse(period), accepted)
        for period in periods
        if first <= Month.parse(period) <= last
    ]


def delivered_periods(
    store: TableStore, definition: FactDefinition, accepted: Mapping[str, list[int]]
) -> list[str]:
    """Months that facts have to be folded for, ascending: those with rows, and those with empty deliveries alone."""
    empty = [] if definition.look_back else [period for period, numbers in accepted.items() if numbers]
    return sorted({*store.partitions(definition.raw_table), *empty})


def stale_months(store: TableStore, state: StateDatabase, definition: LinkedFacts) -> list[Month]:
    """Months of linked facts that aren't joined from the facts of both sides as these are now, ascending; a month that either
    side keeps waiting, being behind its own gate, is left out."""
    months = [Month.parse(period) for period in store.partitions(definition.link.fact_table)]
    return [
        month
        for month in months
        if not _in_step(store, state, definition, month, month)
        and _in_step(store, state, definition.link, month, month)
        and _in_step(store, state, definition.other, month.plus(-definition.look_back), month)
    ]


def _in_step(
    store: TableStore, state: StateDatabase, definition: FactDefinition, first: Month, last: Month
) -> bool:
    try:
        months_in_step(store, state, definition, first, last)
    except GateRefused:
        return False
    return True


def recipe_hash(definition: FactDefinition, accepted: Mapping[str, list[int]], months: list[Month]) -> str:
    """Hash of the definition, of the rules of folding and of the accepted deliveries of these months: facts made by another
    definition, or before a delivery was accepted, are stale even where the raw rows lie there unchanged."""
    numbers = [number for month in months for number in accepted.get(str(month), [])]
    return hashlib.sha256(f"{RULES}\n{definition.model_dump_json()}\n{numbers}".encode()).hexdigest()


def _raw_month(
    store: TableStore, state: StateDatabase, definition: FactDefinition, schema: TableSchema, month: Month
) -> tuple[pa.Table, Resolver]:
    """Rows of one raw month and the rule by which they are known; of the columns what a measure uses, and the business key,
    which tells versions of a row apart."""
    wanted = {*definition.source_columns, *schema.business_key} - {"subject_id", "period"}
    envelope = ["received_at", "delivery_no", "revision", "row_no"]
    raw = store.read(
        definition.raw_table,
        [str(month)],
        columns=["subject_no", *sorted(wanted), *envelope],
        encoded=coded_columns(definition, schema),
        schema=schema.arrow_with_envelope(),
    )
    return raw, resolver(schema, state, definition.raw_table, str(month), vouched=True)
