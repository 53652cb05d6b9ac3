"""`gscene deid-report`: how identifiable a table or file still is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from core.errors import GsceneError
from gscene.console import Reporter
from gscene.options import home_option, json_option


@click.command("deid-report")
@click.option("--table", help="A table of the home, such as raw/resident/tax_registration.")
@click.option("--period", help="Its month, such as 2026-10; all months when left out.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A Parquet or CSV file instead.",
)
@click.option("--quasi", help="Quasi-identifiers, separated by commas; the contract's when left out.")
@click.option("--sensitive", help="The column whose values must be diverse within a class.")
@click.option(
    "--release",
    type=click.Choice(["internal", "marketing", "public"]),
    help="Refuse (exit 3) what is too fine for it.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the page and the JSON; else out/deid of the home.",
)
@home_option("demo")
@json_option
def deid_report(
    table: str | None, period: str | None, file: Path | None, quasi: str | None, sensitive: str | None,
    release: str | None, out: Path | None, home: Path, as_json: bool,
) -> None:  # fmt: skip
    """k, l, t, small classes and the grade of GB/T 42460-2023, as a page in both languages.

    去标识化报告：k-匿名、l-多样性、t-接近性、小等价类与效果分级。

    \b
    Examples:
      gscene deid-report --table raw/enterprise/tax_registration --quasi region_cd,industry_cd,vat_taxpayer_type
      gscene deid-report --file extract.parquet --quasi region_cd,age_band --sensitive grade --release marketing
    """
    from jinja2 import Environment, StrictUndefined

    from expectations import deidentification as deid
    from sources.identity.guard import findings

    reporter = Reporter(as_json)
    if (table is None) == (file is None):
        raise click.UsageError("give either --table or --file")
    rows, name, known = _from_file(file) if file is not None else _from_home(home, str(table), period)
    columns = quasi.split(",") if quasi else known
    if not columns:
        raise GsceneError(f"the contract of {name} names no quasi-identifier.", "Name them: --quasi a,b,c")
    with reporter.stage(f"de-identification of {name}"):
        direct = sorted({column for column, _, _, convicted in findings(_texts(rows)) if convicted})
        report = deid.deid_report(rows, columns, sensitive, direct)
    folder = out or home / "out" / "deid"
    folder.mkdir(parents=True, exist_ok=True)
    stem = name.replace("/", ".")
    template = (Path(deid.__file__).parent / "deid_page.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(template)
    (folder / f"{stem}.html").write_text(
        page.render(report=report, name=name, quasi=columns, sensitive=sensitive), encoding="utf-8"
    )
    body: dict[str, Any] = asdict(report) | {"grade": report.grade, "quasi": columns, "sensitive": sensitive}
    (folder / f"{stem}.json").write_text(
        json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    reporter.table(
        f"{name}: grade / 等级 {report.grade}",
        ["rows", "classes", "k", "unique", "under 5", "under 10", "max risk"],
        [
            [
                report.rows,
                report.classes,
                report.k,
                report.unique,
                report.under_5,
                report.under_10,
                report.risk_max,
            ]
        ],
    )
    reporter.results({"page": str(folder / f"{stem}.html"), "table": str(folder / f"{stem}.json")})
    reporter.result["report"] = body
    reporter.finish()
    if release is not None:
        deid.require_release(report, release)  # type: ignore[arg-type]


def _from_file(file: Path):  # type: ignore[no-untyped-def]
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    return (pq.read_table(file) if file.suffix == ".parquet" else pa_csv.read_csv(file)), file.name, []


def _from_home(home: Path, table: str, period: str | None):  # type: ignore[no-untyped-def]
    from core.settings import Settings
    from core.table_store import TableStore
    from expectations.contract import load_contracts

    store = TableStore(Settings.load(home).lake)
    rows = store.read(table, [period] if period else None)
    contract = load_contracts().get(table.rpartition("/")[2])
    quasi = [] if contract is None else [n for n, c in contract.columns.items() if c.data_class == "quasi_id"]
    return rows, table, quasi


def _texts(rows):  # type: ignore[no-untyped-def]
    """The text columns, in which identifiers can stand."""
    import pyarrow as pa

    return rows.select(
        [field.name for field in rows.schema if field.type in (pa.string(), pa.large_string())]
    )
