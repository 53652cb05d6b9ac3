"""Archived deliveries without the rows of erased subjects.

An archived file is named by the sha256 of the bytes that were delivered, which stays in the ledger as evidence. When a subject in
it is erased, the file is replaced by `<sha256>.redacted`: the delivered cells as texts, whatever the file's format was, without
the subject's rows, each row with the number it had in the file. So a delivery can be processed again from it, and rows keep the
numbers that tell them apart.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.clock import Clock
from core.errors import GsceneError
from core.state import Redaction, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_files import sha256_of
from core.table_schema import ColumnType, TableSchema
from sources import cells
from sources.adapter import Adapter
from sources.convert import DeliveredRows
from sources.erased import Erased
from sources.file_format import Limits
from sources.pseudonym import PseudonymKey
from sources.reading import REDACTED, ROW_NO, delivered_table

#: Says which rows belong to erased subjects, from the different pseudonyms of a delivery: bool per text.
Among = Callable[[pa.Array], np.ndarray]


@dataclass(frozen=True)
class ArchivedRows:
    """Delivered cells as texts with the row numbers of the file (rows,); `removed`: rows of erased subjects taken out so far,
    `replaced`: cells in rows about others in which an erased subject's pseudonym was replaced."""

    table: pa.Table
    row_no: np.ndarray
    removed: int = 0
    replaced: int = 0


def read_archived(archive: Path, name: str, adapter: Adapter, state: StateDatabase) -> ArchivedRows | None:
    """What the archive holds of a delivery, redacted or as it came; None where the bytes were removed whole or are missing.

    Raises Refusal where the adapter can't read them.
    """
    redaction = redaction_of(state, name)
    if redaction is not None:
        return read_redacted(archive, redaction) if redaction.redacted_sha256 else None
    path = archive / name
    if not path.is_file():
        return None
    rows = pq.read_metadata(path).num_rows if adapter.file.format == "parquet" else 0
    return as_delivered(delivered_table(path, adapter, rows, name, Limits()))


def redaction_of(state: StateDatabase, content_sha256: str) -> Redaction | None:
    """What became of archived bytes, None where they lie there as they came."""
    with state.session() as session:
        return session.get(Redaction, content_sha256)


def read_redacted(archive: Path, redaction: Redaction) -> ArchivedRows:
    """The rows that were left; GsceneError where the file isn't the one that was written."""
    table = pq.read_table(checked_redacted(archive, redaction))
    numbers = table.column(ROW_NO).to_numpy().astype(np.int64)
    return ArchivedRows(
        table.drop_columns([ROW_NO]), numbers, redaction.rows_removed, redaction.cells_replaced
    )


def checked_redacted(archive: Path, redaction: Redaction) -> Path:
    """Where the redacted rows lie; GsceneError where the file isn't the one that was written."""
    path = redacted_path(archive, redaction.content_sha256)
    if not redaction.redacted_sha256 or not path.is_file() or sha256_of(path) != redaction.redacted_sha256:
        raise GsceneError(
            f"the archive doesn't hold the redacted bytes of {redaction.content_sha256[:12]}.",
            "Restore the file from backup, or have the source send the period again.",
        )
    return path


def redacted_path(archive: Path, content_sha256: str) -> Path:
    """Where the redacted rows of archived bytes lie."""
    return archive / f"{content_sha256}{REDACTED}"


def as_delivered(table: pa.Table) -> ArchivedRows:
    """Rows of a file that nobody has been erased from."""
    return ArchivedRows(table, np.arange(1, table.num_rows + 1, dtype=np.int64))


def redact_erased(
    names: list[str], adapter: Adapter, schema: TableSchema, archive: Path, keys: Path,
    state: StateDatabase, registry: SubjectRegistry, clock: Clock,
) -> bool:  # fmt: skip
    """Take subjects erased before out of the archived files of a delivery that is being taken in, so that the archive never
    keeps what isn't taken in; returns whether there were any. The files have been read once already, in confinement.
    """
    erased = Erased.load(state, keys)
    if erased.nobody or not schema.has_subject:
        return False
    changed, among = False, erased_among(erased, adapter, registry)
    for name in names:
        rows = read_archived(archive, name, adapter, state)
        left = rows if rows is None else without_erased(rows, adapter, schema, keys, erased, among)
        if left is not rows:
            write_redacted(archive, name, left, state, clock)
            changed = True
    return changed


def without_erased(
    rows: ArchivedRows, adapter: Adapter, schema: TableSchema, keys: Path, erased: Erased, among: Among
) -> ArchivedRows:
    """The rows without those of erased subjects, and with stand-ins for erased parties in rows about others; the same object
    where there is nothing to take out."""
    delivered = DeliveredRows(rows.table, "")
    gone = np.zeros(rows.table.num_rows, dtype=bool)
    if adapter.key is not None:
        theirs = among(pseudonyms_of(delivered, adapter, keys))
        if len(theirs):
            gone = theirs[delivered.places(adapter.key.source_column)]
    table, replaced = rows.table, 0
    for column in _party_columns(adapter, schema):
        table, hits = _with_stand_ins(table, column, adapter, erased)
        replaced += hits
    if not gone.any() and not replaced:
        return rows
    kept = pa.array(np.flatnonzero(~gone))
    return ArchivedRows(
        table.take(kept), rows.row_no[~gone], rows.removed + int(gone.sum()), rows.replaced + replaced
    )


def pseudonyms_of(delivered: DeliveredRows, adapter: Adapter, keys: Path) -> pa.Array:
    """The pseudonym behind each different text of the key column, null where a text is none."""
    key = adapter.key
    assert key is not None, "only a table of subjects has a key column"
    texts = cells.normalised(delivered.texts(key.source_column), key.normalise)
    if not key.pseudonymise:
        return texts
    absent = cells.missing(texts, adapter.nulls)
    made = PseudonymKey.load(keys).pseudonyms(
        SubjectKind(adapter.subject), adapter.code_space, pc.fill_null(texts, "")
    )
    return pc.if_else(pa.array(absent), pa.scalar(None, pa.string()), made)


def erased_among(erased: Erased, adapter: Adapter, registry: SubjectRegistry) -> Among:
    """Which pseudonyms are those of erased subjects. Only what the registry doesn't know needs to be hashed: an erased subject
    isn't in it any more, and while the erasure is under way its number is a hole already."""

    def among(subject_ids: pa.Array) -> np.ndarray:
        numbers = registry.numbers(pc.fill_null(subject_ids, ""), add=False)
        found = np.isin(numbers, registry.holes)
        places = np.flatnonzero(numbers < 0)
        found[places] = erased.among(SubjectKind(adapter.subject), subject_ids.take(pa.array(places)))
        return found

    return among


def write_redacted(
    archive: Path, content_sha256: str, rows: ArchivedRows | None, state: StateDatabase, clock: Clock
) -> None:
    """Put redacted rows (None: nothing at all) in the place of archived bytes. Killed on the way, either the old bytes are
    still what counts or the new ones, and doing it again ends the same."""
    path = redacted_path(archive, content_sha256)
    digest = ""
    if rows is not None:
        part = archive / f".{secrets.token_hex(8)}.part"
        # As plain texts: a dictionary would still hold what no row refers to any more.
        plain = pa.table(
            {name: rows.table.column(name).cast(pa.string()) for name in rows.table.column_names}
        )
        pq.write_table(plain.append_column(ROW_NO, pa.array(rows.row_no)), part, compression="zstd")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        digest = sha256_of(part)
        part.replace(path)
    with state.session() as session:
        session.merge(
            Redaction(
                content_sha256=content_sha256,
                redacted_sha256=digest,
                rows_removed=rows.removed if rows is not None else 0,
                cells_replaced=rows.replaced if rows is not None else 0,
                redacted_at=clock.now(),
            )
        )
    (archive / content_sha256).unlink(missing_ok=True)


def _party_columns(adapter: Adapter, schema: TableSchema) -> list[str]:
    """Source columns that name somebody else by pseudonym."""
    found = []
    for column in schema.columns:
        rule = adapter.columns.get(column.name)
        names_somebody = column.type is ColumnType.SUBJECT or column.data_class == "pseudonym"
        if column.name != "subject_id" and names_somebody and rule is not None and rule.source_column:
            found.append(rule.source_column)
    return sorted(set(found))


def _with_stand_ins(table: pa.Table, column: str, adapter: Adapter, erased: Erased) -> tuple[pa.Table, int]:
    encoded = DeliveredRows(table.select([column]), "").columns[column]
    rules = [rule for rule in adapter.columns.values() if rule.source_column == column]
    texts = cells.normalised(encoded.dictionary, rules[0].normalise if rules else ())
    found = erased.stand_ins(texts)
    if not found:
        return table, 0
    names = encoded.dictionary.to_pylist()
    for place, text in found.items():
        names[place] = text
    hits = int(np.isin(encoded.indices.to_numpy(), list(found)).sum())
    changed = pa.array(names, pa.string()).take(encoded.indices)
    return table.set_column(table.schema.get_field_index(column), column, changed), hits
