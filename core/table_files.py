"""The Parquet files that tables are made of: page checksums, sorted rows, small row groups, named by their own sha256."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import GsceneError

#: Subjects in a chunk: readers stream subjects in chunks of this many, and a Parquet row group never crosses a chunk's border.
CHUNK = 32_768

#: The partition column of every table.
PERIOD = "period"

#: Rows by which a column is known as one of texts that are all different.
_TRIED = 1_024

#: Columns whose statistics readers use to pass over row groups.
_SKIPPED_BY = ("subject_no", "known_at")

#: Suffix of the mark that stands where a data file stood which an erasure took away.
ERASED = ".erased"


@dataclass
class RowStream:
    """Rows of one partition that come piece by piece, so that they never lie in memory together; read once."""

    schema: pa.Schema
    pieces: Iterator[pa.Table]
    num_rows: int = 0

    def __iter__(self) -> Iterator[pa.Table]:
        for piece in self.pieces:
            self.num_rows += piece.num_rows
            yield piece


class CorruptTable(GsceneError):
    """A data file's bytes are not the ones that were committed."""


class ErasedVersion(GsceneError):
    """A data file of an older version is gone because it held rows that were erased on request."""


def missing_file(path: Path) -> GsceneError:
    """Why a data file isn't there, to be raised."""
    if path.with_suffix(ERASED).exists():
        return ErasedVersion(
            f"data file {path} held rows that were erased on request; this version of the table can't be read any more.",
            "Read the table again: its latest version is whole.",
        )
    return CorruptTable(
        f"data file {path} is missing.", "Restore it from backup or run the stage that made it again."
    )


def write_file(folder: Path, data: pa.Table | RowStream) -> tuple[str, int]:
    """Write the rows into `folder` under their sha256; returns name and bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{uuid.uuid4().hex}.part"
    numbers = [field.name for field in data.schema if _is_number(field.type)]
    all_different = [name for name in data.schema.names if name not in numbers and _all_different(data, name)]
    with pq.ParquetWriter(
        part,
        data.schema,
        # lz4 decodes twice as fast as zstd here and costs a quarter more space.
        compression={
            name: "none" if name in all_different and _incompressible(data, name) else "lz4"
            for name in data.schema.names
        },
        write_page_checksum=True,
        # Split bytes pack numbers tighter than a dictionary and decode faster; one page a column spares the rest.
        use_dictionary=[
            name for name in data.schema.names if name not in numbers and name not in all_different
        ],
        column_encoding=dict.fromkeys(numbers, "BYTE_STREAM_SPLIT"),
        data_page_size=1 << 22,
        # Readers skip row groups by subject and moment alone; statistics of the rest cost a sixth of the writing.
        write_statistics=[name for name in _SKIPPED_BY if name in data.schema.names],
    ) as writer:
        for rows in [data] if isinstance(data, pa.Table) else data:
            for piece in _row_groups(rows):
                writer.write_table(piece, row_group_size=max(1, piece.num_rows))
    digest, size = sha256_of(part), part.stat().st_size
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    final = folder / f"{digest}.parquet"
    part.replace(final)
    return final.name, size


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_period(schema: pa.Schema) -> pa.Schema:
    """A table's schema as the Delta log keeps it: plain types, the partition column last."""
    return pa.schema(
        [*(plain_field(field) for field in schema), pa.field(PERIOD, pa.string(), nullable=False)]
    )


def plain_field(field: pa.Field) -> pa.Field:
    """Field without metadata, dictionary or view types, which the Delta schema doesn't know."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        kind = pa.string()
    return pa.field(field.name, kind, nullable=field.nullable)


def _all_different(data: pa.Table | RowStream, name: str) -> bool:
    """Whether a dictionary of the column would only be given up again: nearly every text of the first rows is another."""
    if isinstance(data, RowStream) or not pa.types.is_string(data.schema.field(name).type):
        return False
    first = data.column(name).slice(0, _TRIED)
    return len(first) == _TRIED and pc.count_distinct(first).as_py() > 0.6 * _TRIED


def _incompressible(data: pa.Table | RowStream, name: str) -> bool:
    """Whether compressing the column would cost time and hardly save space: the digits of pseudonyms are as good as random."""
    if isinstance(data, RowStream):
        return False
    texts = "".join(data.column(name).slice(0, _TRIED).drop_null().to_pylist()).encode()
    return len(pa.compress(texts, codec="lz4")) > 0.8 * len(texts)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) and kind.bit_width >= 32) or bool(pa.types.is_floating(kind))


def _row_groups(data: pa.Table) -> Iterator[pa.Table]:
    """Row groups that hold one chunk of subjects each where rows come chunk by chunk, else of CHUNK rows."""
    if "subject_no" not in data.schema.names or not data.num_rows:
        borders = list(range(0, data.num_rows, CHUNK)) or [0]
    else:
        chunks = data.column("subject_no").to_numpy() // CHUNK
        steps = np.flatnonzero(np.diff(chunks)) + 1
        ordered = bool((np.diff(chunks) >= 0).all())
        borders = [0, *steps.tolist()] if ordered else list(range(0, data.num_rows, CHUNK))
    for start, end in zip(borders, [*borders[1:], data.num_rows], strict=True):
        yield data.slice(start, end - start)
