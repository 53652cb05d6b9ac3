"""A bank's office: what a scene sends is received and taken in by the real intake, into a real lake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from core.clock import FixedClock
from core.state import Delivery, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import load_contracts
from sources.adapter import load_adapters
from sources.arrivals import Arrival, receive
from sources.intake import IntakeResult, take_in
from sources.versions import as_known, ledger_deliveries

CONTRACTS = load_contracts()
SCHEMAS = {name: contract.schema() for name, contract in CONTRACTS.items()}
ADAPTERS = load_adapters(SCHEMAS)


@dataclass
class Office:
    """A home folder; `results` of every delivery taken in, in order."""

    home: Path
    results: list[IntakeResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = TableStore(self.home / "lake")
        self.state = StateDatabase(f"sqlite:///{self.home / 'state.db'}")
        self.state.migrate()
        self.registry = SubjectRegistry(self.store, SubjectKind.RESIDENT)

    def take(self, arrivals: Iterable[Arrival]) -> None:
        """Receive and take in; a Refusal is raised."""
        for arrival in sorted(arrivals, key=lambda each: each.at):
            self.clock = FixedClock(arrival.at + timedelta(hours=1))
            number = receive(arrival, self.home / "archive", self.state, self.clock)
            with self.state.session() as session:
                adapter = ADAPTERS[session.get_one(Delivery, number).adapter]
            self.results.append(
                take_in(
                    number, adapter, SCHEMAS[adapter.target], store=self.store, registry=self.registry,
                    state=self.state, archive=self.home / "archive", keys=self.home / "keys", clock=self.clock,
                )
            )  # fmt: skip

    def rows(self, table: str) -> pa.Table:
        """Rows of `raw/<owner>/<table>`, every version."""
        return self.store.read(table)

    def known(self, table: str) -> pa.Table:
        """Rows as known after the last delivery."""
        schema = SCHEMAS[table.rpartition("/")[2]]
        return as_known(self.rows(table), schema, self.clock.now(), ledger_deliveries(self.state, table))
