"""A raw table made anew from the archived deliveries, for a new major version of its contract.

Every accepted delivery is read again from the archive by the adapter and contract of today, in the order of the ledger, and
keeps its number and its moment of receipt: what was known when stays what it was. Nobody sees anything of it until the whole
table stands; then one commit takes the place of the old one, whose versions stay readable. A file of the archive that is missing
or has other bytes, a row that can't be read any more, or a delivery that doesn't add up as the ledger says, and the table stays
as it is.

Rows that were held back stay so, and rows released since come in with the delivery that released them. Subjects keep the numbers
that the old rows have: a pseudonym that a migration has replaced is unknown by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from core.audit import record
from core.clock import Clock
from core.errors import GsceneError
from core.progress import Progress
from core.state import Delivery, StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_schema import TableSchema
from core.table_store import TableStore
from sources.adapter import Adapter
from sources.confined_reader import Reader
from sources.convert import Converted
from sources.erased import LEFT_OUT as ERASED
from sources.file_format import Limits
from sources.intake import confined_reader, enveloped, reading_job, with_subjects
from sources.ledger import ACCEPTED
from sources.quarantine import RELEASED, noted_rows


@dataclass(frozen=True)
class Rebuilt:
    """A raw table after it was made anew: deliveries read, source rows accepted, canonical rows, and the version of the table
    before, which stays readable."""

    table: str
    deliveries: int
    accepted: int
    rows: int
    version_before: int


@dataclass(frozen=True)
class Archive:
    """Where deliveries lie and how they are read."""

    store: TableStore
    state: StateDatabase
    folder: Path
    keys: Path
    adapters: Mapping[str, Adapter]
    limits: Limits
    reader: Reader


def rebuild(
    raw_table: str,
    schema: TableSchema,
    version: str,
    *,
    by: str,
    store: TableStore,
    registry: SubjectRegistry,
    state: StateDatabase,
    archive: Path,
    keys: Path,
    adapters: Mapping[str, Adapter],
    clock: Clock,
    progress: Progress,
    reader: Reader | None = None,
) -> Rebuilt:
    """Make `raw/<owner>/<table>` anew under the contract `version`. GsceneError or Refusal where anything stands against it: then
    nothing has changed. Months have to be validated again afterwards, as after any change of their content.
    """
    if not store.exists(raw_table):
        raise GsceneError(
            f"there is no table {raw_table}.",
            "Nothing of it has been taken in, so nothing has to be made anew.",
        )
    place = Archive(store, state, archive, keys, adapters, Limits(), reader or confined_reader().read)
    with store.writer(raw_table + ".intake"):
        entries = _accepted(state, raw_table)
        before, made = store.version(raw_table), {}

        def pieces() -> Iterator[tuple[str, pa.Table]]:
            with progress.stage(raw_table, len(entries)) as stage:
                for entry in entries:
                    rows = _rows_again(place, entry, schema, registry)
                    made[entry.delivery_no] = rows.num_rows
                    if rows.num_rows:
                        yield entry.period, rows
                    stage.advance(note=entry.period)

        store.remake(raw_table, pieces(), metadata={"contract": version})
        with state.session() as session:
            for number, rows in made.items():
                session.get_one(Delivery, number).rows_made = rows
            told = {
                "contract": version,
                "deliveries": len(made),
                "rows": sum(made.values()),
                "version_before": before,
            }
            record(session, clock, by, "table.rebuilt", raw_table, told)
    accepted = sum(entry.rows_accepted or 0 for entry in entries)
    return Rebuilt(raw_table, len(made), accepted, sum(made.values()), before)


def _accepted(state: StateDatabase, raw_table: str) -> list[Delivery]:
    """Accepted deliveries of the table in the order of the ledger, those withdrawn since among them: they were known once."""
    _, owner, table = raw_table.split("/")
    query = select(Delivery).where(
        Delivery.subject == owner,
        Delivery.table == table,
        Delivery.state == ACCEPTED,
        Delivery.lane == "live",
    )
    with state.session() as session:
        entries = list(session.scalars(query.order_by(Delivery.delivery_no)))
        for entry in entries:
            _ = entry.left_out
        return entries


def _rows_again(place: Archive, entry: Delivery, schema: TableSchema, registry: SubjectRegistry) -> pa.Table:
    """The canonical rows of one delivery as today's contract has them, under the numbers that its subjects have."""
    adapter = place.adapters.get(entry.adapter)
    if adapter is None:
        raise GsceneError(
            f"there is no adapter {entry.adapter}, which reads delivery {entry.delivery_no}.",
            f"Bring back sources/adapters/{entry.adapter}.yaml.",
        )
    held, only = _held_and_chosen(place.store, entry)
    job = reading_job(entry, adapter, schema, place.folder, place.limits, place.state)
    converted = place.reader(replace(job, only=only))
    _require_same_account(entry, converted, held, only is not None)
    numbers = _numbers_before(place.store, entry, converted)
    if numbers is None:
        rows = with_subjects(converted, entry, adapter, schema, registry, place.keys, place.state, add=False)
    else:
        rows = enveloped(converted, entry, schema, numbers)
    if schema.has_subject and rows.num_rows and pc.min(rows.column("subject_no")).as_py() < 0:
        raise GsceneError(
            f"delivery {entry.delivery_no} has rows of subjects without a number.",
            "The table stays as it is. Restore the home from backup: its registry isn't the one that the rows were made with.",
        )
    return rows


def _held_and_chosen(store: TableStore, entry: Delivery) -> tuple[int, np.ndarray | None]:
    """How many rows the delivery holds or held back, and the positions (from 0) of those it brought in; None: all there are."""
    noted = noted_rows(store, entry)
    if entry.basis == RELEASED:
        mine = pc.equal(noted.column("released_by"), entry.delivery_no)
        return 0, np.sort(noted.filter(mine).column("row_no").to_numpy().astype(np.int64)) - 1
    held = (
        noted.filter(pc.is_null(noted.column("released_by"))).column("row_no").to_numpy().astype(np.int64) - 1
    )
    if not len(held):
        return 0, None
    every = np.arange((entry.rows_delivered or 0), dtype=np.int64)
    return len(held), np.setdiff1d(every, held)


def _require_same_account(entry: Delivery, converted: Converted, held: int, chosen: bool) -> None:
    """Source rows delivered, accepted and left out by reason as the ledger has them; nothing newly held back."""
    left = {reason: rows for reason, rows in converted.left_out.items() if rows}
    told = {each.reason: each.rows for each in entry.left_out if each.rows}
    if chosen and ERASED in told:
        # Rows read by number don't tell of those that were erased from the file.
        left[ERASED] = told[ERASED]
    delivered = converted.accepted + sum(left.values()) + held
    ledger, again = (
        (entry.rows_delivered, entry.rows_accepted, told),
        (delivered, converted.accepted, left),
    )
    if converted.quarantined.num_rows or again != ledger:
        raise GsceneError(
            f"delivery {entry.delivery_no} doesn't add up as the ledger says: {ledger[1]} rows were accepted, now it would be "
            f"{again[1]}, with {converted.quarantined.num_rows} held back.",
            f"The table stays as it is. Make {entry.adapter}.yaml read the delivery as before, or have the source send it again.",
        )


def _numbers_before(store: TableStore, entry: Delivery, converted: Converted) -> np.ndarray | None:
    """Subject number of each row by the old rows of the same source row; None where the old rows don't tell all of them."""
    table = f"raw/{entry.subject}/{entry.table}"
    if "subject_no" not in store.columns(table) or entry.period not in store.partitions(table):
        return None
    old = store.read(table, [entry.period], columns=["subject_no", "delivery_no", "row_no"])
    old = old.filter(pc.equal(old.column("delivery_no"), entry.delivery_no))
    known, first = np.unique(np.abs(old.column("row_no").to_numpy()), return_index=True)
    wanted = np.abs(converted.rows.column("row_no").to_numpy())
    if not np.isin(wanted, known).all():
        return None
    return old.column("subject_no").to_numpy()[first][np.searchsorted(known, wanted)]
