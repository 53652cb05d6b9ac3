"""`gscene models reasons` and `gscene models phrases`: why asked subjects score as they do, in reviewed sentences."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.clock import SystemClock
from core.errors import GsceneError
from core.months import Month
from core.subject import SubjectKind
from gscene.console import Reporter
from gscene.model_acts import as_option, model_argument
from gscene.options import MonthType, home_option, json_option

if TYPE_CHECKING:
    from models.explanation.asked_reasons import AskedReasons

#: Subjects shown on a terminal; a file has all.
SHOWN = 20


@click.command()
@model_argument
@click.option(
    "--subjects",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of pseudonyms (subject_id), one a line. 主体假名清单文件。",
)
@click.option(
    "--as-of", type=MonthType(), help="As-of month; the latest with features when left out. 评分月份。"
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path),
    help="Write a .csv or .json file, mode 0600, outside of the home folder. 输出文件。",
)  # fmt: skip
@as_option(required=True)
@click.option(
    "--reason", required=True, help="Why you ask, such as the request's reference. 查询理由，记入审计链。"
)
@home_option("bank")
@json_option
def reasons(
    name: str,
    subjects: Path,
    as_of: Month | None,
    out: Path | None,
    actor: str,
    reason: str,
    home: Path,
    as_json: bool,
) -> None:
    """Why asked subjects score as they do: at most four reasons each, in Chinese and English.

    逐户风险原因：每户至多四条，中英文。

    Of the live, signed version of a risk model only. Each reason raises the subject's PD: with its features at the reference
    (the medians of the training population) the score is better. Features that may stand in for a protected attribute, or that
    nobody can act on, are never told; `told_share` says how much of what raises the PD the told reasons make up. Who asked is
    kept in the audit chain, what was said isn't.

    \b
    Examples:
      gscene models reasons enterprise_risk --subjects asked.txt --as "Wang Fang" --reason "request 2026-17"
      gscene models reasons enterprise_risk --subjects asked.txt --out answer.csv --as "Wang Fang" --reason "request 2026-17"
    """
    from models.explanation.asked_reasons import ask_reasons
    from models.explanation.reasons_file import as_csv, as_plain, read_question
    from models.explanation.reasons_file import as_json as json_bytes
    from models.explanation.reference import STATED
    from pipelines.workplace import Workplace

    require_home(home)
    reporter = Reporter(as_json)
    if out is not None:
        require_outside(out, home, (".csv", ".json"))
    workplace = Workplace.open(home, SystemClock(), reporter)
    plan = workplace.blueprint
    if name not in plan.models:
        raise GsceneError(f"there is no model {name}.", "gscene models list shows what there is.")
    definition = plan.models[name]
    feature_set = plan.feature_sets[definition.feature_set]
    months = workplace.store.partitions(feature_set.table)
    if as_of is None and not months:
        raise GsceneError(f"there are no features of {feature_set.name} yet.", "Run gscene run first.")
    asked = ask_reasons(
        definition, feature_set, as_of or Month.parse(months[-1]), read_question(subjects), actor=actor, reason=reason,
        store=workplace.store, state=workplace.state, settings=workplace.settings, clock=workplace.clock,
        registry=workplace.registry(definition.subject), entitlements=workplace.entitlements(definition.subject),
    )  # fmt: skip
    title = f"{asked.model_version}, {asked.as_of} / 原因"
    if out is not None:
        write_private(out, as_csv(asked) if out.suffix == ".csv" else json_bytes(asked))
    else:
        reporter.table(title, ["subject", "points", "grade", "told share", "reasons / 原因"], _shown(asked))
        if len(asked.subjects) > SHOWN:
            reporter.say(f"{len(asked.subjects) - SHOWN} more: give --out FILE. / 其余请用 --out 输出。")
    if asked.drafts:
        reporter.say("Sentences not reviewed by people (demo). / 语句未经人工审定（演示）。")
    reporter.say(f"{STATED.zh}\n{STATED.en}")
    explained = sum(s.reasons is not None for s in asked.subjects)
    reporter.results(
        {"asked": len(asked.subjects), "explained": explained} | ({"file": str(out)} if out else {})
    )
    if out is None:
        reporter.result |= as_plain(asked)
    reporter.finish()


@click.command()
@click.argument("kind", type=click.Choice([str(kind) for kind in SubjectKind]))
@click.option(
    "--review", "codes", multiple=True, help="Code of a sentence that you stand by, or `all`; may be repeated. 审定。"
)  # fmt: skip
@as_option(required=False)
@click.option("--reason", default="", help="Why it is right, such as the minutes. 审定依据。")
@home_option("bank")
@json_option
def phrases(
    kind: str, codes: tuple[str, ...], actor: str | None, reason: str, home: Path, as_json: bool
) -> None:
    """The sentences that reasons are told in, and who has reviewed their present wording; review them.

    原因语句及其审定状态；审定语句。

    A changed sentence has to be reviewed again. A bank's own wording lies in reason_phrases/KIND.yaml of the home folder; outside
    of a demonstration no reason is told in a sentence that nobody has reviewed.

    \b
    Examples:
      gscene models phrases enterprise
      gscene models phrases enterprise --review UTIL_LATE --as "Zhao Lin" --reason "committee of 3 March"
      gscene models phrases enterprise --review all --as "Zhao Lin" --reason "committee of 3 March"
    """
    from models.explanation.phrases import load_phrase_book, review, reviews
    from pipelines.workplace import Workplace

    require_home(home)
    reporter, workplace = Reporter(as_json), Workplace.open(home, SystemClock())
    book = load_phrase_book(SubjectKind(kind), workplace.settings)
    with workplace.state.session() as session:
        if codes:
            if actor is None:
                raise click.UsageError("--review needs --as: who has read them?")
            chosen = list(book.hashes()) if "all" in codes else list(codes)
            reporter.results({"reviewed": len(review(session, workplace.clock, book, chosen, actor, reason))})
        done = reviews(session)
    header, hashes = ["code", "zh", "en", "reviewed by", "on"], book.hashes()
    rows = [
        [code, text.zh, text.en, *done.get(hashes[code], ("", "", ""))[:2]]
        for code, text in book.texts.items()
    ]
    reporter.table(f"{book.title.en} / {book.title.zh}", header, rows)
    reporter.result["phrases"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.finish()


def _shown(asked: AskedReasons) -> list[list[object]]:
    """The first subjects as rows of a table."""
    rows: list[list[object]] = []
    for subject in asked.subjects[:SHOWN]:
        if subject.reasons is None:
            rows.append([subject.subject_id, "", "", "", f"{subject.status.zh} / {subject.status.en}"])
            continue
        said = [asked.texts[reason.code] for reason in subject.reasons.reasons]
        texts = "\n".join(f"{text.zh} / {text.en}" for text in said)
        rows.append(
            [subject.subject_id, subject.points, subject.grade, f"{subject.reasons.told_share:.0%}", texts]
        )
    return rows


def require_home(home: Path) -> None:
    """GsceneError where nothing has been made there: a mistyped home must not be made."""
    if not (home / "state.db").exists() and not (home / "gscene.yaml").exists():
        raise GsceneError(
            f"{home} is no home folder.", "Choose one with --home, or make one: gscene demo, gscene run."
        )


def require_outside(file: Path, home: Path, kinds: tuple[str, ...]) -> None:
    """GsceneError for a file that names subjects and would lie in the home, where a later erasure has to find it."""
    if file.suffix not in kinds or file.resolve().is_relative_to(home.resolve()):
        raise GsceneError(
            f"{file} can't be the file.",
            f"Name a {' or '.join(kinds)} file outside of the home: a later erasure would find it there.",
        )


def write_private(file: Path, body: bytes) -> None:
    """Only its owner reads it."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(body)
