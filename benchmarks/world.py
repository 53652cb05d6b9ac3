"""Raw tables of a benchmark world, written straight into a table store: social insurance, income tax, utilities.

Shapes follow the contracts; values are random. Two schemes of social insurance, wages of which a tenth has a second payer, and
bills of one to three meters: 4.85 rows a resident and month, 206 million at 1.77 million residents and 24 months. A few per
cent of subjects join late or leave early, and a correction of 2 % of the rows arrives a month later for every month.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.money import from_fen
from core.months import CHINA_TIME, Month
from core.table_schema import ColumnType, TableSchema
from core.table_store import TableStore
from expectations.contract import load_contracts

TABLES = ("si_person_month", "tax_iit_withholding", "util_bill")


def make_world(root: Path, residents: int, first: Month, months: int, seed: int = 1) -> None:
    """Write `raw/resident/<table>` for every month; deterministic by seed."""
    store = TableStore(root)
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    random = np.random.default_rng(seed)
    join = np.where(random.random(residents) < 0.05, random.integers(0, months, residents), 0)
    leave = np.where(random.random(residents) < 0.05, random.integers(1, months + 1, residents), months)
    for position in range(months):
        month = first.plus(position)
        there = np.flatnonzero((join <= position) & (position < leave)).astype(np.int32)
        for table in TABLES:
            few = there[random.random(len(there)) < 0.02]
            rows, correction = (
                _completed(random, _MAKERS[table](random, subjects, month), schemas[table])
                for subjects in (there, few)
            )
            store.replace(
                f"raw/resident/{table}",
                str(month),
                pa.concat_tables([_envelope(rows, month, 1), _envelope(correction, month, 2)]),
            )


def arrival(month: Month, revision: int) -> datetime:
    """When a revision of a month was received: within the month's cutoff, and a month later."""
    return datetime(month.year, month.month, 28, 9, tzinfo=CHINA_TIME) + timedelta(
        days=7 + 30 * (revision - 1)
    )


def _envelope(rows: pa.Table, month: Month, revision: int) -> pa.Table:
    arrived, n = arrival(month, revision), rows.num_rows
    extra = {
        "received_at": pa.repeat(pa.scalar(arrived, pa.timestamp("us", tz="UTC")), n),
        "delivery_no": pa.repeat(pa.scalar(2 * month.index + revision, pa.int32()), n),
        "revision": pa.repeat(pa.scalar(revision, pa.int32()), n),
        "row_no": pa.array(np.arange(n, dtype=np.int32)),
    }
    for name, column in extra.items():
        rows = rows.append_column(name, column)
    return rows


def _codes(random: np.random.Generator, names: list[str], shares: list[float], n: int) -> pa.Array:
    picked = random.choice(len(names), n, p=shares).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(picked), pa.array(names)).cast(pa.string())


def _tokens(numbers: np.ndarray) -> pa.Array:
    if not len(numbers):
        return pa.array([], pa.string())
    return pa.array(np.char.add("k1:", np.char.zfill(numbers.astype(str), 40)), pa.string())


def _completed(random: np.random.Generator, rows: pa.Table, schema: TableSchema) -> pa.Table:
    """The rows with the contract's other columns that a fact may stand on: numbers, amounts and codes at random."""
    n = rows.num_rows
    for column in schema.columns:
        if column.name in (*rows.column_names, "subject_id", "period"):
            continue
        made: pa.Array | None = None
        if column.type is ColumnType.MONEY:
            made = from_fen((random.lognormal(6, 1, n) * 100).astype(np.int64))
        elif column.type is ColumnType.FLOAT:
            made = pa.array(np.round(random.gamma(3, 10, n), 1))
        elif column.type in (ColumnType.INT, ColumnType.LONG):
            made = pa.array(random.integers(0, 12, n), column.type.arrow())
        elif column.type is ColumnType.BOOL:
            made = pa.array(random.random(n) < 0.05)
        elif column.type is ColumnType.CODE and column.codes:
            made = _codes(random, list(column.codes), [1 / len(column.codes)] * len(column.codes), n)
        if made is not None:
            rows = rows.append_column(column.name, made)
    return rows


def _several(
    random: np.random.Generator, subjects: np.ndarray, more: list[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Each subject once, and again with these chances; and the how-manieth of the subject each row is."""
    counts = 1 + sum((random.random(len(subjects)) < chance).astype(np.int64) for chance in more)
    starts = np.cumsum(counts) - counts
    return np.repeat(subjects, counts), np.arange(int(counts.sum())) - np.repeat(starts, counts)


def _social(random: np.random.Generator, subjects: np.ndarray, month: Month) -> pa.Table:
    rows, which = _several(random, subjects, [1.0])
    n = len(rows)
    base = (random.lognormal(8.7, 0.4, n) * 100).astype(np.int64)
    return pa.table(
        {
            "subject_no": pa.array(rows),
            "corr_period_ym": pa.repeat(str(month.plus(-1)), n),
            "scheme": pa.array(["pension_emp", "medical_emp"]).take(pa.array(which)),
            "employer_subject_id": _tokens(random.integers(0, 5000, n)),
            "pay_status": _codes(random, ["normal", "back_pay", "gap"], [0.93, 0.02, 0.05], n),
            "base_amt": from_fen(base),
            "personal_amt": from_fen(base * 8 // 100),
            "employer_amt": from_fen(base * 16 // 100),
        }
    )


def _income(random: np.random.Generator, subjects: np.ndarray, month: Month) -> pa.Table:
    rows, which = _several(random, subjects, [0.1])
    n = len(rows)
    gross = (random.lognormal(8.8, 0.5, n) * 100).astype(np.int64)
    return pa.table(
        {
            "subject_no": pa.array(rows),
            "payer_subject_id": _tokens(random.integers(0, 5000, n)),
            "income_type": pa.array(np.where(which > 0, "labour", "wage")),
            "gross_income_amt": from_fen(gross),
            "tax_withheld_amt": from_fen(gross * 3 // 100),
        }
    )


def _utility(random: np.random.Generator, subjects: np.ndarray, month: Month) -> pa.Table:
    rows, which = _several(random, subjects, [0.5, 0.25])
    n = len(rows)
    due = np.datetime64(month.plus(1).first_day, "D") + random.integers(8, 15, n)
    delay = np.where(random.random(n) < 0.1, random.integers(1, 40, n), -random.integers(0, 8, n))
    unpaid = random.random(n) < 0.02
    return pa.table(
        {
            "subject_no": pa.array(rows),
            "util_acct_id": _tokens(rows.astype(np.int64) * 3 + which),
            "kind": pa.array(["electric", "water", "gas"]).take(pa.array(which)),
            "consumption": pa.array(np.round(random.gamma(3, 60, n), 1)),
            "est_flag": pa.array(random.random(n) < 0.04),
            "bill_amt": from_fen((random.gamma(3, 30, n) * 100).astype(np.int64)),
            "due_date": pa.array(due),
            "paid_date": pa.array(due + delay, mask=unpaid),
            "auto_debit_flag": pa.array(random.random(n) < 0.3),
            "cut_flag": pa.array(random.random(n) < 0.002),
        }
    )


_MAKERS = {"si_person_month": _social, "tax_iit_withholding": _income, "util_bill": _utility}
