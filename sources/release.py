"""Reading held rows again after their adapter was mended: what is readable now comes in as a new entry of the ledger.

The new entry is made from the archived bytes of the first (`made_from`), adds to its revision, and is known from now on: what
was known earlier never changes. Rows that can't be read still stay held, and so do rows whose business key came in with the
same delivery: which of the two is right, the source must say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import GsceneError
from core.state import Delivery, StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_schema import TableSchema
from core.table_store import TableStore
from sources.adapter import Adapter
from sources.confined_reader import Reader
from sources.file_format import Limits
from sources.intake import confined_reader, reading_job, registry_of, superseded_by, take_in, with_subjects
from sources.ledger import ACCEPTED, RECEIVED, audit
from sources.quarantine import RELEASED, held_positions, held_rows, without_collisions


@dataclass(frozen=True)
class Released:
    """What reading the held rows of delivery `delivery_no` again brought: the new entry (None where nothing was readable), how
    many source rows it settled, and how many are held still.
    """

    delivery_no: int
    made: int | None
    rows: int
    still_held: int


def release(
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
) -> Released:
    """Read the held rows of one accepted delivery again. A no-op where none is readable, where none is held, and where a
    later full revision replaced the delivery. Raises Refusal where the adapter no longer fits the file at all.
    """
    limits, reader = limits or Limits(), reader or confined_reader().read
    with state.session() as session:
        origin = _origin(session, delivery_no)
        begun = _begun(session, delivery_no)
        entry = _entry_from(origin, clock)
        only = held_positions(session, store, entry)
        replaced = superseded_by(session, entry) is not None
    if begun is None:
        if not len(only) or replaced:
            return Released(delivery_no, None, 0, len(only))
        job = replace(reading_job(entry, adapter, schema, archive, limits, state), only=only)
        converted = reader(job)
        rows = with_subjects(
            converted, entry, adapter, schema, registry_of(entry, registry, store), keys, state, add=False
        )
        converted, _ = without_collisions(converted, rows, entry, schema, store, state)
        if converted.quarantined.num_rows == len(only):
            return Released(delivery_no, None, 0, len(only))
        begun = _enter(state, clock, entry, adapter)
    result = take_in(
        begun, adapter, schema, store=store, registry=registry, state=state, archive=archive, keys=keys,
        clock=clock, limits=limits, reader=reader,
    )  # fmt: skip
    with state.session() as session:
        left = held_rows(session, store, _origin(session, delivery_no)).num_rows
    return Released(delivery_no, begun, result.delivered, left)


def _origin(session: Session, delivery_no: int) -> Delivery:
    entry = session.get(Delivery, delivery_no)
    if entry is None or entry.state != ACCEPTED or entry.withdrawn_at is not None:
        raise GsceneError(
            f"delivery {delivery_no} isn't one that stands in the ledger as accepted.",
            "gscene quarantine list shows the deliveries with held rows.",
        )
    return entry


def _begun(session: Session, delivery_no: int) -> int | None:
    """An entry that an earlier run made and didn't finish."""
    return session.scalars(
        select(Delivery.delivery_no).where(
            Delivery.made_from == delivery_no, Delivery.basis == RELEASED, Delivery.state == RECEIVED
        )
    ).first()


def _entry_from(origin: Delivery, clock: Clock) -> Delivery:
    """The entry that held rows of `origin` come in with: same feed, month, revision and bytes, received now."""
    return Delivery(
        **{
            name: getattr(origin, name)
            for name in (
                "source", "adapter", "subject", "table", "period", "revision", "manifest_sha256", "content_sha256",
                "manifest", "archive", "lane", "signed_by",
            )
        },
        mode="supplement",
        received_at=clock.now(),
        basis=RELEASED,
        state=RECEIVED,
        made_from=origin.delivery_no,
        waived="",
    )  # fmt: skip


def _enter(state: StateDatabase, clock: Clock, entry: Delivery, adapter: Adapter) -> int:
    with state.session() as session:
        session.add(entry)
        session.flush()
        details = {"made_from": entry.made_from, "adapter_hash": adapter.definition_hash}
        audit(session, clock, entry, "released", details)
        return entry.delivery_no
