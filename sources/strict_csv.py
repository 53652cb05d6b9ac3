"""Delivered text files, read strictly: what isn't exactly as declared is refused whole, with the line.

Common readers accept ragged rows, unclosed quotes, NUL bytes or invalid UTF-8 (each of DuckDB, pandas and
PyArrow at least one of them). A file is read in blocks of whole lines, so that memory doesn't grow with its size; the
bytes of each are checked for control characters and quotes in a few vectorised passes and then handed to PyArrow, whose
own checks (number of cells, UTF-8) hold where there are no quotes. Where it objects, the slower check tells the line.
One line is one row: a line break inside quotes is refused, which also finds an unclosed quote on its own line.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from core.errors import Refusal
from sources.delivered_text import TEXT, empty
from sources.file_format import FileFormat, Limits
from sources.shape import is_name_like, shape
from sources.unpacking import structure, unpacked

_NEWLINE, _RETURN, _TAB, _QUOTE, _DELETE, _FIRST_PRINTABLE = 10, 13, 9, 34, 127, 32
_BOM = "\ufeff".encode()
#: Marks by which files in another encoding than declared can be told; longer ones first.
_MARKS = (
    (_BOM, "utf-8", "UTF-8"),
    ("\ufeff".encode("gb18030"), "gb18030", "GB18030"),
    (b"\xff\xfe", "", "UTF-16"),
    (b"\xfe\xff", "", "UTF-16"),
)
_LONGEST_HEADER = 65_536
#: A column is held plainly where more than this share of the cells of the first block is different, and there are enough.
_MANY_DIFFERENT, _ENOUGH_ROWS = 0.6, 1_000
#: No line is longer: 1,000 cells of the longest that is allowed would not fit, and no table has half as many.
_LONGEST_LINE = 1 << 23
_RESEND = "Have the source correct the export and send the period again."


def read_strict_csv(
    path: Path,
    form: FileFormat,
    columns: Sequence[str],
    *,
    name: str | None = None,
    limits: Limits | None = None,
) -> pa.Table:
    """All cells as strings, one row per line after the header; exactly `columns`, in the file's order. Dictionary-encoded but
    for columns of which nearly every cell is another (tokens, numbers of bills), as the first block shows.

    `name` is what messages call the file. Raises Refusal REFUSED/ENCODING, STRUCTURE or SCHEMA with the line
    in the file; no message holds a cell's content.
    """
    names: list[str] = []
    blocks: list[pa.Table] = []
    for _, block in strict_blocks(path, form, columns, name=name, limits=limits, plainly=True):
        names = block.column_names
        if block.num_rows:
            blocks.append(block)
    if not blocks:
        return empty(names)
    return pa.concat_tables(blocks).unify_dictionaries()


def strict_blocks(
    path: Path,
    form: FileFormat,
    columns: Sequence[str],
    *,
    name: str | None = None,
    limits: Limits | None = None,
    plainly: bool = False,
) -> Iterator[tuple[int, pa.Table]]:
    """The same in blocks of some megabytes, each with the line of its first row; at least one, without rows where there are
    none. All columns dictionary-encoded, unless `plainly`.
    """
    name, limits = name or path.name, limits or Limits()
    names: list[str] = []
    kinds: dict[str, pa.DataType] = {}
    line, rows = 1, 0
    for raw, lines in _whole_lines(unpacked(path, form.compression, name, limits), form, name):
        text = _as_utf8(raw, form, name, line)
        if line == 1:
            end = text.find(b"\n") + 1 or len(text)
            header, text = text[:end], text[end:]
            _check_characters(np.frombuffer(header, dtype=np.uint8), name, line)
            names = _header(header.removesuffix(b"\n").removesuffix(b"\r"), columns, form, name)
        first = 2 if line == 1 else line
        line += lines
        rows += line - first
        if rows > limits.max_rows:
            raise structure(name, f"more than {limits.max_rows} rows", first)
        if not text:
            yield first, empty(names)
            continue
        block = _rows(text, line - first, kinds or dict.fromkeys(names, TEXT), form, name, limits, first)
        if not kinds:
            kinds = _kinds(block) if plainly else dict.fromkeys(names, TEXT)
            block = block.cast(pa.schema(kinds)) if plainly else block
        yield first, block
    if line == 1:
        yield 2, empty(_header(b"", columns, form, name))


def _whole_lines(pieces: Iterator[bytes], form: FileFormat, name: str) -> Iterator[tuple[bytes, int]]:
    """Blocks that end with a line end, but for the last, and how many lines each has; the byte-order mark is checked and cut
    off."""
    rest, first, lines = b"", True, 1
    for piece in pieces:
        block = rest + piece
        if first and len(block) > 4:
            block, first = _after_mark(block, form, name), False
        end = block.rfind(b"\n") + 1
        if not end and len(block) > _LONGEST_LINE:
            raise structure(name, f"a line of more than {_LONGEST_LINE} bytes", lines)
        rest = block[end:]
        if end and not first:
            count = block.count(b"\n", 0, end)
            yield block[:end], count
            lines += count
        else:
            rest = block
    if first:
        rest = _after_mark(rest, form, name)
    if rest:
        yield rest, rest.count(b"\n") + (not rest.endswith(b"\n"))


def _after_mark(block: bytes, form: FileFormat, name: str) -> bytes:
    for mark, encoding, called in _MARKS:
        if not block.startswith(mark):
            continue
        if encoding == form.encoding and form.bom in (True, "optional"):
            return block[len(mark) :]
        told = "begins with a byte-order mark"
        if encoding != form.encoding:
            told += f" of {called}, so it isn't {form.encoding.upper()}"
        break
    else:
        if form.bom is not True:
            return block
        told = "the byte-order mark is missing"
    raise Refusal(
        "REFUSED/ENCODING",
        f"{told}.",
        file=name,
        line=1,
        remedy="The file was written by another export than the adapter declares. " + _RESEND,
    )


def _as_utf8(raw: bytes, form: FileFormat, name: str, line: int) -> bytes:
    """The block as UTF-8. GB18030 is recoded before anything else looks at it: its second bytes can look like delimiters.
    UTF-8 is left to PyArrow, which is faster, but for the first block, whose header is read here.
    """
    if raw.isascii() or (form.encoding == "utf-8" and line > 1):
        return raw
    decoded = _decoded(raw, form.encoding, name, line)
    return raw if form.encoding == "utf-8" else decoded.encode("utf-8")


def _decoded(raw: bytes, encoding: str, name: str, line: int) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refusal(
            "REFUSED/ENCODING",
            f"not valid {encoding.upper()}.",
            file=name,
            line=line + raw.count(b"\n", 0, error.start),
            remedy=f"The adapter declares {encoding}. {_RESEND}",
        ) from None


def _rows(
    text: bytes,
    lines: int,
    kinds: dict[str, pa.DataType],
    form: FileFormat,
    name: str,
    limits: Limits,
    line: int,
) -> pa.Table:
    """The rows of one block of `lines` lines, the first of which is line `line` of the file; `kinds` as Arrow is to hold them."""
    cells = np.frombuffer(text, dtype=np.uint8)
    _check_characters(cells, name, line)
    quoted = b'"' in text
    if quoted:
        _check_structure(cells, len(kinds), form, name, limits, line)
    try:
        rows = _parsed(text, kinds, form, quoted)
    except pa.ArrowInvalid:
        # Arrow's own message quotes the row; the checks below tell the line.
        _decoded(text, "utf-8", name, line)
        _check_structure(cells, len(kinds), form, name, limits, line)
        raise structure(name, "the rows don't parse", line) from None
    # PyArrow takes a blank line for a row of empty cells.
    lengths = [_lengths(column) for column in rows.columns]
    blank = not quoted and len(kinds) > 1 and lengths[0][0] == 0
    longest = max(most for _, most in lengths)
    if blank or rows.num_rows != lines or longest > limits.max_field_bytes:
        _check_structure(cells, len(kinds), form, name, limits, line)
        if rows.num_rows != lines:
            raise structure(name, f"{lines} lines but {rows.num_rows} rows", line)
    return rows


def _lengths(column: pa.ChunkedArray) -> tuple[int, int]:
    """Bytes of the shortest and of the longest cell."""
    shortest, longest = [1], [0]
    for piece in column.chunks:
        texts = piece.dictionary if pa.types.is_dictionary(piece.type) else piece
        if len(texts):
            bytes_each = np.diff(
                np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
            )
            shortest.append(int(bytes_each.min()))
            longest.append(int(bytes_each.max()))
    return min(shortest), max(longest)


def _kinds(block: pa.Table) -> dict[str, pa.DataType]:
    """How the columns are to be held, by the first block: as their different texts, or plainly where that would not pay."""
    return {
        name: pa.string()
        if block.num_rows >= _ENOUGH_ROWS
        and sum(len(piece.dictionary) for piece in column.chunks) > _MANY_DIFFERENT * block.num_rows
        else TEXT
        for name, column in zip(block.column_names, block.columns, strict=True)
    }


def _check_characters(cells: np.ndarray, name: str, line: int) -> None:
    """No control character but line ends and tabs; a carriage return only before a newline."""
    low = cells < _FIRST_PRINTABLE
    places = np.flatnonzero(low)
    found = cells[places]
    bad = (found != _NEWLINE) & (found != _TAB)
    returns = np.flatnonzero(found == _RETURN)
    if len(returns):
        after = np.minimum(places[returns] + 1, len(cells) - 1)
        bad[returns] = (cells[after] != _NEWLINE) & (places[returns] + 1 < len(cells))
    at = int(places[int(bad.argmax())]) if bad.any() else None
    deletes = np.equal(cells, _DELETE, out=low)
    if deletes.any():
        at = min(int(deletes.argmax()), len(cells) if at is None else at)
    if at is not None:
        raise structure(name, "a NUL or another control character", line + _lines(cells, at))


def _header(line: bytes, columns: Sequence[str], form: FileFormat, name: str) -> list[str]:
    if len(line) > _LONGEST_HEADER:
        raise structure(name, f"a header of more than {_LONGEST_HEADER} bytes", 1)
    names = next(csv.reader(io.StringIO(line.decode("utf-8")), delimiter=form.delimiter), [])
    check_columns(names, columns, name, 1)
    return names


def check_columns(names: Sequence[str], columns: Sequence[str], name: str, line: int | None) -> None:
    """Raise REFUSED/SCHEMA unless `names`, as delivered, are `columns` in any order, each once."""
    found, declared = Counter(names), set(columns)
    # A file without its header has a row of data there: then nothing is named.
    is_header = any(column in found for column in columns)
    problems = [
        ("missing", [column for column in columns if column not in found]),
        ("unknown", [column for column in found if column not in declared]),
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
            line=line,
            column=next((which[0] for kind, which in problems if kind == "missing" and which), None),
            remedy="Agree the change with the source and name every column in the adapter.",
        )


def _shown(column: str, is_header: bool) -> str:
    return f"`{column}`" if is_header and is_name_like(column) else f"one of the shape `{shape(column)}`"


def _check_structure(
    cells: np.ndarray, width: int, form: FileFormat, name: str, limits: Limits, line: int
) -> None:
    """Every line has `width` cells; quotes enclose whole cells and close; no cell is too long."""
    if len(cells) and cells[-1] != _NEWLINE:
        cells = np.append(cells, np.uint8(_NEWLINE))
    marks = np.flatnonzero((cells == ord(form.delimiter)) | (cells == _NEWLINE))
    quotes = np.flatnonzero(cells == _QUOTE)
    if len(quotes):
        _check_quotes(cells, quotes, marks, form, name, line)
        marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
    is_end = cells[marks] == _NEWLINE
    should_end = np.arange(1, len(marks) + 1) % width == 0
    wrong = is_end != should_end
    if wrong.any():
        at = int(wrong.argmax())
        raise structure(name, f"the line doesn't have {width} cells", line + int(is_end[:at].sum()))
    lengths = np.diff(marks, prepend=-1) - 1
    if len(lengths) and lengths.max() > limits.max_field_bytes:
        at = int(marks[int(lengths.argmax())])
        raise structure(name, f"a cell of more than {limits.max_field_bytes} bytes", line + _lines(cells, at))


def _check_quotes(
    cells: np.ndarray, quotes: np.ndarray, marks: np.ndarray, form: FileFormat, name: str, line: int
) -> None:
    ends = marks[cells[marks] == _NEWLINE]
    open_at_end = np.searchsorted(quotes, ends) % 2 == 1
    if open_at_end.any():
        raise structure(name, "a quote that doesn't close on its line", line + int(open_at_end.argmax()))
    opening, closing = quotes[0::2], quotes[1::2]
    before = cells[np.maximum(opening - 1, 0)]
    after = cells[closing + 1]
    neighbours = (ord(form.delimiter), _NEWLINE, _QUOTE)
    stray = ~np.isin(before, neighbours) & (opening > 0)
    if stray.any():
        raise structure(name, "a quote inside an unquoted cell", line + _lines(cells, int(opening[stray][0])))
    stray = ~np.isin(after, (*neighbours, _RETURN))
    if stray.any():
        raise structure(name, "text after a closing quote", line + _lines(cells, int(closing[stray][0])))


def _parsed(body: bytes, kinds: dict[str, pa.DataType], form: FileFormat, quoted: bool) -> pa.Table:
    if body.startswith(_BOM):
        # PyArrow drops one mark at the start of what it is given; here it is a cell's first character.
        body = _BOM + body
    return pa_csv.read_csv(
        pa.BufferReader(body),
        # One block a call: it holds whole rows.
        read_options=pa_csv.ReadOptions(
            column_names=list(kinds), block_size=len(body) + 1, use_threads=False
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=form.delimiter,
            quote_char='"' if quoted else False,
            double_quote=quoted,
            ignore_empty_lines=False,
        ),
        convert_options=pa_csv.ConvertOptions(
            check_utf8=form.encoding == "utf-8",
            column_types=kinds,
            strings_can_be_null=False,
        ),
    )


def _lines(cells: np.ndarray, at: int) -> int:
    return int((cells[:at] == _NEWLINE).sum())
