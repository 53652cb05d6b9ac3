"""`gscene policy`: cut-offs, vetoes and what they cost; who proposed and adopted which; decisions by the policy in force."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from core.errors import GsceneError
from core.months import Month
from gscene.model_acts import as_option
from gscene.options import MonthType, home_option, json_option
from gscene.policy_study import model_of, opened, swap, what_if
from gscene.reasons import require_outside, write_private

_reason = click.option("--reason", required=True, help="Why; kept in the audit chain. 理由，记入审计链。")


@click.group()
def policy() -> None:
    """From scores to decisions: cut-offs, vetoes, what they cost and bring, by which policy on which day.

    决策策略：临界分、否决规则、假设分析、换入换出、生效与执行。

    A policy is one YAML file (models/decision/policies/ has examples). Once proposed it is never changed; another person than its
    author adopts it; it decides from its day on until a later version begins. Decisions are proposals to people.

    \b
    The way:
      gscene policy what-if my_policy.yaml --html study.html
      gscene policy propose my_policy.yaml --as "Li Wei" --reason "committee paper 12"
      gscene policy adopt enterprise_credit --version 1 --as "Chen Yu" --reason "committee of 3 March"
      gscene policy apply enterprise_risk --subjects applications.txt --out decisions.csv --as "Wang Fang" --reason "daily"
    """


for study in (what_if, swap):
    policy.add_command(study)


@policy.command("list")
@click.argument("model", required=False)
@home_option("bank")
@json_option
def list_(model: str | None, home: Path, as_json: bool) -> None:
    """Every version: its model, state today, time, hash, author and adopter.

    全部策略版本：状态、生效期、哈希、起草人、批准人。

    \b
    Example:
      gscene policy list enterprise_risk
    """
    from models.conditions import today
    from models.decision.register import registered

    workplace, reporter = opened(home, as_json)
    with workplace.state.session() as session:
        every = registered(session, workplace.settings)
    header = ["policy", "model", "state", "from", "until", "sha256", "proposed by", "adopted by"]
    now = today(workplace.clock)
    rows = [
        [
            each.policy.name, each.policy.model, each.state(now), str(each.policy.effective_from),
            str(each.until or each.policy.effective_to or ""), each.policy.sha256[:12], each.author, each.adopter,
        ]
        for each in every
        if model in (None, each.policy.model)
    ]  # fmt: skip
    reporter.table("Decision policies / 决策策略", header, rows)
    reporter.result["policies"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.finish()


@policy.command()
@click.argument("name")
@click.option("--version", type=int, help="Its number; the newest when left out. 版本号。")
@home_option("bank")
@json_option
def show(name: str, version: int | None, home: Path, as_json: bool) -> None:
    """One version in full, as its verified file says.

    查看一个策略版本的全部内容。

    \b
    Example:
      gscene policy show enterprise_credit --version 2
    """
    from models.conditions import today
    from models.decision.register import find, registered

    workplace, reporter = opened(home, as_json)
    with workplace.state.session() as session:
        found = find(registered(session, workplace.settings), name, version)
    plain = found.policy.model_dump(mode="json")
    told: dict[str, Any] = {
        "state": found.state(today(workplace.clock)), "sha256": found.policy.sha256, "file": str(found.file),
        "proposed by": found.author, "adopted by": found.adopter,
    }  # fmt: skip
    shown = {key: value for key, value in plain.items() if key != "vetoes"} | told
    reporter.table(found.policy.name, ["", ""], [[key, str(value)] for key, value in shown.items()])
    header = ["rule", "feature", "at least", "at most", "missing", "outcome", "text"]
    rows = [
        [
            v.rule,
            v.feature,
            _dash(v.at_least),
            _dash(v.at_most),
            v.missing,
            str(v.outcome),
            f"{v.text.zh} / {v.text.en}",
        ]
        for v in found.policy.vetoes
    ]
    reporter.table("Vetoes / 否决规则", header, rows)
    reporter.result |= plain | told
    reporter.finish()


@policy.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_option(required=True)
@_reason
@home_option("bank")
@json_option
def propose(file: Path, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """Keep a new version as it is; it decides nothing until another person adopts it.

    提交策略新版本：原样存档，须由他人批准后生效。

    \b
    Example:
      gscene policy propose my_policy.yaml --as "Li Wei" --reason "committee paper 12"
    """
    from models.decision.policy import check_policy, load_decision_policy
    from models.decision.register import propose as keep

    workplace, reporter = opened(home, as_json)
    told = load_decision_policy(file)
    check_policy(told, file, *model_of(workplace, told.model))
    with workplace.state.session() as session:
        keep(session, workplace.settings, workplace.clock, file, actor, reason)
    reporter.results({"proposed": told.name, "sha256": told.sha256})
    reporter.say(
        f"Next / 下一步: gscene policy adopt {told.policy} --version {told.version} --as NAME --reason TEXT"
    )
    reporter.finish()


@policy.command()
@click.argument("name")
@click.option("--version", type=int, required=True, help="Its number. 版本号。")
@as_option(required=True)
@_reason
@home_option("bank")
@json_option
def adopt(name: str, version: int, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """Put a proposed version in force from its day on. Its author can't; nor can it begin in the past or overlap.

    批准策略版本，自其生效日起执行；起草人不得批准。

    \b
    Example:
      gscene policy adopt enterprise_credit --version 1 --as "Chen Yu" --reason "committee of 3 March"
    """
    from models.decision.register import adopt as put_in_force

    workplace, reporter = opened(home, as_json)
    with workplace.state.session() as session:
        told = put_in_force(session, workplace.settings, workplace.clock, name, version, actor, reason)
    reporter.results({"adopted": told.name, "sha256": told.sha256, "from": str(told.effective_from)})
    reporter.finish()


@policy.command()
@click.argument("model")
@click.option("--as-of", type=MonthType(), help="Month of the scores; the latest when left out. 评分月份。")
@click.option(
    "--on",
    type=click.DateTime(["%Y-%m-%d"]),
    help="By the policy in force on this day; today when left out. 日期。",
)
@click.option(
    "--subjects", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of applicants' pseudonyms, one a line; everybody with a score when left out. 申请人假名清单。",
)  # fmt: skip
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path),
    help="The .csv file, mode 0600, outside of the home folder. 输出文件。",
)  # fmt: skip
@as_option(required=True)
@_reason
@home_option("bank")
@json_option
def apply(
    model: str, as_of: Month | None, on: datetime | None, subjects: Path | None, out: Path, actor: str, reason: str, home: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Decisions on applications by the policy in force: approve, refer, decline, with the rules that fired.

    按生效策略对申请名单给出建议：通过、转人工、拒绝及命中规则。

    Whoever has no score, or may no longer be used, is referred to a person.

    \b
    Example:
      gscene policy apply enterprise_risk --subjects applications.txt --out decisions.csv --as "Wang Fang" --reason "daily"
    """
    from models.decision.monthly_decisions import as_csv, decide_applications
    from models.explanation.reasons_file import read_question
    from models.monthly_scores import score_table

    workplace, reporter = opened(home, as_json)
    require_outside(out, home, (".csv",))
    definition, feature_set = model_of(workplace, model)
    months = workplace.store.partitions(score_table(definition))
    if as_of is None and not months:
        raise GsceneError(f"there are no scores of {model} yet.", "Run gscene run first.")
    day: date | None = None if on is None else on.date()
    decided = decide_applications(
        definition, feature_set, as_of or Month.parse(months[-1]), None if subjects is None else read_question(subjects),
        actor=actor, reason=reason, store=workplace.store, state=workplace.state, settings=workplace.settings,
        registry=workplace.registry(definition.subject), clock=workplace.clock,
        entitlements=workplace.entitlements(definition.subject), on=day,
    )  # fmt: skip
    write_private(out, as_csv(decided))
    told = decided.registered.policy
    reporter.table(
        f"{told.name}, {decided.model_version}", ["", "rows"], [[key, n] for key, n in decided.counts.items()]
    )
    reporter.results(
        {"file": str(out), "policy": told.name, "policy_sha256": told.sha256, "rows": len(decided.lines)}
    )
    reporter.result["counts"] = decided.counts
    reporter.finish()


def _dash(value: float | None) -> str:
    return "-" if value is None else f"{value:,g}"
