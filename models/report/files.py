"""The report in every form: what a training writes, and one form made again with the signatures of today."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from models.evidence import CARD, REPORT, REPORT_FILES, REPORT_JSON
from models.report.card import ModelCard, card_bytes, card_standing, model_card
from models.report.cell_text import Lang
from models.report.circumstances import Circumstances, Standing
from models.report.document import Report, read_report, report_bytes
from models.report.page import render_page
from models.report.parts import build_report, signature_part
from models.report.pdf import pdf_bytes
from models.report.word_file import word_bytes
from models.report.workbook import workbook_bytes
from models.training_record import TrainingRecord

Form = Literal["html", "docx", "xlsx", "pdf", "json"]


def training_files(record: TrainingRecord, circumstances: Circumstances) -> dict[str, bytes]:
    """The files of `REPORT_FILES` by name; the same training gives the same bytes."""
    report = build_report(record, circumstances)
    bodies = (
        render_page(report).encode(),
        report_bytes(report),
        word_bytes(report, "zh"),
        word_bytes(report, "en"),
        workbook_bytes(report),
        card_bytes(model_card(record, circumstances)),
    )
    return dict(zip(REPORT_FILES, bodies, strict=True))


def write_files(files: dict[str, bytes], folder: Path, month: str) -> Path:
    """Write them for people as `<month>.html`, `<month>.zh.docx`, …, `<month>.card.json`; gives the page's path back."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in files.items():
        if name != REPORT_JSON:
            (folder / f"{month}.{name.removeprefix('report.')}").write_bytes(body)
    return folder / f"{month}.{REPORT.removeprefix('report.')}"


def made_again(folder: Path, form: Form, lang: Lang, standing: Standing) -> bytes:
    """One form of the report kept in an evidence folder, with the signatures as they stand now; Refusal where it is damaged."""
    if form == "json":
        card = ModelCard.model_validate_json((folder / CARD).read_bytes())
        return card_bytes(card.model_copy(update={"standing": card_standing(standing)}))
    report = kept_report(folder).with_part(signature_part(standing))
    if form == "html":
        return render_page(report, lang).encode()
    if form == "docx":
        return word_bytes(report, lang)
    return workbook_bytes(report) if form == "xlsx" else pdf_bytes(report, lang)


def kept_report(folder: Path) -> Report:
    """The report of an evidence folder."""
    return read_report((folder / REPORT_JSON).read_bytes(), str(folder / REPORT_JSON))
