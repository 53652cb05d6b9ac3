"""When a delivery came, and its entry in the ledger.

`received_at` is the one thing that decides what the bank knew when; it is taken here, on arrival, and never
from the file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.definition_file import Definition
from core.errors import GsceneError, Refusal
from core.kill_point import kill_point
from core.months import Month
from core.state import Delivery, Redaction, StateDatabase
from sources.delivery import MANIFEST_NAME, NAME, DeliveryFolder, read_delivery
from sources.delivery_receipt import write_receipts
from sources.ledger import REFUSED, audit, enter, recorded_refusal
from sources.migration.lanes import lane_of
from sources.sequence import admit_what_waited, check_number, hold_where_gapped
from sources.signature import SIGNATURE_NAME, check_signature

SCHEDULE_NAME = "arrivals.json"

Basis = Literal["observed", "replayed"]

#: Free space that must be there before a delivery is archived, as a multiple of its size: archive, rows, and the rest.
_FREE = 3


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


def receive(
    arrival: Arrival,
    archive: Path,
    state: StateDatabase,
    clock: Clock,
    *,
    trust: Path | None = None,
    receipts: Path | None = None,
    keys: Path | None = None,
) -> int:
    """Archive the bytes and enter the delivery in the ledger as RECEIVED (or HELD/GAP); returns its delivery_no.

    The same bytes again are a no-op that returns the earlier number. Other bytes for a (source, subject,
    table, period, revision) that isn't refused are REFUSED/CONFLICT; after a refusal the revision may come
    again. Raises Refusal for a conflict, a manifest that can't be read, and a signature or sequence that doesn't fit; all
    are in the ledger too, with a receipt, and the accepted delivery is untouched.

    `trust` (public keys of the sources), `receipts` and `keys` are the home's folders, which lie beside the archive.
    """
    home = archive.parent
    try:
        number, refusal = _receive(arrival, archive, state, clock, trust or home / "trust")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _no_space(archive) from None
    kill_point("receive.after_ledger")
    write_receipts(state, receipts or home / "out" / "receipts", keys or home / "keys", number)
    if refusal is not None:
        raise refusal
    return number


def _receive(
    arrival: Arrival, archive: Path, state: StateDatabase, clock: Clock, trust: Path
) -> tuple[int, Refusal | None]:
    redacted = _redacted(state, arrival)
    if redacted is not None:
        return redacted, None
    try:
        delivery = read_delivery(arrival.folder)
        signature = arrival.folder / SIGNATURE_NAME
        signed_by = check_signature(delivery.body, signature, delivery.manifest.source, trust)
    except Refusal as refusal:
        with _one_at_a_time(archive), state.session() as session:
            known = _already_refused(session, arrival, refusal)
            if known is None:
                known = enter(session, clock, _unreadable(arrival), refusal).delivery_no
            return known, refusal
    content = _archived(delivery, archive, signed_by is not None)
    kill_point("receive.after_archive")
    with _one_at_a_time(archive), state.session() as session:
        for digest in content:
            if session.get(Redaction, digest) is not None:
                # These very bytes came before and subjects have been erased from them: what was left of them counts.
                (archive / digest).unlink(missing_ok=True)
        return _entered(session, clock, arrival, _described(delivery, arrival, content, signed_by))


def _redacted(state: StateDatabase, arrival: Arrival) -> int | None:
    """The accepted delivery of this very manifest, where subjects have been erased from its archived bytes: those bytes aren't
    looked at again.
    """
    with state.session() as session:
        query = select(Delivery).where(
            Delivery.manifest_sha256 == _manifest_sha256(arrival.folder), Delivery.state != REFUSED
        )
        for entry in session.scalars(query):
            if any(session.get(Redaction, digest) is not None for digest in entry.archive.split()):
                return entry.delivery_no
    return None


def _entered(session: Session, clock: Clock, arrival: Arrival, entry: Delivery) -> tuple[int, Refusal | None]:
    same = [other for other in _same_revision(session, entry) if other.reason != "REFUSED/SIGNATURE"]
    for other in same:
        again = other.content_sha256 == entry.content_sha256 and other.manifest == entry.manifest
        if again and (other.state != REFUSED or other.received_at == arrival.at):
            return _repeated(session, clock, arrival, other)
    standing = next((other for other in same if other.state != REFUSED), None)
    refusal = _put_on_lane(session, entry)
    refusal = refusal or (_conflict(standing) if standing is not None else check_number(session, entry))
    enter(session, clock, entry, refusal)
    if refusal is None and entry.sequence is not None:
        hold_where_gapped(session, clock, entry)
    if entry.sequence is not None:
        admit_what_waited(session, clock, entry, arrival.at)
    return entry.delivery_no, refusal


def _put_on_lane(session: Session, entry: Delivery) -> Refusal | None:
    """Live, or on trial while a platform migration says so; the refusal where its source has been retired."""
    try:
        entry.lane = lane_of(session, entry.source)
    except Refusal as retired:
        return retired
    return None


def _conflict(standing: Delivery) -> Refusal:
    return Refusal(
        "REFUSED/CONFLICT",
        f"revision {standing.revision} of this period came before, with other content "
        f"(delivery {standing.delivery_no}).",
        file=MANIFEST_NAME,
        remedy="Have the source send the correction under the next revision number.",
    )


def _same_revision(session: Session, entry: Delivery) -> list[Delivery]:
    return list(
        session.scalars(
            select(Delivery)
            .where(
                Delivery.source == entry.source,
                Delivery.subject == entry.subject,
                Delivery.table == entry.table,
                Delivery.period == entry.period,
                Delivery.revision == entry.revision,
                Delivery.made_from.is_(None),
            )
            .order_by(Delivery.delivery_no)
        )
    )


def _repeated(
    session: Session, clock: Clock, arrival: Arrival, entry: Delivery
) -> tuple[int, Refusal | None]:
    if entry.received_at != arrival.at:
        audit(session, clock, entry, "duplicate", {"at": arrival.at.isoformat()})
    conflict = entry.reason in ("REFUSED/CONFLICT", "REFUSED/SEQUENCE")
    return entry.delivery_no, recorded_refusal(entry) if conflict else None


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
    small = path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 24
    return hashlib.sha256(path.read_bytes() if small else f"missing:{folder.name}".encode()).hexdigest()


def _unreadable(arrival: Arrival) -> Delivery:
    """What the folder's place tells of a delivery whose manifest can't be read or believed; names that aren't of the form
    (a file name may hold anything) are left out.
    """
    folder = arrival.folder
    subject, _, table = folder.parent.name.partition(".")
    period, _, revision = folder.name.partition("-r")
    return Delivery(
        source=_name(folder.parent.parent.name),
        adapter="",
        subject=_name(subject),
        table=_name(table),
        period=_month(period),
        revision=int(revision) if re.fullmatch(r"[0-9]{1,8}", revision) else 0,
        mode="",
        manifest_sha256=_manifest_sha256(folder),
        content_sha256="",
        manifest={},
        archive="",
        received_at=arrival.at,
        basis=arrival.basis,
        lane="live",
        waived="",
    )


def _name(text: str) -> str:
    return text if re.fullmatch(NAME, text) and len(text) <= 80 else "unknown"


def _month(text: str) -> str:
    try:
        return str(Month.parse(text))
    except ValueError:
        return "unknown"


def _described(
    delivery: DeliveryFolder, arrival: Arrival, content: list[str], signed_by: str | None
) -> Delivery:
    sent = delivery.manifest
    return Delivery(
        source=sent.source,
        adapter=sent.adapter,
        subject=str(sent.subject),
        table=sent.table,
        period=sent.period,
        revision=sent.revision,
        mode=sent.mode,
        manifest_sha256=delivery.manifest_sha256,
        content_sha256=_together(content),
        manifest=sent.model_dump(mode="json"),
        archive=" ".join(content),
        received_at=arrival.at,
        basis=arrival.basis,
        lane="live",
        sequence=sent.sequence,
        previous_sha256=sent.previous_manifest_sha256,
        signed_by=signed_by,
        waived="",
    )


def archived_files(entry: Delivery, archive: Path) -> list[Path]:
    """Where the bytes of a delivery's files lie, in the manifest's order."""
    return [archive / digest for digest in entry.archive.split()]


def _together(digests: list[str]) -> str:
    """One sha256 for all files of a delivery; of a single file its own."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _archived(delivery: DeliveryFolder, archive: Path, signed: bool) -> list[str]:
    """Copy manifest, good signature and data files into the archive, each under its sha256; returns those of the data files."""
    archive.mkdir(parents=True, exist_ok=True)
    size = sum(data.stat().st_size for data in delivery.data)
    if shutil.disk_usage(archive).free < _FREE * size:
        raise _no_space(archive)
    digests = [_archive_file(data, archive) for data in delivery.data]
    manifest = archive / delivery.manifest_sha256
    if not manifest.exists():
        _archive_file(delivery.folder / MANIFEST_NAME, archive)
    if signed:
        manifest.with_suffix(".sig").write_bytes((delivery.folder / SIGNATURE_NAME).read_bytes())
    _sync_folder(archive)
    return digests


def _archive_file(file: Path, archive: Path) -> str:
    """Copy one file to `<archive>/<sha256>`; what is there already stays."""
    part = archive / f".{secrets.token_hex(8)}.part"
    digest = hashlib.sha256()
    try:
        with file.open("rb") as source, part.open("xb") as target:
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


def _sync_folder(folder: Path) -> None:
    """The new names are on disk before the ledger tells of them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_space(archive: Path) -> GsceneError:
    return GsceneError(
        f"there is too little free space in {archive}; a delivery needs {_FREE} times its size.",
        "Free some space and run the same command again: nothing was entered.",
    )


@contextmanager
def _one_at_a_time(archive: Path) -> Iterator[None]:
    """Two processes that receive at once would both find a revision or a number free."""
    from filelock import FileLock

    archive.mkdir(parents=True, exist_ok=True)
    with FileLock(str(archive / ".ledger.lock")):
        yield
