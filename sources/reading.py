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

from core.errors import Refusal
from core.months import Month
from core.subject import SubjectKind
from core.table_schema import ColumnType, TableSchema
from sources.absorbed import absorbed
from sources.adapter import Adapter
from sources.convert import FIRST_LINE, Converted, DeliveredRows, check_control_sums, convert
from sources.delivery import DeliveredFile, Manifest
from sources.file_format import Limits
from sources.identity import refuse_identities
from sources.json_lines import read_json_lines
from sources.parquet_file import read_parquet
from sources.strict_csv import read_strict_csv
from sources.unkeyed_hash import refuse_unkeyed_hashes
from sources.workbook import read_workbook


@dataclass(frozen=True)
class ReadingJob:
    """What is to be read and how: the files as they lie and as the manifest describes them, in its order. `only`: positions of
    the rows to convert, where held rows are read again; None for all.
    """

    files: tuple[tuple[Path, DeliveredFile], ...]
    adapter: Adapter
    schema: TableSchema
    period: Month
    control_sums: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    revision: int = 1
    only: np.ndarray | None = None

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
    tables = [_read(path, stated, job) for path, stated in job.files]
    rows = [table.num_rows for table in tables]
    delivered = DeliveredRows(_one_after_the_other(tables), job.files[0][1].name)
    del tables
    with _in_its_file(job, delivered.file, rows):
        refuse_identities(delivered, _replaced_on_entry(job.adapter))
        refuse_unkeyed_hashes(delivered, _pseudonym_columns(job))
    _check_counts(job, rows)
    with _in_its_file(job, delivered.file, rows):
        if job.only is None:
            check_control_sums(delivered, job.adapter, job.control_sums)
        converted = convert(
            delivered, job.adapter, job.schema, job.period, revision=job.revision, only=job.only
        )
    told = absorbed(delivered, job.adapter, job.schema)
    return replace(converted, absorbed=told | converted.absorbed)


def _replaced_on_entry(adapter: Adapter) -> tuple[str, ...]:
    """The column of enterprises' own codes, where the adapter makes pseudonyms of them: a credit code may stand there."""
    if adapter.key is None or not adapter.pseudonymises or adapter.subject != SubjectKind.ENTERPRISE:
        return ()
    return (adapter.key.source_column,)


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


def _read(path: Path, stated: DeliveredFile, job: ReadingJob) -> pa.Table:
    form, columns = job.adapter.file, job.adapter.source_columns
    match form.format:
        case "parquet":
            return read_parquet(path, columns, stated.rows, name=stated.name, limits=job.limits)
        case "xlsx":
            return read_workbook(path, form, columns, name=stated.name, limits=job.limits)
        case "jsonl":
            return read_json_lines(path, form, columns, name=stated.name, limits=job.limits)
        case _:
            return read_strict_csv(path, form, columns, name=stated.name, limits=job.limits)
