"""`gscene deid-report`: how much a table still tells about whom, and whether it may go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.clock import SystemClock
from core.errors import ExitCode
from core.months import Month
from gscene.console import Reporter
from gscene.options import MonthType, home_option, json_option

if TYPE_CHECKING:
    from sources.deidentification.report import Asked, Report

#: Larger tables of counts are written and not shown.
_WIDEST, _LONGEST = 12, 40


@click.command("deid-report")
@click.option("--table", help="A stored table, such as raw/enterprise/tax_registration. 库内表。")
@click.option(
    "--period",
    "periods",
    type=MonthType(),
    multiple=True,
    help="Month of the table, once or more; all when left out.",
)
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file instead. 文件。",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "jsonl"]),
    help="Of the file; by its name when left out.",
)
@click.option(
    "--encoding",
    type=click.Choice(["utf-8", "gb18030"]),
    default="utf-8",
    show_default=True,
    help="Of a CSV file. 编码。",
)
@click.option("--delimiter", default=",", show_default=True, help="Of a CSV file. 分隔符。")
@click.option(
    "--quasi",
    help="Quasi-identifiers: columns that others may know of a person; a table's contract names them otherwise. 准标识符。",
)
@click.option("--sensitive", default="", help="Columns that a class must not give away. 敏感列。")
@click.option("--subject", help="Column that says whose a row is: people are counted, not rows. 主体列。")
@click.option(
    "--release",
    type=click.Choice(["internal", "marketing", "public"]),
    default="internal",
    show_default=True,
    help="Who gets the table: k 5 inside, 10 to marketers and the public. 发布范围。",
)
@click.option("--k", "least_k", type=click.IntRange(1), help="A stricter k than the release's.")
@click.option(
    "--cross",
    help="Two quasi-identifiers A,B: also show and write their counts, those under 10 suppressed. 交叉表。",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the pages; HOME/out/deid when left out.",
)
@home_option("bank")
@json_option
def deid_report(
    table: str | None,
    periods: tuple[Month, ...],
    file: Path | None,
    form: str | None,
    encoding: str,
    delimiter: str,
    quasi: str | None,
    sensitive: str,
    subject: str | None,
    release: str,
    least_k: int | None,
    cross: str | None,
    out: Path | None,
    home: Path,
    as_json: bool,
) -> int:
    """Measure k, l and t of a table, search it for direct identifiers, grade it by GB/T 42460, and say whether it may go.

    测量 k、l、t，查找直接标识符，按 GB/T 42460 定级，并判断能否发布。

    \b
    Examples:
      gscene deid-report --file out.csv --quasi region,age,industry --sensitive grade --release marketing
      gscene deid-report --table raw/enterprise/tax_registration --period 2026-10 --home var/bank
      gscene deid-report --file out.csv --quasi region,age --cross region,age --release public

    Ends with 3 where the release is refused. Page and JSON hold counts alone, never a class or a cell.
    """
    from sources.deidentification.release import Release
    from sources.deidentification.report import Asked

    if (table is None) == (file is None):
        raise click.UsageError("Give either --table or --file.")
    named = _names(quasi or "") or _of_contract(table)
    crossed = _names(cross or "")
    if crossed and (len(crossed) != 2 or not set(crossed) <= set(named)):
        raise click.UsageError("--cross takes two of the quasi-identifiers: --cross region,age.")
    reporter = Reporter(as_json)
    asked = Asked(named, _names(sensitive), subject, Release(release), least_k)
    report = (
        _of_table(home, table, periods, asked, reporter)
        if table is not None
        else _of_file(file, form, encoding, delimiter, asked, reporter)
    )
    folder = out or home / "out" / "deid"
    _write(report, folder, crossed, reporter)
    _tell(report, reporter)
    reporter.finish()
    return int(ExitCode.OK if report.may_go else ExitCode.GATE_REFUSED)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _of_contract(table: str | None) -> tuple[str, ...]:
    """The quasi-identifiers that the table's contract names."""
    from expectations.contract import load_contracts

    contract = load_contracts().get(table.rpartition("/")[2]) if table else None
    columns = contract.columns.items() if contract else ()
    named = tuple(name for name, column in columns if column.data_class == "quasi_id")
    if not named:
        raise click.UsageError("Name the quasi-identifiers: --quasi region,age.")
    return named


def _of_table(home: Path, table: str, periods: tuple[Month, ...], asked: Asked, reporter: Reporter) -> Report:
    from core.settings import Settings
    from core.table_store import TableStore
    from sources.deidentification.report import report_of_table

    store = TableStore(Settings.load(home).lake)
    wanted = [str(month) for month in periods] or None
    return report_of_table(store, table, wanted, asked, SystemClock(), reporter)


def _of_file(
    file: Path | None, form: str | None, encoding: str, delimiter: str, asked: Asked, reporter: Reporter
) -> Report:
    from sources.deidentification.report import report_of_file
    from sources.file_format import FileFormat

    assert file is not None
    packed = file.suffix == ".gz"
    ending = (file.with_suffix("") if packed else file).suffix.lstrip(".")
    form = form or {"parquet": "parquet", "jsonl": "jsonl"}.get(ending, "csv")
    entries: dict[str, object] = {"format": form}
    if form == "csv":
        entries |= {"encoding": encoding, "delimiter": delimiter, "bom": "optional"}
    if form != "parquet":
        entries["compression"] = "gzip" if packed else "none"
    return report_of_file(file, FileFormat.model_validate(entries), asked, SystemClock(), reporter)


def _write(report: Report, folder: Path, crossed: tuple[str, ...], reporter: Reporter) -> None:
    from sources.deidentification.page import write_page

    name = report.name.replace("/", ".")
    write_page(report, folder / f"{name}.html")
    text = json.dumps(report.told(), ensure_ascii=False, indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    reporter.result |= report.told()
    if crossed:
        _write_crossed(report, folder / f"{name}.{crossed[0]}-{crossed[1]}.csv", crossed, reporter)
    reporter.results({"page": str(folder / f"{name}.html")})


def _write_crossed(report: Report, path: Path, crossed: tuple[str, ...], reporter: Reporter) -> None:
    from sources.deidentification.cross_table import LEAST_CELL, PUBLIC_BASE, cross, write_cross_table
    from sources.deidentification.release import Release

    made = cross(report.people, crossed[0], crossed[1], max(LEAST_CELL, report.asked.threshold.k))
    base = PUBLIC_BASE if report.asked.release is Release.PUBLIC else 1
    write_cross_table(made, path, base)
    header, *rows = made.lines(base)
    if len(header) <= _WIDEST and len(rows) <= _LONGEST:
        reporter.table("People / 人数", header, rows)
    reporter.results({"cross table": str(path), "cells suppressed": round(made.share_suppressed, 3)})


def _tell(report: Report, reporter: Reporter) -> None:
    measured = report.measured
    reporter.table(
        f"De-identification / 去标识化: {report.name}",
        ["", ""],
        [
            ["k", str(measured.k)],
            ["people / 人数", f"{measured.people:,}"],
            ["classes / 等价类", f"{measured.classes:,}"],
            ["sample uniques / 唯一个体", f"{measured.uniques:,}"],
            *([f"people under k {k} / 低于 {k}", f"{n:,}"] for k, n in measured.under.items()),
            ["risk, greatest and average / 重标识风险", f"{measured.risk_max:.3f}, {measured.risk_avg:.4f}"],
            *([f"{one.column}: l, t, α", f"{one.l}, {one.t:.3f}, {one.alpha:.3f}"] for one in report.diverse),
            ["GB/T 42460", str(report.grade)],
        ],
    )
    for step in report.proposed:
        reporter.say(
            f"  {step.column} → {step.to.zh} / {step.to.en}: k {step.k}, {step.under:,} under / 仍低于"
        )
    for obstacle in report.obstacles:
        reporter.say(f"Refused / 拒绝: {obstacle.zh} {obstacle.en}")
    if report.may_go:
        reporter.say(f"May be released ({report.asked.release}) / 可以发布")
