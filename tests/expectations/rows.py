"""Raw rows that keep their contract, made from the contract alone, and ways to break them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from core.money import MONEY
from core.table_schema import Column, ColumnType
from expectations.contract import Contract

RECEIVED = datetime(2026, 11, 4, 1, tzinfo=UTC)


def rows_of(
    contract: Contract, count: int = 4, period: str = "2026-10", received: datetime = RECEIVED
) -> pa.Table:
    """`count` rows that keep the contract, each of another subject, with `period` as `TableStore.read` gives
    it.

    Every field is nullable, so that tests can break what the contract promises.
    """
    schema = contract.schema()
    columns: dict[str, list[Any]] = {
        **({"subject_no": list(range(count))} if schema.has_subject else {}),
        "received_at": [received] * count,
        "delivery_no": [1] * count,
        "revision": [1] * count,
        "row_no": list(range(1, count + 1)),
    }
    for column in schema.columns:
        if column.name not in ("subject_id", "period"):
            example = contract.columns[column.name].examples if column.pattern else ()
            columns[column.name] = [
                example[0] if example else _value(column, place) for place in range(count)
            ]
    target = pa.schema([field.with_nullable(True) for field in schema.arrow_with_envelope()])
    table = pa.table(
        [pa.array(columns[name], target.field(name).type) for name in target.names], schema=target
    )
    return table.append_column("period", pa.array([period] * count))


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    """The table with other values in one column."""
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values, table.schema.field(name).type))


def _value(column: Column, place: int) -> Any:
    low = column.minimum if column.minimum is not None else 0
    match column.type:
        case ColumnType.CODE:
            return column.codes[place % len(column.codes)]
        case ColumnType.MONEY:
            return pa.scalar(str(low), pa.string()).cast(MONEY).as_py()
        case ColumnType.INT | ColumnType.LONG:
            return int(low)
        case ColumnType.FLOAT:
            return float(low)
        case ColumnType.BOOL:
            return bool(place % 2)
        case ColumnType.DATE:
            return date(2026, 10, 1 + place % 28)
        case ColumnType.TIME:
            return datetime(2026, 10, 1 + place % 28, 9, tzinfo=UTC)
        case ColumnType.MONTH:
            return f"2026-{1 + place % 12:02d}"
        case _:
            return f"{column.name}-{place}"
