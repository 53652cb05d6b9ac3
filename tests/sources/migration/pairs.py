"""Two sides of one made-up table, so that a test bends one of them and looks at what the checks say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from core.money import from_fen
from core.subject import SubjectKind
from core.table_schema import Column, ColumnType, TableSchema
from sources.migration.definition import FeedOf, MigratedTable
from sources.migration.sides import SideRows, TableSides

SCHEMA = TableSchema(
    "si_person_month",
    (
        Column("subject_id", ColumnType.SUBJECT),
        Column("period", ColumnType.MONTH),
        Column("scheme", ColumnType.CODE, codes=("pension", "medical")),
        Column("status", ColumnType.CODE, codes=("normal", "back_pay", "gap"), nullable=True),
        Column("base_amt", ColumnType.MONEY, nullable=True, unit="CNY"),
        Column("consumption", ColumnType.FLOAT, nullable=True),
        Column("months", ColumnType.INT, nullable=True),
        Column("received", ColumnType.BOOL, nullable=True),
        Column("paid_date", ColumnType.DATE, nullable=True),
        Column("employer_id", ColumnType.SUBJECT, nullable=True, data_class="pseudonym"),
    ),
    ("subject_id", "period", "scheme"),
)
FED = frozenset(column.name for column in SCHEMA.columns) - {"subject_id", "period"}
MONTHS = ("2026-07", "2026-08", "2026-09")
SUBJECTS = 1000
TABLE = MigratedTable(
    table="si_person_month",
    subject=SubjectKind.RESIDENT,
    old=(FeedOf(source="city", adapter="city_si"),),
    new=(FeedOf(source="prov", adapter="prov_si"),),
)


def rows(subjects: int = SUBJECTS, seed: int = 7) -> pa.Table:
    """One row a subject, month and scheme; regions of three counties."""
    draw = np.random.default_rng(seed)
    number = np.repeat(np.arange(subjects, dtype=np.int32), len(MONTHS) * 2)
    count = len(number)
    days = [date(2026, 7, 1) + timedelta(days=int(day)) for day in draw.integers(0, 80, count)]
    counties = np.array(["430121", "430181", "430182"])[number % 3]
    columns: dict[str, Any] = {
        "subject_no": pa.array(number),
        "scheme": pa.array(np.tile(["pension", "medical"], count // 2)),
        "status": pa.array(draw.choice(["normal", "back_pay", "gap"], count, p=[0.8, 0.1, 0.1])),
        "base_amt": from_fen(np.exp(draw.normal(13, 0.5, count)).astype(np.int64)),
        "consumption": pa.array(draw.lognormal(4, 1, count)),
        "months": pa.array(draw.integers(1, 200, count).astype(np.int32)),
        "received": pa.array(draw.random(count) < 0.9),
        "paid_date": pa.array(days, pa.date32()),
        "employer_id": pa.array([f"k1:{draw_:040x}" for draw_ in draw.integers(0, 50, count)]),
        "period": pa.array(np.tile(np.repeat(MONTHS, 2), subjects)),
        "region": pa.array(counties),
    }
    return pa.table(columns)


def side(table: pa.Table, **changes: Any) -> SideRows:
    """A side that delivered everything 10 days after the month, with 30 months of history and no restatement."""
    plain = SideRows(
        rows=table,
        own_subject=table.column("subject_no").to_numpy().astype(np.int64),
        fed=FED,
        first_months={"430121": "2024-04", "430181": "2024-04", "430182": "2024-04"},
        days_late=np.full(table.num_rows, 10.0),
        restated=np.zeros(table.num_rows, dtype=bool),
        unmapped={},
    )
    return replace(plain, **changes)


def sides(
    new: SideRows | None = None, old: SideRows | None = None, *, linked: bool = True, **table: Any
) -> TableSides:
    """Both sides; the same rows where nothing is given."""
    told = TABLE.model_copy(update=table)
    return TableSides(told, SCHEMA, old or side(rows()), new or side(rows()), linked, told.key(SCHEMA))


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with another column."""
    array = (
        values
        if isinstance(values, pa.Array | pa.ChunkedArray)
        else pa.array(values, table.column(name).type)
    )
    return table.set_column(table.column_names.index(name), name, array)


def fen_of(table: pa.Table) -> np.ndarray:
    """`base_amt` as fen, to bend."""
    from core.money import fen

    return fen(table.column("base_amt")).copy()
