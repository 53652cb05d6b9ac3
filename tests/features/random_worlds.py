"""Small random worlds of one source with every kind of column, delivered late, twice, in pieces, replaced or withdrawn.

A world is a list of deliveries in the order of arrival. `world` folds it into a store as the pipeline would; `known` replays it
row by row in plain Python.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from core.money import from_fen
from core.months import Month, knowledge_cutoff
from core.table_schema import Column, ColumnType, TableSchema
from core.table_store import TableStore
from features.fact_definition import FactDefinition
from features.fold import fold_month
from features.look_back import RawMonth, fold_looking_back
from sources.versions import KnownDelivery, Resolver

FIRST, MONTHS, SUBJECTS, KEYS = Month(2025, 1), 14, 5, 8
CHINA = knowledge_cutoff(FIRST).tzinfo

SCHEMA = TableSchema(
    "invoice",
    (
        Column("subject_id", ColumnType.SUBJECT),
        Column("period", ColumnType.MONTH),
        Column("no", ColumnType.STRING),
        Column("status", ColumnType.CODE, codes=("valid", "void"), nullable=True),
        Column("grade", ColumnType.CODE, codes=("A", "B", "C"), nullable=True),
        Column("other", ColumnType.STRING, nullable=True),
        Column("amt", ColumnType.MONEY, nullable=True),
        Column("tax", ColumnType.MONEY, nullable=True),
        Column("used", ColumnType.FLOAT, nullable=True),
        Column("people", ColumnType.INT, nullable=True),
        Column("auto", ColumnType.BOOL, nullable=True),
        Column("due", ColumnType.DATE, nullable=True),
        Column("paid", ColumnType.DATE, nullable=True),
        Column("ended", ColumnType.DATE, nullable=True),
        Column("opened", ColumnType.TIME, nullable=True),
        Column("payer", ColumnType.SUBJECT, nullable=True),
    ),
    ("no", "period"),
)
MONEY = {"amt", "tax"}
COLUMNS = (
    "status", "grade", "other", "amt", "tax", "used", "people", "auto", "due", "paid", "ended", "opened", "payer",
)  # fmt: skip

#: What a cell may hold, the plainest first: amounts whose tax is 13 %, 6 % to the fen, several rates, or none.
_CELLS: dict[str, list[Any]] = {
    "status": ["valid", "void", None],
    "grade": ["A", "B", "C", None],
    "other": ["X", "Y", "Z", None],
    "amounts": [(100_00, 13_00), (-40_00, -5_20), (33_33, 2_00), (7, 1), (50_00, 4_99), (0, 0), (None, 3), (12_34, None)],
    "used": [1.5, 0.0001, 250.25, None],
    "people": [3, 0, -2, None],
    "auto": [True, False, None],
    "due": [1, 9, 15, 27, None],
    "late": [0, 4, -3, None],
    # Ended so many months ago; opened just before and at midnight in China; identities under two keys.
    "ended": [0, 1, 2, 5, -1, None],
    "opened": [(15, 59), (16, 0), None],
    "payer": ["k1:00000000000a", "k1:00000000000b9", "k2:000000000001", None],
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One row: key 0..7, subject 0..4, `cells` that choose the rest; `withdraws` takes the key away."""

    key: int
    subject: int
    cells: int
    withdraws: bool = False

    def values(self, month: Month) -> dict[str, Any]:
        """Canonical columns, amounts in fen."""
        chosen, rest = {}, self.cells
        for name, among in _CELLS.items():
            rest, place = divmod(rest, len(among))
            chosen[name] = among[place]
        due = chosen.pop("due")
        late = chosen.pop("late")
        ended, opened = chosen.pop("ended"), chosen.pop("opened")
        amt, tax = chosen.pop("amounts")
        day = date(month.year, month.month, due) if due is not None else None
        paid = day + timedelta(days=late) if day is not None and late is not None else None
        return {
            "subject": self.subject,
            "no": "abcdefghijklmnop"[self.key],
            **chosen,
            "amt": amt,
            "tax": tax,
            "due": day,
            "paid": paid,
            "ended": None if ended is None else month.plus(-ended).last_day,
            "opened": None if opened is None else datetime(month.year, month.month, 9, *opened, tzinfo=UTC),
        }


@dataclass(frozen=True)
class Delivered:
    """One delivery of a month (0..13), received `delay` days after its end, gone again `gone_after` days later."""

    month: int
    mode: str
    delay: int
    rows: tuple[Row, ...]
    gone_after: int | None = None
    revision: int = 1

    @property
    def at(self) -> datetime:
        """When it was received; deliveries of one day come at different hours."""
        day = FIRST.plus(self.month).last_day + timedelta(days=self.delay)
        return datetime(day.year, day.month, day.day, min(self.revision, 23), self.month, tzinfo=CHINA)

    @property
    def gone_at(self) -> datetime | None:
        """When it was withdrawn."""
        return None if self.gone_after is None else self.at + timedelta(days=self.gone_after, minutes=20)


World = list[Delivered]

row_strategy = st.builds(
    Row,
    st.integers(0, KEYS - 1),
    st.sampled_from([None, None, None, *range(SUBJECTS)]),
    st.integers(0, prod(len(among) for among in _CELLS.values()) - 1),
    st.booleans(),
)
_deliveries = st.builds(
    Delivered,
    st.integers(0, MONTHS - 1),
    st.sampled_from(["supplement", "full"]),
    st.integers(1, 120),
    st.lists(row_strategy, max_size=6).map(tuple),
    st.sampled_from([None, None, None, None, 1, 40]),
)


def arranged(deliveries: World) -> World:
    """In the order of arrival, revisions numbered within a month. A key belongs to one subject unless a row says otherwise; a row
    withdraws only a key that an earlier delivery of the month brought, and then under the subject that it had."""
    result: World = []
    holders: dict[tuple[int, int], int] = {}
    counts: dict[int, int] = {}
    for item in sorted(
        deliveries, key=lambda d: (FIRST.plus(d.month).last_day + timedelta(days=d.delay), d.month)
    ):
        counts[item.month] = counts.get(item.month, 0) + 1
        rows, seen = [], {}
        # Of a key's rows in one delivery the last counts; that another one stood before it never shows.
        for row in {row.key: row for row in item.rows}.values():
            place = (item.month, row.key)
            withdraws = row.withdraws and row.cells % 3 == 0 and place in holders
            usual = row.key % SUBJECTS if row.subject is None else row.subject
            subject = holders[place] if withdraws else usual
            rows.append(replace(row, subject=subject, withdraws=withdraws))
            if not withdraws:
                seen[place] = subject
        holders |= seen
        result.append(replace(item, rows=tuple(rows), revision=counts[item.month]))
    return result


worlds = st.lists(_deliveries, min_size=1, max_size=12).map(arranged)


def ledger(deliveries: World) -> dict[int, KnownDelivery]:
    """What the ledger says of each delivery, by number."""
    return {
        n: KnownDelivery(
            n, "s", str(FIRST.plus(d.month)), d.revision, d.mode == "full", d.at, True, d.gone_at
        )
        for n, d in enumerate(deliveries)
    }


def raw_month(deliveries: World, month: int) -> pa.Table:
    """Raw rows of one month in the order in which they came, not sorted by subject."""
    flat = [(n, item, place, row.values(FIRST.plus(month)), row.withdraws)
            for n, item in enumerate(deliveries) if item.month == month for place, row in enumerate(item.rows)]  # fmt: skip
    types = {
        "used": pa.float64(),
        "people": pa.int32(),
        "auto": pa.bool_(),
        "due": pa.date32(),
        "paid": pa.date32(),
        "ended": pa.date32(),
        "opened": pa.timestamp("us", tz="UTC"),
    }
    columns: dict[str, Any] = {"subject_no": pa.array([v["subject"] for *_, v, _ in flat], pa.int32())}
    columns["no"] = pa.array([v["no"] for *_, v, _ in flat], pa.string())
    for name in COLUMNS:
        cells = [v[name] for *_, v, _ in flat]
        if name in MONEY:
            fen = np.array([cell or 0 for cell in cells], dtype=np.int64)
            columns[name] = from_fen(fen, np.array([cell is None for cell in cells], dtype=bool))
        else:
            columns[name] = pa.array(cells, types.get(name, pa.string()))
    columns["received_at"] = pa.array([item.at for _, item, *_ in flat], pa.timestamp("us", tz="UTC"))
    columns["delivery_no"] = pa.array([n for n, *_ in flat], pa.int32())
    columns["revision"] = pa.array([item.revision for _, item, *_ in flat], pa.int32())
    columns["row_no"] = pa.array([-1 - place if gone else place for _, _, place, _, gone in flat], pa.int32())
    return pa.table(columns)


def resolver_of(deliveries: World, month: int) -> Resolver:
    """The rule of one month."""
    return Resolver(
        SCHEMA, {n: d for n, d in ledger(deliveries).items() if d.period == str(FIRST.plus(month))}
    )


def folded(deliveries: World, definition: FactDefinition, month: int) -> pa.Table:
    """Facts of one month, looking back where the definition does."""
    if not definition.look_back:
        rows, rule = raw_month(deliveries, month), resolver_of(deliveries, month)
        return fold_month(rows, definition, SCHEMA, rule, FIRST.plus(month))
    there = {item.month for item in deliveries if item.rows}
    months: dict[Month, RawMonth] = {
        FIRST.plus(m): (raw_month(deliveries, m), resolver_of(deliveries, m))
        for m in range(max(0, month - definition.look_back), month + 1)
        if m in there or m == month
    }
    return fold_looking_back(months, FIRST.plus(month), definition, SCHEMA)


def world(root: Path, deliveries: World, *definitions: FactDefinition) -> TableStore:
    """A store with the facts of every month that has rows."""
    store = TableStore(root)
    for month in sorted({item.month for item in deliveries if item.rows}):
        for definition in definitions:
            store.replace(
                definition.fact_table, str(FIRST.plus(month)), folded(deliveries, definition, month)
            )
    return store


def known(deliveries: World, month: int, at: datetime) -> list[dict[str, Any]] | None:
    """Rows of a month as known at a moment, replayed one by one; None where no delivery with rows was known."""
    rows: dict[int, dict[str, Any]] = {}
    mine = [
        d for d in deliveries if d.month == month and d.at <= at and (d.gone_at is None or d.gone_at > at)
    ]
    for item in mine:
        if item.mode == "full":
            rows.clear()
        for row in item.rows:
            rows.pop(row.key, None)
            if not row.withdraws:
                rows[row.key] = row.values(FIRST.plus(month))
    return list(rows.values()) if any(item.rows for item in mine) else None


def told(deliveries: World, month: int, at: datetime) -> set[int]:
    """Subjects of whom any delivery of the month had told anything, gone or not."""
    return {row.subject for d in deliveries if d.month == month and d.at <= at for row in d.rows}
