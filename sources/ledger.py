"""The ledger of deliveries: its states, how an entry is made, and what each change of state leaves behind.

| state | meaning |
|---|---|
| RECEIVED | archived; waits to be taken in |
| HELD | waits for something: HELD/GAP for a lost delivery, HELD/VOLUME for a person to look at it |
| ACCEPTED | its rows are in the table (until `withdrawn_at`) |
| REFUSED | final; the reason code says why. The same revision may come again |
| SUPERSEDED | a higher full revision had come before; stored, not applied |
| QUARANTINED | QUARANTINED/UNITS: amounts look like another unit; waits for a person or for a corrected revision |

Every state but RECEIVED gives the source a receipt, in the same transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import Clock
from core.errors import Refusal
from core.state import Delivery
from sources.delivery_receipt import issue

RECEIVED, HELD, ACCEPTED = "RECEIVED", "HELD", "ACCEPTED"
REFUSED, SUPERSEDED, QUARANTINED = "REFUSED", "SUPERSEDED", "QUARANTINED"
GAP, VOLUME, UNITS = "HELD/GAP", "HELD/VOLUME", "QUARANTINED/UNITS"

#: Who acts where no person does.
ACTOR = "intake"

#: Ledger lane and the folder of the table store that its rows lie in.
FOLDERS = {"live": "raw", "trial": "trial"}


def raw_table_of(entry: Delivery) -> str:
    """`raw/<owner>/<table>`, or `trial/…` for a platform on trial."""
    return f"{FOLDERS[entry.lane]}/{entry.subject}/{entry.table}"


def object_of(entry: Delivery) -> str:
    """What the audit chain calls an entry's month."""
    return f"{entry.source}/{entry.table}/{entry.period}"


def same_feed(
    session: Session, entry: Delivery, period: str | None = None, any_lane: bool = False
) -> list[Delivery]:
    """Entries of the entry's source, table and lane (of one month or of all), in the order of their numbers. With `any_lane`
    those of a platform's time on trial too: its sequence goes on."""
    query = select(Delivery).where(
        Delivery.source == entry.source, Delivery.subject == entry.subject, Delivery.table == entry.table
    )
    if not any_lane:
        query = query.where(Delivery.lane == entry.lane)
    if period is not None:
        query = query.where(Delivery.period == period)
    return list(session.scalars(query.order_by(Delivery.delivery_no)))


def enter(session: Session, clock: Clock, entry: Delivery, refusal: Refusal | None = None) -> Delivery:
    """Add a new entry, as RECEIVED or, with a refusal, as REFUSED."""
    entry.state = RECEIVED
    session.add(entry)
    session.flush()
    if refusal is not None:
        refuse(session, clock, entry, refusal)
    else:
        audit(session, clock, entry, "received", {"sha256": entry.content_sha256})
    return entry


def refuse(session: Session, clock: Clock, entry: Delivery, refusal: Refusal) -> None:
    """The refusal's state (REFUSED, HELD or QUARANTINED, the word before the stroke), reason, place and remedy."""
    entry.state = refusal.code.partition("/")[0]
    entry.reason = refusal.code
    entry.place = refusal.place
    entry.remedy = f"{refusal.message} {refusal.remedy}".strip()
    audit(session, clock, entry, entry.state.lower(), {"reason": refusal.code, "place": refusal.place})
    issue(session, clock, entry)


def supersede(session: Session, clock: Clock, entry: Delivery, by: Delivery) -> None:
    """Stored, not applied, because `by`, a higher full revision, counts."""
    entry.state, entry.reason, entry.place = SUPERSEDED, None, None
    entry.remedy = f"Revision {by.revision} of the period (delivery {by.delivery_no}) counts."
    audit(session, clock, entry, "superseded", {"by": by.delivery_no})
    issue(session, clock, entry)


def readmit(session: Session, clock: Clock, entry: Delivery, at: datetime, why: str) -> None:
    """Back to RECEIVED. What was held is known from the moment it is let in: nothing known earlier changes by it."""
    audit(session, clock, entry, "admitted", {"why": why, "arrived": entry.received_at.isoformat()})
    entry.state, entry.reason, entry.place, entry.remedy = RECEIVED, None, None, None
    entry.received_at = max(entry.received_at, at)


def recorded_refusal(entry: Delivery) -> Refusal:
    """The refusal that a ledger entry tells of."""
    return Refusal(entry.reason or entry.state, "", file=entry.place or None, remedy=entry.remedy or "")


def audit(
    session: Session,
    clock: Clock,
    entry: Delivery,
    action: str,
    details: dict[str, Any],
    actor: str = ACTOR,
) -> None:
    """An event `delivery.<action>` about the entry."""
    told = {"delivery_no": entry.delivery_no, "revision": entry.revision, **details}
    record(session, clock, actor, f"delivery.{action}", object_of(entry), told)
