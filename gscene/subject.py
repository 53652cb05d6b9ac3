"""`gscene subject`: what is held about a subject, its erasure, and the recalls that follow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from sqlalchemy import func, select

from core import audit
from core.clock import SystemClock
from core.errors import GsceneError
from core.progress import SilentProgress
from core.state import Erasure, ModelMark, ModelVersion, Recall
from core.subject import SubjectKind
from gscene.console import Reporter
from gscene.options import home_option, json_option
from rights.erasure import RETRAIN_DAYS, Reason

if TYPE_CHECKING:
    from rights.installation import Installation

REFERENCE = r"[A-Za-z0-9._/-]{1,60}"

kind_option = click.option(
    "--kind",
    type=click.Choice([str(kind) for kind in SubjectKind]),
    help="Where a code is used by both kinds.",
)
by_option = click.option(
    "--by", "actor", default="operator", show_default=True, help="Who does it, for the audit."
)


@click.group()
def subject() -> None:
    """Answer a subject's requests: access (PIPL art. 45) and erasure (art. 47).

    答复主体的查阅请求和删除请求。

    \b
    Examples:
      gscene subject report --provider-code E12 --html answer.html
      gscene subject erase --subject k1:… --request-ref R-2026-17 --reason consent_withdrawn
      gscene subject recalls
    """


@subject.command()
@click.option("--subject", "token", help="The pseudonym.")
@click.option("--provider-code", help="The code that the provider knows the subject by.")
@kind_option
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page to hand over; mode 0600.",
)
@by_option
@home_option("demo")
@json_option
def report(
    token: str | None, provider_code: str | None, kind: str | None, page: Path | None, actor: str, home: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Everything this installation holds on a subject: records by delivery, facts, features, scores, lists, consents.

    本系统持有的该主体的全部信息。

    Reads only; that a report was made is noted in the audit chain, what it said isn't. `--json` and `--html` hold every row,
    the table on the terminal says where and how many.

    \b
    Examples:
      gscene subject report --subject k1:0123…             what is held, and where
      gscene subject report --provider-code E12 --json     every row
      gscene subject report --provider-code E12 --html answer.html
    """
    from rights import access_report

    opened, reporter = installation(home, Reporter(as_json)), Reporter(as_json)
    found = access_report.find(opened, token, provider_code, SubjectKind(kind) if kind else None)
    made = access_report.make_report(opened, found)
    access_report.note_report(opened, found, made, actor, "html" if page else "json" if as_json else "table")
    if page is not None:
        _write_private(page, access_report.html(made), opened.settings.home)
    reporter.table(
        "Held / 持有的信息",
        ["place", "内容", "content", "rows"],
        [[s.place, s.title.zh, s.title.en, len(s.cells)] for s in made.sections],
    )
    if as_json:
        print(json.dumps(made.plain(), ensure_ascii=False, indent=1))
    else:
        reporter.results({"rows": made.rows} | ({"page": str(page)} if page is not None else {}))


@subject.command()
@click.option("--subject", "token", required=True, help="The pseudonym.")
@click.option(
    "--request-ref", required=True, help="Reference of the request or ticket; no personal information."
)
@click.option(
    "--reason",
    type=click.Choice(get_args(Reason)),
    required=True,
    help="Ground of the erasure (PIPL art. 47).",
)
@kind_option
@click.option(
    "--retrain-within", default=RETRAIN_DAYS, show_default=True, type=click.IntRange(1, 3650),
    help="Days until models that learned from the subject must have been trained again.",
)  # fmt: skip
@by_option
@home_option("demo")
@json_option
def erase(
    token: str, request_ref: str, reason: Reason, kind: str | None, retrain_within: int, actor: str, home: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Erase a subject from everything: archive, tables and their old versions, files, lists, registry.

    从全部数据中删除该主体；已发布名单发出召回通知，使用过其数据的模型限期重训。

    It ends with a search of every file of the home. What stays is a keyed hash that keeps the subject from coming back. Stopped
    in between, the same command goes on; done again, it changes nothing. Copies outside the home (a provider's own folder, lists
    that branches downloaded, backups) are not reached: `gscene subject recalls` says who has to be told.

    \b
    Example:
      gscene subject erase --subject k1:0123… --request-ref R-2026-17 --reason subject_request
    """
    import re

    from rights.erasure import erase as erase_subject

    if re.fullmatch(REFERENCE, request_ref) is None:
        raise click.UsageError(f"--request-ref: letters, digits and . _ / - only, at most 60 ({REFERENCE})")
    reporter = Reporter(as_json)
    opened = installation(home, reporter)
    done = erase_subject(
        opened, token=token, request_ref=request_ref, reason=reason, actor=actor,
        kind=SubjectKind(kind) if kind else None, retrain_days=retrain_within,
    )  # fmt: skip
    if done.repeated:
        reporter.say(f"Erased before, as erasure {done.erasure_no}. / 此前已删除。")
    reporter.table("Erased / 已删除", ["what", "count"], [[name, count] for name, count in done.told.items()])
    tell_left(opened, reporter)
    reporter.results({"erasure": done.erasure_no, "repeated": done.repeated})
    reporter.result["erased"] = done.told
    reporter.finish()


@subject.command()
@home_option("demo")
@json_option
def recalls(home: Path, as_json: bool) -> None:
    """Leads to be deleted from lists that people hold, and models to be trained again, with their deadlines.

    待确认的名单召回和待重训的模型。
    """
    reporter = Reporter(as_json)
    tell_left(installation(home, reporter), reporter)
    reporter.finish()


@subject.command()
@click.option("--recall", "recall_no", required=True, type=int, help="Number of the recall.")
@by_option
@home_option("demo")
@json_option
def acknowledge(recall_no: int, actor: str, home: Path, as_json: bool) -> None:
    """Note that whoever holds a list has deleted the recalled lead; its number is forgotten then.

    确认名单持有人已删除被召回的线索。

    \b
    Example:
      gscene subject acknowledge --recall 3 --by branch-01
    """
    from leads.recall import NOTICES, write_notice

    reporter = Reporter(as_json)
    opened = installation(home, reporter)
    with opened.state.session() as session:
        recall = session.get(Recall, recall_no)
        if recall is None:
            raise GsceneError(f"there is no recall {recall_no}.", "See: gscene subject recalls")
        if recall.acknowledged_at is None:
            recall.acknowledged_at, recall.acknowledged_by, recall.lead_id = opened.clock.now(), actor, None
            details = {"recall_no": recall_no, "erasure_no": recall.erasure_no}
            audit.record(
                session, opened.clock, actor, "leads.recall_acknowledged", recall.list_version, details
            )
    write_notice(opened.settings.out / NOTICES, recall_no, recall.list_version, None, recall.issued_at)
    reporter.results({"recall": recall_no, "acknowledged_by": recall.acknowledged_by})
    reporter.finish()


def tell_left(home: Installation, reporter: Reporter) -> None:
    """What people still have to do after erasures: a model that has been trained again since is done."""
    with home.state.session() as session:
        recalls_ = list(session.scalars(select(Recall).order_by(Recall.recall_no)))
        marks = session.execute(
            select(ModelVersion.name, ModelVersion.training_month, ModelMark.retrain_by, Erasure.erasure_no)
            .join(ModelMark, ModelMark.model_no == ModelVersion.model_no)
            .join(Erasure, Erasure.erasure_no == ModelMark.erasure_no)
            .where(
                ModelVersion.model_no.in_(select(func.max(ModelVersion.model_no)).group_by(ModelVersion.name))
            )
            .order_by(ModelVersion.model_no)
        ).all()
    open_recalls = [[r.recall_no, r.list_version, r.lead_id] for r in recalls_ if r.acknowledged_at is None]
    models = [[m.name, m.training_month, f"{m.retrain_by:%Y-%m-%d}", m.erasure_no] for m in marks]
    reporter.table("Recalls to be acknowledged / 待确认的召回", ["recall", "list", "lead"], open_recalls)
    reporter.table("Models to be trained again / 待重训的模型", ["model", "trained", "by", "erasure"], models)
    reporter.result |= {
        "recalls": [dict(zip(("recall", "list", "lead"), row, strict=True)) for row in open_recalls],
        "models": [dict(zip(("model", "trained", "by", "erasure"), row, strict=True)) for row in models],
    }


def installation(home: Path, reporter: Reporter) -> Installation:
    """Open a home that exists; a mistyped one must not be answered with "nothing is held"."""
    from pipelines.workplace import Workplace

    if not home.is_dir():
        raise GsceneError(f"there is no home {home}.", "Say which installation is meant: --home FOLDER.")
    return Workplace.open(
        home, SystemClock(), reporter if not reporter.as_json else SilentProgress()
    ).installation()


def _write_private(page: Path, text: str, home: Path) -> None:
    if page.resolve().is_relative_to(home):
        raise GsceneError(
            f"{page} lies inside the home folder.",
            "Write the page elsewhere: a later erasure would find it there.",
        )
    descriptor = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
