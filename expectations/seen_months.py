"""A month of a table beside the months before it, as the bank knows them: what the plausibility probes look at.

Belongs here: lining up the same account, person or employer over months. Doesn't belong here: any judgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.money import MONEY, fen
from core.months import Month


@dataclass(frozen=True)
class SeenMonths:
    """`months` (ascending; the last is judged) with their rows by period: canonical columns with `subject_no`.

    `key` names the columns that say which series a row belongs to (the business key without the period, `subject_id` as
    `subject_no`). `subject_ids` are the pseudonyms of the judged month's rows, shape (rows,); `regions` the region code of
    every subject number where it is known (-1 where not), shape (subjects,). `days` are the lines of the judged month's
    reconciliation (recon_date, settled_flag).
    """

    months: tuple[Month, ...]
    rows: Mapping[str, pa.Table]
    key: tuple[str, ...]
    subject_ids: pa.Array | None = None
    regions: np.ndarray | None = None
    days: pa.Table | None = None

    @property
    def now(self) -> pa.Table:
        """Rows of the judged month."""
        return self.rows[str(self.months[-1])]

    def column(self, name: str) -> pa.ChunkedArray | None:
        """A column of the judged month, None where the table hasn't it."""
        return self.now.column(name) if name in self.now.column_names else None

    @cached_property
    def series(self) -> np.ndarray:
        """Dense number of each row's series over all months put together, int64 (all rows,)."""
        code = np.zeros(sum(self._sizes), dtype=np.int64)
        for name in self.key:
            whole = pa.chunked_array(
                [chunk for month in self.months for chunk in self.rows[str(month)].column(name).chunks]
            )
            part = _codes(whole)
            code = code * (int(part.max(initial=0)) + 1) + part
        return np.unique(code, return_inverse=True)[1].reshape(-1).astype(np.int64)

    def side_by_side(self, name: str) -> np.ndarray:
        """The column's values, float64 (months, series); nan where a series has no row. Amounts are yuan."""
        wide = np.full((len(self.months), int(self.series.max(initial=-1)) + 1), np.nan)
        first = 0
        for place, month in enumerate(self.months):
            rows = self.rows[str(month)]
            wide[place, self.series[first : first + rows.num_rows]] = _numbers(rows.column(name))
            first += rows.num_rows
        return wide

    def codes_side_by_side(self, name: str) -> np.ndarray:
        """A text or number column as dense codes that mean the same in every month, int64 (months, series); -1 where absent."""
        whole = pa.chunked_array(
            [chunk for month in self.months for chunk in self.rows[str(month)].column(name).chunks]
        )
        codes = _codes(whole)
        wide = np.full((len(self.months), int(self.series.max(initial=-1)) + 1), -1, dtype=np.int64)
        first = 0
        for place, size in enumerate(self._sizes):
            wide[place, self.series[first : first + size]] = codes[first : first + size]
            first += size
        return wide

    @cached_property
    def present(self) -> np.ndarray:
        """Which series have a row in which month, bool (months, series)."""
        there = np.zeros((len(self.months), int(self.series.max(initial=-1)) + 1), dtype=bool)
        first = 0
        for place, size in enumerate(self._sizes):
            there[place, self.series[first : first + size]] = True
            first += size
        return there

    @property
    def _sizes(self) -> list[int]:
        return [self.rows[str(month)].num_rows for month in self.months]


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Equal values have equal codes, int64 (rows,); absent values share one."""
    encoded = pc.fill_null(column, "") if pa.types.is_string(column.type) else column
    array = encoded.combine_chunks() if encoded.num_chunks else pa.array([], encoded.type)
    whole = array.dictionary_encode(null_encoding="encode")
    return whole.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    absent = column.is_null().to_numpy()
    if column.type == MONEY:
        return np.where(absent, np.nan, fen(column) / 100)
    return np.where(absent, np.nan, pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy())
