"""`gscene models report` and the inventory's page: what a training leaves, exported in every form with today's signatures."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.definition_file import Bilingual
from core.state import ModelVersion
from models.conditions import Condition, today
from models.evidence import REPORT_FILES
from models.inventory import InventoryLine
from models.inventory_page import inventory_page
from models.monthly_training import keep_training
from tests.gscene.command import gscene
from tests.models.signing import NAME, WHY, SignedHome
from tests.models.worlds import trained

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SignedHome:
    """A home with one training kept as `gscene run` keeps it; what MLflow is told is tested in test_outbox."""
    from models.outbox import Synced

    monkeypatch.setattr("models.outbox.sync", lambda *_: Synced(0, 0, None))
    monkeypatch.setattr("models.monthly_training.sync", lambda *_: Synced(0, 0, None))
    made = SignedHome(tmp_path / "home", start=SystemClock().now())
    titles = {"late_6m": Bilingual(zh="近6个月逾期次数", en="late in 6 months")}
    keep_training(
        trained(), titles, ["bk_account_month"], state=made.state, settings=made.settings, clock=made.clock
    )
    return made


def version(home: SignedHome) -> ModelVersion:
    with home.state.session() as session:
        return session.query(ModelVersion).one()


def test_a_training_leaves_its_report_in_every_form_and_all_of_it_is_evidence(home: SignedHome) -> None:
    out = home.settings.out / "reports" / NAME
    assert sorted(file.name for file in out.iterdir()) == [
        "2026-06.card.json", "2026-06.en.docx", "2026-06.html", "2026-06.xlsx", "2026-06.zh.docx",
    ]  # fmt: skip
    page = (out / "2026-06.html").read_text(encoding="utf-8")
    assert "近6个月逾期次数" in page and "bk_account_month" in page and version(home).bundle_sha256 in page
    home.desk.submit(version(home), "Author A", WHY)
    home.desk.validate(version(home), "Validator B", WHY)
    home.desk.approve(version(home), "Approver C", WHY, home.key, pia="PIA-2026-07")
    home.desk.promote(version(home), "Operator D", WHY)
    signed = home.gate()[1].evidence_files
    assert set(REPORT_FILES) <= set(signed)
    kept = home.settings.home / f"{version(home).bundle}.evidence" / "report.en.docx"
    kept.write_bytes(kept.read_bytes() + b"x")
    with pytest.raises(Exception, match=r"report\.en\.docx is missing or was changed"):
        home.desk.approve(version(home), "Approver C", WHY, home.key, pia="PIA-2026-07")


def test_every_form_can_be_exported_with_the_signatures_of_today(
    home: SignedHome, tmp_path: Path, capsys: Capture
) -> None:
    from docx import Document
    from openpyxl import load_workbook

    day = today(home.clock) + timedelta(days=30)
    home.desk.submit(version(home), "Author A", WHY)
    home.desk.validate(version(home), "Validator B", WHY, conditions=[Condition("by branch", day)])
    at = ("--home", home.home)

    def export(form: str, *more: str) -> bytes:
        file = tmp_path / f"exported.{form}"
        said = gscene(capsys, "models", "report", NAME, "--format", form, "--out", file, *more, *at, "--json")
        assert said.code == 0, said.err
        assert said.json["state"] == "validated" and said.json["report"] == str(file)
        return file.read_bytes()

    page = export("html", "--lang", "en").decode()
    assert "Validator B" in page and "by branch" in page and 'id="lang-en" checked' in page
    document = Document(io.BytesIO(export("docx", "--lang", "en")))
    assert "Validator B" in {cell.text for table in document.tables[-4:] for cell in table._cells}
    book = load_workbook(io.BytesIO(export("xlsx")))
    cells = {cell.value for sheet in book.worksheets for row in sheet.iter_rows() for cell in row}
    assert {"Validator B", "by branch"} <= cells
    card = json.loads(export("json"))
    assert card["standing"]["state"] == "validated"
    assert card["standing"]["conditions"] == [
        {"number": 1, "text": "by branch", "due_on": str(day), "closed": False}
    ]

    kept = tmp_path / "kept.html"
    assert gscene(capsys, "models", "report", NAME, "--out", kept, *at).code == 0
    assert "Validator B" not in kept.read_text(encoding="utf-8"), "the page as it was signed"


def test_in_short_it_says_the_verdict_and_the_twelve_parts(home: SignedHome, capsys: Capture) -> None:
    said = gscene(capsys, "models", "report", NAME, "--home", home.home)
    assert said.code == 0 and trained().choice.reason_zh in said.err.replace("\n", "")
    assert all(f"{number}. " in said.err for number in range(1, 13))
    assert gscene(capsys, "models", "report", NAME, "--format", "docx", "--home", home.home).code == 2
    folder = home.settings.home / f"{version(home).bundle}.evidence"
    (folder / "report.json").write_bytes(b"{}")
    out = ("--out", home.home / "x.html", "--home", home.home)
    broken = gscene(capsys, "models", "report", NAME, "--format", "html", *out, "--json")
    assert broken.code != 0 and broken.json["code"] == "REFUSED/REPORT"
    (folder / "report.json").unlink()
    assert gscene(capsys, "models", "report", NAME, "--format", "html", *out).code == 1


def test_the_inventory_page_lists_every_version_and_marks_what_is_late(
    home: SignedHome, tmp_path: Path, capsys: Capture
) -> None:
    page = tmp_path / "inventory.html"
    assert gscene(capsys, "models", "list", "--out", page, "--home", home.home).code == 0
    text = page.read_text(encoding="utf-8")
    assert f"2026-06-{version(home).bundle_sha256[:12]}" in text and NAME in text and "风险" in text
    assert "late" not in text.split("</style>")[1]
    day = today(home.clock)
    line = InventoryLine(
        model="m", version="2026-06-1", state="live", tier=1, owner="风险 / <b>", use="", limits=[], data_sources=[],
        purpose="risk", ships="scorecard", auc=0.7, trained=day, approved_by="Chen", approval="", expires=day, pia="",
        holds="", review=day - timedelta(days=1), due=day, due_for="复审", conditions=1, overdue=1, waits=0,
    )  # fmt: skip
    late = inventory_page([line], day).split("</style>")[1]
    assert late.count("late") == 2 and "&lt;b&gt;" in late and "<script" not in late
    assert inventory_page([replace(line, review=day, overdue=0)], day).split("</style>")[1].count("late") == 0
    assert "No model has been trained yet" in inventory_page([], day)
