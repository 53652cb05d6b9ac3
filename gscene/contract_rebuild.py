"""`gscene contracts rebuild`: a raw table made anew from the archive for a new major version of its contract."""

from __future__ import annotations

from pathlib import Path

import click

from core.clock import SystemClock
from core.errors import GsceneError
from gscene.console import Reporter
from gscene.options import by_option, home_option, json_option


@click.command()
@click.argument("table")
@by_option
@home_option("bank")
@json_option
def rebuild(table: str, by: str, home: Path, as_json: bool) -> None:
    """Make the raw rows of TABLE anew from the archived deliveries, under the contract as it is now.

    按当前合同，从归档的交付重新生成原始表。

    For a major version that adds, removes or retypes columns. Deliveries keep their order and their moments of receipt. The old
    rows stay readable until the new ones stand; a missing or changed file of the archive, or a delivery that no longer adds up,
    stops it and changes nothing. The next `gscene run` validates the months and computes what is made of them.
    中途失败则一切保持原状。

    \b
    Example:
      gscene contracts rebuild si_person_month --by "Li Na" --home var/bank
    """
    from pipelines.workplace import Workplace
    from sources.erased import require_finished
    from sources.rebuild import rebuild as make_anew

    reporter = Reporter(as_json)
    workplace = Workplace.open(home, SystemClock(), reporter)
    require_finished(workplace.state)
    contract = workplace.blueprint.contracts.get(table)
    if contract is None:
        raise GsceneError(f"there is no contract {table}.", "gscene contracts list names all of them.")
    owners = [owner for owner in contract.owners if workplace.store.exists(contract.raw_table(owner))]
    if not owners:
        raise GsceneError(
            f"{home} holds no rows of {table}.",
            "Nothing has to be made anew: deliveries come in under today's contract.",
        )
    rows = []
    for owner in owners:
        done = make_anew(
            contract.raw_table(owner), contract.schema(), contract.version, by=by, store=workplace.store,
            registry=workplace.registry(owner), state=workplace.state, archive=workplace.settings.archive,
            keys=workplace.settings.keys, adapters=workplace.blueprint.adapters, clock=workplace.clock, progress=reporter,
        )  # fmt: skip
        rows.append(
            [done.table, contract.version, done.deliveries, done.accepted, done.rows, done.version_before]
        )
    header = ["table", "contract", "deliveries", "source rows accepted", "rows", "version before"]
    reporter.table("Made anew / 已重新生成", header, rows)
    reporter.result["rebuilt"] = [dict(zip(header, row, strict=True)) for row in rows]
    reporter.say(f"Next / 下一步: gscene run --home {home}")
    reporter.finish()
