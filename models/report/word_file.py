"""The report as a Word file (.docx) that a validator can edit, in one language; the same report gives the same bytes.

Tables are written as XML in one go: python-docx takes a millisecond a cell, and a report has ten thousand of them.
"""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from models.report.cell_text import Lang, cell_text, in_language, is_number, text_width, verdict_of
from models.report.document import Report
from models.report_blocks import Block, Cell, Paragraph, Table

#: Zip entries carry a time; this is the first that they can.
EPOCH = (1980, 1, 1, 0, 0, 0)

#: Width of a picture on A4 between margins of 2 cm.
PICTURE_INCHES = 4.9

#: East-Asian face of every style: on any Chinese Windows, and replaced by the reader's own elsewhere.
FACE, LATIN = "微软雅黑", "Calibri"

#: Width of a table there, in twentieths of a point, and the characters of its narrowest and widest column.
TABLE_WIDTH, SHORTEST, LONGEST = 9_630, 5, 34

_COLOURS = {
    "pass": "E8F3EC",
    "warn": "FDF1DC",
    "fail": "FBE3E0",
    "unproven": "EEF1F4",
    "unmeasured": "EEF1F4",
}

_CONTROL = {code: None for code in range(32) if code not in (9, 10, 13)}


def word_bytes(report: Report, lang: Lang = "zh") -> bytes:
    """The .docx in one language."""
    from docx import Document

    document = Document()
    _set_up(document, report, lang)
    document.add_heading(in_language(report.title, lang), level=0)
    facts = [("模型审查报告" if lang == "zh" else "Model review report")]
    facts += [f"{in_language(name, lang)}: {cell_text(value, '', lang)}" for name, value in report.facts]
    document.add_paragraph(" · ".join(facts))
    for text in (report.notice, report.verdict):
        if text is not None:
            document.add_paragraph().add_run(_clean(in_language(text, lang))).bold = True
    for part in report.parts:
        document.add_heading(f"{part.number}. {in_language(part.title, lang)}", level=1)
        for block in part.blocks:
            _add(document, block, lang)
    buffer = io.BytesIO()
    document.save(buffer)
    return _with_fixed_times(buffer.getvalue())


def _add(document: Any, block: Block, lang: Lang) -> None:
    from docx.shared import Inches, Pt

    if isinstance(block, Paragraph):
        document.add_paragraph(_clean(in_language(block.text, lang)))
        return
    if isinstance(block, Table):
        document.add_heading(_clean(in_language(block.title, lang)), level=3 if block.folded else 2)
        _add_table(document, block, lang)
        note = document.add_paragraph()
        if block.note is not None:
            note.add_run(_clean(in_language(block.note, lang))).font.size = Pt(8)
        return
    if block.png is not None:
        document.add_picture(io.BytesIO(block.png), width=Inches(PICTURE_INCHES))
        # What a reader hears who can't see it.
        document.inline_shapes[-1]._inline.docPr.set("descr", in_language(block.alt, lang))
    caption = document.add_paragraph(style="Caption")
    caption.add_run(_clean(in_language(block.title, lang)))
    if block.png is None:
        missing = (
            f"（图见网页版：{in_language(block.alt, lang)}）"
            if lang == "zh"
            else f" (see the page: {in_language(block.alt, lang)})"
        )
        caption.add_run(missing)


def _add_table(document: Any, table: Table, lang: Lang) -> None:
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    # Half points: a table of many columns has to fit between the margins.
    size = 17 if len(table.columns) <= 5 else 14 if len(table.columns) <= 8 else 12
    forms = table.formats or ("",) * len(table.columns)
    head = [in_language(column, lang) for column in table.columns]
    texts = [
        [cell_text(cell, form, lang) for cell, form in zip(row, forms, strict=True)] for row in table.rows
    ]
    widths = _widths([head, *texts])
    rows = [_row(head, [False] * len(forms), widths, size, head=True)]
    for row, told in zip(table.rows, texts, strict=True):
        rows.append(_row(told, [is_number(cell) for cell in row], widths, size, fills=_fills(row)))
    grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    document.element.body._insert_tbl(
        parse_xml(
            f'<w:tbl {nsdecls("w")}><w:tblPr><w:tblStyle w:val="TableGrid"/><w:tblW w:w="{sum(widths)}" w:type="dxa"/>'
            f'<w:tblLayout w:type="fixed"/></w:tblPr><w:tblGrid>{grid}</w:tblGrid>{"".join(rows)}</w:tbl>'
        )
    )


def _widths(rows: list[list[str]]) -> list[int]:
    """Widths in twentieths of a point, after the longest text of each column; long texts wrap rather than push others out.

    Fixed, because Word, WPS and LibreOffice each fit tables their own way.
    """
    weights = [
        min(LONGEST, max(SHORTEST, *(text_width(text) for text in texts)))
        for texts in zip(*rows, strict=True)
    ]
    return [int(TABLE_WIDTH * weight / sum(weights)) for weight in weights]


def _fills(row: tuple[Cell, ...]) -> list[str]:
    return [_COLOURS.get(verdict_of(cell), "") for cell in row]


def _row(
    texts: list[str],
    right: list[bool],
    widths: list[int],
    size: int,
    *,
    head: bool = False,
    fills: list[str] | None = None,
) -> str:
    fills = ["F5F7FA"] * len(texts) if head else fills or [""] * len(texts)
    cells = []
    for text, on_right, width, fill in zip(texts, right, widths, fills, strict=True):
        shade = f'<w:shd w:val="clear" w:color="auto" w:fill="{fill}"/>' if fill else ""
        align = '<w:jc w:val="right"/>' if on_right else ""
        bold = "<w:b/>" if head else ""
        cells.append(
            f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/>{shade}</w:tcPr><w:p><w:pPr><w:spacing w:before="20" '
            f'w:after="20"/>{align}</w:pPr><w:r><w:rPr>{bold}<w:sz w:val="{size}"/><w:szCs w:val="{size}"/></w:rPr>'
            f'<w:t xml:space="preserve">{escape(_clean(text))}</w:t></w:r></w:p></w:tc>'
        )
    properties = "<w:trPr><w:cantSplit/>" + ("<w:tblHeader/>" if head else "") + "</w:trPr>"
    return f"<w:tr>{properties}{''.join(cells)}</w:tr>"


def _set_up(document: Any, report: Report, lang: Lang) -> None:
    """A4, Chinese faces, page numbers, and properties without a clock."""
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt

    section = document.sections[0]
    section.page_width, section.page_height = Cm(21.0), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.0)
    section.top_margin = section.bottom_margin = Cm(2.0)
    for name, points in (
        ("Normal", 10),
        ("Title", 20),
        ("Heading 1", 15),
        ("Heading 2", 11),
        ("Heading 3", 9),
        ("Caption", 9),
    ):
        style = document.styles[name]
        style.font.name, style.font.size = LATIN, Pt(points)
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for theme in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme", "w:cstheme"):
            fonts.attrib.pop(qn(theme), None)
        fonts.set(qn("w:eastAsia"), FACE)
    _page_number(section.footer.paragraphs[0])
    told = document.core_properties
    first = datetime.fromisoformat(f"{report.month}-01")
    told.title = _clean(f"{in_language(report.title, lang)} {report.month}")
    told.author, told.last_modified_by, told.comments = "gscene", "gscene", ""
    told.created, told.modified, told.revision = first, first, 1
    told.language = "zh-CN" if lang == "zh" else "en"


def _page_number(paragraph: Any) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    paragraph._p.append(
        parse_xml(f'<w:fldSimple {nsdecls("w")} w:instr="PAGE"><w:r><w:t>1</w:t></w:r></w:fldSimple>')
    )


def _with_fixed_times(data: bytes) -> bytes:
    """The same archive with entries in order and one time for all of them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, source.read(name))
    return buffer.getvalue()


def _clean(text: str) -> str:
    """Without characters that XML can't hold."""
    return text.translate(_CONTROL)
