"""`gscene models`: the inventory of models, what a version is, what changed between two, its report; keys; the MLflow ledger."""

from __future__ import annotations

from pathlib import Path

import click

from core.errors import ExitCode
from gscene.model_acts import ACTS, as_option, model_argument, version_option
from gscene.model_home import opened
from gscene.model_monitoring import monitor
from gscene.model_report import report
from gscene.model_reproduction import reproduce
from gscene.options import home_option, json_option
from gscene.reasons import phrases, reasons


@click.group()
def models() -> None:
    """Who signed which model, what is due, and the way from training to live.

    模型清单、签署与生命周期：谁签了哪个版本，什么到期，如何上线与回退。

    \b
    The way, with different people (docs/model-lifecycle.md tells the rules):
      gscene models submit enterprise_risk --as "Li Wei" --reason "monthly retraining"
      gscene models validate enterprise_risk --as "Zhao Lin" --reason "report read, findings closed" --evidence validation.json
      gscene models approve enterprise_risk --as "Chen Yu" --reason "committee" --pia PIA-2026-07 --key promotion.pem
      gscene models promote enterprise_risk --as "Sun Hao" --reason "go-live"

    \b
    And back, in one command:
      gscene models rollback enterprise_risk --as "Sun Hao" --reason "scores jumped in two branches"
    """


for command in (*ACTS, monitor, report, reasons, phrases, reproduce):
    models.add_command(command)


@models.command("list")
@click.argument("name", required=False)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the inventory as a page. 写成网页。"
)
@home_option("bank")
@json_option
def list_(name: str | None, out: Path | None, home: Path, as_json: bool) -> None:
    """The inventory: every version with state, owner, use, limits, data sources, and what is due next.

    模型清单：状态、责任部门、用途、局限、数据来源、下一到期事项。

    \b
    Examples:
      gscene models list --home var/bank
      gscene models list --out inventory.html
    """
    from models.conditions import today
    from models.inventory import inventory, plain
    from models.inventory_page import inventory_page
    from models.sign_off import NOT_APPROVED

    workplace, reporter, policy = opened(home, as_json)
    with workplace.state.session() as session:
        plan = workplace.blueprint
        lines = inventory(
            session, workplace.settings, workplace.clock, policy, plan.models, plan.feature_sets, name
        )
    header = [
        "model",
        "version",
        "state",
        "tier",
        "ships",
        "AUC",
        "approved by",
        "until",
        "next due",
        "for",
        "overdue",
    ]
    rows = [
        [
            line.model, line.version, line.state, str(line.tier or "?"), line.ships, "" if line.auc is None else line.auc,
            f"{line.approved_by} {line.approval}".strip(), line.holds or line.expires or "", line.due or "", line.due_for,
            line.overdue,
        ]
        for line in lines
    ]  # fmt: skip
    reporter.table("Models / 模型清单", header, rows)
    by_model = {line.model: line for line in reversed(lines)}
    reporter.table(
        "Use and limits / 用途与局限",
        ["model", "owner", "use", "limits", "data sources"],
        [
            [line.model, line.owner, line.use, "\n".join(line.limits), ", ".join(line.data_sources)]
            for line in by_model.values()
        ],
    )
    if any(NOT_APPROVED.en in line.approval for line in lines):
        reporter.say(f"Signed by the demo: {NOT_APPROVED.en} / 演示签署：{NOT_APPROVED.zh}")
    waits = sum(line.waits for line in lines)
    if waits:
        reporter.say(
            f"MLflow has not been told {waits} entries: gscene models sync / 待写入 MLflow：{waits} 条"
        )
    reporter.result["models"] = [plain(line) for line in lines]
    if out is not None:
        out.write_text(inventory_page(lines, today(workplace.clock)), encoding="utf-8")
        reporter.results({"page": str(out)})
    reporter.finish()


@models.command()
@model_argument
@version_option
@home_option("bank")
@json_option
def show(name: str, version: str | None, home: Path, as_json: bool) -> None:
    """One version: its signatures, evidence, conditions and history.

    查看一个版本：签署、证据、条件与历史。

    \b
    Example:
      gscene models show enterprise_risk --version 2026-10-0123
    """
    from models.conditions import conditions_of
    from models.inventory import inventory, plain
    from models.lifecycle import find_version, history_of, name_of

    workplace, reporter, policy = opened(home, as_json)
    with workplace.state.session() as session:
        found, plan = find_version(session, name, version), workplace.blueprint
        lines = inventory(
            session, workplace.settings, workplace.clock, policy, plan.models, plan.feature_sets, name
        )
        history, conditions = history_of(session, found), conditions_of(session, found)
    line = next(line for line in lines if f"{name}/{line.version}" == name_of(found))
    told = plain(line) | {
        "bundle": found.bundle,
        "bundle_sha256": found.bundle_sha256,
        "mlflow_run": found.mlflow_run_id,
    }
    reporter.table(name_of(found), ["", ""], [[key, _text(value)] for key, value in told.items()])
    header = ["act", "role", "who", "when", "from", "to", "why", "evidence"]
    acts = [
        [
            c.act,
            c.role,
            c.actor,
            f"{c.at:%Y-%m-%d %H:%M}",
            c.from_state,
            c.to_state,
            c.reason,
            c.evidence_sha256[:12],
        ]
        for c in history
    ]
    reporter.table("History / 历史", header, acts)
    asked = ["no", "due", "asked by", "what", "closed by", "how"]
    rows = [
        [str(c.condition_no), c.due_on, c.opened_by, c.text, c.closed_by or "", c.closing_reason or ""]
        for c in conditions
    ]
    reporter.table("Conditions / 条件", asked, rows)
    reporter.result |= told | {
        "history": [dict(zip(header, row, strict=True)) for row in acts],
        "conditions": [dict(zip(asked, row, strict=True)) for row in rows],
    }
    reporter.finish()


@models.command()
@model_argument
@click.argument("before")
@click.argument("after")
@home_option("bank")
@json_option
def compare(name: str, before: str, after: str, home: Path, as_json: bool) -> None:
    """What changed from one version to another: features, parameters, data, AUC, calibration, grades.

    比较两个版本：特征、参数、数据、区分度、校准、等级。

    \b
    Example:
      gscene models compare enterprise_risk 2026-09 2026-10
    """
    from models.artefact import load_bundle
    from models.comparison import differences
    from models.lifecycle import find_version, name_of

    workplace, reporter, _ = opened(home, as_json)
    with workplace.state.session() as session:
        pair = [find_version(session, name, wanted) for wanted in (before, after)]
    cards = [load_bundle(workplace.settings.home / v.bundle, v.bundle_sha256).card for v in pair]
    rows = [list(each) for each in differences((pair[0], cards[0]), (pair[1], cards[1]))]
    names = [name_of(version) for version in pair]
    shown = [[part, what, *("-" if value is None else value for value in both)] for part, what, *both in rows]
    reporter.table(f"{name}: changes / 变化", ["part", "what", *names], shown)
    header = ["part", "what", "before", "after"]
    reporter.result |= {"before": names[0], "after": names[1]}
    reporter.result["differences"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.finish()


@models.command()
@home_option("bank")
@json_option
def sync(home: Path, as_json: bool) -> int:
    """Tell MLflow what it missed while it was down; each thing once. Exit code 1 while something waits.

    把 MLflow 停机期间的记录补写进去，每条只写一次。

    \b
    Example:
      gscene models sync --home var/bank
    """
    from models.outbox import sync as work_off

    workplace, reporter, _ = opened(home, as_json)
    done = work_off(workplace.state, workplace.settings, workplace.clock)
    reporter.results({"entered": done.done, "waiting": done.waiting})
    if done.failure is not None:
        reporter.results({"waits for": f"{workplace.settings.mlflow_uri} ({done.failure})"})
    reporter.finish()
    return ExitCode.FAILED if done.waiting else ExitCode.OK


@models.command()
@click.option(
    "--create", type=click.Path(path_type=Path), help="Make a key: the private half goes into this file."
)
@click.option("--revoke", help="Id of a key whose signatures are refused from now on.")
@as_option(required=False)
@home_option("bank")
@json_option
def keys(create: Path | None, revoke: str | None, actor: str | None, home: Path, as_json: bool) -> None:
    """The promotion keys that approvals are signed with; make or revoke one.

    用于签署审批的密钥：查看、创建、吊销。

    Keep the private half where the account that trains can't read it: on a stick, or in a folder of another account.

    \b
    Examples:
      gscene models keys
      gscene models keys --create /media/stick/promotion.pem --as "Chen Yu"
      gscene models keys --revoke 0123456789abcdef --as "Chen Yu"
    """
    from core.person import actor_name
    from models.promotion_key import create_key, keys_of, revoke_key

    workplace, reporter, _ = opened(home, as_json)
    if create is not None or revoke is not None:
        if actor is None:
            raise click.UsageError("--create and --revoke need --as: who does this?")
        told = (workplace.settings, workplace.state, workplace.clock, actor_name(actor))
        if create is not None:
            reporter.results({"created": create_key(create, *told), "file": str(create)})
        if revoke is not None:
            revoke_key(revoke, *told)
            reporter.results({"revoked": revoke})
    header = ["key_id", "state", "file"]
    rows = [
        [key.key_id, "revoked" if key.revoked else "in force", str(key.file)]
        for key in keys_of(workplace.settings)
    ]
    reporter.table("Promotion keys / 签署密钥", header, rows)
    reporter.result["keys"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.finish()


def _text(value: object) -> object:
    return (
        "\n".join(str(each) for each in value) if isinstance(value, list) else "" if value is None else value
    )
