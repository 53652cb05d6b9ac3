"""`gscene policy`: cut-offs, vetoes and what they cost; who proposed and adopted which; decisions by the policy in force."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.clock import SystemClock
from core.errors import GsceneError
from core.months import Month
from gscene.console import Reporter
from gscene.model_acts import as_option
from gscene.options import MonthType, home_option, json_option
from gscene.reasons import require_home, require_outside, write_private

if TYPE_CHECKING:
    from models.decision.study import PolicyStudy

_reason = click.option("--reason", required=True, help="Why; kept in the audit chain. 理由，记入审计链。")
_html = click.option(
    "--html", "page_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with pictures. 输出网页。"
)  # fmt: skip
_points = click.IntRange(0, 1_000)


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

    workplace, reporter = _opened(home, as_json)
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

    workplace, reporter = _opened(home, as_json)
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


@policy.command("what-if")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--model-version",
    help="Version of the model as `models list` shows it; the live one when left out. 模型版本。",
)
@click.option("--approve-from", type=_points, help="Another cut-off, in points. 通过分。")
@click.option("--decline-below", type=_points, help="Another lower cut-off, in points. 拒绝分。")
@click.option("--margin-rate", type=float, help="Another margin, as a share of the exposure. 利差。")
@click.option("--lgd", type=float, help="Another loss given default, 0 to 1. 违约损失率。")
@click.option("--exposure", type=float, help="Another exposure an account, CNY. 敞口。")
@click.option("--cost", type=float, help="Another cost an account, CNY. 成本。")
@_html
@home_option("bank")
@json_option
def what_if(
    file: Path, model_version: str | None, approve_from: int | None, decline_below: int | None, margin_rate: float | None,
    lgd: float | None, exposure: float | None, cost: float | None, page_file: Path | None, home: Path, as_json: bool,
) -> None:  # fmt: skip
    """What a policy would approve, decline and refer, lose and earn, on rows whose outcome is known. Nothing is kept.

    假设分析：在已有表现的样本上试算通过率、坏账率、期望损失与利润。

    Out-of-time rows of subjects that no training of the model has seen, scored by the version; amounts are expected over the
    model's performance window. Options try other numbers than the file's without changing it.

    \b
    Examples:
      gscene policy what-if models/decision/policies/enterprise_credit.yaml
      gscene policy what-if my_policy.yaml --approve-from 600 --lgd 0.6 --html study.html
    """
    workplace, reporter = _opened(home, as_json)
    changes = {"margin_rate": margin_rate, "lgd": lgd, "exposure_amt": exposure, "cost_amt": cost}
    study, names = _study(workplace, file, [model_version], changes, (approve_from, decline_below), None)
    _tell(reporter, study, names, page_file)


@policy.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--challenger", required=True, help="Version of the model that would take over. 挑战者版本。")
@click.option(
    "--challenger-from",
    type=_points,
    help="Its cut-off; one that approves as many when left out. 挑战者通过分。",
)
@click.option("--champion", help="Version it is held against; the live one when left out. 冠军版本。")
@_html
@home_option("bank")
@json_option
def swap(
    file: Path, challenger: str, challenger_from: int | None, champion: str | None, page_file: Path | None, home: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """The swap set: who a challenger lets in that the champion doesn't, who it puts out, and how they turned out.

    换入换出分析：挑战者与冠军在相同通过率下的差异及其坏账率。

    \b
    Example:
      gscene policy swap my_policy.yaml --challenger 2026-10 --html swap.html
    """
    workplace, reporter = _opened(home, as_json)
    study, names = _study(workplace, file, [champion, challenger], {}, (None, None), challenger_from)
    _tell(reporter, study, names, page_file)


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

    workplace, reporter = _opened(home, as_json)
    told = load_decision_policy(file)
    check_policy(told, file, *_model(workplace, told.model))
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

    workplace, reporter = _opened(home, as_json)
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

    workplace, reporter = _opened(home, as_json)
    require_outside(out, home, (".csv",))
    definition, feature_set = _model(workplace, model)
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


def _opened(home: Path, as_json: bool) -> Any:
    """The home and the reporter."""
    from pipelines.workplace import Workplace

    require_home(home)
    reporter = Reporter(as_json)
    return Workplace.open(home, SystemClock(), reporter), reporter


def _model(workplace: Any, name: str) -> Any:
    """A model's definition and feature set."""
    plan = workplace.blueprint
    if name not in plan.models:
        raise GsceneError(f"there is no model {name}.", "gscene models list shows what there is.")
    return plan.models[name], plan.feature_sets[plan.models[name].feature_set]


def _study(
    workplace: Any, file: Path, wanted: list[str | None], changes: dict[str, float | None],
    cut_offs: tuple[int | None, int | None], challenger_from: int | None,
) -> tuple[PolicyStudy, list[str]]:  # fmt: skip
    """The study of a file on one version or two, and their names. Versions may be in any state: this is how one is judged."""
    from models.bundle_trial import tried_bundle
    from models.decision.judged_scores import judged_scores
    from models.decision.policy import check_policy, load_decision_policy
    from models.decision.study import study_policy, with_cut_offs, with_economics
    from models.lifecycle import IN_FORCE, find_version, name_of

    told = load_decision_policy(file)
    definition, feature_set = _model(workplace, told.model)
    check_policy(told, file, definition, feature_set)
    try:
        told = with_cut_offs(with_economics(told, **changes), *cut_offs)
    except ValueError:
        why = "these numbers make no policy: shares lie in 0 to 1, and --decline-below not above --approve-from."
        raise click.UsageError(why) from None
    with workplace.state.session() as session:
        versions = [
            find_version(session, told.model, each, *(IN_FORCE if each is None else ())) for each in wanted
        ]
    bundles = [tried_bundle(workplace.settings.home / each.bundle, each.bundle_sha256) for each in versions]
    judged = judged_scores(
        definition, feature_set, bundles, store=workplace.store, state=workplace.state,
        entitlements=workplace.entitlements(definition.subject), threads=workplace.settings.threads,
    )  # fmt: skip
    return study_policy(told, judged, challenger_from), [name_of(each) for each in versions]


def _tell(reporter: Reporter, study: PolicyStudy, names: list[str], page_file: Path | None) -> None:
    """The study on a terminal, as JSON and as a page."""
    from models.decision.page import CELLS, page

    def share(part: float | None) -> str:
        return "-" if part is None else f"{part:.2%}"

    def rate(events: int, decided: int) -> str:
        return share(events / decided if decided else None)

    reporter.say(
        f"{study.policy.name}, {' / '.join(names)}: {study.rows:,} rows of {', '.join(study.months)}"
    )
    if study.seen:
        reporter.say(
            "The model has learned from these rows: bad rates are too good. / 模型学习过这些行，坏账率偏乐观。"
        )
    rows: list[list[object]] = [
        [str(outcome), count, share(count / max(1, study.rows)), rate(events, decided)]
        for outcome, (count, decided, events) in study.outcomes.items()
    ]
    reporter.table("Outcomes / 结果", ["proposal", "rows", "share", "bad rate"], rows)
    rows = [[v.rule, v.rows, v.approved_by_score, v.alone, rate(v.events, v.decided)] for v in study.vetoes]
    reporter.table(
        "Vetoes / 否决规则", ["rule", "rows", "approved by score", "no other rule", "bad rate"], rows
    )
    if study.swap is not None:
        reporter.table(
            f"Swap set / 换入换出: {study.swap.champion_from} / {study.swap.challenger_from}", ["", "rows", "bad", "bad rate"],
            [[" / ".join(CELLS[c.name]), c.rows, c.events, share(c.bad_rate)] for c in study.swap.cells],
        )  # fmt: skip
    mark = {study.best.points: "best / 最优", study.policy.cut_offs.approve_from: "policy / 本策略"}
    reporter.table(
        "Cut-offs / 临界分", ["from points", "approved", "share", "bad rate", "mean PD", "expected loss", "expected profit", ""],
        [
            [c.points, c.approved, share(c.approve_rate), share(c.bad_rate), share(c.mean_pd), f"{c.expected_loss:,.0f}",
             f"{c.expected_profit:,.0f}", mark.get(c.points, "")]
            for c in study.table
        ],
    )  # fmt: skip
    reporter.result |= study.plain() | {"versions": names}
    if page_file is not None:
        page_file.write_text(page(study, *names), encoding="utf-8")
        reporter.results({"page": str(page_file)})
    reporter.finish()


def _dash(value: float | None) -> str:
    return "-" if value is None else f"{value:,g}"
