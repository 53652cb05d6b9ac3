"""Page, Word file, workbook, PDF and card: each holds every number of every table, escapes what it must, and has stable bytes."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.definition_file import Bilingual
from core.errors import GsceneError
from models.evidence import REPORT_FILES
from models.report.card import ModelCard, model_card
from models.report.cell_text import cell_text
from models.report.circumstances import Standing
from models.report.files import made_again, training_files, write_files
from models.report.page import render_page
from models.report.pdf import pdf_bytes
from models.report.word_file import word_bytes
from models.report.workbook import number_format, workbook_bytes
from models.report_blocks import Picture, Table
from tests.models.report.reported import CIRCUMSTANCES, EVIL, SEGMENT, record, report

CHECKOUT = Path(__file__).resolve().parents[3]


class Cells(HTMLParser):
    """Texts of the td cells of every table; of cells in two languages the Chinese one."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.inside, self.skipped = False, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag == "td":
            self.tables[-1][-1].append("")
            self.inside = True
        elif tag == "span" and (self.skipped or ("lang", "en") in attrs):
            self.skipped += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self.inside = False
        elif tag == "span" and self.skipped:
            self.skipped -= 1

    def handle_data(self, data: str) -> None:
        if self.inside and not self.skipped:
            self.tables[-1][-1][-1] += data


def tables() -> list[Table]:
    return [table for part in report().parts for table in part.tables]


def shown(table: Table, lang: str = "zh") -> list[list[str]]:
    forms = table.formats or ("",) * len(table.columns)
    return [
        [cell_text(cell, form, lang) for cell, form in zip(row, forms, strict=True)]  # type: ignore[arg-type]
        for row in table.rows
    ]


def test_the_page_shows_every_cell_of_every_table() -> None:
    parsed = Cells()
    parsed.feed(render_page(report()))
    found = [[row for row in table if row] for table in parsed.tables]
    assert found == [shown(table) for table in tables()]
    assert sum(len(rows) for rows in found) > 100


def test_the_page_loads_nothing_runs_nothing_and_escapes_titles() -> None:
    text = render_page(report())
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)|url\(([^)]+)\)|@import""", text)
    pictures = [block for part in report().parts for block in part.blocks if isinstance(block, Picture)]
    inside = [address for address, _ in addresses if address.startswith("data:image/svg+xml;base64,")]
    assert len(inside) == len(pictures) >= 10
    assert all(address.startswith(("data:image/svg+xml;base64,", "#")) for address, _ in addresses)
    assert (
        not re.search(r"https?://", text)
        and "<script" not in text
        and " on" not in re.findall(r"<body[^>]*>", text)[0]
    )
    assert "近6个月&lt;次数&gt;" in text and "late &amp; &lt;b&gt;often&lt;/b&gt;" in text
    assert EVIL.en not in text and SEGMENT not in text
    assert len(text) < 1_500_000


def test_the_page_opens_in_the_language_asked_for() -> None:
    for lang in ("zh", "en", "both"):
        opened = re.findall(r'id="lang-(\w+)" checked', render_page(report(), lang))  # type: ignore[arg-type]
        assert opened == [lang]
    text = render_page(report())
    for part in report().parts:
        assert f">{part.title.zh}<" in text and f">{part.title.en}<" in text and f'id="{part.part}"' in text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_word_file_opens_and_holds_every_table_and_picture(lang: str) -> None:
    from docx import Document

    document = Document(io.BytesIO(word_bytes(report(), lang)))  # type: ignore[arg-type]
    for told, table in zip(document.tables, tables(), strict=True):
        rows = [[cell.text for cell in row] for row in _rows(told)]
        assert rows[0] == [getattr(column, lang) for column in table.columns]
        assert rows[1:] == shown(table, lang)
    pictures = [block for part in report().parts for block in part.blocks if isinstance(block, Picture)]
    assert len(document.inline_shapes) == len(pictures)
    headings = [p.text for p in document.paragraphs if p.style is not None and p.style.name == "Heading 1"]
    assert headings == [f"{part.number}. {getattr(part.title, lang)}" for part in report().parts]
    assert document.core_properties.created is not None and document.core_properties.created.year == 2026


def _rows(table: object) -> list[list[object]]:
    """Cells row by row; `table.cell` takes quadratic time."""
    cells, width = table._cells, len(table.columns)  # type: ignore[attr-defined]
    return [cells[start : start + width] for start in range(0, len(cells), width)]


def test_the_workbook_has_numbers_as_numbers_and_no_formula() -> None:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(workbook_bytes(report())))
    index = book.worksheets[0]
    listed = [[cell.value for cell in row] for row in index.iter_rows(min_row=6)]
    assert [row[2] for row in listed] == [
        len(table.rows) for part in report().parts for table in _listed(part.tables)
    ]
    for line, table in zip(listed, (t for part in report().parts for t in _listed(part.tables)), strict=True):
        sheet = book[line[3]]
        top = int(index.cell(6 + listed.index(line), 4).hyperlink.location.rpartition("A")[2])
        top += 1 if table.folded else 0
        for place, column in enumerate(table.columns, 1):
            assert str(sheet.cell(top, place).value).startswith(column.zh)
        for down, row in enumerate(table.rows, 1):
            for place, cell in enumerate(row, 1):
                found = sheet.cell(top + down, place)
                if isinstance(cell, bool | int | float) or cell is None:
                    # Excel keeps 15 digits that count.
                    assert found.value == (
                        pytest.approx(cell, rel=1e-14) if isinstance(cell, float) else cell
                    )
                else:
                    assert found.data_type == "s"
                    assert str(found.value).startswith(cell.zh if isinstance(cell, Bilingual) else cell)
        assert table.folded or sheet.freeze_panes == "A2"
    assert not [
        c for sheet in book.worksheets for row in sheet.iter_rows() for c in row if c.data_type == "f"
    ]
    assert SEGMENT in {c.value for sheet in book.worksheets for row in sheet.iter_rows() for c in row}


def _listed(of: tuple[Table, ...]) -> list[Table]:
    return [t for t in of if not t.folded] + [t for t in of if t.folded]


@pytest.mark.parametrize(
    ("form", "excel"),
    [
        ("", "General"),
        (".3f", "0.000"),
        (",d", "#,##0"),
        ("d", "0"),
        (".1%", "0.0%"),
        (".0%", "0%"),
        ("+.1f", "+0.0;-0.0;0.0"),
    ],
)
def test_formats_of_numbers_become_those_of_excel(form: str, excel: str) -> None:
    assert number_format(form) == excel


def test_files_are_the_same_bytes_in_another_process_at_another_time() -> None:
    files = training_files(record(), CIRCUMSTANCES)
    assert set(files) == set(REPORT_FILES)
    again = subprocess.run(
        [
            sys.executable, "-c",
            "import hashlib, json; from models.report.files import training_files; "
            "from tests.models.report.reported import CIRCUMSTANCES, record; "
            "print(json.dumps({n: hashlib.sha256(b).hexdigest() for n, b in training_files(record(), CIRCUMSTANCES).items()}))",
        ],
        cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, env={"PYTHONHASHSEED": "7", "TZ": "America/Lima", "PATH": ""},
    )  # fmt: skip
    assert json.loads(again.stdout) == {
        name: hashlib.sha256(body).hexdigest() for name, body in files.items()
    }
    with zipfile.ZipFile(io.BytesIO(files["report.zh.docx"])) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_files_lie_beside_the_page_and_can_be_made_again(tmp_path: Path) -> None:
    files = training_files(record(), CIRCUMSTANCES)
    page = write_files(files, tmp_path / "out", "2026-06")
    assert page == tmp_path / "out" / "2026-06.html" and page.read_bytes() == files["report.html"]
    assert {file.name for file in page.parent.iterdir()} == {
        "2026-06.html", "2026-06.zh.docx", "2026-06.en.docx", "2026-06.xlsx", "2026-06.card.json",
    }  # fmt: skip
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    assert made_again(tmp_path, "html", "zh", Standing()) == files["report.html"]
    assert made_again(tmp_path, "docx", "en", Standing()) == files["report.en.docx"]
    assert made_again(tmp_path, "xlsx", "zh", Standing()) == files["report.xlsx"]
    assert made_again(tmp_path, "json", "zh", Standing()) == files["card.json"]
    live = json.loads(made_again(tmp_path, "json", "zh", Standing(state="live")))
    assert live["standing"]["state"] == "live"
    assert live | {"standing": None} == json.loads(files["card.json"]) | {"standing": None}


def test_the_card_holds_the_record_and_its_schema_takes_nothing_else() -> None:
    card = model_card(record(), CIRCUMSTANCES)
    assert (card.tier, card.ships, card.bundle_sha256) == (2, str(record().ships), "a" * 64)
    measured = record().candidates[record().ships].performance["out_of_time"]
    assert measured is not None
    told = next(m for m in card.performance if (m.candidate, m.rows_of) == (card.ships, "out_of_time"))
    assert (told.auc, told.auc_low, told.events) == (measured.auc.auc, measured.auc.low, measured.events)
    assert sum(card.validation.counts.values()) == len(record().findings)
    plain = json.loads(training_files(record(), CIRCUMSTANCES)["card.json"])
    assert ModelCard.model_validate(plain) == card
    with pytest.raises(ValueError, match="extra"):
        ModelCard.model_validate(plain | {"more": 1})


def test_the_schema_in_the_docs_is_the_cards() -> None:
    file = CHECKOUT / "docs" / "model-card.schema.json"
    written = json.dumps(ModelCard.model_json_schema(), ensure_ascii=False, indent=1) + "\n"
    assert file.read_text(encoding="utf-8") == written, "write it again: see docs/model-report.md"


def test_pdf_is_made_where_its_extra_is_installed_and_refused_with_a_remedy_elsewhere() -> None:
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError):
        with pytest.raises(GsceneError) as refused:
            pdf_bytes(report())
        assert "gscene[pdf]" in str(refused.value.remedy) and "print" in str(refused.value.remedy)
        return
    made = pdf_bytes(report())
    assert made.startswith(b"%PDF-") and made == pdf_bytes(report())
