"""What a person decides about a delivery: let in what is held, or take back what came in. Each decision is audited by name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import GsceneError, Refusal
from core.state import Delivery, StateDatabase
from sources.delivery_receipt import issue
from sources.ledger import (
    ACCEPTED,
    GAP,
    HELD,
    QUARANTINED,
    RECEIVED,
    SUPERSEDED,
    UNITS,
    VOLUME,
    audit,
    readmit,
    refuse,
    same_feed,
)
from sources.sequence import admit_what_waited

#: What each hold is called where it was waived.
_WAIVED = {GAP: "GAP", VOLUME: "VOLUME", UNITS: "UNITS"}


def waive(state: StateDatabase, clock: Clock, delivery_no: int, by: str, reason: str) -> list[int]:
    """Let a held or quarantined delivery in, known from now on; returns the deliveries that wait for intake now.

    With a gap in the sequence, the missing numbers below are given up, and what waited for them alone is let in too.
    GsceneError where nothing holds the delivery.
    """
    _require(by, reason)
    with state.session() as session:
        entry = _entry(session, delivery_no)
        hold = _WAIVED.get(entry.reason or "") if entry.state in (HELD, QUARANTINED) else None
        if hold is None:
            raise GsceneError(
                f"delivery {delivery_no} is {entry.state}: there is nothing to waive.",
                "gscene deliveries list --state HELD --state QUARANTINED shows what waits for a decision.",
            )
        entry.waived = ",".join(filter(None, [entry.waived, hold]))
        audit(session, clock, entry, "waived", {"hold": entry.reason, "why": reason}, actor=by)
        readmit(session, clock, entry, clock.now(), f"{hold} was waived")
        admitted = admit_what_waited(session, clock, entry, clock.now()) if hold == "GAP" else []
        return [delivery_no, *admitted]


def withdraw(state: StateDatabase, clock: Clock, delivery_no: int, by: str, reason: str) -> list[int]:
    """Take a delivery back: from now on its rows are no longer known; what was known until now stays known for then.

    One that hasn't come in yet becomes REFUSED/WITHDRAWN. Rows made from its bytes later go with it. Returns the deliveries
    that it had superseded and that wait for intake now. GsceneError where there is nothing to take back.
    """
    _require(by, reason)
    with state.session() as session:
        entry = _entry(session, delivery_no)
        if entry.state in (RECEIVED, HELD, QUARANTINED):
            audit(session, clock, entry, "withdrawn", {"why": reason}, actor=by)
            refuse(session, clock, entry, _withdrawn())
            return []
        if entry.state != ACCEPTED or entry.withdrawn_at is not None:
            raise GsceneError(
                f"delivery {delivery_no} is {'withdrawn already' if entry.withdrawn_at else entry.state}.",
                "Only what is accepted, or waits, can be withdrawn.",
            )
        at = max(clock.now(), entry.received_at)
        feed = same_feed(session, entry, entry.period)
        for gone in feed:
            if gone is entry or (gone.made_from == delivery_no and gone.state == ACCEPTED):
                gone.withdrawn_at = gone.withdrawn_at or at
                audit(session, clock, gone, "withdrawn", {"why": reason}, actor=by)
                issue(session, clock, gone, "WITHDRAWN")
        return [other.delivery_no for other in feed if _stands_again(session, clock, other, feed, at)]


def _stands_again(
    session: Session, clock: Clock, entry: Delivery, feed: list[Delivery], at: datetime
) -> bool:
    """Let a superseded entry in where no standing full one of a higher revision is left."""
    higher = any(
        other.state == ACCEPTED
        and other.withdrawn_at is None
        and other.mode == "full"
        and other.revision > entry.revision
        for other in feed
    )
    if entry.state != SUPERSEDED or higher:
        return False
    readmit(session, clock, entry, at, "the revision that counted was withdrawn")
    return True


def _withdrawn() -> Refusal:
    return Refusal(
        "REFUSED/WITHDRAWN",
        "it was withdrawn before its rows came in.",
        remedy="The revision may be delivered again.",
    )


def _entry(session: Session, delivery_no: int) -> Delivery:
    entry = session.get(Delivery, delivery_no)
    if entry is None:
        raise GsceneError(f"the ledger has no delivery {delivery_no}.", "gscene deliveries list shows them.")
    return entry


def _require(by: str, reason: str) -> None:
    if not by.strip() or not reason.strip():
        raise GsceneError("a decision needs a name and a reason.", "Give --by and --reason.")
