"""One delivery's files from bytes to canonical rows: what is done with a stranger's file, all in one place.

Nothing here touches the ledger, a table or a key, so that it can run in a process that may do nothing else
(`sources.confined_reader`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import Refusal
from core.months import Month
from core.table_schema import ColumnType, TableSchema
from sources.absorbed import absorbed
from sources.adapter import Adapter
from sources.canary_ids import refuse_canaries
from sources.convert import FIRST_LINE, Converted, DeliveredRows, check_control_sums, convert
from sources.delivery import DeliveredFile, Manifest
from sources.erased import LEFT_OUT
from sources.file_format import Limits
from sources.identity.guard import refuse_identities
from sources.json_lines import read_json_lines
from sources.parquet_file import read_parquet
from sources.strict_csv import read_strict_csv
from sources.unkeyed_hash import refuse_unkeyed_hashes
from sources.workbook import read_workbook

#: Suffix of an archived file that subjects have been erased from, and the column in it that numbers its rows as they came.
REDACTED, ROW_NO = ".redacted", "gscene:row_no"


@dataclass(frozen=True)
class ReadingJob:
    """What is to be read and how: the files as they lie and as the manifest describes them, in its order. `only`: positions of
    the rows to convert, where held rows are read again; None for all. `canaries`: hashes that no cell may be.
    """

    files: tuple[tuple[Path, DeliveredFile], ...]
    adapter: Adapter
    schema: TableSchema
    period: Month
    control_sums: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    revision: int = 1
    only: np.ndarray | None = None
    canaries: np.ndarray | None = None

    @classmethod
    def of(
        cls, manifest: Manifest, paths: list[Path], adapter: Adapter, schema: TableSchema, limits: Limits
    ) -> ReadingJob:
        """The job of one manifest whose files lie at `paths`."""
        files = tuple(zip(paths, manifest.files, strict=True))
        period, sums = Month.parse(manifest.period), manifest.control_sums
        return cls(files, adapter, schema, period, sums, limits, manifest.revision)


def read_and_convert(job: ReadingJob) -> Converted:
    """Canonical rows of one delivery. Raises the Refusal of the first thing that isn't as declared: structure and columns,
    identities, row counts, control sums, then types, codes, ranges, period and keys.
    """
    pieces = [_read(path, stated, job) for path, stated in job.files]
    rows = [piece.table.num_rows for piece in pieces]
    delivered = DeliveredRows(_one_after_the_other([piece.table for piece in pieces]), job.files[0][1].name)
    own_key = [job.adapter.key.source_column] if job.adapter.pseudonymises and job.adapter.key else []
    with _in_its_file(job, delivered.file, rows):
        refuse_identities(delivered, pseudonymised=own_key)
        refuse_unkeyed_hashes(delivered, _pseudonym_columns(job))
        refuse_canaries(delivered, job.canaries)
    _check_counts(job, [piece.came for piece in pieces])
    numbers = _numbers(pieces)
    with _in_its_file(job, delivered.file, rows):
        if job.only is None and numbers is None:
            check_control_sums(delivered, job.adapter, job.control_sums)
        only = (
            job.only
            if job.only is None or numbers is None
            else np.flatnonzero(np.isin(numbers - 1, job.only))
        )
        converted = convert(delivered, job.adapter, job.schema, job.period, revision=job.revision, only=only)
    told = absorbed(delivered, job.adapter, job.schema)
    converted = replace(converted, absorbed=told | converted.absorbed)
    # Rows that are read again by number are what they are, whoever else was erased from the file.
    removed = sum(p.removed for p in pieces) if job.only is None else 0
    return converted if numbers is None else _as_numbered(converted, numbers, removed)


@dataclass(frozen=True)
class _Piece:
    """One file's cells; `numbers` of its rows in the file and how many were `removed` where subjects were erased from it."""

    table: pa.Table
    numbers: np.ndarray | None = None
    removed: int = 0

    @property
    def came(self) -> int:
        """Rows that the file had when it came."""
        return self.table.num_rows + self.removed


def _numbers(pieces: list[_Piece]) -> np.ndarray | None:
    """The number of each row among all rows that came (1 and up); None where nobody was erased."""
    if all(piece.numbers is None for piece in pieces):
        return None
    before, found = 0, []
    for piece in pieces:
        own = np.arange(1, piece.table.num_rows + 1) if piece.numbers is None else piece.numbers
        found.append(own + before)
        before += piece.came
    return np.concatenate(found)


def _as_numbered(converted: Converted, numbers: np.ndarray, removed: int) -> Converted:
    """Rows under the numbers that they had when they came; those of erased subjects count as left out."""

    def renumbered(table: pa.Table) -> pa.Table:
        if not table.num_rows:
            return table
        place = table.schema.get_field_index("row_no")
        own = table.column("row_no").to_numpy()
        # The number of a row that withdraws its key is negative.
        original = np.sign(own) * numbers[np.abs(own) - 1]
        return table.set_column(place, table.schema.field(place), pa.array(original.astype(np.int32)))

    return replace(
        converted,
        rows=renumbered(converted.rows),
        quarantined=renumbered(converted.quarantined),
        left_out=converted.left_out | ({LEFT_OUT: removed} if removed else {}),
        delivered=converted.delivered + removed,
    )


def read_sample(path: Path, adapter: Adapter, schema: TableSchema) -> DeliveredRows:
    """Rows of a file that isn't a delivery (yet), read as strictly. Raises REFUSED/ENCODING, STRUCTURE or SCHEMA."""
    rows = 0
    if adapter.file.format == "parquet":
        import pyarrow.parquet as pq

        rows = pq.read_metadata(path).num_rows
    stated = DeliveredFile(name=path.name, bytes=path.stat().st_size, sha256="0" * 64, rows=rows)
    job = ReadingJob(((path, stated),), adapter, schema, Month(2000, 1))
    return DeliveredRows(_read(path, stated, job).table, path.name)


def _pseudonym_columns(job: ReadingJob) -> list[str]:
    """Source columns that must hold pseudonyms: the subject's key, unless it is replaced on entry, and related subjects."""
    adapter = job.adapter
    related = {column.name for column in job.schema.columns if column.type is ColumnType.SUBJECT}
    named = [rule.source_column for name, rule in adapter.columns.items() if name in related]
    if adapter.key is not None and not adapter.pseudonymises:
        named.append(adapter.key.source_column)
    return list(dict.fromkeys(name for name in named if name is not None))


def _one_after_the_other(tables: list[pa.Table]) -> pa.Table:
    if len(tables) == 1:
        return tables[0]
    names = tables[0].column_names
    return pa.concat_tables([table.select(names) for table in tables]).unify_dictionaries()


@contextmanager
def _in_its_file(job: ReadingJob, called: str, rows: list[int]) -> Iterator[None]:
    """Refusals count lines through all files as if each row stood under one header; tell file and line as they are."""
    try:
        yield
    except Refusal as refusal:
        if refusal.file == called and refusal.line is not None:
            row = refusal.line - FIRST_LINE
            ends = np.cumsum(rows)
            place = min(int(np.searchsorted(ends, row, side="right")), len(rows) - 1)
            refusal.file = job.files[place][1].name
            refusal.line = row - int(ends[place] - rows[place]) + _first_line(job.adapter)
        raise


def _first_line(adapter: Adapter) -> int:
    """The line of the first row: under a header, or where there is none (Parquet, JSON lines) the first."""
    return FIRST_LINE if adapter.file.format in ("csv", "xlsx") else 1


def _check_counts(job: ReadingJob, rows: list[int]) -> None:
    for (_, stated), came in zip(job.files, rows, strict=True):
        if came != stated.rows:
            raise Refusal(
                "REFUSED/ROWCOUNT",
                f"{came} rows came, the manifest says {stated.rows}.",
                file=stated.name,
                line=came + _first_line(job.adapter) - 1,
                remedy="The export was cut off: have the source send the period again.",
            )


def _read(path: Path, stated: DeliveredFile, job: ReadingJob) -> _Piece:
    if path.suffix == REDACTED:
        table = pq.read_table(path)
        numbers = table.column(ROW_NO).to_numpy().astype(np.int64)
        return _Piece(table.drop_columns([ROW_NO]), numbers, stated.rows - table.num_rows)
    return _Piece(delivered_table(path, job.adapter, stated.rows, stated.name, job.limits))


def delivered_table(path: Path, adapter: Adapter, rows: int, name: str, limits: Limits) -> pa.Table:
    """One delivered file's cells as texts, whatever its format; `rows` as its manifest says."""
    form, columns = adapter.file, adapter.source_columns
    match form.format:
        case "parquet":
            return read_parquet(path, columns, rows, name=name, limits=limits)
        case "xlsx":
            return read_workbook(path, form, columns, name=name, limits=limits)
        case "jsonl":
            return read_json_lines(path, form, columns, name=name, limits=limits)
        case _:
            return read_strict_csv(path, form, columns, name=name, limits=limits)
