"""Money is exact: decimal(18,2) yuan at rest, whole fen (int64) while computing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: How amounts are kept in tables: yuan with two decimals, at most 16 digits before the point.
MONEY = pa.decimal128(18, 2)

#: Source units an adapter may declare, as the number of fen in one unit.
FEN_PER_UNIT = {"FEN": 1, "CNY": 100, "CNY_10K": 1_000_000}


def fen(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """The amounts as int64 fen, shape (rows,). Nulls come out as 0: ask `column.is_null()` beside it.

    Reads the low 64 bits of each decimal128 in place; 18 digits always fit.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.type != MONEY:
        raise TypeError(f"money columns are {MONEY}, not {array.type}")
    words = np.frombuffer(array.buffers()[1], dtype=np.int64)
    values = words[2 * array.offset : 2 * (array.offset + len(array)) : 2]
    if array.null_count:
        values = np.where(array.is_valid().to_numpy(zero_copy_only=False), values, 0)
    return np.ascontiguousarray(values)


def from_fen(values: np.ndarray, null: np.ndarray | None = None) -> pa.Array:
    """Decimal(18,2) yuan from int64 fen, shape (rows,); `null` marks missing amounts."""
    words = np.empty((len(values), 2), dtype=np.int64)
    words[:, 0] = values
    words[:, 1] = np.where(np.asarray(values) < 0, -1, 0)
    buffers: list[pa.Buffer | None] = [None, pa.py_buffer(words.tobytes())]
    array = pa.Array.from_buffers(MONEY, len(values), buffers)
    if null is None or not null.any():
        return array
    return pc.if_else(pa.array(~null), array, pa.scalar(None, MONEY))
