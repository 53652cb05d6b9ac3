"""Delivered Parquet files: the footer first, the pages only where it promises nothing out of measure.

6.5 kB of Parquet can hold one cell of 200 MB, 224 kB can hold 80 million rows, and a flipped bit in a page goes unnoticed
by every common reader unless page checksums are there and asked for. So the footer is read alone: columns, types, rows and
unpacked sizes are held against the adapter, the manifest and the caps; then row group by row group is read, with
checksums verified where the writer left them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import Refusal
from sources.delivered_text import check_cells, date_text, empty, encoded, float_text, moment_text
from sources.file_format import Limits
from sources.strict_csv import check_columns
from sources.unpacking import room_for, structure, too_far

_MAGIC = b"PAR1"
_MOST_ROW_GROUPS = 100_000
#: Thrift caps of the footer: names and statistics, not data.
_FOOTER_STRING, _FOOTER_ITEMS = 1 << 20, 1 << 22


def read_parquet(
    path: Path, columns: Sequence[str], rows: int, *, name: str | None = None, limits: Limits | None = None
) -> pa.Table:
    """All cells as text (`sources.delivered_text`), dictionary-encoded, exactly `columns`; `rows` is what the manifest says.

    Raises Refusal REFUSED/STRUCTURE, SCHEMA or ROWCOUNT. Lines in refusals are row numbers.
    """
    name, limits = name or path.name, limits or Limits()
    _check_ends(path, name)
    try:
        with pq.ParquetFile(
            path,
            page_checksum_verification=True,
            thrift_string_size_limit=_FOOTER_STRING,
            thrift_container_size_limit=_FOOTER_ITEMS,
        ) as file:
            texts = _check_footer(file, path.stat().st_size, columns, rows, name, limits)
            pieces = []
            for group in range(file.num_row_groups):
                # One column at a time: its decoded form is gone before the next one comes.
                read = {
                    column: to_text(file.read_row_group(group, [column], use_threads=False).column(0), name)
                    for column in texts
                }
                pieces.append(pa.table(read))
    except (pa.ArrowException, OSError, ValueError, KeyError):
        # Arrow's own messages may quote what it found.
        raise structure(name, "not a whole Parquet file") from None
    _check_utf8(pieces, name)
    table = pa.concat_tables(pieces).unify_dictionaries() if pieces else empty(texts)
    if table.num_rows != rows:
        raise structure(name, "the pages hold other rows than the footer says")
    return check_cells(table.combine_chunks(), name, limits, 1)


def _check_ends(path: Path, name: str) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, size - 8))
        end = file.read(8)
    footer = int.from_bytes(end[:4], "little")
    if size < 12 or start != _MAGIC or end[4:] != _MAGIC or not 0 < footer <= size - 12:
        raise structure(name, "not a whole Parquet file")


def _check_footer(
    file: pq.ParquetFile, size: int, columns: Sequence[str], rows: int, name: str, limits: Limits
) -> list[str]:
    meta, schema = file.metadata, file.schema_arrow
    if meta.num_columns != len(schema.names):
        raise Refusal(
            "REFUSED/SCHEMA", "a nested column.", file=name, remedy="Have the source send plain columns."
        )
    check_columns(schema.names, columns, name, None)
    for field in schema:
        if _reader_of(field.type) is None:
            raise Refusal(
                "REFUSED/SCHEMA",
                "a column of a type that has no text form.",
                file=name,
                column=field.name,
                remedy="Text, whole numbers, decimals, doubles, truth, dates and moments are taken; see docs/deliveries.md.",
            )
    if meta.num_row_groups > _MOST_ROW_GROUPS or meta.num_rows > limits.max_rows:
        raise structure(name, f"more than {_MOST_ROW_GROUPS} row groups or {limits.max_rows} rows")
    groups = [meta.row_group(group) for group in range(meta.num_row_groups)]
    if meta.num_rows != rows or sum(group.num_rows for group in groups) != rows:
        raise Refusal(
            "REFUSED/ROWCOUNT",
            f"the footer tells of {meta.num_rows} rows, the manifest of {rows}.",
            file=name,
            remedy="The export was cut off: have the source send the period again.",
        )
    chunks = [group.column(place) for group in groups for place in range(meta.num_columns)]
    if any(
        chunk.total_uncompressed_size < 0 or chunk.num_values < 0 or chunk.total_compressed_size < 0
        for chunk in chunks
    ):
        raise structure(name, "a footer with impossible sizes")
    if sum(chunk.total_uncompressed_size for chunk in chunks) > room_for(size, limits):
        raise too_far(name, limits)
    return list(schema.names)


def _check_utf8(pieces: list[pa.Table], name: str) -> None:
    """Arrow takes over what a Parquet file calls text without looking."""
    for column in pieces[0].column_names if pieces else []:
        try:
            for piece in pieces:
                piece.column(column).chunk(0).dictionary.validate(full=True)
        except pa.ArrowInvalid:
            raise Refusal(
                "REFUSED/ENCODING",
                "not valid UTF-8.",
                file=name,
                column=column,
                remedy="Have the source correct the export and send the period again.",
            ) from None


def to_text(column: pa.ChunkedArray, name: str) -> pa.Array:
    """A typed column as dictionary-encoded texts; REFUSED/TYPE for NaN and infinities."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    reader = _reader_of(kind)
    assert reader is not None
    try:
        return encoded(reader(column))
    except _NoText as error:
        raise Refusal(
            "REFUSED/TYPE",
            f"{error}.",
            file=name,
            line=int(pc.index(pc.invert(pc.is_finite(column)), True).as_py()) + 1,
            remedy="Have the source send the period again.",
        ) from None


class _NoText(ValueError):
    """A value that no text stands for."""


def _reader_of(kind: pa.DataType) -> Callable[[pa.ChunkedArray], Any] | None:
    types = pa.types
    if types.is_dictionary(kind):
        return None if types.is_nested(kind.value_type) else _reader_of(kind.value_type)
    for fits, reader in (
        (types.is_string, lambda column: column),
        (types.is_large_string, lambda column: column.cast(pa.string())),
        (types.is_integer, lambda column: column.cast(pa.string())),
        (types.is_boolean, lambda column: column.cast(pa.string())),
        (types.is_decimal, _decimals),
        (types.is_floating, lambda column: _each(column.cast(pa.float64()), float_text)),
        (types.is_date, lambda column: _each(column.cast(pa.date32()), date_text)),
        (types.is_timestamp, _moments),
        (types.is_null, lambda column: pa.array([""] * len(column), pa.string())),
    ):
        if fits(kind):
            return reader
    return None


def _decimals(column: pa.ChunkedArray) -> pa.Array:
    return _each(column, lambda value: format(value, "f"))


def _moments(column: pa.ChunkedArray) -> pa.Array:
    return _each(column.cast(pa.timestamp("us", column.type.tz)), moment_text)


def _each(column: pa.ChunkedArray, text: Callable[[Any], str | None]) -> pa.Array:
    """`text` once per different value, spread over the rows."""
    whole = encoded_values(column)
    values = whole.dictionary.to_pylist()
    texts = [text(value) for value in values]
    if None in texts:
        raise _NoText("a number that isn't finite")
    return pa.DictionaryArray.from_arrays(whole.indices, pa.array(texts, pa.string())).cast(pa.string())


def encoded_values(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """The column's different values and where they stand."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    return whole.dictionary_encode()
