"""What is remembered of a connection between runs: its items, where its listing goes on, its breaker, sent receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from core.audit import record
from core.clock import Clock
from core.state import PullConnection, PullItem, PullReceipt, StateDatabase
from sources.connectors.breaker import BreakerState, opens, state_of
from sources.connectors.connection import Connection

#: States of an item. COMPLETE: whole on our disk, on its way into the ledger. REFUSED: not tried again until it changes.
UNDER_WAY, COMPLETE, DONE, REFUSED = "UNDER_WAY", "COMPLETE", "DONE", "REFUSED"

#: Reasons that another try may mend: the bytes came wrong, though nothing that is listed has changed.
TRY_AGAIN = frozenset(
    f"REFUSED/{code}" for code in ("CHECKSUM", "TOO_LARGE", "CURSOR", "PAGES", "ROWCOUNT", "CHANGED", "LINK")
)

ACTOR = "pull"


def wants(known: PullItem | None, tag: str) -> bool:
    """Whether an item is new, unfinished, changed since, or refused for a reason that may have passed."""
    if known is None or known.tag != tag or known.state in (UNDER_WAY, COMPLETE):
        return True
    return known.state == REFUSED and known.reason in TRY_AGAIN


@dataclass(frozen=True)
class PullState:
    """State of one connection in the state database. Every call is a transaction of its own."""

    database: StateDatabase
    clock: Clock
    name: str

    def items(self) -> dict[str, PullItem]:
        """All items that have been seen, by name."""
        with self.database.session() as session:
            found = session.scalars(select(PullItem).where(PullItem.connection == self.name))
            return {entry.item: entry for entry in found}

    def item(self, item: str) -> PullItem | None:
        """One item, if it has been seen."""
        with self.database.session() as session:
            return session.get(PullItem, (self.name, item))

    def note(self, item: str, **told: Any) -> None:
        """Write what is now known of an item; a new one starts UNDER_WAY."""
        with self.database.session() as session:
            entry = session.get(PullItem, (self.name, item))
            if entry is None:
                entry = PullItem(
                    connection=self.name, item=item, state=UNDER_WAY, tag="", bytes=0, rows=0, etags={}
                )
                session.add(entry)
            for name, value in told.items():
                setattr(entry, name, value)
            entry.changed_at = self.clock.now()

    def begin(self, item: str, tag: str) -> PullItem:
        """Open an item under a version. One that was under way in the same version goes on with what it has."""
        known = self.item(item)
        if known is None or known.tag != tag or known.state != UNDER_WAY:
            fresh: dict[str, Any] = {"bytes": 0, "rows": 0, "cursor": None, "etags": {}, "folder": None}
            self.note(
                item, state=UNDER_WAY, tag=tag, reason=None, delivery_no=None, manifest_sha256=None, **fresh
            )
        entry = self.item(item)
        assert entry is not None
        return entry

    def cursor(self) -> str | None:
        """Where the other side's listing goes on."""
        entry = self._connection()
        return entry.cursor if entry is not None else None

    def breaker(self, connection: Connection) -> BreakerState:
        """State of the breaker now."""
        entry = self._connection()
        return state_of(entry.opened_at if entry is not None else None, connection.breaker, self.clock.now())

    def opened_at(self) -> datetime | None:
        """Since when the breaker has been open, if it is."""
        entry = self._connection()
        return entry.opened_at if entry is not None else None

    def end(self, *, cursor: str | None, told: Mapping[str, Any]) -> None:
        """The other side answered: the breaker closes; the listing goes on at `cursor` (None: where it did)."""
        with self.database.session() as session:
            entry = self._open(session)
            entry.failures, entry.opened_at = 0, None
            entry.cursor = cursor or entry.cursor
            entry.done_at = self.clock.now()
            record(session, self.clock, ACTOR, "pull.done", self.name, dict(told))

    def fail(self, connection: Connection) -> None:
        """The other side was unavailable; enough of that in a row opens the breaker."""
        with self.database.session() as session:
            entry = self._open(session)
            entry.failures += 1
            if opens(entry.failures, connection.breaker):
                entry.opened_at = self.clock.now()
            record(session, self.clock, ACTOR, "pull.unavailable", self.name, {"failures": entry.failures})

    def sent(self) -> dict[str, str]:
        """Receipts handed back: sha256 by path."""
        with self.database.session() as session:
            found = session.scalars(select(PullReceipt).where(PullReceipt.connection == self.name))
            return {entry.receipt: entry.sha256 for entry in found}

    def note_sent(self, receipt: str, sha256: str) -> None:
        """A receipt has been handed back."""
        with self.database.session() as session:
            session.merge(
                PullReceipt(connection=self.name, receipt=receipt, sha256=sha256, sent_at=self.clock.now())
            )

    def _connection(self) -> PullConnection | None:
        with self.database.session() as session:
            return session.get(PullConnection, self.name)

    def _open(self, session: Any) -> PullConnection:
        entry = session.get(PullConnection, self.name)
        if entry is None:
            entry = PullConnection(connection=self.name, failures=0)
            session.add(entry)
        entry.tried_at = self.clock.now()
        return entry
