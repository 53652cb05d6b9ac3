"""`gscene models report`: where the review report of a version lies, what it says in short, and its export in any form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from core.errors import GsceneError
from gscene.model_acts import model_argument, version_option
from gscene.model_home import opened
from gscene.options import home_option, json_option

if TYPE_CHECKING:
    from gscene.console import Reporter
    from models.report.cell_text import Lang
    from models.report.document import Report
    from models.report.files import Form

FORMS = ("html", "docx", "xlsx", "pdf", "json")


@click.command()
@model_argument
@version_option
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="Export in this form with the signatures as they stand now; json is the model card. 导出格式（含当前签署状态）。",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file. 输出文件。")
@click.option(
    "--lang",
    type=click.Choice(("zh", "en")),
    default="zh",
    show_default=True,
    help="Language of docx and pdf, and the one that html opens in. 语言。",
)
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser or the program for it. 打开。")
@home_option("bank")
@json_option
def report(
    name: str, version: str | None, form: str | None, out: Path | None, lang: str, open_it: bool, home: Path, as_json: bool
) -> None:  # fmt: skip
    """The review report of a version in twelve parts: what it says in short, where it lies, and its export.

    审查报告（十二部分）：要点、存放位置、导出为网页、Word、Excel、PDF 或模型卡。

    Without --format, --out copies the page as it was kept and signed. With --format the report is made again from what was kept:
    only part 12 differs, which then has the signatures of today.

    \b
    Examples:
      gscene models report enterprise_risk
      gscene models report enterprise_risk --open
      gscene models report enterprise_risk --format docx --out report.docx
      gscene models report enterprise_risk --format xlsx --out tables.xlsx
      gscene models report enterprise_risk --format pdf --lang en --out report.pdf
      gscene models report enterprise_risk --format json --out card.json
    """
    from models.evidence import CARD, REPORT, REPORT_JSON, evidence_folder
    from models.lifecycle import find_version
    from models.report.circumstances import standing_of
    from models.report.files import kept_report, made_again

    if form is not None and out is None:
        raise click.UsageError("--format needs --out: into which file?")
    workplace, reporter, _ = opened(home, as_json)
    with workplace.state.session() as session:
        found = find_version(session, name, version)
        standing = standing_of(session, found, workplace.clock)
    folder = evidence_folder(workplace.settings, found)
    needed = {None: REPORT, "json": CARD}.get(form, REPORT_JSON)
    if not (folder / needed).is_file():
        raise GsceneError(f"{folder} holds no {needed}.", "Train the model again: gscene run.")
    shown = folder / REPORT
    if out is not None:
        shown = out
        kept = (folder / REPORT).read_bytes()
        out.write_bytes(
            kept if form is None else made_again(folder, cast("Form", form), cast("Lang", lang), standing)
        )
    if form is None and (folder / REPORT_JSON).is_file():
        _outline(reporter, kept_report(folder))
    told: dict[str, Any] = {"report": str(shown), "state": standing.state}
    told |= {f"evidence {file.name}": str(file) for file in sorted(folder.iterdir()) if file != shown}
    reporter.results(told)
    if open_it:
        click.launch(str(shown))
    reporter.finish()


def _outline(reporter: Reporter, told: Report) -> None:
    """The verdict, and how much stands in each part."""
    reporter.say(f"{told.verdict.zh}\n{told.verdict.en}")
    header = ["part / 部分", "", "tables / 表", "pictures / 图"]
    rows = [
        [f"{part.number}. {part.title.zh}", part.title.en, len(part.tables), _pictures(part.blocks)]
        for part in told.parts
    ]
    reporter.table("Review report / 审查报告", header, rows)


def _pictures(blocks: tuple[object, ...]) -> int:
    from models.report_blocks import Picture

    return sum(isinstance(block, Picture) for block in blocks)
