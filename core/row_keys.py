"""Keys of several columns as one number a row: equal rows have equal numbers, unequal rows unequal ones, exactly.

Sorting or comparing one int64 is several times cheaper than grouping by the columns themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Codes are combined as digits of a mixed-radix number as long as it stays within int64.
_ROOM = 2**62


def packed_keys(columns: Sequence[pa.Array | pa.ChunkedArray]) -> np.ndarray:
    """int64 (rows,); a missing value equals a missing value."""
    keys, size = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        codes, count = _codes(column)
        if size * count > _ROOM:
            different, keys = np.unique(keys, return_inverse=True)
            size = len(different)
        if size * count > _ROOM:
            # Numbers that are far apart: the different ones are as many as rows at most.
            different, codes = np.unique(codes, return_inverse=True)
            count = len(different)
        keys, size = keys * count + codes, size * count
    return keys


def repeated(keys: np.ndarray) -> np.ndarray:
    """Positions, ascending, of every row whose key stands more than once."""
    ordered = np.sort(keys)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return np.flatnonzero(np.isin(keys, twice)) if len(twice) else np.empty(0, dtype=np.int64)


def order_of(numbers: np.ndarray) -> np.ndarray | None:
    """Positions that put whole numbers from 0 in ascending order, equal ones as they stand; None where they are in order.

    Where each stands once, as subjects mostly do in a delivery, putting every one in its place is five times as fast as sorting.
    """
    if not (np.diff(numbers) < 0).any():
        return None
    low, high = int(numbers.min()), int(numbers.max())
    if low >= 0 and high < 8 * len(numbers):
        places = np.full(high + 1, -1, dtype=np.int32)
        places[numbers] = np.arange(len(numbers), dtype=np.int32)
        order = places[places >= 0]
        if len(order) == len(numbers):
            return order
    return np.argsort(numbers, kind="stable")


def count_of_different(numbers: np.ndarray) -> int:
    """How many different whole numbers there are; subject and delivery numbers are dense, so marks are cheaper than a hash."""
    if not len(numbers):
        return 0
    low, high = int(numbers.min()), int(numbers.max())
    if high - low > 8 * len(numbers):
        return len(np.unique(numbers))
    seen = np.zeros(high - low + 1, dtype=bool)
    seen[numbers - low] = True
    return int(seen.sum())


def _codes(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, int]:
    """Each row's code from 0, and how many codes there may be."""
    if not len(column):
        return np.zeros(0, dtype=np.int64), 1
    if pa.types.is_integer(column.type) and not column.null_count:
        values = column.to_numpy()
        low, high = int(values.min()), int(values.max())
        if high - low < _ROOM:
            return values.astype(np.int64) - low, high - low + 1
    encoded = column.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.chunk(0)
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes + 1, len(encoded.dictionary) + 1
