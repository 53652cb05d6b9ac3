"""All deliveries of one table and month: those that wait in the ledger are taken in, in the order of their arrival."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from core.clock import Clock
from core.errors import GsceneError, Refusal
from core.months import Month
from core.state import Delivery, StateDatabase
from core.subject import TableOwner, owner_of
from core.subject_registry import Lane, SubjectRegistry
from core.table_schema import TableSchema
from core.table_store import TableStore
from sources.adapter import Adapter
from sources.intake import take_in
from sources.ledger import ACCEPTED, HELD, QUARANTINED, RECEIVED


@dataclass(frozen=True)
class MonthTaken:
    """What the ledger holds of one table and month: accepted deliveries, source rows delivered = accepted + left out by
    reason + quarantined; `warnings` by delivery and check; how many deliveries are held."""

    deliveries: int
    delivered: int
    accepted: int
    left_out: dict[str, int]
    quarantined: int = 0
    warnings: dict[str, str] = field(default_factory=dict)
    held: int = 0


def take_in_month(
    kind: TableOwner,
    schema: TableSchema,
    month: Month,
    *,
    adapters: Mapping[str, Adapter],
    store: TableStore,
    registry: SubjectRegistry,
    state: StateDatabase,
    archive: Path,
    keys: Path,
    clock: Clock,
) -> MonthTaken:
    """Take in what waits on the registry's lane. Every delivery is tried; the first Refusal is raised when all have been, so
    that one bad file doesn't hold up the others. Deliveries taken in before are counted, not repeated."""
    refused: Refusal | None = None
    for number, name in _waiting(state, kind, schema.table, month, registry.lane):
        if name not in adapters:
            raise GsceneError(
                f"delivery {number} names the adapter {name}, which doesn't exist.",
                "Add sources/adapters/<name>.yaml.",
            )
        try:
            take_in(
                number, adapters[name], schema, store=store, registry=registry, state=state, archive=archive, keys=keys,
                clock=clock,
            )  # fmt: skip
        except Refusal as refusal:
            refused = refused or refusal
    if refused is not None:
        raise refused
    return _taken(state, kind, schema.table, month, registry.lane)


def waiting_months(
    state: StateDatabase, lane: Lane = "live"
) -> dict[tuple[TableOwner, str], dict[Month, int]]:
    """Months with deliveries that wait, in order, by owner and table; each with its highest waiting delivery_no."""
    key = (Delivery.subject, Delivery.table, Delivery.period)
    query = (
        select(*key, func.max(Delivery.delivery_no))
        .where(Delivery.state == RECEIVED, Delivery.lane == lane)
        .group_by(*key)
        .order_by(*key)
    )
    found: dict[tuple[TableOwner, str], dict[Month, int]] = {}
    with state.session() as session:
        for subject, table, period, number in session.execute(query):
            found.setdefault((owner_of(subject), table), {})[Month.parse(period)] = number
    return found


def accepted_rows(state: StateDatabase, kind: TableOwner, table: str) -> dict[str, int]:
    """Canonical rows that the ledger has accepted, by period: what the raw months of a table should hold. Rows of withdrawn
    deliveries lie there still: they were known once."""
    query = (
        select(Delivery.period, func.sum(func.coalesce(Delivery.rows_made, Delivery.rows_accepted)))
        .where(Delivery.subject == str(kind), Delivery.table == table, Delivery.state == ACCEPTED)
        .where(Delivery.lane == "live")
        .group_by(Delivery.period)
    )
    with state.session() as session:
        return {period: int(rows or 0) for period, rows in session.execute(query)}


def _waiting(
    state: StateDatabase, kind: TableOwner, table: str, month: Month, lane: Lane
) -> list[tuple[int, str]]:
    query = (
        select(Delivery.delivery_no, Delivery.adapter)
        .where(Delivery.subject == str(kind), Delivery.table == table, Delivery.period == str(month))
        .where(Delivery.state == RECEIVED, Delivery.lane == lane)
        .order_by(Delivery.received_at, Delivery.delivery_no)
    )
    with state.session() as session:
        return [(number, adapter) for number, adapter in session.execute(query)]


def _taken(state: StateDatabase, kind: TableOwner, table: str, month: Month, lane: Lane) -> MonthTaken:
    query = select(Delivery).where(
        Delivery.subject == str(kind),
        Delivery.table == table,
        Delivery.period == str(month),
        Delivery.lane == lane,
    )
    with state.session() as session:
        every = list(session.scalars(query))
        entries = [entry for entry in every if entry.state == ACCEPTED and entry.withdrawn_at is None]
        left_out: dict[str, int] = {}
        for entry in entries:
            for left in entry.left_out:
                left_out[left.reason] = left_out.get(left.reason, 0) + left.rows
    return MonthTaken(
        len(entries),
        sum(e.rows_delivered or 0 for e in entries),
        sum(e.rows_accepted or 0 for e in entries),
        left_out,
        sum(e.rows_quarantined or 0 for e in entries),
        {
            f"{e.delivery_no} {check}": json.dumps(told)
            for e in entries
            for check, told in (e.warnings or {}).items()
        },
        sum(entry.state in (HELD, QUARANTINED) for entry in every),
    )
