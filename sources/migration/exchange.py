"""What a cut-over and a rollback do to the ledger: deliveries of one side are withdrawn, those of the other promoted.

Nothing that is there changes. A withdrawn delivery keeps its rows and counts for every moment before; a promoted one is a new
entry, received now, made from the same archived bytes. So what was known earlier stays what it was.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, inspect, select
from sqlalchemy.orm import Session

from core.state import Delivery
from sources.ledger import ACCEPTED, HELD, QUARANTINED, RECEIVED
from sources.migration.definition import MigrationDefinition

#: Basis of a promoted entry: its bytes were received earlier, on trial.
PROMOTED = "promoted"

#: What a promoted entry doesn't take over from the one it is made from.
_OWN = frozenset(
    {
        "delivery_no", "received_at", "basis", "state", "reason", "place", "remedy", "rows_delivered", "rows_accepted",
        "rows_made", "rows_quarantined", "receipt_sha256", "lane", "made_from", "withdrawn_at", "figures", "warnings",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Exchanged:
    """Deliveries promoted and withdrawn."""

    promoted: int
    withdrawn: int


def exchange_at_cut_over(session: Session, definition: MigrationDefinition, now: datetime) -> Exchanged:
    """From the cut-over month on: withdraw what the old side delivered, promote what of the new side isn't live."""
    month = definition.cut_over
    coming = [one for one in _not_live(session, definition.new_sources) if one.original.period >= month]
    going = _live(definition.old_sources).where(Delivery.period >= month)
    return _exchange(session, going, [one.original for one in coming], now)


def exchange_at_rollback(
    session: Session, definition: MigrationDefinition, last_before: int, now: datetime
) -> Exchanged:
    """Withdraw all that is live of the new side; promote what was once live of the old side, and what it has delivered since the
    cut-over began (delivery numbers after `last_before`)."""
    coming = [
        one
        for one in _not_live(session, definition.old_sources)
        if one.was_live or one.original.delivery_no > last_before
    ]
    return _exchange(session, _live(definition.new_sources), [one.original for one in coming], now)


def last_delivery_no(session: Session) -> int:
    """The number of the latest entry."""
    return int(session.scalar(select(func.max(Delivery.delivery_no))) or 0)


def waiting(session: Session, sources: Collection[str]) -> int:
    """Live deliveries of these sources that haven't been taken in."""
    return len(session.scalars(_live(sources).where(Delivery.state == RECEIVED)).all())


def held(session: Session, sources: Collection[str], month: str) -> int:
    """Deliveries of these sources from a month on that wait for a person, whatever the lane."""
    query = select(Delivery).where(Delivery.source.in_(list(sources)), Delivery.period >= month)
    return len(session.scalars(query.where(Delivery.state.in_((HELD, QUARANTINED)))).all())


def tables_delivered(
    session: Session, sources: Collection[str], lane: str | None = None
) -> set[tuple[str, str, str]]:
    """(source, subject, table) of everything that these sources ever delivered, on one lane or any."""
    query = select(Delivery.source, Delivery.subject, Delivery.table).where(
        Delivery.source.in_(list(sources))
    )
    query = query.where(Delivery.state.in_((RECEIVED, ACCEPTED)))
    query = query if lane is None else query.where(Delivery.lane == lane)
    return {(source, subject, table) for source, subject, table in session.execute(query.distinct())}


def months_delivered(session: Session, sources: Collection[str], subject: str, table: str) -> set[str]:
    """Months of a table that these sources have delivered and that were accepted, whatever the lane."""
    query = select(Delivery.period).where(
        Delivery.source.in_(list(sources)), Delivery.subject == subject, Delivery.table == table,
        Delivery.state == ACCEPTED,
    )  # fmt: skip
    return set(session.scalars(query.distinct()))


@dataclass(frozen=True)
class _NotLive:
    """A delivery as it first came, of which no form is live; `was_live`: one has been."""

    original: Delivery
    was_live: bool


def _entries(sources: Collection[str]) -> Select[Delivery]:
    query = select(Delivery).where(Delivery.source.in_(list(sources)))
    return query.where(Delivery.state.in_((RECEIVED, ACCEPTED))).order_by(Delivery.delivery_no)


def _live(sources: Collection[str]) -> Select[Delivery]:
    return _entries(sources).where(Delivery.lane == "live", Delivery.withdrawn_at.is_(None))


def _not_live(session: Session, sources: Collection[str]) -> list[_NotLive]:
    """Rows released from quarantine have entries of their own; the adapter that released them reads them from the original."""
    entries = session.scalars(_entries(sources)).all()
    forms = [(e.made_from or e.delivery_no, e) for e in entries if e.made_from is None or e.basis == PROMOTED]
    been = {number for number, entry in forms if entry.lane == "live"}
    live = {number for number, entry in forms if entry.lane == "live" and entry.withdrawn_at is None}
    originals = [entry for entry in entries if entry.made_from is None and entry.delivery_no not in live]
    return [_NotLive(entry, entry.delivery_no in been) for entry in originals]


def _exchange(
    session: Session, going: Select[Delivery], coming: Collection[Delivery], now: datetime
) -> Exchanged:
    gone = session.scalars(going).all()
    for entry in gone:
        entry.withdrawn_at = now
    session.add_all(_promoted(entry, now) for entry in coming)
    session.flush()
    return Exchanged(len(coming), len(gone))


def _promoted(entry: Delivery, now: datetime) -> Delivery:
    names = [column.key for column in inspect(Delivery).column_attrs if column.key not in _OWN]
    taken = {name: getattr(entry, name) for name in names}
    return Delivery(
        **taken, received_at=now, basis=PROMOTED, state=RECEIVED, lane="live", made_from=entry.delivery_no
    )
