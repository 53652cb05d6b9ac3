"""Files block by block, so that memory doesn't grow with them: CSV, JSON lines and Parquet, read strictly and written whole.

A block is a table of a few megabytes; `first` is the line (Parquet: the row) of its first row. Cells of CSV are their texts.
Cells of JSON lines are the JSON of their values, digits as they stand, so that what isn't touched is written as it came.
Parquet keeps its types.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sources.file_format import FileFormat, Limits
from sources.strict_csv import check_columns, strict_blocks
from sources.unpacking import structure, unpacked

#: Rows of a Parquet block.
BATCH = 65_536
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Block:
    """Some rows. `first`: line or row number of the first."""

    first: int
    table: pa.Table


#: The gateway's own files may be large; what unfolds too far is still refused.
LIMITS = Limits(max_bytes=2**40, max_rows=2**31 - 1)


def read_blocks(path: Path, form: FileFormat, columns: Sequence[str]) -> Iterator[Block]:
    """Blocks of a file that has exactly `columns`. Raises Refusal REFUSED/ENCODING, STRUCTURE or SCHEMA with the line."""
    if form.format == "parquet":
        yield from _parquet(path, columns)
    elif form.format == "jsonl":
        yield from _json_lines(path, form, columns)
    else:
        for first, table in strict_blocks(path, form, columns, name=path.name, limits=LIMITS):
            yield Block(first, table)


def texts_of(column: pa.ChunkedArray, form: FileFormat) -> pa.Array:
    """The cells of a column as dictionary-encoded texts without nulls: what an id is read from, and what is searched."""
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], pa.string())
    if not pa.types.is_dictionary(whole.type):
        if not pa.types.is_string(whole.type):
            whole = _as_text(whole)
        whole = pc.fill_null(whole, "").dictionary_encode()
    if form.format == "jsonl":
        plain = [_text_of(cell) for cell in whole.dictionary.to_pylist()]
        whole = pa.array(plain, pa.string()).take(whole.indices).dictionary_encode()
    return whole


def _as_text(column: pa.Array) -> pa.Array:
    try:
        if pa.types.is_floating(column.type):
            # Written out: 1.1e17 is no id. The `.0000` goes when ids are normalised.
            column = column.cast(pa.decimal128(38, 4), safe=False)
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([None if cell is None else str(cell) for cell in column.to_pylist()], pa.string())


def _text_of(cell: str) -> str:
    value = json.loads(cell, parse_float=str, parse_int=str) if cell else ""
    return value if isinstance(value, str) else "" if value is None else cell


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Block]:
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        check_columns(file.schema_arrow.names, columns, path.name, None)
        first = 1
        for batch in file.iter_batches(BATCH):
            yield Block(first, pa.table(batch))
            first += batch.num_rows
        if first == 1:
            yield Block(first, file.schema_arrow.empty_table())
    except (pa.ArrowException, OSError):
        raise structure(path.name, "not a whole Parquet file") from None


def _json_lines(path: Path, form: FileFormat, columns: Sequence[str]) -> Iterator[Block]:
    rest, line = b"", 1
    for piece in unpacked(path, form.compression, path.name, LIMITS):
        block = rest + piece
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > _LONGEST_LINE:
            raise structure(path.name, f"a line of more than {_LONGEST_LINE} bytes", line)
        if end:
            lines = block[: end - 1].split(b"\n")
            yield Block(line, _json_table(lines, line, columns, path.name))
            line += len(lines)
    if rest:
        yield Block(line, _json_table([rest], line, columns, path.name))


class _Digits(str):
    """A number as it stands in the file."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs) or any(isinstance(value, dict | list) for _, value in pairs):
        raise ValueError
    return dict(pairs)


_DECODER = json.JSONDecoder(parse_float=_Digits, parse_int=_Digits, object_pairs_hook=_object)


def _json_table(lines: list[bytes], first: int, columns: Sequence[str], name: str) -> pa.Table:
    cells: dict[str, list[str]] = {column: [] for column in columns}
    for place, raw in enumerate(lines):
        try:
            row = _DECODER.decode(raw.decode("utf-8").strip())
        except (UnicodeDecodeError, ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise structure(name, "the line isn't one JSON object of plain values in UTF-8", first + place)
        if row.keys() != cells.keys():
            check_columns(list(row), columns, name, first + place)
        for column, value in row.items():
            cells[column].append(
                str(value) if isinstance(value, _Digits) else json.dumps(value, ensure_ascii=False)
            )
    return pa.table({column: pa.array(values, pa.string()) for column, values in cells.items()})


class Writer(Protocol):
    """Writes tables one after the other."""

    def write(self, table: pa.Table, made: Sequence[str]) -> None:
        """Append rows; `made` names the columns that the gateway made itself (tokens as strings, flags as bool)."""
        ...


@contextmanager
def written(path: Path, form: FileFormat) -> Iterator[Writer]:
    """A writer whose file appears under `path` whole when the context ends well, and not at all otherwise."""
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if form.format == "parquet":
            parquet = _ParquetWriter(part)
            try:
                yield parquet
            finally:
                parquet.close()
        else:
            with _opened(part, form) as file:
                yield _CsvWriter(file, form) if form.format == "csv" else _JsonWriter(file)
        with part.open("rb") as whole:
            os.fsync(whole.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _opened(part: Path, form: FileFormat) -> Iterator[BinaryIO]:
    with part.open("wb") as plain:
        if form.compression != "gzip":
            yield plain
            return
        # No name and no time inside: the same rows give the same bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=plain, compresslevel=6, mtime=0) as packed:
            yield packed  # type: ignore[misc]


class _ParquetWriter:
    def __init__(self, part: Path) -> None:
        self.part = part
        self.writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table, made: Sequence[str]) -> None:
        """Append a row group."""
        if self.writer is None:
            self.writer = pq.ParquetWriter(
                self.part, table.schema, compression="zstd", write_page_checksum=True
            )
        self.writer.write_table(table.cast(self.writer.schema))

    def close(self) -> None:
        """Write the footer."""
        if self.writer is not None:
            self.writer.close()


class _CsvWriter:
    def __init__(self, file: BinaryIO, form: FileFormat) -> None:
        self.file, self.form, self.begun = file, form, False

    def write(self, table: pa.Table, made: Sequence[str]) -> None:
        """Append lines; the header before the first."""
        if not self.begun:
            mark = "\ufeff" if self.form.bom is True else ""
            names = self._quoted(pa.array(table.column_names))
            self._put(mark + self.form.delimiter.join(names.to_pylist()) + "\n")
            self.begun = True
        if not table.num_rows:
            return
        columns = [self._quoted(self._text(table.column(name))) for name in table.column_names]
        lines = pc.binary_join_element_wise(*columns, self.form.delimiter)
        self._put("\n".join(lines.to_pylist()) + "\n")

    def _put(self, text: str) -> None:
        self.file.write(text.encode(self.form.encoding))

    def _text(self, column: pa.ChunkedArray) -> pa.Array:
        whole = column.combine_chunks()
        if pa.types.is_boolean(whole.type):
            whole = pc.if_else(whole, "1", "0")
        return pc.fill_null(whole.cast(pa.string()), "")

    def _quoted(self, cells: pa.Array) -> pa.Array:
        """Cells with a delimiter or a quote in quotes; a line break never comes in."""
        needs = pc.match_substring_regex(cells, f'["{re.escape(self.form.delimiter)}]')
        if not pc.any(needs).as_py():
            return cells
        doubled = pc.replace_substring(cells, '"', '""')
        return pc.if_else(needs, pc.binary_join_element_wise('"', doubled, '"', ""), cells)


class _JsonWriter:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def write(self, table: pa.Table, made: Sequence[str]) -> None:
        """Append lines."""
        if not table.num_rows:
            return
        parts = []
        for name in table.column_names:
            column = table.column(name).combine_chunks()
            if pa.types.is_boolean(column.type):
                column = pc.if_else(column, "true", "false")
            elif name in made:
                # Tokens, kinds and empty cells need no escapes.
                column = pc.binary_join_element_wise('"', pc.fill_null(column, ""), '"', "")
            parts.append(pc.binary_join_element_wise(json.dumps(name, ensure_ascii=False), column, ":"))
        lines = pc.binary_join_element_wise("{", pc.binary_join_element_wise(*parts, ","), "}", "")
        self.file.write(("\n".join(lines.to_pylist()) + "\n").encode("utf-8"))
