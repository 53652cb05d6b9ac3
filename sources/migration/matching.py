"""Rows of two sides that are the same record: the same subject and the same rest of the key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class RowPairs:
    """`old[i]` and `new[i]` are positions of the same record; `ambiguous` rows have a key that stands twice on a side."""

    old: np.ndarray
    new: np.ndarray
    ambiguous: int

    def __len__(self) -> int:
        return len(self.old)


def pair_rows(old: pa.Table, new: pa.Table, key: Sequence[str]) -> RowPairs:
    """Match rows by the columns of `key`, each of one type on both sides. A row with a missing key cell has no counterpart."""
    codes = np.zeros(old.num_rows + new.num_rows, dtype=np.int64)
    whole = np.ones(len(codes), dtype=bool)
    for name in key:
        column = pa.chunked_array([*old.column(name).chunks, *new.column(name).chunks], old.column(name).type)
        encoded = column.combine_chunks().dictionary_encode()
        whole &= encoded.is_valid().to_numpy(zero_copy_only=False)
        places = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy().astype(np.int64)
        # Numbers that stay small however many columns a key has.
        codes = np.unique(codes * (len(encoded.dictionary) + 1) + places, return_inverse=True)[1].astype(
            np.int64
        )
    mine, theirs = codes[: old.num_rows], codes[old.num_rows :]
    keys = int(codes.max(initial=-1)) + 1
    once = (np.bincount(mine, minlength=keys) == 1) & (np.bincount(theirs, minlength=keys) == 1)
    several = (np.bincount(mine, minlength=keys) > 1) | (np.bincount(theirs, minlength=keys) > 1)
    at = np.zeros(keys, dtype=np.int64)
    usable = np.flatnonzero(whole[old.num_rows :])
    at[theirs[usable]] = usable
    matched = np.flatnonzero(whole[: old.num_rows] & once[mine])
    matched = matched[whole[old.num_rows :][at[mine[matched]]]] if len(matched) else matched
    return RowPairs(matched, at[mine[matched]], int(several[mine].sum()))
