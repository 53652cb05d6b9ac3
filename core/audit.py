"""The audit chain: each event carries the hash of the one before it, so an edited, deleted or swapped event shows.

hash_i = SHA-256(hash_{i-1} || canonical JSON of the event). A cut-off tail is found only with a head kept elsewhere:
`head` gives it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import GsceneError
from core.state import AuditEvent

_GENESIS = "0" * 64


def record(
    session: Session,
    clock: Clock,
    actor: str,
    action: str,
    object_: str,
    details: Mapping[str, Any],
) -> AuditEvent:
    """Append an event within the caller's transaction: it is kept exactly when the act it tells of is kept.

    `details` are counts, hashes and names, never row-level values.
    """
    last = session.scalars(select(AuditEvent).order_by(AuditEvent.event_no.desc()).limit(1)).first()
    previous = last.hash if last is not None else _GENESIS
    event = AuditEvent(
        event_no=(last.event_no if last is not None else 0) + 1,
        at=clock.now(),
        actor=actor,
        action=action,
        object=object_,
        details=dict(details),
        previous=previous,
    )
    event.hash = _link(event)
    session.add(event)
    session.flush()
    return event


def head(session: Session) -> str:
    """The last hash of the chain; keep it outside the database."""
    last = session.scalars(select(AuditEvent).order_by(AuditEvent.event_no.desc()).limit(1)).first()
    return last.hash if last is not None else _GENESIS


def verify(session: Session) -> int:
    """Recompute the chain; returns the number of events, GsceneError names the first event that doesn't fit."""
    previous, count = _GENESIS, 0
    for event in session.scalars(select(AuditEvent).order_by(AuditEvent.event_no)):
        count += 1
        if event.event_no != count or event.previous != previous or event.hash != _link(event):
            raise GsceneError(
                f"the audit chain is broken at event {event.event_no}.",
                "Compare the database with its last backup and tell the security officer.",
            )
        previous = event.hash
    return count


def _link(event: AuditEvent) -> str:
    body = json.dumps(
        {
            "no": event.event_no,
            "at": _utc_text(event.at),
            "actor": event.actor,
            "action": event.action,
            "object": event.object,
            "details": event.details,
        },
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return hashlib.sha256((event.previous + body).encode()).hexdigest()


def _utc_text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
