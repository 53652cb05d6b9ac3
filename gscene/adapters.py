"""`gscene adapters`: what adapters take from which source, and what is wrong with one before it meets a delivery."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from core.errors import ExitCode, GsceneError, Refusal
from gscene.console import Reporter
from gscene.options import json_option

_LEVELS = {"error": "错误 error", "warning": "警告 warning", "note": "说明 note"}


@click.group()
def adapters() -> None:
    """Look at adapters and check them: a new city is one YAML file.

    查看并检查适配器：接入一个新城市只需一个 YAML 文件。

    \b
    Examples:
      gscene adapters list                                      all adapters
      gscene adapters show sim_prov_si_person                   where each column comes from
      gscene adapters lint                                      check every shipped adapter
      gscene adapters lint my_city.yaml                         check one file
      gscene adapters lint my_city.yaml --sample january.csv    and against a file of the source
    """


@adapters.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all adapters: source, table, and how many columns they feed.

    列出全部适配器。
    """
    from expectations.contract import load_contracts
    from sources.adapter import load_adapters
    from sources.coverage import NOT_FED, coverage

    reporter = Reporter(as_json)
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    rows = []
    for adapter in load_adapters(schemas).values():
        columns = coverage(adapter, schemas[adapter.target])
        fed = sum(column.how != NOT_FED for column in columns)
        rows.append(
            {
                "adapter": adapter.adapter,
                "version": adapter.version,
                "title": f"{adapter.title.zh} {adapter.title.en}",
                "source": adapter.source,
                "rows_of": str(adapter.subject),
                "table": adapter.target,
                "columns_fed": f"{fed}/{len(columns)}",
                "code_maps": ", ".join(adapter.map_references),
            }
        )
    reporter.table("适配器 / adapters", list(rows[0]), [list(row.values()) for row in rows])
    reporter.result = {"adapters": rows}
    reporter.finish()


@adapters.command()
@click.argument("adapter")
@json_option
def show(adapter: str, as_json: bool) -> None:
    """Show one adapter (a name, or a path of a file) column by column: where it comes from, in which unit, by which codes.

    按列显示一个适配器：来源、单位、代码表。

    \b
    Examples:
      gscene adapters show sim_city_util_resident
      gscene adapters show drafts/my_city.yaml --json
    """
    from expectations.contract import load_contracts
    from sources.adapter import load_adapter
    from sources.coverage import coverage, untaken

    reporter = Reporter(as_json)
    contracts = load_contracts()
    loaded = load_adapter(_path_of(adapter))
    if loaded.target not in contracts:
        raise GsceneError(f"there is no contract for the table {loaded.target}.", "gscene contracts list")
    columns = coverage(loaded, contracts[loaded.target].schema())
    reporter.say(
        f"{loaded.title.zh} / {loaded.title.en}, v{loaded.version}: {loaded.source} -> {loaded.raw_table}"
    )
    reporter.table(
        "字段覆盖 / coverage",
        ["column", "type", "required", "how", "from", "unit", "codes"],
        [[c.name, c.type, "yes" if c.required else "", c.how, c.origin, c.unit, c.codes] for c in columns],
    )
    ignored = untaken(loaded)
    reporter.say(f"不采集 / named and not taken: {', '.join(ignored) or '-'}")
    reporter.result = {
        "adapter": loaded.adapter,
        "version": loaded.version,
        "hash": loaded.definition_hash,
        "coverage": [asdict(column) for column in columns],
        "not_taken": list(ignored),
    }
    reporter.finish()


@adapters.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--sample",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file as the source sends it: are all its columns and codes known, can every row be read?",
)
@click.option("--notes", is_flag=True, help="Also tell what isn't fed and what isn't taken.")
@json_option
def lint(file: Path | None, sample: Path | None, notes: bool, as_json: bool) -> int:
    """Check one adapter file, or all that are shipped. Ends with 1 where an error is found.

    检查一个适配器文件（或全部随附的适配器）；发现错误时以 1 结束。

    \b
    Examples:
      gscene adapters lint my_city.yaml
      gscene adapters lint my_city.yaml --sample 2026-10.csv
      gscene adapters lint --notes --json
    """
    from expectations.contract import load_contracts
    from sources.adapter import FOLDER
    from sources.adapter_findings import Finding, lint_file, lint_sample
    from sources.reading import read_sample

    if sample is not None and file is None:
        raise click.UsageError("--sample needs the adapter file that reads it")
    reporter = Reporter(as_json)
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    findings: list[Finding] = []
    paths = [file] if file is not None else sorted(FOLDER.glob("*.yaml"))
    for path in paths:
        adapter, told = lint_file(path, schemas)
        findings += told
        if sample is not None and adapter is not None and not any(one.level == "error" for one in told):
            schema = schemas[adapter.target]
            try:
                findings += lint_sample(path, adapter, schema, read_sample(sample, adapter, schema))
            except Refusal as refusal:
                findings.append(
                    Finding("error", refusal.code, refusal.message, refusal.remedy, sample.name, refusal.line)
                )
    shown = [one for one in findings if notes or one.level != "note"]
    if shown:
        reporter.table(
            "检查结果 / findings",
            ["level", "check", "place", "finding", "remedy"],
            [[_LEVELS[one.level], one.check, one.place, one.message, one.remedy] for one in shown],
        )
    errors = sum(one.level == "error" for one in findings)
    warnings = sum(one.level == "warning" for one in findings)
    reporter.say(
        f"{len(paths)} 个适配器，{errors} 个错误，{warnings} 个警告 / "
        f"{len(paths)} adapters, {errors} errors, {warnings} warnings"
    )
    reporter.result = {
        "adapters": len(paths), "errors": errors, "warnings": warnings, "findings": [asdict(one) for one in shown],
    }  # fmt: skip
    reporter.finish()
    return ExitCode.FAILED if errors else ExitCode.OK


def _path_of(adapter: str) -> Path:
    from sources.adapter import FOLDER

    for path in (Path(adapter), FOLDER / f"{adapter}.yaml"):
        if path.is_file():
            return path
    raise GsceneError(f"there is no adapter {adapter}.", "gscene adapters list shows those that are shipped.")
