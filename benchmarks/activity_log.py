"""`python -m benchmarks.activity_log`: a provincial platform's whole activity log through real intake, and what it costs.

1.77 million users and 7.36 million services (the founding article's Yunnan) come as twelve monthly deliveries. Everything that
intake does is in the figures: archive, strict reading, identity scan, types, keys, subject numbers, Delta commits, ledger.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import pyarrow.compute as pc

from benchmarks.measure import Cost, measure
from benchmarks.memory import Memory
from core.clock import FixedClock
from core.state import StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import load_contracts
from sources.adapter import load_adapters
from sources.arrivals import SCHEDULE_NAME, read_schedule, receive
from sources.intake import confined_reader, take_in
from sources.province.scenes.activity_log import ActivityLog, write

TABLE = "raw/resident/platform_service"
#: Bytes a whole log may keep resident, children included.
MEMORY_LIMIT_MB = 1_536


@dataclass(frozen=True)
class TakenIn:
    """What the lake holds after intake; `peak_mb` is what this process and all its children held at one moment (proportional
    set size, so that pages they share count once), the other two are each one's own worst.
    """

    rows: dict[str, int]
    subjects: int
    cases: int
    peak_mb: float
    own_peak_mb: float
    child_peak_mb: float
    child_cpu: float


def take_in_log(home: Path) -> TakenIn:
    """Receive and take in every delivery of `home/inbox`; the exact counts of what came in."""
    state = StateDatabase(f"sqlite:///{home / 'state.db'}")
    state.migrate()
    store = TableStore(home / "lake")
    registry = SubjectRegistry(store, SubjectKind.RESIDENT)
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    adapters = load_adapters(schemas)
    arrivals = read_schedule(home / "inbox" / SCHEDULE_NAME)
    clock = FixedClock(max(arrival.at for arrival in arrivals))
    rows: dict[str, int] = {}
    memory = Memory()
    memory.start()
    for arrival in arrivals:
        number = receive(arrival, home / "archive", state, clock)
        adapter = adapters["sim_yn_service"]
        taken = take_in(
            number, adapter, schemas[adapter.target], store=store, registry=registry, state=state,
            archive=home / "archive", keys=home / "keys", clock=clock,
        )  # fmt: skip
        rows[taken.period] = taken.accepted
    # The reading process and its children count once they are ended.
    confined_reader().close()
    memory.stop()
    cases = sum(_different_cases(store, period) for period in rows)
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return TakenIn(
        rows, registry.size, cases, memory.peak_mb, own.ru_maxrss / 1024, children.ru_maxrss / 1024,
        children.ru_utime + children.ru_stime,
    )  # fmt: skip


def _different_cases(store: TableStore, period: str) -> int:
    column = store.read(TABLE, [period], columns=["case_id"]).column("case_id")
    return int(pc.count_distinct(column).as_py())


def read_with_duckdb(files: Sequence[Path]) -> int:
    """The same files read once by DuckDB, every cell as text: rows."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET threads TO 1")
        query = "SELECT count(*), " + ", ".join(
            f"max({name})"
            for name in ("user_token", "case_no", "theme", "item_code", "apply_time", "finish_time")
        )
        found = connection.execute(
            f"{query} FROM read_csv(?, header = true, all_varchar = true)",
            [[str(file) for file in files]],
        ).fetchone()
        return int(found[0]) if found else 0


def run(home: Path, log: ActivityLog) -> tuple[Cost, Cost]:
    """Write the log, take it in and read it with DuckDB, each in a process of its own; the totals are checked."""
    sent = measure(write, log, home / "inbox").result
    cost = measure(take_in_log, home)
    taken: TakenIn = cost.result
    assert taken.rows == sent.services, "rows by month aren't those that were sent"
    assert (sum(taken.rows.values()), taken.subjects, taken.cases) == (log.services, log.users, log.services)
    return cost, measure(read_with_duckdb, sorted((home / "inbox").rglob("*.csv")))


@click.command()
@click.option(
    "--scale", default=1.0, show_default=True, help="Part of 1.77 million users and 7.36 million services."
)
def main(scale: float) -> None:
    """Take the log in, and say what it cost beside reading the same files once with DuckDB."""
    whole = ActivityLog()
    log = ActivityLog(users=round(whole.users * scale), services=round(whole.services * scale))
    with tempfile.TemporaryDirectory() as folder:
        cost, duckdb = run(Path(folder), log)
    taken: TakenIn = cost.result
    cpu = cost.cpu + taken.child_cpu
    click.echo(f"{log.users:,} users, {log.services:,} services: totals as sent")
    click.echo(
        f"intake: {cpu:.1f} CPU s, {cost.wall:.1f} s, {taken.peak_mb:.0f} MB at its peak with all processes"
    )
    click.echo(
        f"  (the program alone at most {taken.own_peak_mb:.0f} MB, a reading child {taken.child_peak_mb:.0f} MB)"
    )
    click.echo(
        f"DuckDB reads the files once: {duckdb.cpu:.1f} CPU s; intake is {cpu / duckdb.cpu:.1f} times that"
    )
    if taken.peak_mb > MEMORY_LIMIT_MB:
        click.echo(f"more than {MEMORY_LIMIT_MB} MB")
        sys.exit(1)


if __name__ == "__main__":
    main()
