"""The fault drill: each fault of the catalogue switched on alone, sent through real intake, and which checks it trips.

`python -m expectations.fault_drill docs/faults.md` writes the table; a test runs the same drill and compares. A fault that
trips no check is one that a bank wouldn't notice; a check that trips on two faults doesn't tell which one it is.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path

from core.clock import FixedClock
from core.errors import Refusal
from core.months import Month, knowledge_cutoff
from core.progress import SilentProgress
from core.state import Delivery, StateDatabase
from core.subject import SubjectKind, TableOwner
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import Contract, load_contracts
from expectations.month_findings import WHERE, MonthFindings
from expectations.plausibility import Probe, Verdict, load_probes
from expectations.validate import validate_partitions
from sources.adapter import Adapter, load_adapters
from sources.arrivals import Arrival, receive
from sources.intake import take_in
from sources.province.faults import FAULTS
from sources.province.settings import ProvinceSettings
from sources.province.simulate import simulate
from sources.province.world import World, make

#: Small, but every platform sends: both cities, the province, the register of meters.
DRILL = ProvinceSettings(
    residents=360, enterprises=900, first_month=Month(2025, 1), months=6, seed=5, faults=frozenset(),
    platforms="dual", cities=2, registers=True, housing_fund=True, whole_delivery_share=0.5,
)  # fmt: skip
#: Tables that a drill of one fault sends where it isn't `USUAL`; the register of meters says where subjects are.
TABLES: Mapping[str, frozenset[str]] = {
    "F03": frozenset({"gov_award"}),
    "F11": frozenset({"tax_arrears"}),
    **dict.fromkeys(("F10", "F15", "F20"), frozenset({"si_person_month"})),
    **dict.fromkeys(("F05", "F16", "F22", "F23", "F23b", "F24", "F24b"), frozenset({"util_bill"})),
    "F16b": frozenset({"util_bill", "util_account"}),
    "F21": frozenset({"util_account"}),
}
USUAL = frozenset({"tax_vat_return"})


@dataclass(frozen=True, order=True)
class Tripped:
    """One check that said something: by whom (`intake`, `left out`, …), its name, the feed or column, and how often."""

    by: str
    check: str
    place: str
    count: int

    @property
    def name(self) -> str:
        """What tells one check from another."""
        return f"{self.by}: {self.check}"


def drill(fault: str | None, lived: World, home: Path) -> tuple[Tripped, ...]:
    """Tell the lived world with one fault (None: with none, every table), take everything in, and gather what tripped.

    `home` is a new folder. Sorted; empty where nothing tripped.
    """
    tables = None if fault is None else TABLES.get(fault, USUAL)
    settings = replace(lived.settings, faults=frozenset({fault} if fault else ()), only_tables=tables)
    sent = simulate(settings, home / "inbox", SilentProgress(), lived)
    office = _Office(home)
    for arrival in sent.arrivals:
        office.take(arrival)
    for table in office.tables():
        office.judge(table, settings)
    return tuple(sorted(Tripped(*key, count) for key, count in office.tripped.items()))


@dataclass
class _Office:
    """A home folder, and what tripped in it by (who, check, place)."""

    home: Path
    tripped: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.store = TableStore(self.home / "lake")
        self.state = StateDatabase(f"sqlite:///{self.home / 'state.db'}")
        self.state.migrate()
        self.registries: dict[TableOwner, SubjectRegistry] = {
            kind: SubjectRegistry(self.store, kind) for kind in SubjectKind
        }
        self.clock = FixedClock(knowledge_cutoff(DRILL.last_month) + timedelta(days=90))
        self.contracts, self.adapters, self.probes = _definitions()
        self.schemas = {name: contract.schema() for name, contract in self.contracts.items()}

    def take(self, arrival: Arrival) -> None:
        """Receive one delivery and take it in."""
        try:
            number = receive(arrival, self.home / "archive", self.state, self.clock)
        except Refusal as refusal:
            self.tripped["ledger", refusal.code, arrival.folder.parent.name] += 1
            return
        with self.state.session() as session:
            adapter = self.adapters[session.get_one(Delivery, number).adapter]
        try:
            result = take_in(
                number, adapter, self.schemas[adapter.target], store=self.store,
                registry=self.registries[adapter.subject], state=self.state, archive=self.home / "archive",
                keys=self.home / "keys", clock=self.clock,
            )  # fmt: skip
        except Refusal as refusal:
            self.tripped["intake", refusal.code, adapter.adapter + _column(refusal)] += 1
            return
        for reason, rows in result.left_out.items():
            self.tripped["left out", reason, adapter.adapter] += rows
        with self.state.session() as session:
            entry = session.get_one(Delivery, number)
            warnings = entry.warnings or {}
            for held in entry.quarantined:
                self.tripped["quarantine", held.reason, f"{adapter.adapter} {held.column}"] += held.rows
        for check, told in warnings.items():
            for kind, cells in told.items() if check == "absorbed" else ((check, 1),):
                self.tripped["absorbed" if check == "absorbed" else "ledger", kind, adapter.adapter] += cells

    def tables(self) -> list[str]:
        """Raw tables that have rows."""
        names = (c.raw_table(kind) for c in self.contracts.values() for kind in SubjectKind)
        return [name for name in names if self.store.exists(name)]

    def judge(self, table: str, settings: ProvinceSettings) -> None:
        """Contract and probes on every month of one raw table."""
        _, owner, name = table.split("/")
        contract, partitions = self.contracts[name], sorted(self.store.partitions(table))
        for judged in validate_partitions(self.store, contract, table, partitions):
            for failure in judged.outcome.failures:
                self.tripped["contract", failure.partition(":")[0], table] += 1
        findings_of = MonthFindings(
            self.store, self.state, self.registries[SubjectKind(owner)], contract.schema(), table,
            self.probes.get(name, ()), self.clock.now(), accounts=self.schemas[WHERE],
        )  # fmt: skip
        for month in settings.delivered():
            for found in findings_of.of(month):
                if found.verdict is not Verdict.PASS:
                    self.tripped["finding", found.check, f"{table} {found.column}".strip()] += found.rows


@cache
def _definitions() -> tuple[dict[str, Contract], dict[str, Adapter], dict[str, tuple[Probe, ...]]]:
    """Contracts, adapters and probes, read once for all drills: reading them takes as long as a small drill."""
    contracts = load_contracts()
    schemas = {name: contract.schema() for name, contract in contracts.items()}
    return contracts, load_adapters(schemas), load_probes()


def _column(refusal: Refusal) -> str:
    return f" {refusal.column}" if refusal.column else ""


def table_of_faults(runs: Mapping[str, tuple[Tripped, ...]]) -> str:
    """The page `docs/faults.md`: one row a fault, what it is, where it goes in, which check trips, and how often."""
    lines = [*PREFACE]
    for id, tripped in sorted(runs.items()):
        fault = FAULTS[id]
        where = ", ".join(sorted(fault.adapters)) if fault.adapters else "every city feed"
        checks = {each.name for each in tripped}
        counts = {name: sum(t.count for t in tripped if t.name == name) for name in checks}
        told = "; ".join(f"**{name}** ({counts[name]})" for name in sorted(checks)) or "nothing"
        places = ", ".join(sorted({each.place for each in tripped}))
        default = "yes" if fault.default else ""
        lines.append(f"| {id} | {fault.title} | {fault.rate} | {where} | {default} | {told} | {places} |")
    return "\n".join(lines) + "\n"


PREFACE = (
    "# Faults of deliveries, and the check that finds each",
    "",
    "Made by `python -m expectations.fault_drill docs/faults.md`; a test makes it again and compares. Each fault is switched on",
    f"alone over the same simulated life ({DRILL.residents} residents, {DRILL.enterprises} enterprises, {DRILL.months} months),",
    "its deliveries go through real intake, and every check is asked. Without any fault no check trips.",
    "",
    "Who finds it: *ledger* when a delivery is received; *intake* refuses the delivery whole; *quarantine* holds rows; *left",
    "out* counts rows by reason; *absorbed* counts cells that the adapter read as meant; *finding* judges a month beside the",
    "months before it. In brackets: deliveries, rows, cells or accounts.",
    "",
    "| fault | what | rate | goes into | on in the demo | trips | where |",
    "|---|---|---|---|---|---|---|",
)


def run_all(folder: Path) -> dict[str, tuple[Tripped, ...]]:
    """Every fault's drill below `folder`."""
    lived = make(DRILL)
    return {fault: drill(fault, lived, folder / fault) for fault in FAULTS}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        Path(sys.argv[1]).write_text(table_of_faults(run_all(Path(scratch))), encoding="utf-8")
