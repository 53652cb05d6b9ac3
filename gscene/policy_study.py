"""`gscene policy what-if` and `swap`: a policy tried on rows whose outcome is known, before anybody adopts it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from core.clock import SystemClock
from core.errors import GsceneError
from gscene.console import Reporter
from gscene.options import home_option, json_option
from gscene.reasons import require_home

if TYPE_CHECKING:
    from models.decision.study import PolicyStudy

_html = click.option(
    "--html", "page_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with pictures. 输出网页。"
)  # fmt: skip
_points = click.IntRange(0, 1_000)


@click.command("what-if")
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
    workplace, reporter = opened(home, as_json)
    changes = {"margin_rate": margin_rate, "lgd": lgd, "exposure_amt": exposure, "cost_amt": cost}
    study, names = _study(workplace, file, [model_version], changes, (approve_from, decline_below), None)
    _tell(reporter, study, names, page_file)


@click.command()
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
    workplace, reporter = opened(home, as_json)
    study, names = _study(workplace, file, [champion, challenger], {}, (None, None), challenger_from)
    _tell(reporter, study, names, page_file)


def opened(home: Path, as_json: bool) -> Any:
    """The home and the reporter."""
    from pipelines.workplace import Workplace

    require_home(home)
    reporter = Reporter(as_json)
    return Workplace.open(home, SystemClock(), reporter), reporter


def model_of(workplace: Any, name: str) -> Any:
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
    definition, feature_set = model_of(workplace, told.model)
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
