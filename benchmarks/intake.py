"""Taking deliveries in and validating them, beside DuckDB reading the same files once.

The files are what a simulated city sends for one month: social insurance, wages and electricity of the residents. Ours does what
a bank needs before it may use a row: hash, receive, archive, check structure and identities, read types and codes, pseudonyms to
numbers, write the table, judge it by its contract, write the receipt. DuckDB reads every cell once into its type
and hands the rows over as Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.measure import Cost, measure
from core.clock import SystemClock
from core.months import Month
from core.progress import SilentProgress
from core.state import StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import load_contracts
from expectations.receipts import write_receipt
from expectations.validate import validate_partition
from sources.adapter import load_adapters
from sources.arrivals import read_schedule, receive
from sources.delivery import read_delivery
from sources.intake import take_in
from sources.province.settings import ProvinceSettings
from sources.province.simulate import simulate
from sources.reading import read_and_convert

MONTH = Month(2026, 10)
TABLES = ("si_person_month", "tax_iit_withholding", "util_bill")

#: What DuckDB reads the cells of the three tables as; all other columns are text.
_TYPES = {
    **dict.fromkeys(("jfjs", "grjfe", "dwjfe", "sre", "kjse", "zdje"), "DECIMAL(18,2)"),
    "yl": "DOUBLE",
    "jzrq": "DATE",
    "jfrq": "DATE",
}


@dataclass(frozen=True)
class IntakeResult:
    """Costs of both sides; `rows` accepted by ours, `read` rows that DuckDB counted."""

    residents: int
    rows: int
    read: int
    megabytes: float
    intake: Cost
    validation: Cost
    duckdb: Cost


def run(folder: Path, residents: int) -> IntakeResult:
    """Simulate, take in, validate, and read the same files with DuckDB."""
    settings = ProvinceSettings(
        residents=residents,
        enterprises=200,
        first_month=MONTH,
        months=1,
        faults=frozenset(),
        only_tables=frozenset(TABLES),
    )
    simulate(settings, folder / "inbox", SilentProgress())
    files = [read_delivery(each.folder) for each in _arrivals(folder)]
    intake = measure(_take_in, folder)
    validation = measure(_validate, folder)
    read = measure(_read_once, folder)
    return IntakeResult(
        residents,
        intake.result,
        read.result,
        sum(data.stat().st_size for each in files for data in each.data) / 1e6,
        intake,
        validation,
        read,
    )


def _arrivals(folder: Path) -> list:
    arrivals = read_schedule(folder / "inbox" / "arrivals.json")
    return [each for each in arrivals if "resident." in each.folder.as_posix()]


def _take_in(folder: Path) -> int:
    state = StateDatabase(f"sqlite:///{folder / 'state.db'}")
    state.migrate()
    store, clock = TableStore(folder / "lake"), SystemClock()
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    adapters = load_adapters(schemas)
    registry = SubjectRegistry(store, SubjectKind.RESIDENT)
    rows = 0
    for arrival in _arrivals(folder):
        number = receive(arrival, folder / "archive", state, clock)
        manifest = read_delivery(arrival.folder).manifest
        rows += take_in(
            number,
            adapters[manifest.adapter],
            schemas[manifest.table],
            store=store,
            registry=registry,
            state=state,
            archive=folder / "archive",
            keys=folder / "keys",
            clock=clock,
            # In this process, so that its CPU is counted here; in use it is a confined child that does the same.
            reader=read_and_convert,
        ).accepted
    return rows


def _validate(folder: Path) -> None:
    state, store = StateDatabase(f"sqlite:///{folder / 'state.db'}"), TableStore(folder / "lake")
    contracts = load_contracts()
    for table in TABLES:
        name = contracts[table].raw_table(SubjectKind.RESIDENT)
        judged = validate_partition(store, contracts[table], name, str(MONTH))
        assert judged.outcome.passed, str(judged.outcome)
        write_receipt(state, name, str(MONTH), judged.content_hash, judged.outcome, SystemClock())


def _read_once(folder: Path) -> int:
    connection, rows = duckdb.connect(config={"threads": 1}), 0
    for arrival in _arrivals(folder):
        (data,) = read_delivery(arrival.folder).data
        header = data.open(encoding="utf-8").readline().rstrip("\n").split("|")
        columns = ", ".join(f"'{name}': '{_TYPES.get(name, 'VARCHAR')}'" for name in header)
        rows += (
            connection.execute(
                f"SELECT * FROM read_csv(?, delim='|', header=true, auto_detect=false, strict_mode=true, "
                f"null_padding=false, columns={{{columns}}}, dateformat='%Y-%m-%d')",
                [str(data)],
            )
            .to_arrow_table()
            .num_rows
        )
    return rows
