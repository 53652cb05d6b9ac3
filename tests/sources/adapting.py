"""A made-up table and a feed of it, so that a test says in a few entries what an adapter declares and looks at what becomes of
a few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from core.months import Month
from core.table_schema import Column, ColumnType, TableSchema
from sources.adapter import Adapter, load_adapter
from sources.convert import Converted, DeliveredRows, convert
from sources.strict_csv import read_strict_csv
from tests.sources.bench import token

PERIOD = Month(2026, 10)

SCHEMA = TableSchema(
    "made_up",
    (
        Column("subject_id", ColumnType.SUBJECT),
        Column("period", ColumnType.MONTH),
        Column("acct_id", ColumnType.STRING),
        Column("kind", ColumnType.CODE, nullable=True, codes=("a", "b", "c")),
        Column("amt", ColumnType.MONEY, nullable=True, unit="CNY", minimum=-1000, maximum=10**9),
        Column("fee_amt", ColumnType.MONEY, nullable=True, unit="CNY"),
        Column("total_amt", ColumnType.MONEY, nullable=True, unit="CNY"),
        Column("energy", ColumnType.FLOAT, nullable=True, unit="kWh or m3", minimum=0),
        Column("persons", ColumnType.INT, nullable=True, unit="persons"),
        Column("rate", ColumnType.FLOAT, nullable=True, unit="share"),
        Column("day", ColumnType.DATE, nullable=True),
        Column("due", ColumnType.DATE, nullable=True),
        Column("last_day", ColumnType.DATE, nullable=True),
        Column("at", ColumnType.TIME, nullable=True),
        Column("late_days", ColumnType.INT, nullable=True, unit="days"),
        Column("is_late", ColumnType.BOOL, nullable=True),
        Column("region_cd", ColumnType.STRING, nullable=True),
        Column("employer", ColumnType.SUBJECT, nullable=True),
        Column("revision_no", ColumnType.INT, nullable=True),
    ),
    ("acct_id", "period"),
)

BASE: dict[str, Any] = {
    "adapter": "city",
    "version": 1,
    "title": {"zh": "某市", "en": "A city"},
    "source": "city",
    "subject": "resident",
    "target": "made_up",
    "key": {"from": "who"},
    "columns": {"acct_id": {"from": "acct"}},
}


def adapter_of(folder: Path, schema: TableSchema = SCHEMA, **changes: Any) -> Adapter:
    """The base adapter with entries changed; `columns` are added to its own."""
    body = BASE | changes
    body["columns"] = BASE["columns"] | changes.get("columns", {})
    path = folder / "city.yaml"
    path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_adapter(path, schema)


def delivered(adapter: Adapter, folder: Path, rows: list[dict[str, str]]) -> DeliveredRows:
    """Rows by column; `who` and `acct` are made up where they aren't given."""
    names = adapter.source_columns
    lines = ["~".join(names)]
    for number, row in enumerate(rows):
        whole = {"who": token("a"), "acct": f"n{number}"} | row
        lines.append("~".join(whole.get(name, "") for name in names))
    path = folder / "rows.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    form = adapter.file.model_copy(update={"delimiter": "~"})
    return DeliveredRows(read_strict_csv(path, form, names), path.name)


def converted(
    folder: Path,
    rows: list[dict[str, str]],
    schema: TableSchema = SCHEMA,
    period: Month = PERIOD,
    revision: int = 1,
    **changes: Any,
) -> Converted:
    """What an adapter with these entries makes of the rows."""
    adapter = adapter_of(folder, schema, **changes)
    return convert(delivered(adapter, folder, rows), adapter, schema, period, revision=revision)


def values(result: Converted, *names: str) -> list[Any]:
    """Rows as tuples of these columns; of one column its values."""
    columns = [result.rows.column(name).to_pylist() for name in names]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def held(result: Converted) -> list[tuple[int, str, str]]:
    """(row_no, reason, column) of the held rows."""
    names = ("row_no", "reason", "column")
    return list(zip(*(result.quarantined.column(name).to_pylist() for name in names), strict=True))


def hold(*reasons: str) -> dict[str, Any]:
    """A `quarantine` entry that holds these reasons back, however many rows."""
    return {"hold": list(reasons), "at_most": 1.0}
