"""Delivered JSON lines: one object a line, exactly the adapter's keys, plain values.

Nothing is taken that two readers could read differently: repeated keys, NaN, values inside values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.errors import Refusal
from sources.delivered_text import check_cells, empty, encoded
from sources.file_format import FileFormat, Limits
from sources.strict_csv import check_columns
from sources.unpacking import structure, unpacked

#: No line is longer.
_LONGEST_LINE = 1 << 20


def read_json_lines(
    path: Path,
    form: FileFormat,
    columns: Sequence[str],
    *,
    name: str | None = None,
    limits: Limits | None = None,
) -> pa.Table:
    """All cells as text, dictionary-encoded, one row a line. A number's text is its digits as they stand in the file; null
    is empty; truth is `true` or `false`.

    Raises Refusal REFUSED/ENCODING, STRUCTURE or SCHEMA with the line.
    """
    name, limits = name or path.name, limits or Limits()
    reader = _LineReader(columns, name)
    pieces: list[pa.Table] = []
    rest, line = b"", 1
    for piece in unpacked(path, form.compression, name, limits):
        block = rest + piece
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > _LONGEST_LINE:
            raise structure(name, f"a line of more than {_LONGEST_LINE} bytes", line + block.count(b"\n"))
        if end:
            pieces.append(reader.rows(block[: end - 1].split(b"\n"), line, limits))
            line += pieces[-1].num_rows
    if rest:
        pieces.append(reader.rows([rest], line, limits))
    if sum(piece.num_rows for piece in pieces) > limits.max_rows:
        raise structure(name, f"more than {limits.max_rows} rows")
    return pa.concat_tables(pieces).unify_dictionaries() if pieces else empty(columns)


class _LineReader:
    def __init__(self, columns: Sequence[str], name: str) -> None:
        self.columns, self.name = list(columns), name
        self.declared = set(columns)
        self.decoder = json.JSONDecoder(
            parse_float=str, parse_int=str, parse_constant=self._constant, object_pairs_hook=self._object
        )

    def rows(self, lines: list[bytes], first: int, limits: Limits) -> pa.Table:
        """A block of lines, the first of which is line `first` of the file."""
        cells: list[list[str]] = [[] for _ in self.columns]
        for place, raw in enumerate(lines):
            row = self._row(raw.removesuffix(b"\r"), first + place)
            for column, values in zip(self.columns, cells, strict=True):
                values.append(row[column])
        table = pa.table(
            {c: encoded(pa.array(v, pa.string())) for c, v in zip(self.columns, cells, strict=True)}
        )
        return check_cells(table, self.name, limits, first)

    def _row(self, raw: bytes, line: int) -> dict[str, str]:
        try:
            text = raw.decode("utf-8")
            # Lone surrogates can be written as escapes and are no text.
            row = self.decoder.decode(text)
            if "\\u" in text:
                "".join(v for v in row.values() if isinstance(v, str)).encode("utf-8")
        except UnicodeError:
            raise Refusal(
                "REFUSED/ENCODING",
                "not valid UTF-8.",
                file=self.name,
                line=line,
                remedy="JSON lines are UTF-8. Have the source correct the export and send the period again.",
            ) from None
        except _Unclear as error:
            raise structure(self.name, str(error), line) from None
        except (ValueError, RecursionError, AttributeError):
            raise structure(self.name, "the line isn't one JSON object", line) from None
        if not isinstance(row, dict):
            raise structure(self.name, "the line isn't one JSON object", line)
        if row.keys() != self.declared:
            check_columns(list(row), self.columns, self.name, line)
        return row

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, str]:
        row = {}
        for key, value in pairs:
            if isinstance(value, str):
                row[key] = value
            elif value is None:
                row[key] = ""
            elif value is True or value is False:
                row[key] = "true" if value else "false"
            else:
                raise _Unclear("a value inside a value")
        if len(row) < len(pairs):
            raise _Unclear("a key stands twice")
        return row

    @staticmethod
    def _constant(_: str) -> Any:
        raise _Unclear("NaN or Infinity")


class _Unclear(ValueError):
    """JSON that isn't one plain object."""
