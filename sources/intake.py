"""Intake: a received delivery becomes rows of `raw/<owner>/<table>` (`trial/…` on the trial lane), whole or not at all.

The order is: bytes against the manifest before they are opened; then, in a process of its own, structure, identities, counts
and sums, types and codes; what is well-formed and still can't be right; then one commit to the table, then the ledger. A
process killed between those two leaves a delivery that is RECEIVED with its rows in place: readers don't see it yet
(`sources.versions`), and running intake again finds the rows and completes the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import GsceneError, Refusal
from core.kill_point import kill_point
from core.row_keys import order_of
from core.state import Delivery, LeftOut, StateDatabase
from core.subject import SubjectKind, owner_of
from core.subject_registry import SubjectRegistry
from core.table_schema import TableSchema
from core.table_store import TableStore
from sources.adapter import Adapter
from sources.arrivals import archived_files
from sources.canary_ids import known_canaries
from sources.confined_reader import ConfinedReader, Reader
from sources.convert import Converted
from sources.delivery import Manifest, sha256_of
from sources.delivery_receipt import issue, write_receipts
from sources.doubt import Judged, judge
from sources.file_format import Limits
from sources.ledger import (
    ACCEPTED,
    HELD,
    QUARANTINED,
    RECEIVED,
    SUPERSEDED,
    UNITS,
    VOLUME,
    audit,
    raw_table_of,
    recorded_refusal,
    refuse,
    same_feed,
    standing_full,
    supersede,
)
from sources.migration.rekeyed import subject_numbers
from sources.pseudonym import PseudonymKey
from sources.quarantine import RELEASED, held_positions, hold, without_collisions
from sources.reading import ReadingJob
from sources.redaction import checked_redacted, redact_erased, redaction_of


@dataclass(frozen=True)
class IntakeResult:
    """What one delivery brought, in source rows: delivered = accepted + sum of `left_out` by reason + quarantined.
    `repeated`: it was settled already. A superseded delivery brings nothing.
    """

    delivery_no: int
    raw_table: str
    period: str
    state: str
    delivered: int
    accepted: int
    left_out: dict[str, int]
    quarantined: int = 0
    repeated: bool = False


def take_in(
    delivery_no: int,
    adapter: Adapter,
    schema: TableSchema,
    *,
    store: TableStore,
    registry: SubjectRegistry,
    state: StateDatabase,
    archive: Path,
    keys: Path,
    clock: Clock,
    limits: Limits | None = None,
    reader: Reader | None = None,
    receipts: Path | None = None,
) -> IntakeResult:
    """Take one delivery in. A no-op for an accepted or superseded one; raises the recorded Refusal again for one that is
    refused, held or quarantined.

    `registry` numbers the subjects of the adapter's kind; `archive` and `keys` are the home's folders. `reader` reads the
    files, by default in a confined process. On a Refusal nothing is written but the ledger entry (reason code, place,
    remedy) and the source's receipt, and the same Refusal is raised.
    """
    folder = receipts or archive.parent / "out" / "receipts"
    try:
        result = _take_in(
            delivery_no, adapter, schema, store, registry, state, archive, keys, clock, limits or Limits(),
            reader or confined_reader().read,
        )  # fmt: skip
    finally:
        write_receipts(state, folder, keys, delivery_no)
    kill_point("intake.after_receipt")
    # Arrow keeps what it freed; the next delivery is read by another process, which needs the room (150 MB at 600,000 rows).
    pa.default_memory_pool().release_unused()
    return result


#: Refusals of files whose cells could be read: what is wrong is what they say.
_WELL_FORMED = frozenset(
    f"REFUSED/{what}"
    for what in (
        "IDENTITY",
        "UNKEYED",
        "ROWCOUNT",
        "CONTROL_SUM",
        "TYPE",
        "CODE",
        "RANGE",
        "PERIOD",
        "KEY",
        "QUARANTINE",
    )
)


@cache
def confined_reader() -> ConfinedReader:
    """The one warm reading process of this program."""
    return ConfinedReader()


def _take_in(
    delivery_no: int,
    adapter: Adapter,
    schema: TableSchema,
    store: TableStore,
    registry: SubjectRegistry,
    state: StateDatabase,
    archive: Path,
    keys: Path,
    clock: Clock,
    limits: Limits,
    reader: Reader,
) -> IntakeResult:
    with state.session() as session:
        entry = session.get(Delivery, delivery_no)
        if entry is None:
            raise GsceneError(f"the ledger has no delivery {delivery_no}.", "Receive it first.")
        if entry.state != RECEIVED:
            return _settled(entry)
        by = superseded_by(session, entry)
        if by is not None:
            supersede(session, clock, entry, by)
            return replace(_result(entry), repeated=False)
        only = held_positions(session, store, entry) if entry.basis == RELEASED else None

    def read() -> Converted:
        job = reading_job(entry, adapter, schema, archive, limits, state)
        return reader(replace(job, only=only, canaries=known_canaries(keys)))

    try:
        converted = read()
    except Refusal as refusal:
        if refusal.code in _WELL_FORMED:
            # A refused delivery stays in the archive too.
            redact_erased(entry.archive.split(), adapter, schema, archive, keys, state, registry, clock)
        _refuse(state, clock, delivery_no, refusal)
        raise
    if redact_erased(entry.archive.split(), adapter, schema, archive, keys, state, registry, clock):
        converted = read()
    kill_point("intake.after_read")
    with store.writer(raw_table_of(entry) + ".intake"):
        return _settle(delivery_no, converted, adapter, schema, store, registry, state, keys, clock)


def _settle(
    delivery_no: int,
    converted: Converted,
    adapter: Adapter,
    schema: TableSchema,
    store: TableStore,
    registry: SubjectRegistry,
    state: StateDatabase,
    keys: Path,
    clock: Clock,
) -> IntakeResult:
    """Judge, write and account for converted rows; whoever holds the table's intake lock is alone with it."""
    with state.session() as session:
        entry = session.get_one(Delivery, delivery_no)
        if entry.state != RECEIVED:
            # Another process was here while we read.
            return _settled(entry)
        judged = judge(session, entry, converted, adapter, schema, converted.accepted)
        if judged.doubt is not None:
            entry.rows_delivered, entry.warnings = converted.delivered, judged.warnings
            refuse(session, clock, entry, judged.doubt)
    if judged.doubt is not None:
        raise judged.doubt
    table = raw_table_of(entry)
    numbered = registry_of(entry, registry, store)
    try:
        rows = with_subjects(converted, entry, adapter, schema, numbered, keys, state)
    except Refusal as refusal:
        _refuse(state, clock, delivery_no, refusal)
        raise
    if entry.basis == RELEASED:
        converted, rows = without_collisions(converted, rows, entry, schema, store, state)
    kill_point("intake.after_subjects")
    if rows.num_rows and not _holds(store, table, entry.period, delivery_no):
        # No application version: deliveries of a month may be taken in in any order, and a lower number must
        # not be lost.
        store.append(table, entry.period, rows, metadata={"delivery_no": str(delivery_no)})
    kill_point("intake.after_append")
    with state.session() as session:
        result = _accept(
            session, store, clock, session.get_one(Delivery, delivery_no), converted, adapter, judged
        )
    kill_point("intake.after_ledger")
    return result


def reading_job(
    entry: Delivery,
    adapter: Adapter,
    schema: TableSchema,
    archive: Path,
    limits: Limits,
    state: StateDatabase,
) -> ReadingJob:
    """The bytes are the archived ones and the ones that the manifest describes; only then may anybody open them. Files that
    subjects have been erased from were checked when they came: what was left of them is read.
    """
    manifest = Manifest.model_validate(entry.manifest)
    _check_adapter(manifest, adapter)
    paths = archived_files(entry, archive)
    for place, (path, stated) in enumerate(zip(paths, manifest.files, strict=True)):
        redaction = redaction_of(state, path.name)
        if redaction is not None:
            paths[place] = checked_redacted(archive, redaction)
            continue
        if not path.is_file() or sha256_of(path) != path.name:
            raise GsceneError(
                f"the archive no longer holds the bytes of delivery {entry.delivery_no}.",
                f"Restore {path} from backup.",
            )
        if path.name != stated.sha256 or path.stat().st_size != stated.bytes:
            raise Refusal(
                "REFUSED/CHECKSUM",
                "the file's bytes aren't the ones that the manifest describes.",
                file=stated.name,
                remedy="The file was cut off or changed on the way: have the source send it again.",
            )
    return ReadingJob.of(manifest, paths, adapter, schema, limits)


def _check_adapter(manifest: Manifest, adapter: Adapter) -> None:
    said = (manifest.adapter, manifest.source, manifest.subject, manifest.table)
    known = (adapter.adapter, adapter.source, adapter.subject, adapter.target)
    if said != known:
        differing = [
            word
            for word, ours, theirs in zip(("adapter", "source", "subject", "table"), known, said, strict=True)
            if ours != theirs
        ]
        raise Refusal(
            "REFUSED/MANIFEST",
            f"{', '.join(differing)} of the manifest isn't that of the adapter {adapter.adapter}.",
            file="manifest.json",
            remedy="Have the source name the feed that was agreed.",
        )


def superseded_by(session: Session, entry: Delivery) -> Delivery | None:
    """A standing full delivery of a higher revision of the same month that had come before this one."""
    return next(
        (
            other
            for other in standing_full(session, entry)
            if other.period == entry.period
            and other.revision > entry.revision
            and other.received_at <= entry.received_at
        ),
        None,
    )


def registry_of(entry: Delivery, registry: SubjectRegistry, store: TableStore) -> SubjectRegistry:
    """A platform on trial numbers its subjects apart, so that the live numbering knows nothing of it."""
    if entry.lane == registry.lane:
        return registry
    return SubjectRegistry(store, owner_of(entry.subject), "trial" if entry.lane == "trial" else "live")


def with_subjects(
    converted: Converted,
    entry: Delivery,
    adapter: Adapter,
    schema: TableSchema,
    registry: SubjectRegistry,
    keys: Path,
    state: StateDatabase,
    add: bool = True,
) -> pa.Table:
    """Rows as they lie in the raw table: subject numbers for codes, the envelope, sorted by subject. Without `add`, subjects
    that nobody has numbered yet are -1.
    """
    if not schema.has_subject:
        return enveloped(converted, entry, schema, None)
    codes = converted.subject_codes
    subject_ids = codes
    if adapter.pseudonymises:
        kind = SubjectKind(adapter.subject)
        subject_ids = PseudonymKey.load(keys).pseudonyms(kind, adapter.code_space, codes)
    numbers = subject_numbers(state, registry, entry.source, subject_ids, codes, add)
    return enveloped(converted, entry, schema, numbers)


def enveloped(
    converted: Converted, entry: Delivery, schema: TableSchema, numbers: np.ndarray | None
) -> pa.Table:
    """`with_subjects` where the subject numbers (rows,) are known; None for a table about no subject."""
    count = converted.rows.num_rows
    columns = {name: converted.rows.column(name) for name in converted.rows.column_names}
    order = None
    if numbers is not None:
        columns["subject_no"] = pa.array(numbers)
        order = order_of(numbers)
    columns["received_at"] = pa.repeat(pa.scalar(entry.received_at, pa.timestamp("us", tz="UTC")), count)
    columns["delivery_no"] = pa.repeat(pa.scalar(entry.delivery_no, pa.int32()), count)
    columns["revision"] = pa.repeat(pa.scalar(entry.revision, pa.int32()), count)
    target = schema.arrow_with_envelope()
    rows = pa.table([columns[name] for name in target.names], schema=target)
    return rows if order is None else rows.take(pa.array(order))


def _holds(store: TableStore, table: str, period: str, delivery_no: int) -> bool:
    """Whether the rows are there already, from a run that died before it reached the ledger."""
    if not store.exists(table):
        return False
    numbers = store.read(table, [period], columns=["delivery_no"])
    return bool(pc.any(pc.equal(numbers.column("delivery_no"), delivery_no)).as_py())


def _accept(
    session: Session,
    store: TableStore,
    clock: Clock,
    entry: Delivery,
    converted: Converted,
    adapter: Adapter,
    judged: Judged,
) -> IntakeResult:
    """Enter in the ledger what is in the table; all of it in the caller's transaction."""
    entry.state, entry.reason, entry.place, entry.remedy = ACCEPTED, None, None, None
    entry.rows_delivered = converted.delivered
    entry.rows_accepted = converted.accepted
    entry.rows_made = converted.rows.num_rows
    hold(session, store, entry, converted)
    told = {"absorbed": converted.absorbed} if converted.absorbed else {}
    entry.figures, entry.warnings = dict(judged.figures), (judged.warnings | told) or None
    entry.left_out = [LeftOut(reason=reason, rows=n) for reason, n in sorted(converted.left_out.items())]
    details = {
        "delivered": entry.rows_delivered,
        "accepted": entry.rows_accepted,
        "left_out": dict(converted.left_out),
        "quarantined": entry.rows_quarantined,
        "warnings": sorted(judged.warnings),
        "adapter_hash": adapter.definition_hash,
    }
    audit(session, clock, entry, "accepted", details)
    issue(session, clock, entry)
    if entry.mode == "full":
        _replace_what_waits(session, clock, entry)
    return replace(_result(entry), repeated=False)


def _replace_what_waits(session: Session, clock: Clock, entry: Delivery) -> None:
    """A whole corrected revision settles what a lower one was held for."""
    for other in same_feed(session, entry, entry.period):
        if (
            other.revision < entry.revision
            and other.reason in (UNITS, VOLUME)
            and other.state in (HELD, QUARANTINED)
        ):
            supersede(session, clock, other, entry)


def _refuse(state: StateDatabase, clock: Clock, delivery_no: int, refusal: Refusal) -> None:
    with state.session() as session:
        entry = session.get_one(Delivery, delivery_no)
        if entry.state == RECEIVED:
            refuse(session, clock, entry, refusal)


def _settled(entry: Delivery) -> IntakeResult:
    """What became of a delivery that doesn't wait any more."""
    if entry.state in (ACCEPTED, SUPERSEDED):
        return _result(entry)
    raise recorded_refusal(entry)


def _result(entry: Delivery) -> IntakeResult:
    """What the ledger tells of a settled delivery."""
    return IntakeResult(
        entry.delivery_no,
        raw_table_of(entry),
        entry.period,
        entry.state,
        entry.rows_delivered or 0,
        entry.rows_accepted or 0,
        {left.reason: left.rows for left in entry.left_out},
        entry.rows_quarantined or 0,
        repeated=True,
    )
