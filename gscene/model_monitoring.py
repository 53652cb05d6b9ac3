"""`gscene models monitor`: how models in force do month by month; and, with --as, that a person watches a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from core.clock import SystemClock
from core.errors import GsceneError
from core.months import Month
from gscene.console import Reporter
from gscene.model_acts import Desk, evidence_option, version_option
from gscene.options import MonthType, home_option, json_option

#: Measures shown, by column.
SHOWN = {
    "scored": "scored", "mean PD": "mean_pd", "PSI reference": "score_psi_reference", "PSI last month": "score_psi_previous",
    "expected AUC": "expected_auc", "O/E": "vintage_oe", "AUC realised": "vintage_auc", "mature": "mature_vintages",
}  # fmt: skip

#: Of these the newest vintage is shown.
NEWEST = ("vintage_oe", "vintage_auc")


@click.command()
@click.argument("name", required=False)
@click.option("--model", help="The same as NAME. 模型。")
@click.option("--month", type=MonthType(), help="Only this as-of month. 观察月。")
@click.option("--as", "actor", help="Who watches a live version; makes it monitored. 监测人。")
@click.option("--reason", help="Why; with --as. 理由。")
@evidence_option
@version_option
@home_option("bank")
@json_option
def monitor(
    name: str | None, model: str | None, month: Month | None, actor: str | None, reason: str | None, evidence: tuple[Path, ...],
    version: str | None, home: Path, as_json: bool,
) -> None:  # fmt: skip
    """Show drift, expected and realised performance, triggers and the page; or, with --as, say that a live version is watched.

    监测：查看各月漂移、预期与实际表现、触发原因及页面；带 --as 时登记某版本处于监测之中。

    A month is monitored by the asset reports/…/monitoring_<model>, which gscene run brings up to date. It asks for a review or a
    retraining; it never promotes.

    \b
    Examples:
      gscene models monitor
      gscene models monitor enterprise_risk --month 2026-10 --json
      gscene models monitor enterprise_risk --as "Zhao Lin" --reason "first quarter" --evidence monitoring.html
    """
    wanted = name or model
    if actor is None:
        if reason or evidence:
            raise click.UsageError("--reason and --evidence need --as: who watches it?")
        _show(wanted, month, home, as_json)
        return
    if wanted is None or reason is None:
        raise click.UsageError("--as needs NAME and --reason.")
    desk = Desk(home, as_json, wanted, version, "live", "monitored")
    desk.signing.monitor(desk.version, actor, reason, evidence)
    desk.tell()


def _show(name: str | None, month: Month | None, home: Path, as_json: bool) -> None:
    from models.monitoring.kept import page_folder
    from models.monitoring.monthly_monitoring import read_monitored
    from models.monitoring.triggers import decide, load_trigger_policy
    from pipelines.workplace import Workplace

    reporter = Reporter(as_json)
    if not (home / "state.db").exists() and not (home / "gscene.yaml").exists():
        raise GsceneError(
            f"{home} is no home folder.", "Choose one with --home, or make one: gscene demo, gscene run."
        )
    workplace = Workplace.open(home, SystemClock(), reporter)
    models, policy = workplace.blueprint.models, load_trigger_policy(workplace.settings)
    if name is not None and name not in models:
        raise GsceneError(f"there is no model {name}.", f"There are {', '.join(sorted(models))}.")
    months: list[dict[str, Any]] = []
    for each in [name] if name is not None else sorted(models):
        history = read_monitored(workplace.store, models[each], month)
        for told_month, told in history.items():
            if month is not None and told_month != str(month):
                continue
            decisions = decide(policy, history, Month.parse(told_month))
            values = {
                column: (told.of(measure)[-1].value if told.of(measure) else None)
                if measure in NEWEST
                else told.value(measure)
                for column, measure in SHOWN.items()
            }
            page = page_folder(workplace.settings, each) / f"{told_month}.html"
            months.append(
                {
                    "model": each, "month": told_month, "version": told.model_version, **values,
                    "triggers": [decision.plain() for decision in decisions], "page": str(page),
                }
            )  # fmt: skip
    if not months:
        raise GsceneError(
            "no month is monitored yet.",
            "Score first: gscene run, then the asset reports/…/monitoring_<model>.",
        )
    header = ["model", "month", *SHOWN, "triggers"]
    rows = [
        [
            each["model"], each["month"], *("" if each[column] is None else each[column] for column in SHOWN),
            ", ".join(f"{told['code']} ({told['response']})" for told in each["triggers"]),
        ]
        for each in months
    ]  # fmt: skip
    reporter.table("Monitoring / 监测", header, rows)
    for line in months:
        reporter.say(f"{line['model']} {line['month']}: {line['page']}")
    reporter.result["months"] = months
    reporter.finish()
