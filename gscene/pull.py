"""`gscene pull`: bring what sources have laid out for us into inbox and ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.clock import SystemClock
from core.errors import ExitCode, GsceneError
from gscene.console import Reporter
from gscene.options import home_option, json_option
from gscene.run import finish

if TYPE_CHECKING:
    from pipelines.workplace import Workplace
    from sources.connectors.check import Finding
    from sources.connectors.connection import Connection
    from sources.connectors.run import Pulled


@click.command()
@click.argument(
    "names", metavar="[NAME]...", nargs=-1, help="Connections to pull; all of them when left out."
)
@click.option("--check", is_flag=True, help="Test the connections and tell what is wrong; nothing is taken.")
@click.option(
    "--then-run",
    is_flag=True,
    help="Then bring everything up to date, as `gscene run` does, if anything is new.",
)
@home_option("bank")
@json_option
def pull(names: tuple[str, ...], check: bool, then_run: bool, home: Path, as_json: bool) -> int:
    """Pull deliveries over all connections, or the named ones.

    从已配置的连接（目录、SFTP、HTTP、PostgreSQL）拉取交付，断点续传，每份交付只接收一次。

    \b
    Examples:
      gscene pull --home var/bank                   all of <home>/connections/*.yaml
      gscene pull changsha_tax --home var/bank      one of them
      gscene pull --check changsha_tax              reach, identity of the other side, login, feeds
      gscene pull --then-run --home var/bank        and then features, scores and lists

    Stopped at any moment, the same command goes on where it was. docs/connectors.md shows a connection of each kind.
    """
    from pipelines.pull_job import our_side
    from pipelines.workplace import Workplace

    reporter = Reporter(as_json)
    workplace = Workplace.open(home, SystemClock(), reporter)
    connections = chosen(workplace, names)
    side = our_side(workplace, os.environ)
    if check:
        from sources.connectors.check import check as look

        return _tell_check({one.connection: look(side, one) for one in connections}, reporter)
    from sources.connectors.pull import pull_all

    pulled = pull_all(side, connections)
    tell(pulled, reporter)
    if then_run and any(one.new for one in pulled):
        ended = finish(workplace, None, reporter)
    else:
        ended = ExitCode.OK
        reporter.finish()
    return int(ended if all(one.well for one in pulled) else ExitCode.FAILED)


def chosen(workplace: Workplace, names: Sequence[str]) -> list[Connection]:
    """The named connections of the home folder, or all; GsceneError tells which there are."""
    from sources.connectors.connection import FOLDER_NAME, load_connections

    home = workplace.settings.home
    found = load_connections(home)
    unknown = [name for name in names if name not in found]
    if unknown or not found:
        raise GsceneError(
            f"{home / FOLDER_NAME} has no connection {', '.join(unknown)}."
            if unknown
            else f"{home / FOLDER_NAME} holds no connection.",
            f"There are: {', '.join(found)}." if found else "docs/connectors.md shows a file for each kind.",
        )
    return [found[name] for name in dict.fromkeys(names)] or list(found.values())


def tell(pulled: Sequence[Pulled], reporter: Reporter) -> None:
    """One row per connection, then what is wrong with which remedy."""
    header = [
        "connection 连接",
        "new 新交付",
        "bytes 字节",
        "resumed 续传",
        "waiting 未完成",
        "refused 拒收",
        "receipts 回执",
        "state 状态",
    ]
    rows = [
        [
            one.connection,
            len(one.new),
            one.bytes,
            one.resumed,
            one.waiting,
            len(one.refused),
            one.receipts,
            one.state,
        ]
        for one in pulled
    ]
    reporter.table("Pulled / 拉取", header, rows)
    for one in pulled:
        for item, code in one.refused.items():
            reporter.say(f"  {one.connection} {item}: {code}")
        if one.problem:
            reporter.say(f"  {one.connection}: {one.problem} {one.remedy}".rstrip())
    reporter.result["pulled"] = [vars(one) for one in pulled]


def _tell_check(found: dict[str, list[Finding]], reporter: Reporter) -> int:
    for name, findings in found.items():
        rows = [[f.step, "ok" if f.ok else "PROBLEM", f.seen, f.remedy] for f in findings]
        reporter.table(f"{name}", ["step 步骤", "state 状态", "seen 结果", "remedy 处理办法"], rows)
    reporter.result = {name: [vars(f) for f in findings] for name, findings in found.items()}
    reporter.finish()
    well = all(finding.ok for findings in found.values() for finding in findings)
    return int(ExitCode.OK if well else ExitCode.FAILED)
