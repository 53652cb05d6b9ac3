"""One text form for the cells of typed files, so that adapters read Parquet, XLSX and JSON lines as they read CSV.

| cell | text |
|---|---|
| nothing | empty |
| text | itself |
| whole number | its digits, `-` before a negative one |
| decimal | its digits and all places after the point, `12.50` |
| binary floating point | the shortest decimal that means it, written out, never with an exponent; a whole one without point |
| truth | `true` or `false` |
| date | `2026-10-12` |
| moment | `2026-10-12 08:30:00`, with `.123456` where there are fractions; with a zone, in Chinese civil time |

A sum that a spreadsheet left at 0.30000000000000004 is that text, and an amount column refuses it: what is exact stays
exact, what isn't is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from core.months import CHINA_TIME
from sources.file_format import Limits
from sources.unpacking import structure

#: How every delivered column is held.
TEXT = pa.dictionary(pa.int32(), pa.string())

#: Doubles hold whole numbers exactly below this; a spreadsheet's longer number has lost digits.
EXACT_BELOW = 2**53

_CONTROL = "[\\x00-\\x08\\x0a-\\x1f\\x7f]"


def empty(names: Sequence[str]) -> pa.Table:
    """No rows of these columns."""
    return pa.table({name: pa.array([], TEXT) for name in names})


def float_text(value: float) -> str | None:
    """The shortest decimal of a finite double, written out; None for NaN and infinities."""
    if not np.isfinite(value):
        return None
    text = format(Decimal(repr(float(value))), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def date_text(value: date) -> str:
    """`2026-10-12`."""
    return value.isoformat()


def moment_text(value: datetime) -> str:
    """`2026-10-12 08:30:00`; a zone is turned into Chinese civil time."""
    if value.tzinfo is not None:
        value = value.astimezone(CHINA_TIME).replace(tzinfo=None)
    return value.isoformat(sep=" ")


def check_cells(table: pa.Table, name: str, limits: Limits, first_line: int) -> pa.Table:
    """The table, unless a cell holds a control character (tabs may stand) or is too long: REFUSED/STRUCTURE with the line."""
    for column in table.column_names:
        texts = table.column(column).combine_chunks()
        texts = texts if isinstance(texts, pa.Array) else texts.chunk(0)
        for bad, what in (
            (pc.match_substring_regex(texts.dictionary, _CONTROL), "a NUL or another control character"),
            (
                pc.greater(pc.binary_length(texts.dictionary), limits.max_field_bytes),
                f"a cell of more than {limits.max_field_bytes} bytes",
            ),
        ):
            if pc.any(bad).as_py():
                row = int(np.flatnonzero(bad.to_numpy(zero_copy_only=False)[texts.indices.to_numpy()])[0])
                raise _at(structure(name, what, first_line + row), column)
    return table


def _at(refusal: Refusal, column: str) -> Refusal:
    refusal.column = column
    return refusal


def encoded(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Strings (nulls: nothing was sent) as a dictionary-encoded array without nulls."""
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], pa.string())
    filled = pc.fill_null(whole, "")
    return filled if pa.types.is_dictionary(filled.type) else filled.dictionary_encode()
