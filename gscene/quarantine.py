"""`gscene quarantine`: rows held back, why, and reading them again after their adapter was mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.clock import SystemClock
from core.errors import ExitCode, Refusal
from gscene.console import Reporter
from gscene.options import home_option, json_option

if TYPE_CHECKING:
    from sources.quarantine import Held


@click.group()
def quarantine() -> None:
    """Look at rows that are held back, and let them in once their adapter is mended. No cell is ever shown, only its shape.

    查看被隔离的行；修好适配器后重新处理。只显示单元格的形状，从不显示内容。

    \b
    Examples:
      gscene quarantine list                       what is held, by delivery, reason and column
      gscene quarantine show 17                    one delivery, and what to do
      gscene quarantine reprocess --delivery 17    read its held rows again
      gscene quarantine reprocess --all            and those of every delivery
    """


@quarantine.command("list")
@click.option("--table", help="Only this table.")
@home_option("demo")
@json_option
def list_(table: str | None, home: Path, as_json: bool) -> None:
    """List what is held: rows by delivery, reason and source column, with the shape of one such cell.

    列出被隔离的行：按交付、原因和来源列统计。
    """
    from pipelines.workplace import Workplace
    from sources.quarantine import in_quarantine

    reporter = Reporter(as_json)
    workplace = Workplace.open(home, SystemClock(), reporter)
    with workplace.state.session() as session:
        held = in_quarantine(session, table=table)
    _tell(reporter, held)
    reporter.finish()


@quarantine.command()
@click.argument("delivery", type=int)
@home_option("demo")
@json_option
def show(delivery: int, home: Path, as_json: bool) -> None:
    """Show what one delivery holds back, on which rows of its file, and what to do about it.

    显示一次交付中被隔离的行、所在行号以及处理办法。
    """
    from core.state import Delivery
    from pipelines.workplace import Workplace
    from sources.quarantine import held_rows, in_quarantine

    reporter = Reporter(as_json)
    workplace = Workplace.open(home, SystemClock(), reporter)
    with workplace.state.session() as session:
        held = in_quarantine(session, delivery=delivery)
        entry = session.get(Delivery, delivery)
        rows = held_rows(session, workplace.store, entry) if entry is not None and held else None
    _tell(reporter, held)
    for one in held:
        reporter.say(f"{one.reason} [{one.column}]: {one.remedy}")
    numbers = rows.column("row_no").to_pylist() if rows is not None else []
    if numbers:
        more = f" … ({len(numbers):,})" if len(numbers) > 20 else ""
        reporter.say(f"数据行号 / data rows: {', '.join(map(str, numbers[:20]))}{more}")
    reporter.result["rows"] = numbers[:1000]
    reporter.finish()


@quarantine.command()
@click.option("--delivery", type=int, help="Only this delivery.")
@click.option("--table", help="Only deliveries of this table.")
@click.option("--all", "everything", is_flag=True, help="Every delivery that holds rows.")
@home_option("demo")
@json_option
def reprocess(delivery: int | None, table: str | None, everything: bool, home: Path, as_json: bool) -> int:
    """Read held rows again with the adapters as they are now. What is readable comes in as a delivery received now: what was
    known earlier doesn't change. Doing it twice changes nothing.

    用当前的适配器重新读取被隔离的行。能读的作为此刻收到的交付进入，既往所知不变；重复执行不产生变化。

    \b
    Examples:
      gscene quarantine reprocess --delivery 17
      gscene quarantine reprocess --table si_person_month
      gscene quarantine reprocess --all
    """
    from pipelines.workplace import Workplace
    from sources.quarantine import in_quarantine

    if sum((delivery is not None, table is not None, everything)) != 1:
        raise click.UsageError("say --delivery N, --table NAME or --all")
    reporter = Reporter(as_json)
    workplace = Workplace.open(home, SystemClock(), reporter)
    with workplace.state.session() as session:
        held = in_quarantine(session, delivery=delivery, table=table)
    numbers = list(dict.fromkeys(one.delivery_no for one in held))
    told: list[dict[str, object]] = []
    with reporter.stage("reprocess", len(numbers)) as stage:
        for number in numbers:
            told.append(_released(workplace, next(one for one in held if one.delivery_no == number)))
            stage.advance(note=str(number))
    header = ["delivery", "made", "released", "still_held", "refused"]
    if told:
        reporter.table(
            "重新处理 / reprocessed", header, [["" if v is None else v for v in row.values()] for row in told]
        )
        reporter.say(
            "新进入的行会在下次运行时进入特征 / rows that came in reach features with the next run: gscene run"
        )
    else:
        reporter.say("没有被隔离的行 / nothing is held")
    reporter.result = {"reprocessed": told}
    reporter.finish()
    return ExitCode.FAILED if any(row["refused"] for row in told) else ExitCode.OK


def _released(workplace, held: Held) -> dict[str, object]:  # type: ignore[no-untyped-def]
    from core.subject import owner_of
    from sources.release import release

    adapter = workplace.blueprint.adapters[held.adapter]
    try:
        came_in = release(
            held.delivery_no, adapter, workplace.blueprint.schemas[held.table], store=workplace.store,
            registry=workplace.registry(owner_of(held.subject)), state=workplace.state,
            archive=workplace.settings.archive, keys=workplace.settings.keys, clock=workplace.clock,
        )  # fmt: skip
    except Refusal as refusal:
        return {
            "delivery": held.delivery_no, "made": None, "released": 0, "still_held": held.still, "refused": str(refusal),
        }  # fmt: skip
    return {
        "delivery": held.delivery_no, "made": came_in.made, "released": came_in.rows,
        "still_held": came_in.still_held, "refused": None,
    }  # fmt: skip


def _tell(reporter: Reporter, held: Sequence[Held]) -> None:
    rows = [
        [
            one.delivery_no, f"{one.source} {one.subject}/{one.table}", one.period, f"{one.reason_zh} {one.reason}",
            one.column, one.still, one.released, one.shape,
        ]
        for one in held
    ]  # fmt: skip
    header = ["delivery", "table", "month", "reason", "column", "held", "released", "shape"]
    if rows:
        reporter.table("隔离区 / quarantine", header, rows)
    else:
        reporter.say("没有被隔离的行 / nothing is held")
    reporter.result = {
        "rows": sum(one.still for one in held),
        "held": [asdict(one) | {"still": one.still, "remedy": one.remedy} for one in held],
    }
