"""Intake: a received delivery becomes rows of `raw/<subject>/<table>`, whole or not at all.

The order is: bytes against the manifest before they are opened, structure, identities, counts and sums, types
and codes; then one commit to the table, then the ledger. A process killed between those two leaves a delivery
that is RECEIVED with its rows in place: readers don't see it yet (`sources.versions`), and running intake
again finds the rows and completes the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.audit import record
from core.clock import Clock
from core.errors import GsceneError, Refusal
from core.months import Month
from core.state import Delivery, LeftOut, StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_schema import TableSchema
from core.table_store import TableStore
from sources.adapter import Adapter
from sources.arrivals import ACCEPTED, ACTOR, REFUSED, recorded_refusal, tell_refusal
from sources.convert import Converted, DeliveredRows, check_control_sums, convert
from sources.delivery import Manifest, sha256_of
from sources.identity import refuse_identities
from sources.migration.rekeyed import subject_numbers
from sources.pseudonym import PseudonymKey
from sources.strict_csv import Limits, read_strict_csv
from sources.versions import folder_of_lane


@dataclass(frozen=True)
class IntakeResult:
    """What one delivery brought: delivered = accepted + sum of `left_out` by reason. `repeated`: it was in
    already.
    """

    delivery_no: int
    raw_table: str
    period: str
    delivered: int
    accepted: int
    left_out: dict[str, int]
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
) -> IntakeResult:
    """Take one delivery in. A no-op for an accepted one; raises the recorded Refusal again for a refused one.

    `registry` numbers the subjects of the adapter's kind; `archive` and `keys` are the home's folders. On a
    Refusal nothing is written but the ledger entry (reason code, place, remedy), and the same Refusal is
    raised.
    """
    with state.session() as session:
        entry = session.get(Delivery, delivery_no)
        if entry is None:
            raise GsceneError(f"the ledger has no delivery {delivery_no}.", "Receive it first.")
        if entry.state == ACCEPTED:
            return _result(entry)
        if entry.state == REFUSED:
            raise recorded_refusal(entry)
    manifest = Manifest.model_validate(entry.manifest)
    if registry.lane != entry.lane:
        raise GsceneError(
            f"delivery {delivery_no} is on the lane {entry.lane}.", "Give that lane's registry."
        )
    try:
        converted = _converted(entry, manifest, adapter, schema, archive / entry.archive, limits)
        rows = _with_subjects(converted, entry, adapter, schema, registry, keys, state)
    except Refusal as refusal:
        _refuse(state, clock, delivery_no, refusal)
        raise
    table = raw_table_of(entry)
    if rows.num_rows and not _holds(store, table, manifest.period, delivery_no):
        # No application version: deliveries of a month may be taken in in any order, and a lower number must
        # not be lost.
        store.append(table, manifest.period, rows, metadata={"delivery_no": str(delivery_no)})
    return _accept(state, clock, delivery_no, converted, adapter)


def _converted(
    entry: Delivery,
    manifest: Manifest,
    adapter: Adapter,
    schema: TableSchema,
    file: Path,
    limits: Limits | None,
) -> Converted:
    stated = manifest.file
    _check_adapter(manifest, adapter)
    if not file.is_file() or sha256_of(file) != entry.content_sha256:
        raise GsceneError(
            f"the archive no longer holds the bytes of delivery {entry.delivery_no}.",
            f"Restore {file} from backup.",
        )
    if entry.content_sha256 != stated.sha256 or file.stat().st_size != stated.bytes:
        raise Refusal(
            "REFUSED/CHECKSUM",
            "the file's bytes aren't the ones that the manifest describes.",
            file=stated.name,
            remedy="The file was cut off or changed on the way: have the source send it again.",
        )
    table = read_strict_csv(file, adapter.file, adapter.source_columns, name=stated.name, limits=limits)
    delivered = DeliveredRows(table, stated.name)
    refuse_identities(delivered)
    if delivered.rows != stated.rows:
        raise Refusal(
            "REFUSED/ROWCOUNT",
            f"{delivered.rows} rows came, the manifest says {stated.rows}.",
            file=stated.name,
            line=delivered.rows + 1,
            remedy="The export was cut off: have the source send the period again.",
        )
    check_control_sums(delivered, adapter, manifest.control_sums)
    return convert(delivered, adapter, schema, Month.parse(manifest.period))


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


def _with_subjects(
    converted: Converted,
    entry: Delivery,
    adapter: Adapter,
    schema: TableSchema,
    registry: SubjectRegistry,
    keys: Path,
    state: StateDatabase,
) -> pa.Table:
    """Rows as they lie in the raw table: subject numbers for codes, the envelope, sorted by subject."""
    codes = converted.subject_codes
    subject_ids = codes
    if adapter.key.pseudonymise:
        subject_ids = PseudonymKey.load(keys).pseudonyms(adapter.subject, adapter.code_space, codes)
    numbers = subject_numbers(state, registry, entry.source, subject_ids, codes)
    order = pa.array(np.argsort(numbers, kind="stable"))
    count = len(numbers)
    columns = {
        **{name: converted.rows.column(name) for name in converted.rows.column_names},
        "subject_no": pa.array(numbers),
        "received_at": pa.repeat(pa.scalar(entry.received_at, pa.timestamp("us", tz="UTC")), count),
        "delivery_no": pa.repeat(pa.scalar(entry.delivery_no, pa.int32()), count),
        "revision": pa.repeat(pa.scalar(entry.revision, pa.int32()), count),
    }
    target = schema.arrow_with_envelope()
    return pa.table([columns[name] for name in target.names], schema=target).take(order)


def raw_table_of(entry: Delivery) -> str:
    """Table-store name of an entry's rows: `raw/<owner>/<table>`, or `trial/…` for a platform on trial."""
    return f"{folder_of_lane(entry.lane)}/{entry.subject}/{entry.table}"


def _holds(store: TableStore, table: str, period: str, delivery_no: int) -> bool:
    """Whether the rows are there already, from a run that died before it reached the ledger."""
    if not store.exists(table):
        return False
    numbers = store.read(table, [period], columns=["delivery_no"])
    return bool(pc.any(pc.equal(numbers.column("delivery_no"), delivery_no)).as_py())


def _accept(
    state: StateDatabase, clock: Clock, delivery_no: int, converted: Converted, adapter: Adapter
) -> IntakeResult:
    with state.session() as session:
        entry = session.get_one(Delivery, delivery_no)
        if entry.state == ACCEPTED:
            return _result(entry)
        entry.state = ACCEPTED
        entry.rows_delivered = converted.delivered
        entry.rows_accepted = converted.rows.num_rows
        entry.left_out = [
            LeftOut(reason=reason, rows=rows) for reason, rows in sorted(converted.left_out.items())
        ]
        details = {
            "delivery_no": delivery_no,
            "delivered": entry.rows_delivered,
            "accepted": entry.rows_accepted,
            "left_out": dict(converted.left_out),
            "adapter_hash": adapter.definition_hash,
        }
        record(
            session,
            clock,
            ACTOR,
            "delivery.accepted",
            f"{entry.source}/{entry.table}/{entry.period}",
            details,
        )
        result = _result(entry)
    return IntakeResult(**{**vars(result), "repeated": False})


def _refuse(state: StateDatabase, clock: Clock, delivery_no: int, refusal: Refusal) -> None:
    with state.session() as session:
        entry = session.get_one(Delivery, delivery_no)
        tell_refusal(entry, refusal)
        details = {"delivery_no": delivery_no, "reason": refusal.code, "place": refusal.place}
        record(
            session, clock, ACTOR, "delivery.refused", f"{entry.source}/{entry.table}/{entry.period}", details
        )


def _result(entry: Delivery) -> IntakeResult:
    """What the ledger tells of an accepted delivery."""
    return IntakeResult(
        entry.delivery_no,
        raw_table_of(entry),
        entry.period,
        entry.rows_delivered or 0,
        entry.rows_accepted or 0,
        {left.reason: left.rows for left in entry.left_out},
        repeated=True,
    )
