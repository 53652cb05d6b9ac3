"""`gscene deliveries`: the ledger for people, and the decisions that only a person takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from core.clock import SystemClock
from core.errors import GsceneError
from core.months import Month
from core.state import Delivery
from gscene.console import Reporter
from gscene.options import MonthType, by_option, home_option, json_option

STATES = ("RECEIVED", "HELD", "ACCEPTED", "REFUSED", "SUPERSEDED", "QUARANTINED")
reason_option = click.option(
    "--reason", required=True, help="Why; kept in the audit chain. 理由，记入审计链。"
)


@click.group()
def deliveries() -> None:
    """What came, what became of it, and what waits for a decision.

    查看交付台账、处理结果，并对待决的交付作出决定。

    \b
    Examples:
      gscene deliveries list --state HELD --state QUARANTINED
      gscene deliveries show 17
      gscene deliveries receipts 17
      gscene deliveries waive 17 --by "Li Na" --reason "the office confirmed that number 4 was never sent"
      gscene deliveries withdraw 16 --by "Li Na" --reason "the office sent the wrong district"
    """


@deliveries.command("list")
@click.option("--source", help="Of this source alone.")
@click.option("--table", help="Of this table alone.")
@click.option("--period", type=MonthType(), help="Of this month alone.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(STATES), help="In this state; may be repeated."
)
@click.option("--last", default=50, show_default=True, help="How many, the latest.")
@home_option("bank")
@json_option
def list_(
    source: str | None,
    table: str | None,
    period: Month | None,
    states: tuple[str, ...],
    last: int,
    home: Path,
    as_json: bool,
) -> None:
    """List deliveries in the order of their arrival.

    按到达顺序列出交付。

    \b
    Example:
      gscene deliveries list --source city_tax --period 2026-10 --home var/bank
    """
    reporter = Reporter(as_json)
    query = select(Delivery).order_by(Delivery.delivery_no.desc()).limit(last)
    for column, wanted in ((Delivery.source, source), (Delivery.table, table), (Delivery.period, period)):
        if wanted is not None:
            query = query.where(column == str(wanted))
    if states:
        query = query.where(Delivery.state.in_(states))
    with _workplace(home).state.session() as session:
        entries = list(session.scalars(query))[::-1]
        header = [
            "no",
            "source",
            "table",
            "period",
            "rev",
            "seq",
            "state",
            "reason",
            "delivered",
            "accepted",
            "received",
        ]
        rows = [
            [
                entry.delivery_no,
                entry.source,
                f"{entry.subject}.{entry.table}",
                entry.period,
                f"{entry.revision}",
                f"{entry.sequence or ''}",
                _state(entry),
                entry.reason or ", ".join(entry.warnings or {}),
                entry.rows_delivered or 0,
                entry.rows_accepted or 0,
                f"{entry.received_at:%Y-%m-%d %H:%M}",
            ]
            for entry in entries
        ]
    reporter.table("Deliveries / 交付", header, rows)
    reporter.result["deliveries"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.finish()


@deliveries.command("show")
@click.argument("delivery_no", type=int)
@home_option("bank")
@json_option
def show(delivery_no: int, home: Path, as_json: bool) -> None:
    """Everything that the ledger knows of one delivery.

    显示一次交付的全部台账信息。

    \b
    Example:
      gscene deliveries show 17 --home var/bank
    """
    reporter = Reporter(as_json)
    with _workplace(home).state.session() as session:
        told = _told(_entry(session, delivery_no))
    reporter.table(f"Delivery {delivery_no} / 交付 {delivery_no}", ["entry", "value"], list(told.items()))
    reporter.result.update(told)
    reporter.finish()


@deliveries.command("receipts")
@click.argument("delivery_no", type=int, required=False)
@home_option("bank")
@json_option
def receipts(delivery_no: int | None, home: Path, as_json: bool) -> None:
    """Show the receipts of one delivery (or count all), and write those that aren't lying in out/receipts.

    查看回执，并补写尚未落盘的回执文件。

    \b
    Example:
      gscene deliveries receipts 17 --home var/bank
    """
    from sources.delivery_receipt import receipts_of, write_receipts

    reporter, workplace = Reporter(as_json), _workplace(home)
    folder = workplace.settings.out / "receipts"
    written = write_receipts(workplace.state, folder, workplace.settings.keys, delivery_no)
    if delivery_no is not None:
        with workplace.state.session() as session:
            _entry(session, delivery_no)
        header = ["n", "state", "issued", "sha256", "file"]
        rows = [
            [
                receipt.n,
                receipt.state,
                f"{receipt.issued_at:%Y-%m-%d %H:%M}",
                receipt.sha256,
                str(folder / receipt.name),
            ]
            for receipt in receipts_of(workplace.state, delivery_no)
        ]
        reporter.table("Receipts / 回执", header, rows)
        reporter.result["receipts"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.results({"folder": str(folder), "written now": len(written)})
    reporter.finish()


@deliveries.command("waive")
@click.argument("delivery_no", type=int)
@reason_option
@by_option
@home_option("bank")
@json_option
def waive(delivery_no: int, reason: str, by: str, home: Path, as_json: bool) -> None:
    """Let in what is HELD (a gap, a drop in rows) or QUARANTINED (another unit?).

    放行被暂扣或隔离的交付。

    It counts as known from now on; what was computed before stays as it was. The next `gscene run` takes it in.

    \b
    Example:
      gscene deliveries waive 17 --by "Li Na" --reason "number 4 was never sent" --home var/bank
    """
    from sources.operator_decisions import waive as decide

    reporter, workplace = Reporter(as_json), _workplace(home)
    admitted = decide(workplace.state, workplace.clock, delivery_no, by, reason)
    reporter.say("Waiting for intake / 等待入库: " + ", ".join(map(str, admitted)))
    reporter.results({"admitted": admitted})
    reporter.finish()


@deliveries.command("withdraw")
@click.argument("delivery_no", type=int)
@reason_option
@by_option
@home_option("bank")
@json_option
def withdraw(delivery_no: int, reason: str, by: str, home: Path, as_json: bool) -> None:
    """Take a delivery back: from now on its rows are no longer known.

    撤回一次交付：自此刻起其数据不再视为已知。

    What was known until now stays known for then. A revision that it had superseded waits for intake again.

    \b
    Example:
      gscene deliveries withdraw 16 --by "Li Na" --reason "wrong district" --home var/bank
    """
    from sources.delivery_receipt import write_receipts
    from sources.operator_decisions import withdraw as decide

    reporter, workplace = Reporter(as_json), _workplace(home)
    again = decide(workplace.state, workplace.clock, delivery_no, by, reason)
    write_receipts(workplace.state, workplace.settings.out / "receipts", workplace.settings.keys)
    reporter.results({"withdrawn": delivery_no, "waiting again": again})
    reporter.finish()


def _workplace(home: Path):  # type: ignore[no-untyped-def]
    from pipelines.workplace import Workplace

    if not home.is_dir():
        raise GsceneError(f"{home} does not exist.", "Name the installation's folder with --home.")
    return Workplace.open(home, SystemClock())


def _entry(session, delivery_no: int) -> Delivery:  # type: ignore[no-untyped-def]
    entry = session.get(Delivery, delivery_no)
    if entry is None:
        raise GsceneError(f"the ledger has no delivery {delivery_no}.", "gscene deliveries list shows them.")
    return entry


def _state(entry: Delivery) -> str:
    return f"{entry.state}, withdrawn" if entry.withdrawn_at is not None else entry.state


def _told(entry: Delivery) -> dict[str, Any]:
    left_out = {left.reason: left.rows for left in entry.left_out}
    plain = (
        "source", "adapter", "subject", "table", "lane", "period", "revision", "mode", "sequence", "signed_by", "reason",
        "place", "remedy", "rows_delivered", "rows_accepted", "rows_quarantined", "rows_made", "made_from", "manifest_sha256",
        "content_sha256", "receipt_sha256",
    )  # fmt: skip
    told = {name: getattr(entry, name) for name in plain}
    told |= {
        "state": _state(entry),
        "received_at": entry.received_at.isoformat(),
        "withdrawn_at": entry.withdrawn_at.isoformat() if entry.withdrawn_at else None,
        "files": ", ".join(file["name"] for file in entry.manifest.get("files", ())),
        "left_out": left_out,
        "warnings": entry.warnings or {},
        "waived": entry.waived,
    }
    return {name: value for name, value in told.items() if value not in (None, "", {})}
