"""Raw tables of a benchmark world, written straight into a table store: social insurance, income tax, utilities.

Shapes follow the contracts; values are random. A few per cent of subjects join late or leave early, rows come unsorted by time of
day, and a small correction arrives a month later for every month.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.money import from_fen
from core.months import CHINA_TIME, Month
from core.table_store import TableStore

TABLES = ("si_person_month", "tax_iit_withholding", "util_bill")


def make_world(root: Path, residents: int, first: Month, months: int, seed: int = 1) -> None:
    """Write `raw/resident/<table>` for every month; deterministic by seed."""
    store = TableStore(root)
    random = np.random.default_rng(seed)
    join = np.where(random.random(residents) < 0.05, random.integers(0, months, residents), 0)
    leave = np.where(random.random(residents) < 0.05, random.integers(1, months + 1, residents), months)
    for position in range(months):
        month = first.plus(position)
        there = np.flatnonzero((join <= position) & (position < leave)).astype(np.int32)
        for table in TABLES:
            rows = _MAKERS[table](random, there, month)
            correction = _MAKERS[table](random, there[random.random(len(there)) < 0.02], month)
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
    arrived = datetime(month.year, month.month, 28, 9, tzinfo=CHINA_TIME) + timedelta(
        days=7 + 30 * (revision - 1)
    )
    n = rows.num_rows
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
    return pa.array(np.char.add("k1:", np.char.zfill(numbers.astype(str), 40)))


def _social(random: np.random.Generator, subjects: np.ndarray, month: Month) -> pa.Table:
    n = len(subjects)
    base = (random.lognormal(8.7, 0.4, n) * 100).astype(np.int64)
    return pa.table(
        {
            "subject_no": pa.array(subjects),
            "corr_period_ym": pa.repeat(str(month.plus(-1)), n),
            "scheme": pa.repeat("pension_emp", n),
            "employer_subject_id": _tokens(random.integers(0, 5000, n)),
            "pay_status": _codes(random, ["normal", "back_pay", "gap"], [0.93, 0.02, 0.05], n),
            "base_amt": from_fen(base),
            "personal_amt": from_fen(base * 8 // 100),
            "employer_amt": from_fen(base * 16 // 100),
        }
    )


def _income(random: np.random.Generator, subjects: np.ndarray, month: Month) -> pa.Table:
    rows = np.repeat(subjects, np.where(random.random(len(subjects)) < 0.1, 2, 1))
    n = len(rows)
    second = np.r_[False, rows[1:] == rows[:-1]]
    gross = (random.lognormal(8.8, 0.5, n) * 100).astype(np.int64)
    return pa.table(
        {
            "subject_no": pa.array(rows),
            "payer_subject_id": _tokens(random.integers(0, 5000, n)),
            "income_type": pa.array(np.where(second, "labour", "wage")),
            "gross_income_amt": from_fen(gross),
            "tax_withheld_amt": from_fen(gross * 3 // 100),
        }
    )


def _utility(random: np.random.Generator, subjects: np.ndarray, month: Month) -> pa.Table:
    with_water = np.repeat(subjects, np.where(random.random(len(subjects)) < 0.4, 2, 1))
    n = len(with_water)
    water = np.r_[False, with_water[1:] == with_water[:-1]]
    due = np.datetime64(month.plus(1).first_day, "D") + random.integers(8, 15, n)
    delay = np.where(random.random(n) < 0.1, random.integers(1, 40, n), -random.integers(0, 8, n))
    unpaid = random.random(n) < 0.02
    return pa.table(
        {
            "subject_no": pa.array(with_water),
            "util_acct_id": _tokens(with_water.astype(np.int64) * 2 + water),
            "kind": pa.array(np.where(water, "water", "electric")),
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
