"""Read folded months as arrays held side by side, as they were known at a cutoff.

Within a chunk of subjects a month's file is a base block (nearly every subject) followed by small blocks of
corrections. Reading with a cutoff applies the blocks in the order of `known_at` and stops there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

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
    _known: dict[np.datetime64, np.ndarray] = field(default_factory=dict, repr=False)
    _ranges: list[np.ndarray] = field(default_factory=list, repr=False)

    def known(self, cutoff: np.datetime64) -> np.ndarray:
        """Which rows were known by the cutoff; later versions of a subject come later."""
        if cutoff not in self._known:
            self._known[cutoff] = self.known_at <= cutoff
        return self._known[cutoff]

    def tile_ranges(self, tile: int, tiles: int) -> np.ndarray:
        """Where the rows of each tile of `tile` subjects lie: int64 (runs, tiles + 1), a run being rows in order of position that
        became known together.

        A block has one run for the rows that came first and one for each moment of corrections.
        """
        if not self._ranges:
            later = np.diff(self.known_at) != np.timedelta64(0, "us")
            borders = np.flatnonzero((np.diff(self.position) < 0) | later) + 1
            edges = np.arange(tiles + 1) * tile
            runs = zip([0, *borders.tolist()], [*borders.tolist(), len(self.position)], strict=True)
            found = [low + np.searchsorted(self.position[low:high], edges) for low, high in runs]
            self._ranges.append(np.array(found, dtype=np.int64))
        return self._ranges[0]

    def delivered_by(self, cutoff: np.datetime64) -> bool:
        """Whether anything of the month had come by the cutoff."""
        return bool(self.first_known <= cutoff)


def moment(at: datetime) -> np.datetime64:
    """An aware moment as the facts keep it: UTC microseconds."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


class MonthlyFacts:
    """The months of one fact table, read in ranges of subjects."""

    def __init__(self, store: TableStore, table: str, months: Iterable[Month]) -> None:
        self.table = table
        wanted = [str(month) for month in months]
        self._files: dict[Month, list[pq.ParquetFile]] = {}
        for path in store.files(table, wanted):
            month = Month.parse(path.parent.name.split("=", 1)[1])
            self._files.setdefault(month, []).append(pq.ParquetFile(path, memory_map=True, pre_buffer=False))

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

    def first_known(self, month: Month) -> np.datetime64:
        """When the bank first knew anything of a month; from the statistics of the files, whatever subjects are read."""
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
                pieces.append(
                    file.read_row_groups(
                        groups, columns=["subject_no", "known_at", *measures], use_threads=False
                    )
                )
        if not pieces:
            nothing = {name: np.empty(0) for name in measures}
            return FactBlocks(
                np.empty(0, np.int32), np.empty(0, "datetime64[us]"), nothing, self.first_known(month)
            )
        rows = pa.concat_tables(pieces)
        position = rows.column("subject_no").to_numpy() - np.int32(low)
        known_at = rows.column("known_at").cast(pa.timestamp("us")).to_numpy()
        columns = {name: rows.column(name).to_numpy() for name in measures}
        inside = (position >= 0) & (position < high - low)
        if not inside.all():
            position, known_at = position[inside], known_at[inside]
            columns = {name: values[inside] for name, values in columns.items()}
        return FactBlocks(position, known_at, columns, self.first_known(month))


def _overlaps(file: pq.ParquetFile, group: int, low: int, high: int) -> bool:
    stats = file.metadata.row_group(group).column(0).statistics
    return stats is None or not stats.has_min_max or (stats.min < high and stats.max >= low)
