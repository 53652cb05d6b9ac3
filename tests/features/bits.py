"""Equality of tables to the bit: NaN equals NaN, which Arrow's own comparison denies."""

from __future__ import annotations

import pyarrow as pa


def same_bits(one: pa.Table, other: pa.Table) -> bool:
    """Whether both have the same columns, and in every column the same bytes in the same order."""
    return one.schema.equals(other.schema) and all(
        _bytes(one.column(name)) == _bytes(other.column(name)) for name in one.column_names
    )


def _bytes(column: pa.ChunkedArray) -> object:
    if pa.types.is_floating(column.type):
        return column.to_numpy().tobytes()
    return column.to_pylist()
