"""`gscene run`: from deliveries to lead lists, as of a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from sqlalchemy import func, select

from core.clock import SystemClock
from core.errors import ExitCode, GsceneError, Refusal, SignOffRefused
from core.months import Month
from core.state import Delivery, LeadList, LeftOut, ModelVersion
from gscene.console import Reporter
from gscene.options import MonthType, engine_options, home_option, json_option


@click.command()
@click.option(
    "--sme-invoices",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of real VAT invoices (enterprises.csv, output_invoice/, input_invoice/) to take in first.",
)
@click.option(
    "--inbox",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of deliveries to receive first; each is <source>/<subject>.<table>/<period>-r<revision>/.",
)
@click.option("--as-of", type=MonthType(), help="As-of month; the last delivered month when left out.")
@click.option(
    "--demo",
    "as_demo",
    is_flag=True,
    help="Make the new home folder a demonstration: models are signed by the program, not approved by people.",
)
@engine_options
@home_option("sme")
@json_option
def run(
    sme_invoices: Path | None,
    inbox: Path | None,
    as_of: Month | None,
    as_demo: bool,
    engine: str | None,
    spark_master: str | None,
    home: Path,
    as_json: bool,
) -> int:
    """Take deliveries in and bring features, models, scores and lead lists up to date.

    接收交付，更新特征、模型、评分和营销名单。

    \b
    Examples:
      gscene run --sme-invoices ../shared/data/sme_invoices --demo
      gscene run --inbox /data/inbox --home var/bank --as-of 2026-10
      gscene run --home var/bank --as-of 2026-10 --spark-master spark://127.0.0.1:7077

    Running it again takes in only what is new; what is there already is not counted twice.

    A model scores only once people have validated, approved and promoted it (gscene models --help). Until then everything else
    is brought up to date, the missing signature is named, and the exit code is 3.
    """
    from core.settings import Settings
    from models.demo_sign_off import mark_as_demo
    from pipelines.workplace import Workplace
    from sources.arrivals import observed
    from sources.sme_invoices import collect

    reporter = Reporter(as_json)
    if as_demo:
        mark_as_demo(Settings.load(home))
    workplace = Workplace.open(home, SystemClock(), reporter).on_engine(engine, spark_master)
    if sme_invoices is not None:
        receive_all(workplace, collect(sme_invoices, workplace.settings.home / "inbox", reporter), reporter)
    if inbox is not None:
        receive_all(workplace, observed(inbox, workplace.clock), reporter)
    return finish(workplace, as_of, reporter)


def receive_all(workplace, arrivals: Sequence, reporter: Reporter) -> None:  # type: ignore[no-untyped-def]
    """Enter deliveries in the ledger; all are tried, the first refusal is raised afterwards."""
    from sources.arrivals import receive

    refused: Refusal | None = None
    with reporter.stage("receive deliveries", len(arrivals)) as stage:
        for arrival in arrivals:
            try:
                receive(arrival, workplace.settings.archive, workplace.state, workplace.clock)
            except Refusal as refusal:
                refused = refused or refusal
            stage.advance()
    if refused is not None:
        raise refused


def finish(workplace, as_of: Month | None, reporter: Reporter) -> int:  # type: ignore[no-untyped-def]
    """Run everything as of the month and tell what came out and where it lies. Exit code 3 where a model isn't signed."""
    from expectations.data_docs import write_data_docs
    from pipelines.catch_up import bring_up_to_date

    month = as_of or _last_month(workplace)
    reporter.say(f"As of {month} / 观察月 {month}")
    done = bring_up_to_date(workplace, month)
    tell_deliveries(workplace, reporter)
    for table, months in done.made_anew.items():
        told = f"{len(months)} months, {months[0]} to {months[-1]}"
        reporter.say(
            f"{table}: its definition has changed; {told} were made anew. / 定义已变更，已重新计算 {len(months)} 个月"
        )
        reporter.result.setdefault("made_anew", {})[table] = [str(each) for each in months]
    for name, reason in done.untrained.items():
        reporter.say(f"Not trained / 未训练: {reason}")
        reporter.result.setdefault("untrained", {})[name] = reason
    tell_ineligible(workplace, month, reporter)
    tell_models(workplace, done.models, month, reporter)
    tell_lists(workplace, month, reporter)
    tell_sign_offs(workplace, done.unsigned, reporter)
    out = workplace.settings.out
    pages = write_data_docs(
        workplace.state, workplace.blueprint.contracts, workplace.settings.home / "data_docs"
    )
    reporter.results(
        {
            f"scores {name}": str(out / "scores" / name / f"{month}.csv")
            for name in done.models
            if name not in done.unsigned
        }
        | {f"report {name}": str(out / "reports" / name / f"{month}.html") for name in done.models}
        | {"validations": str(pages)}
        | {"Dagster and MLflow": f"gscene up --home {workplace.settings.home}"}
    )
    reporter.finish()
    return ExitCode.GATE_REFUSED if done.unsigned else ExitCode.OK


def tell_sign_offs(workplace, unsigned: Mapping[str, SignOffRefused], reporter: Reporter) -> None:  # type: ignore[no-untyped-def]
    """Which models may not score, why, and the command that comes next; and that a demo's models were approved by nobody."""
    from models.sign_off import NOT_APPROVED

    header = ["model", "code", "why", "what to do"]
    rows = [[name, refused.code, refused.message, refused.remedy] for name, refused in unsigned.items()]
    if rows:
        reporter.table("Scores not published: not signed off / 未签署，不发布评分", header, rows)
    reporter.result["unsigned"] = [dict(zip(header, row, strict=True)) for row in rows]
    if workplace.settings.demo:
        reporter.say(f"Models: {NOT_APPROVED.en} / 模型：{NOT_APPROVED.zh}")
    reporter.result["approval"] = "automatic_in_demo" if workplace.settings.demo else "required"


def _last_month(workplace) -> Month:  # type: ignore[no-untyped-def]
    with workplace.state.session() as session:
        taken = Delivery.state.in_(("RECEIVED", "ACCEPTED"))
        last = session.scalar(select(func.max(Delivery.period)).where(taken, Delivery.lane == "live"))
    if last is None:
        raise GsceneError(
            f"{workplace.settings.home} has received no delivery.",
            "Give --sme-invoices or --inbox, or run gscene demo.",
        )
    return Month.parse(last)


def tell_deliveries(workplace, reporter: Reporter) -> None:  # type: ignore[no-untyped-def]
    """Rows delivered, accepted and left out by reason, per table: they add up."""
    with workplace.state.session() as session:
        key = (Delivery.subject, Delivery.table)
        totals = session.execute(
            select(*key, func.count(), func.sum(Delivery.rows_delivered), func.sum(Delivery.rows_accepted))
            .where(Delivery.state == "ACCEPTED", Delivery.lane == "live")
            .group_by(*key)
        ).all()
        reasons = session.execute(
            select(*key, LeftOut.reason, func.sum(LeftOut.rows))
            .join(LeftOut)
            .where(Delivery.lane == "live")
            .group_by(*key, LeftOut.reason)
        ).all()
    rows = []
    for subject, table, deliveries, delivered, accepted in totals:
        left = {r.reason: int(r[3]) for r in reasons if (r.subject, r.table) == (subject, table)}
        told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(left.items()))
        rows.append(
            [f"{subject}/{table}", deliveries, delivered or 0, accepted or 0, sum(left.values()), told]
        )
    header = ["table", "deliveries", "rows delivered", "accepted", "left out", "reasons"]
    reporter.table("Deliveries / 交付", header, rows)
    reporter.result["deliveries"] = [dict(zip(header, row, strict=True)) for row in rows]


def tell_ineligible(workplace, month: Month, reporter: Reporter) -> None:  # type: ignore[no-untyped-def]
    """Who couldn't be used for what in this month, by stage, purpose, source and reason."""
    from features.entitlement import REASONS
    from features.ineligible import told_of

    header = ["stage", "purpose", "source", "reason", "原因", "subjects"]
    with workplace.state.session() as session:
        rows = [
            [
                each.table,
                each.purpose,
                each.source or "(no row)",
                REASONS[each.reason].en,
                REASONS[each.reason].zh,
                each.subjects,
            ]
            for each in told_of(session, str(month))
        ]
    # Every source of every stage stands in the Dagster pages and in --json; here whoever got no score and no place in training.
    shown = [row for row in rows if row[2] == "(no row)"]
    reporter.table("Not entitled / 无授权未使用", header, shown)
    reporter.result["not_entitled"] = [dict(zip(header, row, strict=True)) for row in rows]


def tell_models(workplace, names: Sequence[str], month: Month, reporter: Reporter) -> None:  # type: ignore[no-untyped-def]
    """Discrimination of both candidates, which one ships, and how many findings of its validation have which verdict."""
    rows, validated = [], []
    for name in names:
        with workplace.state.session() as session:
            version = session.scalars(
                select(ModelVersion)
                .where(ModelVersion.name == name, ModelVersion.training_month == str(month))
                .order_by(ModelVersion.model_no.desc())
            ).first()
        if version is None:
            continue
        for candidate in ("lightgbm", "scorecard"):
            found = {key: value for key, value in version.metrics.items() if key.startswith(f"{candidate}.")}
            rows.append(
                [
                    name,
                    candidate,
                    _discrimination(candidate, found),
                    "ships" if version.ships == candidate else "",
                ]
            )
        verdicts = [
            f"validation.findings_{verdict}" for verdict in ("pass", "warn", "fail", "unproven", "unmeasured")
        ]
        if set(verdicts) <= set(version.metrics):
            validated.append([name, *(int(version.metrics[verdict]) for verdict in verdicts)])
        reporter.result.setdefault("models", {})[name] = {"ships": version.ships, "metrics": version.metrics}
    reporter.table("Models / 模型", ["model", "candidate", "AUC", ""], rows)
    reporter.table(
        "Validation / 验证", ["model", "pass", "warn", "fail", "unproven", "not measured"], validated
    )


def _discrimination(candidate: str, metrics: dict[str, float]) -> str:
    spread = {key.rsplit(".auc_", 1)[1]: value for key, value in metrics.items() if ".repeats.auc_" in key}
    if spread:
        return "repeated cross-validation " + ", ".join(f"{key} {value:.3f}" for key, value in spread.items())
    told = []
    for rows in ("out_of_time", "out_of_fold"):
        value = metrics.get(f"{candidate}.{rows}.auc")
        if value is not None:
            low, high = metrics[f"{candidate}.{rows}.auc_low"], metrics[f"{candidate}.{rows}.auc_high"]
            told.append(f"{rows.replace('_', ' ')} {value:.3f} [{low:.3f}, {high:.3f}]")
    return "; ".join(told) or "not estimable"


def tell_lists(workplace, month: Month, reporter: Reporter) -> None:  # type: ignore[no-untyped-def]
    """Published lists of the month."""
    with workplace.state.session() as session:
        lists = session.scalars(
            select(LeadList).where(LeadList.as_of == str(month)).order_by(LeadList.generated_at)
        ).all()
    reporter.table(
        "Lead lists / 营销名单",
        ["list", "rows", "folder"],
        [[entry.list_version, entry.rows, entry.folder] for entry in lists],
    )
    reporter.results({f"leads {entry.list_version}": entry.folder for entry in lists})
