"""Delivered XLSX workbooks: the zip and its parts first, then one sheet by python-calamine.

A workbook may fetch data from elsewhere, hold macros, or show what a formula once gave; a source's export does none of
these, so such a file is refused rather than read for what it seems to say. The first row is the header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.errors import Refusal
from sources.delivered_text import (
    EXACT_BELOW,
    check_cells,
    date_text,
    empty,
    encoded,
    float_text,
    moment_text,
)
from sources.file_format import FileFormat, Limits
from sources.strict_csv import check_columns
from sources.unpacking import open_zip, room_for, structure, too_far, zip_entry

_MOST_PARTS = 1000
#: A sheet has at most so many rows, the header among them.
_MOST_ROWS = 1_048_576
_FORBIDDEN = re.compile(
    r"vbaProject|externalLinks/|macrosheets/|activeX/|embeddings/|connections\.xml|queryTables/|customUI/|ddeLinks/",
    re.IGNORECASE,
)
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_ERROR_CELL = re.compile(rb"<(?:\w+:)?c\s[^>]*\bt=[\"']e[\"']")
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_LINK = re.compile(rb"TargetMode=[\"']External[\"']", re.IGNORECASE)


def read_workbook(
    path: Path,
    form: FileFormat,
    columns: Sequence[str],
    *,
    name: str | None = None,
    limits: Limits | None = None,
) -> pa.Table:
    """All cells of the sheet as text (`sources.delivered_text`), dictionary-encoded, exactly `columns`.

    Raises Refusal REFUSED/STRUCTURE, SCHEMA or TYPE; lines are the sheet's rows.
    """
    name, limits = name or path.name, limits or Limits()
    _check_parts(path, name, limits)
    rows = _sheet(path, form, name)
    if not rows:
        check_columns([], columns, name, 1)
    header = [_text(cell, name, 1, None) for cell in rows[0]]
    while header and not header[-1]:
        header.pop()
    check_columns(header, columns, name, 1)
    if len(rows) == 1:
        return empty(header)
    cells: dict[str, list[str]] = {column: [] for column in header}
    for line, row in enumerate(rows[1:], start=2):
        if any(cell != "" for cell in row[len(header) :]):
            raise structure(name, f"the row doesn't have {len(header)} cells", line)
        for column, cell in zip(header, row, strict=False):
            cells[column].append(cell if type(cell) is str else _text(cell, name, line, column))
    table = pa.table({column: encoded(pa.array(texts, pa.string())) for column, texts in cells.items()})
    return check_cells(table, name, limits, 2)


def _check_parts(path: Path, name: str, limits: Limits) -> None:
    """Caps, macros, links, formulas and error cells, from the bytes of every part."""
    with path.open("rb") as file, open_zip(file, name) as archive:
        parts = archive.infolist()
        names = [part.filename for part in parts]
        if len(parts) > _MOST_PARTS or len(set(names)) < len(names):
            raise structure(name, f"a workbook of more than {_MOST_PARTS} parts, or one part twice")
        if "[Content_Types].xml" not in names or "xl/workbook.xml" not in names:
            raise structure(name, "not a workbook")
        if any(part.startswith(("/", "\\")) or ".." in part.split("/") for part in names):
            raise structure(name, "a part that points out of the workbook")
        if any(_FORBIDDEN.search(part) for part in names):
            raise structure(name, "a workbook with macros, links or embedded objects")
        room = room_for(path.stat().st_size, limits)
        if sum(part.file_size for part in parts) > room:
            raise too_far(name, limits)
        for part in parts:
            body = b"".join(zip_entry(archive, part, name, room, limits))
            room -= len(body)
            _check_part(part.filename, body, name)


def _check_part(part: str, body: bytes, name: str) -> None:
    if _DECLARATION.search(body):
        raise structure(name, "a workbook whose parts declare entities")
    if part.endswith(".rels") and _LINK.search(body):
        raise structure(name, "a workbook with macros, links or embedded objects")
    if part == "[Content_Types].xml" and b"macroEnabled" in body:
        raise structure(name, "a workbook with macros, links or embedded objects")
    if _SHEET.fullmatch(part):
        if _FORMULA.search(body):
            raise structure(name, "a sheet with formulas; export the values alone")
        if _ERROR_CELL.search(body):
            raise structure(name, "a sheet with error cells such as #N/A")


def _sheet(path: Path, form: FileFormat, name: str) -> list[list[Any]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(path) as workbook:
            sheets = workbook.sheet_names
            if form.sheet is None and len(sheets) != 1:
                raise structure(
                    name, f"{len(sheets)} sheets, and the adapter doesn't say which holds the rows"
                )
            if form.sheet is not None and form.sheet not in sheets:
                raise Refusal(
                    "REFUSED/SCHEMA",
                    "the sheet that the adapter names isn't there.",
                    file=name,
                    remedy=f"The adapter declares the sheet `{form.sheet}`: have the source keep its name.",
                )
            sheet = workbook.get_sheet_by_name(form.sheet or sheets[0])
            if sheet.height > _MOST_ROWS:
                raise structure(name, f"more than {_MOST_ROWS} rows")
            if sheet.start not in (None, (0, 0)):
                raise structure(
                    name, "the sheet doesn't begin with its header in the first row and column", 1
                )
            return list(sheet.to_python(skip_empty_area=False))
    except (CalamineError, OSError, ValueError, OverflowError):
        raise structure(name, "not a whole workbook") from None


def _text(cell: Any, name: str, line: int, column: str | None) -> str:
    text: str | None = None
    if isinstance(cell, str):
        text = cell
    elif isinstance(cell, bool):
        text = "true" if cell else "false"
    elif isinstance(cell, int | float):
        text = None if abs(cell) >= EXACT_BELOW else float_text(float(cell))
    elif isinstance(cell, datetime):
        text = moment_text(cell)
    elif isinstance(cell, date):
        text = date_text(cell)
    if text is None:
        raise Refusal(
            "REFUSED/TYPE",
            "a number too long for a spreadsheet to keep exactly, or a cell without a text form.",
            file=name,
            line=line,
            column=column,
            remedy="Have the source write long numbers and times of day as text.",
        )
    return text
