"""The findings on the months of one raw table: each read with the months before it as known now, judged by its probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.months import Month
from core.state import StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_schema import ColumnType, TableSchema
from core.table_store import TableStore
from expectations.plausibility import Finding, Probe, judge
from expectations.punctuality import punctuality
from expectations.seen_months import SeenMonths
from sources.versions import KnownDelivery, Resolver, ledger_deliveries

#: Months before the judged one that are read: half a year shows what is usual and bounds the cost.
MONTHS_BEFORE = 6
#: Registers beside a table that some probes ask: where a subject's account is, and which days are reconciled.
WHERE, RECONCILED = "util_account", "raw/shared/nontax_recon"
#: What probes read beside their own column.
BESIDE = {"meter_identity": ("prev_reading", "curr_reading"), "unreconciled_day": ("paid_at",)}


@dataclass
class MonthFindings:
    """Findings on `table` (`raw/<owner>/<table>`) as its rows are known at `known_at` (aware).

    `accounts` is the schema of the register of meters and `reconciled` that of the days' reconciliation, for the probes that
    ask them; without one such a probe looks at nothing. Months read once are kept for the next ones.
    """

    store: TableStore
    state: StateDatabase
    registry: SubjectRegistry | None
    schema: TableSchema
    table: str
    probes: Sequence[Probe]
    known_at: datetime
    accounts: TableSchema | None = None
    reconciled: TableSchema | None = None
    _deliveries: dict[int, KnownDelivery] = field(init=False)
    _there: set[str] = field(init=False)
    _rows: dict[str, pa.Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._deliveries = ledger_deliveries(self.state, self.table)
        self._there = set(self.store.partitions(self.table)) if self.store.exists(self.table) else set()

    def of(self, month: Month) -> tuple[Finding, ...]:
        """The table's probes on one month, then punctuality; of a month without rows only that it is late."""
        late = punctuality(self.table, month, self._deliveries)
        if str(month) not in self._there:
            return (late,) if late.of else ()
        window = [month.plus(-back) for back in range(MONTHS_BEFORE, -1, -1)]
        months = tuple(each for each in window if str(each) in self._there)
        self._rows = {str(each): self._read(str(each)) for each in months}
        seen = SeenMonths(
            months,
            self._rows,
            series_key(self.schema),
            subject_ids=self._subject_ids(month),
            regions=self._regions(),
            days=self._days(month),
        )
        return (*judge(self.table, seen, self.probes), late)

    def _asks(self, check: str) -> bool:
        return any(probe.check == check for probe in self.probes)

    def _read(self, period: str) -> pa.Table:
        if period in self._rows:
            return self._rows[period]
        known = {column.name for column in self.schema.columns} - {"subject_id", "period"}
        asked = [*self.schema.business_key, *(probe.column for probe in self.probes)]
        asked += [name for probe in self.probes for name in BESIDE.get(probe.check, ())]
        columns = [*dict.fromkeys(name for name in asked if name in known), *_envelope(self.schema)]
        rows = self.store.read(self.table, [period], columns=columns)
        return Resolver(self.schema, self._deliveries)(rows, self.known_at).combine_chunks()

    def _subject_ids(self, month: Month) -> pa.Array | None:
        if self.registry is None or not self._asks("same_column_twice"):
            return None
        return self.registry.subject_ids(self._rows[str(month)].column("subject_no").to_numpy())

    def _regions(self) -> np.ndarray | None:
        """Region code of each subject number by the latest month of the register, int64 (subjects,); -1 where unknown."""
        if self.accounts is None or self.registry is None or not self._asks("region_missing"):
            return None
        register = "/".join((*self.table.split("/")[:2], WHERE))
        if not self.store.exists(register):
            return None
        latest = max(self.store.partitions(register))
        rows = self._beside(register, self.accounts, latest, ["region_cd"])
        regions = np.full(self.registry.size, -1, dtype=np.int64)
        digits = pc.match_substring_regex(rows.column("region_cd"), r"^[0-9]{6}$")
        codes = pc.cast(pc.if_else(digits, rows.column("region_cd"), pa.scalar("-1")), pa.int64())
        regions[rows.column("subject_no").to_numpy()] = codes.to_numpy()
        return regions

    def _days(self, month: Month) -> pa.Table | None:
        """Lines of the month's reconciliation; no lines where it didn't come."""
        if self.reconciled is None or not self._asks("unreconciled_day"):
            return None
        if not self.store.exists(RECONCILED) or str(month) not in self.store.partitions(RECONCILED):
            return pa.table(
                {"recon_date": pa.array([], pa.date32()), "settled_flag": pa.array([], pa.bool_())}
            )
        return self._beside(RECONCILED, self.reconciled, str(month), ["recon_date", "settled_flag"])

    def _beside(self, table: str, schema: TableSchema, period: str, asked: list[str]) -> pa.Table:
        key = [name for name in schema.business_key if name not in ("period", "subject_id")]
        columns = [*dict.fromkeys([*asked, *key]), *_envelope(schema)]
        rows = self.store.read(table, [period], columns=columns)
        return Resolver(schema, ledger_deliveries(self.state, table))(rows, self.known_at)


def series_key(schema: TableSchema) -> tuple[str, ...]:
    """What makes rows of different months one series: the business key without its months and days."""
    moments = (ColumnType.MONTH, ColumnType.DATE, ColumnType.TIME)
    key = [name for name in schema.business_key if schema.column(name).type not in moments]
    return tuple("subject_no" if name == "subject_id" else name for name in key) or ("subject_no",)


def _envelope(schema: TableSchema) -> list[str]:
    """What decides which version of a row counts, and whose it is."""
    return [*(["subject_no"] if schema.has_subject else []), "delivery_no", "row_no"]
