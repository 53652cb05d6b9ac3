"""The sequence of a feed's deliveries: a lost one is noticed, because what comes after it is held.

Sources may number the deliveries of one feed from 1 and name the manifest before (`previous_manifest_sha256`). A delivery
counts as come once its manifest was readable, its signature good and its number its own, whatever became of its rows: a
refused file isn't a lost one. An operator may waive a gap (audited); the numbers below the waived delivery then aren't
waited for any more.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import Refusal
from core.state import Delivery
from sources.ledger import GAP, HELD, REFUSED, readmit, refuse, same_feed

#: A delivery refused for these reasons doesn't hold the number that it claims.
_NOT_COME = ("REFUSED/SIGNATURE", "REFUSED/SEQUENCE")


def check_number(session: Session, entry: Delivery) -> Refusal | None:
    """Why the entry can't have its sequence number: another delivery has it, or the one before isn't what it says."""
    if entry.sequence is None:
        return None
    come = _come(session, entry)
    if any(
        other.sequence == entry.sequence
        and other.state != REFUSED
        and other.manifest_sha256 != entry.manifest_sha256
        for other in come
    ):
        return _refusal("the sequence number belongs to another delivery of this feed")
    return _broken_chain(entry, come)


def hold_where_gapped(session: Session, clock: Clock, entry: Delivery) -> None:
    """HELD/GAP where a lower number of the feed has not come."""
    missing = missing_numbers(session, entry)
    if missing:
        shown = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        refuse(
            session,
            clock,
            entry,
            Refusal(
                GAP,
                f"the feed's deliveries {shown} have not come.",
                file="manifest.json",
                remedy="It is let in when they come; if they never will, waive the gap: gscene deliveries waive.",
            ),
        )


def admit_what_waited(session: Session, clock: Clock, entry: Delivery, at: datetime) -> list[int]:
    """Let in what the feed's gap held and is whole now, in the order of the numbers; returns their delivery numbers."""
    admitted = []
    held = [other for other in same_feed(session, entry) if (other.state, other.reason) == (HELD, GAP)]
    for other in sorted(held, key=lambda other: other.sequence or 0):
        if missing_numbers(session, other):
            break
        broken = _broken_chain(other, _come(session, other))
        if broken is not None:
            refuse(session, clock, other, broken)
            continue
        readmit(session, clock, other, at, "the gap was filled")
        admitted.append(other.delivery_no)
    return admitted


def missing_numbers(session: Session, entry: Delivery) -> list[int]:
    """Sequence numbers below the entry's that have not come and aren't waived, ascending; at most a hundred."""
    if entry.sequence is None:
        return []
    come = _come(session, entry)
    floor = max((other.sequence or 0 for other in come if "GAP" in other.waived.split(",")), default=0)
    here = {other.sequence for other in come}
    missing = []
    for number in range(floor + 1, entry.sequence):
        if number not in here:
            missing.append(number)
            if len(missing) == 100:
                break
    return missing


def _come(session: Session, entry: Delivery) -> list[Delivery]:
    return [
        other
        for other in same_feed(session, entry, any_lane=True)
        if other.sequence is not None and other.reason not in _NOT_COME and other.made_from is None
    ]


def _broken_chain(entry: Delivery, come: list[Delivery]) -> Refusal | None:
    before = {other.manifest_sha256 for other in come if other.sequence == (entry.sequence or 0) - 1}
    if entry.previous_sha256 is None or not before or entry.previous_sha256 in before:
        return None
    return _refusal("the manifest before it in the sequence isn't the one that came")


def _refusal(message: str) -> Refusal:
    return Refusal(
        "REFUSED/SEQUENCE",
        f"{message}.",
        file="manifest.json",
        remedy="Have the source number its deliveries from 1 without a gap, and name the manifest before each.",
    )
