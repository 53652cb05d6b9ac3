"""Delivered text files, read strictly: what isn't exactly as declared is refused whole, with the line.

Common readers accept ragged rows, unclosed quotes, NUL bytes or invalid UTF-8 (each of DuckDB, pandas and
PyArrow at least one of them), so structure is checked on the bytes first, in a few vectorised passes, and
only then handed to PyArrow. One line is one row: a line break inside quotes is refused, which also finds an
unclosed quote on its own line.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from pydantic import Field

from core.definition_file import Definition
from core.errors import Refusal
from sources.shape import is_name_like, shape

_NEWLINE, _RETURN, _TAB, _QUOTE, _DELETE, _FIRST_PRINTABLE = 10, 13, 9, 34, 127, 32
_BOM = "\ufeff".encode()
_LONGEST_HEADER = 65_536
_RESEND = "Have the source correct the export and send the period again."


class FileFormat(Definition):
    """How a source writes its files. `bom`: the byte-order mark must be there, must not, or may be."""

    format: Literal["csv"] = "csv"
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    delimiter: str = Field(default=",", pattern=r"^[,;|~^\t]$")
    bom: bool | Literal["optional"] = False
    compression: Literal["none", "gzip"] = "none"


@dataclass(frozen=True)
class Limits:
    """Caps against hostile files.

    Text exports compress 5 to 20 times; 292 kB that unfold to 300 MB are a bomb. The ratio counts only above
    1 MiB, where it can hurt. Arrow's string columns hold 2 GiB.
    """

    max_ratio: int = 100
    max_bytes: int = 2**31 - 2**20
    max_field_bytes: int = 10_000


def read_strict_csv(
    path: Path,
    form: FileFormat,
    columns: Sequence[str],
    *,
    name: str | None = None,
    limits: Limits | None = None,
) -> pa.Table:
    """All cells as strings, one row per line after the header; exactly `columns`, in the file's order.

    `name` is what messages call the file. Raises Refusal REFUSED/ENCODING, STRUCTURE or SCHEMA with the line
    in the file; no message holds a cell's content.
    """
    name, limits = name or path.name, limits or Limits()
    text = _as_utf8(_unpacked(path, form, name, limits), form, name)
    cells = np.frombuffer(text, dtype=np.uint8)
    _check_characters(cells, name)
    end = text.find(b"\n")
    header = text[: end if end >= 0 else len(text)].removesuffix(b"\r")
    names = _header(header, form, columns, name)
    _check_structure(cells, len(names), form, name, limits)
    body = text[end + 1 :] if end >= 0 else b""
    if not body:
        return pa.table({column: pa.array([], pa.string()) for column in names})
    return _parsed(body, names, form, name)


def _unpacked(path: Path, form: FileFormat, name: str, limits: Limits) -> bytes:
    packed = path.read_bytes()
    if form.compression == "none":
        if len(packed) > limits.max_bytes:
            raise _structure(name, f"larger than {limits.max_bytes} bytes")
        return packed
    room = min(limits.max_bytes, max(1 << 20, limits.max_ratio * len(packed)))
    pieces: list[bytes] = []
    while packed:
        member = zlib.decompressobj(wbits=31)
        try:
            piece = member.decompress(packed, room + 1)
        except zlib.error:
            raise _structure(name, "not a whole gzip file") from None
        room -= len(piece)
        if room < 0:
            raise _structure(
                name, f"unfolds to more than {limits.max_ratio} times its size or {limits.max_bytes} bytes"
            )
        if not member.eof:
            raise _structure(name, "the gzip file is cut off")
        pieces.append(piece)
        packed = member.unused_data
    return b"".join(pieces)


def _as_utf8(raw: bytes, form: FileFormat, name: str) -> bytes:
    """The text as UTF-8 without its byte-order mark. GB18030 is recoded first: its second bytes can look like
    delimiters.
    """
    try:
        decoded = raw.decode(form.encoding)
    except UnicodeDecodeError as error:
        raise Refusal(
            "REFUSED/ENCODING",
            f"not valid {form.encoding.upper()}.",
            file=name,
            line=raw.count(b"\n", 0, error.start) + 1,
            remedy=f"The adapter declares {form.encoding}. {_RESEND}",
        ) from None
    text = raw if form.encoding == "utf-8" else decoded.encode("utf-8")
    marked = text.startswith(_BOM)
    if form.bom != "optional" and marked != form.bom:
        raise Refusal(
            "REFUSED/ENCODING",
            "begins with a byte-order mark." if marked else "the byte-order mark is missing.",
            file=name,
            line=1,
            remedy="The file was written by another export than the adapter declares. " + _RESEND,
        )
    return text[len(_BOM) :] if marked else text


def _check_characters(cells: np.ndarray, name: str) -> None:
    """No control character but line ends and tabs; a carriage return only before a newline."""
    places = np.flatnonzero((cells < _FIRST_PRINTABLE) | (cells == _DELETE))
    found = cells[places]
    bad = (found != _NEWLINE) & (found != _TAB)
    returns = np.flatnonzero(found == _RETURN)
    if len(returns):
        after = np.minimum(places[returns] + 1, len(cells) - 1)
        bad[returns] = (cells[after] != _NEWLINE) & (places[returns] + 1 < len(cells))
    if bad.any():
        at = int(places[int(bad.argmax())])
        raise _structure(name, "a NUL or another control character", _line(cells, at))


def _header(line: bytes, form: FileFormat, columns: Sequence[str], name: str) -> list[str]:
    if len(line) > _LONGEST_HEADER:
        raise _structure(name, f"a header of more than {_LONGEST_HEADER} bytes", 1)
    names = next(csv.reader(io.StringIO(line.decode("utf-8")), delimiter=form.delimiter), [])
    found = Counter(names)
    # A file without its header has a row of data there: then nothing is named.
    is_header = any(column in found for column in columns)
    problems = [
        ("missing", [column for column in columns if column not in found]),
        ("unknown", [column for column in found if column not in set(columns)]),
        ("repeated", [column for column, times in found.items() if times > 1]),
    ]
    told = "; ".join(
        f"{kind} {', '.join(_shown(column, is_header or kind == 'missing') for column in which)}"
        for kind, which in problems
        if which
    )
    if told:
        raise Refusal(
            "REFUSED/SCHEMA",
            f"the columns aren't the declared ones: {told}.",
            file=name,
            line=1,
            column=next((which[0] for kind, which in problems if kind == "missing" and which), None),
            remedy="Agree the change with the source and name every column in the adapter.",
        )
    return names


def _shown(column: str, is_header: bool) -> str:
    return f"`{column}`" if is_header and is_name_like(column) else f"one of the shape `{shape(column)}`"


def _check_structure(cells: np.ndarray, width: int, form: FileFormat, name: str, limits: Limits) -> None:
    """Every line has `width` cells; quotes enclose whole cells and close; no cell is too long."""
    if len(cells) and cells[-1] != _NEWLINE:
        cells = np.append(cells, np.uint8(_NEWLINE))
    marks = np.flatnonzero((cells == ord(form.delimiter)) | (cells == _NEWLINE))
    quotes = np.flatnonzero(cells == _QUOTE)
    if len(quotes):
        _check_quotes(cells, quotes, marks, form, name)
        marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
    is_end = cells[marks] == _NEWLINE
    should_end = np.arange(1, len(marks) + 1) % width == 0
    wrong = is_end != should_end
    if wrong.any():
        at = int(wrong.argmax())
        raise _structure(name, f"the line doesn't have {width} cells", int(is_end[:at].sum()) + 1)
    lengths = np.diff(marks, prepend=-1) - 1
    if len(lengths) and lengths.max() > limits.max_field_bytes:
        at = int(marks[int(lengths.argmax())])
        raise _structure(name, f"a cell of more than {limits.max_field_bytes} bytes", _line(cells, at))


def _check_quotes(
    cells: np.ndarray, quotes: np.ndarray, marks: np.ndarray, form: FileFormat, name: str
) -> None:
    ends = marks[cells[marks] == _NEWLINE]
    open_at_end = np.searchsorted(quotes, ends) % 2 == 1
    if open_at_end.any():
        raise _structure(name, "a quote that doesn't close on its line", int(open_at_end.argmax()) + 1)
    opening, closing = quotes[0::2], quotes[1::2]
    before = cells[np.maximum(opening - 1, 0)]
    after = cells[closing + 1]
    neighbours = (ord(form.delimiter), _NEWLINE, _QUOTE)
    stray = ~np.isin(before, neighbours) & (opening > 0)
    if stray.any():
        raise _structure(name, "a quote inside an unquoted cell", _line(cells, int(opening[stray][0])))
    stray = ~np.isin(after, (*neighbours, _RETURN))
    if stray.any():
        raise _structure(name, "text after a closing quote", _line(cells, int(closing[stray][0])))


def _parsed(body: bytes, names: list[str], form: FileFormat, name: str) -> pa.Table:
    quoted = b'"' in body
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(body),
            # A block holds whole rows; the longest row that the limits allow fits eight times.
            read_options=pa_csv.ReadOptions(column_names=names, block_size=1 << 24),
            parse_options=pa_csv.ParseOptions(
                delimiter=form.delimiter,
                quote_char='"' if quoted else False,
                double_quote=quoted,
                ignore_empty_lines=False,
            ),
            convert_options=pa_csv.ConvertOptions(
                check_utf8=False,
                column_types={column: pa.string() for column in names},
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        # Arrow's own message quotes the row.
        raise _structure(name, "the rows don't parse") from None
    lines = body.count(b"\n") + (not body.endswith(b"\n"))
    if table.num_rows != lines:
        raise _structure(name, f"{lines} lines but {table.num_rows} rows")
    return table.combine_chunks()


def _line(cells: np.ndarray, at: int) -> int:
    return int((cells[:at] == _NEWLINE).sum()) + 1


def _structure(name: str, what: str, line: int | None = None) -> Refusal:
    return Refusal("REFUSED/STRUCTURE", f"{what}.", file=name, line=line, remedy=_RESEND)
