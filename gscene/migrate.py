"""`gscene migrate`: from the old platforms to the new one - dual run, parity, signature, cut-over, rollback, retirement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from core.clock import SystemClock
from core.errors import ExitCode
from gscene.console import Reporter
from gscene.options import home_option, json_option

F = TypeVar("F", bound=Callable[..., Any])

_LIGHTS = {"red": "RED", "amber": "amber", "grey": "grey", "green": "green", "none": "-"}


def _as_option(function: F) -> F:
    return click.option("--as", "actor", required=True, help="Name of the person who does this. 经办人。")(
        function
    )


@click.group()
def migrate() -> None:
    """Replace city platforms by a provincial one without losing anything.

    平台迁移：双轨运行、十五项核对、签署、切换、回退、退役。

    \b
    The way, with two different names (A runs it, B signs):
      gscene migrate plan NAME --as A        read HOME/migrations/NAME.yaml, put the new platform on trial
      gscene migrate start NAME --as A       take the crosswalk over, begin the dual run
      gscene migrate check NAME --as A       the fifteen parity checks PC01-PC15, and the report
      gscene migrate sign NAME --as B        sign off
      gscene migrate cut-over NAME --as A    the new platform is live from the cut-over month on
      gscene migrate retire NAME --as A      after the rollback window: the old one is gone

    docs/migration.md shows what the file holds and what each check asks.
    """


@migrate.command()
@click.argument("name")
@_as_option
@home_option("bank")
@json_option
def plan(name: str, actor: str, home: Path, as_json: bool) -> None:
    """Read the definition and put the new side on trial, before its first delivery.

    读取定义，把新平台放入试运行通道。

    \b
    Example:
      gscene migrate plan si_to_province --as "Li Wei" --home var/bank

    Run it again after changing the file (a waiver, a tolerance): parity and signature are then asked for anew.
    """
    from sources.migration.definition import definition_file, load_migration

    workplace, reporter = _open(home, as_json)
    plan_ = workplace.blueprint
    definition = load_migration(definition_file(workplace.settings.home, name), plan_.adapters, plan_.schemas)
    state = _desk(workplace).plan(definition, actor)
    reporter.table(
        f"{definition.title.zh} / {definition.title.en}",
        ["table", "old", "new"],
        [
            [table.name, ", ".join(f.source for f in table.old), ", ".join(f.source for f in table.new)]
            for table in definition.tables
        ],
    )
    _tell(reporter, {"state": str(state), "dual run": f"{definition.dual_run.first} … {definition.dual_run.last}",
                     "cut-over month": definition.cut_over, "subjects linked by": definition.linking})  # fmt: skip


@migrate.command()
@click.argument("name")
@_as_option
@home_option("bank")
@json_option
def start(name: str, actor: str, home: Path, as_json: bool) -> None:
    """Take the crosswalk over and begin the dual run.

    接管对照表，开始双轨运行。

    \b
    Example:
      gscene migrate start si_to_province --as "Li Wei"

    The crosswalk is moved to a folder that its owner alone can read; what was laid is overwritten and removed.
    """
    workplace, reporter = _open(home, as_json)
    _tell(reporter, {"state": str(_desk(workplace).start(name, actor))})


@migrate.command()
@click.argument("name")
@_as_option
@home_option("bank")
@json_option
def check(name: str, actor: str, home: Path, as_json: bool) -> int:
    """Run the fifteen parity checks and write the report. Exit code 3 while something blocks.

    执行十五项核对并生成报告。

    \b
    Example:
      gscene migrate check si_to_province --as "Li Wei"
    """
    from pipelines.migration_check import check_migration
    from pipelines.migration_report import lights_of, write_migration_report
    from sources.migration.acts import findings_of, named_by_signature

    workplace, reporter = _open(home, as_json)
    done = check_migration(workplace, name, actor)
    findings = findings_of(done)
    page, plain = write_migration_report(workplace, name)
    reporter.table(
        "Parity / 核对",
        ["check", "light", "", "worst"],
        [
            [
                one.check,
                _LIGHTS[one.light],
                f"{one.text.title.zh} {one.text.title.en}",
                str(one.findings[0]) if one.findings else "",
            ]
            for one in lights_of(findings)
        ],
    )
    reporter.result["lights"] = {one.check: one.light for one in lights_of(findings)}
    _tell(
        reporter,
        {
            "passed": done.passed,
            "blocked by": sorted({finding.check for finding in findings if finding.blocks}),
            "to be named by the signature": named_by_signature(findings),
            "report": str(page),
            "report as JSON": str(plain),
        },
    )
    return int(ExitCode.OK if done.passed else ExitCode.GATE_REFUSED)


@migrate.command()
@click.argument("name")
@home_option("bank")
@json_option
def report(name: str, home: Path, as_json: bool) -> None:
    """Write the report again, from what is on record.

    根据记录重新生成报告。

    \b
    Example:
      gscene migrate report si_to_province
    """
    from pipelines.migration_report import write_migration_report

    workplace, reporter = _open(home, as_json)
    page, plain = write_migration_report(workplace, name)
    _tell(reporter, {"report": str(page), "report as JSON": str(plain)})


@migrate.command()
@click.argument("name")
@_as_option
@click.option(
    "--accept", multiple=True, metavar="PC..", help="A check that did not pass and doesn't block; name each."
)
@click.option("--remark", default="", help="Why, in a sentence; it is kept with the signature.")
@home_option("bank")
@json_option
def sign(name: str, actor: str, accept: tuple[str, ...], remark: str, home: Path, as_json: bool) -> None:
    """Sign off on the latest check, as somebody who didn't run it.

    由未经手的人签署。

    \b
    Examples:
      gscene migrate sign si_to_province --as "Chen Yu"
      gscene migrate sign si_to_province --as "Chen Yu" --accept PC09 --remark "history stays with the bank"
    """
    from pipelines.migration_report import write_migration_report

    workplace, reporter = _open(home, as_json)
    _desk(workplace).sign(name, actor, accept, remark)
    write_migration_report(workplace, name)
    _tell(reporter, {"state": "signed_off", "accepted": sorted(set(accept))})


@migrate.command("cut-over")
@click.argument("name")
@_as_option
@home_option("bank")
@json_option
def cut_over(name: str, actor: str, home: Path, as_json: bool) -> None:
    """Make the new platform the live one from the cut-over month on. Run it again if it was interrupted.

    从切换月起启用新平台；中断后重新执行即可。

    \b
    Example:
      gscene migrate cut-over si_to_province --as "Li Wei"

    Subjects keep their numbers and get their new pseudonyms; what was known earlier stays as it was.
    """
    from pipelines.migration_cut_over import cut_over as do

    workplace, reporter = _open(home, as_json)
    _tell_exchange(workplace, reporter, name, do(workplace, name, actor))


@migrate.command()
@click.argument("name")
@_as_option
@click.option("--reason", required=True, help="Why; it is kept with the change.")
@home_option("bank")
@json_option
def rollback(name: str, actor: str, reason: str, home: Path, as_json: bool) -> None:
    """Make the old platform the live one again, within the rollback window.

    在回退期内恢复旧平台。

    \b
    Example:
      gscene migrate rollback si_to_province --as "Li Wei" --reason "the portal has been down for a week"
    """
    from pipelines.migration_cut_over import rollback as do

    workplace, reporter = _open(home, as_json)
    _tell_exchange(workplace, reporter, name, do(workplace, name, actor, reason))


@migrate.command()
@click.argument("name")
@_as_option
@home_option("bank")
@json_option
def retire(name: str, actor: str, home: Path, as_json: bool) -> None:
    """End the migration after its rollback window: the crosswalk is destroyed, with evidence.

    回退期满后退役旧平台，销毁对照表并留存证据。

    \b
    Example:
      gscene migrate retire si_to_province --as "Li Wei"
    """
    from core.subject import SubjectKind
    from pipelines.migration_report import write_migration_report

    workplace, reporter = _open(home, as_json)
    evidence = _desk(workplace).retire(name, actor, {kind: workplace.registry(kind) for kind in SubjectKind})
    write_migration_report(workplace, name)
    _tell(reporter, {"state": "retired", **evidence})


@migrate.command()
@click.argument("name", required=False)
@home_option("bank")
@json_option
def status(name: str | None, home: Path, as_json: bool) -> None:
    """Where a migration stands, or all of them, and what comes next.

    查看迁移状态和下一步。

    \b
    Examples:
      gscene migrate status
      gscene migrate status si_to_province
    """
    from sources.migration.lanes import planned
    from sources.migration.states import NEXT_STEP, changes, find, state_of

    workplace, reporter = _open(home, as_json)
    with workplace.state.session() as session:
        chosen = [find(session, name)] if name is not None else planned(session)
        rows = [
            [m.name, m.state, m.under_way or "", NEXT_STEP[state_of(m)].replace("NAME", m.name)]
            for m in chosen
        ]
        told = [
            [f"{c.at:%Y-%m-%d %H:%M} UTC", c.from_state or "", c.to_state, c.actor, c.evidence_sha256[:16], c.event_no]
            for m in chosen
            for c in changes(session, m.name)
        ] if name is not None else []  # fmt: skip
    header = ["migration", "state", "under way", "next"]
    reporter.table("Migrations / 迁移", header, rows)
    if told:
        reporter.table("Changes / 经过", ["when", "from", "to", "who", "evidence", "audit event"], told)
    reporter.result["migrations"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.finish()


def _open(home: Path, as_json: bool) -> tuple[Any, Reporter]:
    from pipelines.workplace import Workplace

    reporter = Reporter(as_json)
    return Workplace.open(home, SystemClock(), reporter), reporter


def _desk(workplace: Any) -> Any:
    from pipelines.migration_cut_over import desk_of

    return desk_of(workplace)


def _tell_exchange(workplace: Any, reporter: Reporter, name: str, done: Any) -> None:
    from pipelines.migration_report import write_migration_report

    write_migration_report(workplace, name)
    _tell(
        reporter,
        {
            "state": str(done.state),
            "subjects re-keyed": done.rekeyed,
            "deliveries promoted": done.promoted,
            "deliveries withdrawn": done.withdrawn,
        },
    )


def _tell(reporter: Reporter, results: dict[str, Any]) -> None:
    reporter.results(results)
    reporter.finish()
