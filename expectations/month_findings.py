"""The findings on one month of a raw table: read with the months before it as known now, judged by the table's probes."""

from __future__ import annotations

from collections.abc import Sequence
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
from sources.versions import Resolver, ledger_deliveries

#: Months before the judged one that are read: half a year shows what is usual and bounds the cost.
MONTHS_BEFORE = 6
#: The register that says where a subject's account is.
WHERE = "util_account"
_READINGS = ("prev_reading", "curr_reading")


def findings_of_month(
    store: TableStore,
    state: StateDatabase,
    registry: SubjectRegistry,
    schema: TableSchema,
    table: str,
    month: Month,
    probes: Sequence[Probe],
    *,
    known_at: datetime,
    accounts: TableSchema | None = None,
) -> tuple[Finding, ...]:
    """Findings on `raw/<owner>/<table>` for one month: the table's probes, then punctuality. Empty where nothing came.

    `known_at` (aware) is the moment as of which rows are judged. `accounts` is the schema of the register of meters, for the
    probes that ask where a subject is; without it, and without its rows, those look at nothing.
    """
    deliveries = ledger_deliveries(state, table)
    there = set(store.partitions(table)) if store.exists(table) else set()
    late = punctuality(table, month, deliveries)
    if str(month) not in there:
        return (late,) if late.of else ()
    months = [month.plus(-back) for back in range(MONTHS_BEFORE, -1, -1) if str(month.plus(-back)) in there]
    columns = _columns(schema, probes)
    resolve = Resolver(schema, deliveries)
    rows = {
        str(each): resolve(store.read(table, [str(each)], columns=columns), known_at).combine_chunks()
        for each in months
    }
    numbers = rows[str(month)].column("subject_no").to_numpy()
    asks_subject = any(probe.check == "same_column_twice" for probe in probes)
    seen = SeenMonths(
        tuple(months),
        rows,
        series_key(schema),
        subject_ids=registry.subject_ids(numbers) if asks_subject else None,
        regions=_regions(store, state, table, accounts, known_at, registry.size)
        if accounts is not None
        else None,
    )
    return (*judge(table, seen, probes), late)


def series_key(schema: TableSchema) -> tuple[str, ...]:
    """What makes rows of different months one series: the business key without its months and days."""
    kinds = {column.name: column.type for column in schema.columns}
    key = [
        n for n in schema.business_key if kinds[n] not in (ColumnType.MONTH, ColumnType.DATE, ColumnType.TIME)
    ]
    return tuple("subject_no" if name == "subject_id" else name for name in key) or ("subject_no",)


def _columns(schema: TableSchema, probes: Sequence[Probe]) -> list[str]:
    """What the probes read, the key, and what decides which version of a row counts."""
    known = {column.name for column in schema.columns} - {"subject_id", "period"}
    asked = [probe.column for probe in probes] + list(schema.business_key)
    if any(probe.check == "meter_identity" for probe in probes):
        asked += _READINGS
    return [*dict.fromkeys(n for n in asked if n in known), "subject_no", "delivery_no", "row_no"]


def _regions(
    store: TableStore,
    state: StateDatabase,
    table: str,
    accounts: TableSchema,
    known_at: datetime,
    subjects: int,
) -> np.ndarray | None:
    """Region code of each subject number by the latest month of the register, int64 (subjects,); -1 where unknown."""
    folder, owner, _ = table.split("/")
    register = f"{folder}/{owner}/{WHERE}"
    if not store.exists(register):
        return None
    latest = max(store.partitions(register))
    columns = [
        "region_cd",
        *(n for n in accounts.business_key if n != "period"),
        "subject_no",
        "delivery_no",
        "row_no",
    ]
    rows = Resolver(accounts, ledger_deliveries(state, register))(
        store.read(register, [latest], columns=columns), known_at
    )
    regions = np.full(subjects, -1, dtype=np.int64)
    digits = pc.match_substring_regex(rows.column("region_cd"), r"^[0-9]{6}$")
    codes = pc.cast(pc.if_else(digits, rows.column("region_cd"), pa.scalar("-1")), pa.int64())
    regions[rows.column("subject_no").to_numpy()] = codes.to_numpy()
    return regions
