"""`gscene scores`: what goes out of the monthly scores."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from core.clock import SystemClock
from core.errors import GsceneError
from core.months import Month
from gscene.console import Reporter
from gscene.options import MonthType, home_option, json_option


@click.group()
def scores() -> None:
    """Exports of the monthly scores.

    月度评分的导出。

    \b
    Example:
      gscene scores ifrs9 --as-of 2026-10 --home var/bank
    """


@scores.command()
@click.option("--as-of", "as_of", type=MonthType(), required=True, help="As-of month. 观察月。")
@click.option(
    "--model",
    "names",
    multiple=True,
    help="Model; may be repeated; all with a 12-month default when left out. 模型。",
)
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True,
    help="Form of the file. 文件格式。",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder; out/ifrs9 of the home when left out. 输出文件夹。"
)  # fmt: skip
@home_option("bank")
@json_option
def ifrs9(
    as_of: Month, names: tuple[str, ...], form: Literal["csv", "parquet"], out: Path | None, home: Path, as_json: bool
) -> None:  # fmt: skip
    """12-month PD of everyone scored, for IFRS 9, with a manifest (sha256, rows, control sum).

    导出 IFRS 9 用 12 个月违约概率及清单；不含存续期违约概率、损失率、敞口、阶段与宏观调整。

    Only of a version that is signed and in force; exit code 3 otherwise. It holds no lifetime PD, LGD, EAD, stage or macro
    overlay.

    \b
    Examples:
      gscene scores ifrs9 --as-of 2026-10
      gscene scores ifrs9 --as-of 2026-10 --model enterprise_risk --format parquet --out /data/ifrs9
    """
    from models.definition import AccountDpdLabel
    from models.ifrs9_export import HORIZON, NOT_CONTAINED, export_ifrs9
    from pipelines.workplace import Workplace

    reporter = Reporter(as_json)
    if not (home / "state.db").exists() and not (home / "gscene.yaml").exists():
        raise GsceneError(
            f"{home} is no home folder.", "Choose one with --home, or make one: gscene demo, gscene run."
        )
    workplace = Workplace.open(home, SystemClock(), reporter)
    known = workplace.blueprint.models
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise GsceneError(
            f"there is no model {', '.join(unknown)}.", f"There are {', '.join(sorted(known))}."
        )
    wanted = list(names) or [
        name
        for name, model in known.items()
        if isinstance(model.label, AccountDpdLabel) and model.label.window_months == HORIZON
    ]
    told = []
    for name in wanted:
        definition = known[name]
        done = export_ifrs9(
            definition, as_of, out or workplace.settings.out / "ifrs9", form=form, store=workplace.store, state=workplace.state,
            settings=workplace.settings, registry=workplace.registry(definition.subject), clock=workplace.clock,
        )  # fmt: skip
        told.append(
            {
                "model": name, "rows": done.rows, "control_sum": str(done.control_sum), "sha256": done.sha256,
                "file": str(done.data), "manifest": str(done.manifest),
            }
        )  # fmt: skip
    reporter.table(
        f"IFRS 9, {as_of}",
        ["model", "rows", "sum of PD", "file"],
        [[each["model"], each["rows"], each["control_sum"], each["file"]] for each in told],
    )
    reporter.say("Not contained / 不含: " + "; ".join(f"{text.en} / {text.zh}" for text in NOT_CONTAINED))
    reporter.result["exports"] = told
    reporter.result["not_contained"] = [text.en for text in NOT_CONTAINED]
    reporter.finish()
