"""When a delivery came, and its entry in the ledger.

`received_at` is the one thing that decides what the bank knew when; it is taken here, on arrival, and never
from the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import Clock
from core.definition_file import Definition
from core.errors import GsceneError, Refusal
from core.state import Delivery, StateDatabase
from sources.delivery import MANIFEST_NAME, DeliveryFolder, read_delivery
from sources.migration.lanes import lane_of

SCHEDULE_NAME = "arrivals.json"
ACTOR = "intake"

#: States of a ledger entry. REFUSED is final: the period is delivered again, as a new entry.
RECEIVED, ACCEPTED, REFUSED = "RECEIVED", "ACCEPTED", "REFUSED"

Basis = Literal["observed", "replayed"]


@dataclass(frozen=True)
class Arrival:
    """A delivery folder and the moment (aware) it came; `replayed` where the moment is told, not seen."""

    folder: Path
    at: datetime
    basis: Basis

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an arrival needs an aware datetime; add a time zone")


class _Entry(Definition):
    folder: str
    at: AwareDatetime
    basis: Basis = "replayed"


class _Schedule(Definition):
    format: Literal["gscene-arrivals/1"]
    arrivals: tuple[_Entry, ...]


def read_schedule(path: Path) -> list[Arrival]:
    """Arrivals listed in an inbox's `arrivals.json`, in order of time; folders are relative to the file."""
    try:
        schedule = _Schedule.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        told = (
            error.errors(include_input=False, include_url=False)[0]["msg"]
            if isinstance(error, ValidationError)
            else type(error).__name__
        )
        raise GsceneError(
            f"{path} isn't a schedule of arrivals: {told}.",
            "Make the inbox again; the form is gscene-arrivals/1.",
        ) from None
    arrivals = [Arrival(path.parent / entry.folder, entry.at, entry.basis) for entry in schedule.arrivals]
    return sorted(arrivals, key=lambda arrival: (arrival.at, str(arrival.folder)))


def write_schedule(path: Path, arrivals: Sequence[Arrival]) -> None:
    """Write `arrivals.json`; every folder lies below the file's own."""
    entries = [
        {
            "folder": arrival.folder.relative_to(path.parent).as_posix(),
            "at": arrival.at.isoformat(),
            "basis": arrival.basis,
        }
        for arrival in sorted(arrivals, key=lambda arrival: (arrival.at, str(arrival.folder)))
    ]
    body = {"format": "gscene-arrivals/1", "arrivals": entries}
    path.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def observed(inbox: Path, clock: Clock) -> list[Arrival]:
    """Every delivery that lies in an inbox now, as arrived now; those in the ledger already are recognised by
    `receive`.
    """
    folders = sorted(manifest.parent for manifest in inbox.glob(f"*/*/*/{MANIFEST_NAME}"))
    return [Arrival(folder, clock.now(), "observed") for folder in folders]


def receive(arrival: Arrival, archive: Path, state: StateDatabase, clock: Clock) -> int:
    """Archive the bytes and enter the delivery in the ledger as RECEIVED; returns its delivery_no.

    The same bytes again are a no-op that returns the earlier number. Other bytes for a (source, subject,
    table, period, revision) that isn't refused are REFUSED/CONFLICT; after a refusal the revision may come
    again. Raises Refusal for a conflict and for a manifest that can't be read; both are in the ledger too,
    and the accepted delivery is untouched.
    """
    try:
        delivery = read_delivery(arrival.folder)
    except Refusal as refusal:
        with state.session() as session:
            if _already_refused(session, arrival, refusal) is None:
                _enter(session, clock, arrival, _unreadable(arrival), refusal)
        raise
    content = _archive(delivery, archive)
    with state.session() as session:
        same = _same_revision(session, delivery)
        for entry in same:
            again = entry.content_sha256 == content and entry.manifest == delivery.manifest.model_dump(
                mode="json"
            )
            if again and (entry.state != REFUSED or entry.received_at == arrival.at):
                return _repeated(session, clock, arrival, entry)
        standing = next((entry for entry in same if entry.state != REFUSED), None)
        refusal_ = None
        if standing is not None:
            refusal_ = Refusal(
                "REFUSED/CONFLICT",
                f"revision {delivery.manifest.revision} of this period came before, with other content "
                f"(delivery {standing.delivery_no}).",
                file=MANIFEST_NAME,
                remedy="Have the source send the correction under the next revision number.",
            )
        described = _described(delivery, content)
        try:
            described["lane"] = lane_of(session, delivery.manifest.source)
        except Refusal as retired:
            refusal_ = refusal_ or retired
        number = _enter(session, clock, arrival, described, refusal_)
    if refusal_ is not None:
        raise refusal_
    return number


def _same_revision(session: Session, delivery: DeliveryFolder) -> list[Delivery]:
    sent = delivery.manifest
    return list(
        session.scalars(
            select(Delivery)
            .where(
                Delivery.source == sent.source,
                Delivery.subject == str(sent.subject),
                Delivery.table == sent.table,
                Delivery.period == sent.period,
                Delivery.revision == sent.revision,
            )
            .order_by(Delivery.delivery_no)
        )
    )


def _repeated(session: Session, clock: Clock, arrival: Arrival, entry: Delivery) -> int:
    if entry.received_at != arrival.at:
        details = {"delivery_no": entry.delivery_no, "at": arrival.at.isoformat()}
        record(
            session,
            clock,
            ACTOR,
            "delivery.duplicate",
            f"{entry.source}/{entry.table}/{entry.period}",
            details,
        )
    if entry.reason == "REFUSED/CONFLICT":
        raise recorded_refusal(entry)
    return entry.delivery_no


def recorded_refusal(entry: Delivery) -> Refusal:
    """The refusal that a ledger entry tells of."""
    return Refusal(entry.reason or "REFUSED", "", file=entry.place or None, remedy=entry.remedy or "")


def _already_refused(session: Session, arrival: Arrival, refusal: Refusal) -> int | None:
    return session.scalars(
        select(Delivery.delivery_no).where(
            Delivery.manifest_sha256 == _manifest_sha256(arrival.folder),
            Delivery.received_at == arrival.at,
            Delivery.reason == refusal.code,
        )
    ).first()


def _manifest_sha256(folder: Path) -> str:
    """Stands for an unreadable manifest; a folder without one by its name."""
    path = folder / MANIFEST_NAME
    body = path.read_bytes() if path.is_file() else f"missing:{folder.name}".encode()
    return hashlib.sha256(body).hexdigest()


def _unreadable(arrival: Arrival) -> dict[str, Any]:
    """What the folder's place tells of a delivery whose manifest can't be read."""
    folder = arrival.folder
    subject, _, table = folder.parent.name.partition(".")
    period, _, revision = folder.name.partition("-r")
    return {
        "source": folder.parent.parent.name,
        "adapter": "",
        "subject": subject,
        "table": table,
        "period": period,
        "revision": int(revision) if revision.isdecimal() and len(revision) < 9 else 0,
        "mode": "",
        "manifest_sha256": _manifest_sha256(folder),
        "content_sha256": "",
        "manifest": {},
        "archive": "",
    }


def _described(delivery: DeliveryFolder, content: str) -> dict[str, Any]:
    sent = delivery.manifest
    return {
        "source": sent.source,
        "adapter": sent.adapter,
        "subject": str(sent.subject),
        "table": sent.table,
        "period": sent.period,
        "revision": sent.revision,
        "mode": sent.mode,
        "manifest_sha256": delivery.manifest_sha256,
        "content_sha256": content,
        "manifest": sent.model_dump(mode="json"),
        "archive": content,
    }


def _enter(
    session: Session, clock: Clock, arrival: Arrival, described: dict[str, Any], refusal: Refusal | None
) -> int:
    entry = Delivery(
        **described,
        received_at=arrival.at,
        basis=arrival.basis,
        state=RECEIVED if refusal is None else REFUSED,
    )
    if refusal is not None:
        tell_refusal(entry, refusal)
    session.add(entry)
    session.flush()
    record(
        session,
        clock,
        ACTOR,
        "delivery.received" if refusal is None else "delivery.refused",
        f"{entry.source}/{entry.table}/{entry.period}",
        {
            "delivery_no": entry.delivery_no,
            "revision": entry.revision,
            "sha256": entry.content_sha256,
            "reason": entry.reason,
        },
    )
    return entry.delivery_no


def tell_refusal(entry: Delivery, refusal: Refusal) -> None:
    """Write a refusal into a ledger entry."""
    entry.state = REFUSED
    entry.reason = refusal.code
    entry.place = refusal.place
    entry.remedy = f"{refusal.message} {refusal.remedy}".strip()


def _archive(delivery: DeliveryFolder, archive: Path) -> str:
    """Copy the data file to `<archive>/<sha256>` and return the sha256; what is there already stays."""
    archive.mkdir(parents=True, exist_ok=True)
    part = archive / f".{secrets.token_hex(8)}.part"
    digest = hashlib.sha256()
    try:
        with delivery.data.open("rb") as source, part.open("xb") as target:
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        final = archive / digest.hexdigest()
        if not final.exists():
            part.replace(final)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest()
