"""Read folded months as arrays held side by side, as they were known at a cutoff.

Within a chunk of subjects a month's file is a base block (nearly every subject) followed by small blocks of
corrections. Reading with a cutoff applies the blocks in the order of `known_at` and stops there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.months import Month
from core.table_store import TableStore


@dataclass(frozen=True)
class FactBlocks:
    """One month of one source for a range of subjects, all versions: positions in the range, known_at, measures.

    `first_known`: when the bank first knew anything of the month, of any subject.
    """

    position: np.ndarray
    known_at: np.ndarray
    measures: dict[str, np.ndarray]
    first_known: np.datetime64

    def as_known(self, cutoff: datetime) -> np.ndarray | slice:
        """Rows known by the cutoff, in an order in which later versions of a subject come later."""
        inside = self.known_at <= _moment(cutoff)
        return slice(None) if inside.all() else np.flatnonzero(inside)

    def delivered_by(self, cutoff: datetime) -> bool:
        """Whether anything of the month had come by the cutoff."""
        return bool(self.first_known <= _moment(cutoff))


def _moment(cutoff: datetime) -> np.datetime64:
    return np.datetime64(cutoff.replace(tzinfo=None), "us")


class MonthlyFacts:
    """The months of one fact table, read in ranges of subjects."""

    def __init__(self, store: TableStore, table: str, months: Iterable[Month]) -> None:
        self.table = table
        wanted = [str(month) for month in months]
        self._files: dict[Month, list[pq.ParquetFile]] = {}
        for path in store.files(table, wanted):
            month = Month.parse(path.parent.name.split("=", 1)[1])
            self._files.setdefault(month, []).append(store.open(path))

    @property
    def months(self) -> set[Month]:
        """Months for which anything was ever delivered."""
        return set(self._files)

    def subjects(self) -> int:
        """One more than the greatest subject number in any month."""
        greatest = -1
        for file in (file for files in self._files.values() for file in files):
            for group in range(file.metadata.num_row_groups):
                stats = file.metadata.row_group(group).column(0).statistics
                if stats is not None and stats.has_min_max:
                    greatest = max(greatest, int(stats.max))
        return greatest + 1

    def _first_known(self, month: Month) -> np.datetime64:
        """From the statistics of the files, so that it doesn't depend on which subjects are read."""
        groups = [
            file.metadata.row_group(group).column(1).statistics
            for file in self._files[month]
            for group in range(file.metadata.num_row_groups)
        ]
        moments = [
            np.datetime64(stats.min.replace(tzinfo=None), "us") for stats in groups if stats is not None
        ]
        return min(moments, default=np.datetime64("9999-12-31", "us"))

    def blocks(self, month: Month, low: int, high: int, measures: Sequence[str]) -> FactBlocks | None:
        """All versions of the month for subjects low <= subject_no < high; None where nothing was ever delivered."""
        if month not in self._files:
            return None
        pieces = []
        for file in self._files[month]:
            groups = [g for g in range(file.metadata.num_row_groups) if _overlaps(file, g, low, high)]
            if groups:
                pieces.append(file.read_row_groups(groups, columns=["subject_no", "known_at", *measures]))
        if not pieces:
            nothing = {name: np.empty(0) for name in measures}
            return FactBlocks(
                np.empty(0, np.int64), np.empty(0, "datetime64[us]"), nothing, self._first_known(month)
            )
        rows = pa.concat_tables(pieces)
        position = rows.column("subject_no").to_numpy().astype(np.int64) - low
        known_at = rows.column("known_at").cast(pa.timestamp("us")).to_numpy()
        columns = {name: rows.column(name).to_numpy() for name in measures}
        inside = (position >= 0) & (position < high - low)
        if not inside.all():
            position, known_at = position[inside], known_at[inside]
            columns = {name: values[inside] for name, values in columns.items()}
        return FactBlocks(position, known_at, columns, self._first_known(month))


def side_by_side(
    blocks: Sequence[FactBlocks | None],
    measure: str,
    subjects: int,
    cutoff: datetime,
    absent_is_zero: bool,
) -> np.ndarray:
    """float64 of shape (months, subjects): one measure as known at the cutoff, NaN where there is no record.

    With `absent_is_zero` a month that was delivered by the cutoff gives 0 for subjects without a row.
    """
    result = np.full((len(blocks), subjects), np.nan)
    for row, block in zip(result, blocks, strict=True):
        if block is None:
            continue
        known = block.as_known(cutoff)
        zero = absent_is_zero and block.delivered_by(cutoff)
        if zero:
            row[:] = 0.0
        # Later blocks come later in the arrays and win, as NumPy assigns repeated positions in order.
        row[block.position[known]] = block.measures[measure][known]
        if zero:
            np.nan_to_num(row, copy=False, nan=0.0)
    return result


def _overlaps(file: pq.ParquetFile, group: int, low: int, high: int) -> bool:
    stats = file.metadata.row_group(group).column(0).statistics
    return stats is None or not stats.has_min_max or (stats.min < high and stats.max >= low)
