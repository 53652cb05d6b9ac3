"""All tables of the report as an Excel workbook to calculate with: an index, one sheet a table, details stacked by part.

Numbers are numbers with the format of their column, texts are texts (nothing becomes a formula); the same report gives the same
bytes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.definition_file import Bilingual
from models.report.cell_text import text_width, verdict_of
from models.report.document import Report, ReportPart
from models.report_blocks import Cell, Table

#: Characters a sheet's name can't hold, and its longest length.
_FORBIDDEN = str.maketrans(dict.fromkeys("[]:*?/\\'", " "))
_LONGEST = 31

#: Widest column, in characters.
_WIDEST = 60

_COLOURS = {
    "pass": "#E8F3EC",
    "warn": "#FDF1DC",
    "fail": "#FBE3E0",
    "unproven": "#EEF1F4",
    "unmeasured": "#EEF1F4",
}


@dataclass
class _Book:
    """The open workbook with its cell formats, made once each."""

    book: Any
    formats: dict[tuple[tuple[str, Any], ...], Any] = field(default_factory=dict)

    def style(self, **properties: Any) -> Any:
        """A cell format."""
        key = tuple(sorted(properties.items()))
        if key not in self.formats:
            self.formats[key] = self.book.add_format({"valign": "top", **properties})
        return self.formats[key]


def workbook_bytes(report: Report) -> bytes:
    """The .xlsx; headings and words stand in both languages."""
    import xlsxwriter

    buffer = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(buffer, options) as opened:
        first = datetime.fromisoformat(f"{report.month}-01")
        opened.set_properties(
            {"title": f"{_both(report.title)} {report.month}", "author": "gscene", "created": first}
        )
        book = _Book(opened)
        index = opened.add_worksheet("目录 Index")
        listed: list[tuple[str, int, ReportPart, Table]] = []
        for part in report.parts:
            listed += _part(book, part)
        _index(book, index, report, listed)
    return buffer.getvalue()


def number_format(form: str) -> str:
    """Excel's format for a Python one: .3f, ,d, .1%, +.1f."""
    sign, form = form.startswith("+"), form.lstrip("+")
    thousands, form = form.startswith(","), form.lstrip(",")
    if not form:
        return "General"
    digits = int(form[1:-1]) if form[:1] == "." and form[-1] in "f%" else 0
    shown = (
        ("#,##0" if thousands else "0")
        + ("." + "0" * digits if digits else "")
        + ("%" if form[-1] == "%" else "")
    )
    return f"+{shown};-{shown};{shown}" if sign else shown


def _part(book: _Book, part: ReportPart) -> list[tuple[str, int, ReportPart, Table]]:
    """The sheets of one part: (sheet, row of its title, part, table)."""
    listed = []
    own = [table for table in part.tables if not table.folded]
    for place, table in enumerate(own, 1):
        name = f"{part.number:02d}.{place:02d} {table.title.zh}".translate(_FORBIDDEN)[:_LONGEST].strip()
        sheet = book.book.add_worksheet(name)
        _table(book, sheet, 0, table)
        sheet.freeze_panes(1, 0)
        if table.rows:
            sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)
        listed.append((name, 0, part, table))
    details = [table for table in part.tables if table.folded]
    if details:
        name = f"{part.number:02d} 明细 details"
        sheet, row = book.book.add_worksheet(name), 0
        for table in details:
            sheet.write_string(row, 0, _both(table.title), book.style(bold=True))
            listed.append((name, row, part, table))
            _table(book, sheet, row + 1, table)
            row += len(table.rows) + 3
        sheet.freeze_panes(0, 1)
    return listed


def _table(book: _Book, sheet: Any, top: int, table: Table) -> None:
    head = book.style(bold=True, bg_color="#F5F7FA", bottom=1, text_wrap=True)
    forms = table.formats or ("",) * len(table.columns)
    for place, (column, form) in enumerate(zip(table.columns, forms, strict=True)):
        sheet.write_string(top, place, _both(column), head)
        cells = [row[place] for row in table.rows]
        for row, cell in enumerate(cells, top + 1):
            _write(book, sheet, row, place, cell, form)
        widths = [_width(cell) for cell in cells] + [min(24, len(_both(column)))]
        sheet.set_column(place, place, max(10, min(_WIDEST, max(widths) + 2)))


def _write(book: _Book, sheet: Any, row: int, place: int, cell: Cell, form: str) -> None:
    if cell is None:
        return
    if isinstance(cell, bool):
        sheet.write_boolean(row, place, cell)
    elif isinstance(cell, int | float):
        kind = number_format(form) if form else "#,##0" if isinstance(cell, int) else "General"
        sheet.write_number(row, place, cell, book.style(num_format=kind))
    else:
        text = _both(cell) if isinstance(cell, Bilingual) else cell
        fill = _COLOURS.get(verdict_of(cell), "")
        sheet.write_string(row, place, text, book.style(**({"bg_color": fill} if fill else {})))


def _index(book: _Book, sheet: Any, report: Report, listed: list[tuple[str, int, ReportPart, Table]]) -> None:
    bold = book.style(bold=True)
    sheet.write_string(0, 0, f"{_both(report.title)} {report.month}", bold)
    sheet.write_string(1, 0, _both(report.verdict))
    if report.notice is not None:
        sheet.write_string(2, 0, _both(report.notice), book.style(bold=True, bg_color="#FDECEA"))
    for place, text in enumerate(("部分 / part", "表 / table", "行数 / rows", "工作表 / sheet")):
        sheet.write_string(4, place, text, book.style(bold=True, bg_color="#F5F7FA", bottom=1))
    for row, (name, top, part, table) in enumerate(listed, 5):
        sheet.write_string(row, 0, f"{part.number}. {_both(part.title)}")
        sheet.write_string(row, 1, _both(table.title))
        sheet.write_number(row, 2, len(table.rows))
        sheet.write_url(row, 3, f"internal:'{name}'!A{top + 1}", string=name)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 70)
    sheet.set_column(2, 2, 10)
    sheet.set_column(3, 3, 34)
    sheet.freeze_panes(5, 0)


def _both(text: Bilingual) -> str:
    return text.zh if text.zh == text.en else f"{text.zh} / {text.en}"


def _width(cell: Cell) -> int:
    return text_width(
        _both(cell) if isinstance(cell, Bilingual) else cell if isinstance(cell, str) else "0" * 10
    )
