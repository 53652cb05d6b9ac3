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
import pyarrow.compute as pc
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


#: Later than anything.
_NEVER = np.datetime64("9999-12-31", "us")


def moment(at: datetime) -> np.datetime64:
    """An aware moment as the facts keep it: UTC microseconds."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


#: Key in a file's footer: when the first delivery of the month came, where that was before its first row, or no row came at all.
_DELIVERED = b"delivered"


def delivered_since(facts: pa.Table, at: datetime) -> pa.Table:
    """Facts of a month whose first accepted delivery came at `at` (aware); only a delivery without rows makes a difference."""
    first = pc.min(facts.column("known_at")).as_py() if facts.num_rows else None
    if first is not None and first <= at:
        return facts
    return facts.replace_schema_metadata({_DELIVERED: str(moment(at)).encode()})


class _MonthFile:
    """One file of a month, and what its footer says of each row group."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self.file = file
        metadata = self.file.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        filled = [group for group in groups if group.num_rows]
        subjects = [group.column(0).statistics for group in filled]
        self.groups = np.flatnonzero([group.num_rows > 0 for group in groups])
        self.lowest = np.array([stats.min for stats in subjects], dtype=np.int64)
        self.highest = np.array([stats.max for stats in subjects], dtype=np.int64)
        known = [moment(group.column(1).statistics.min) for group in filled]
        told = (self.file.metadata.metadata or {}).get(_DELIVERED)
        self.first_known = min(
            [*known, *([np.datetime64(told.decode(), "us")] if told is not None else [])], default=_NEVER
        )

    def read(self, low: int, high: int, columns: Sequence[str]) -> pa.Table | None:
        """Row groups that may hold subjects low <= subject_no < high."""
        wanted = self.groups[(self.lowest < high) & (self.highest >= low)]
        if not len(wanted):
            return None
        return self.file.read_row_groups(wanted.tolist(), columns=list(columns), use_threads=False)


class MonthlyFacts:
    """The months of one fact table, read in ranges of subjects."""

    def __init__(self, store: TableStore, table: str, months: Iterable[Month]) -> None:
        self.table = table
        wanted = [str(month) for month in months]
        self._files: dict[Month, list[_MonthFile]] = {}
        for path in store.files(table, wanted):
            month = Month.parse(path.parent.name.split("=", 1)[1])
            self._files.setdefault(month, []).append(_MonthFile(store.open(path, mapped=False)))

    @property
    def months(self) -> set[Month]:
        """Months for which anything was ever delivered."""
        return set(self._files)

    def subjects(self) -> int:
        """One more than the greatest subject number in any month."""
        every = [file.highest.max(initial=-1) for files in self._files.values() for file in files]
        return int(max(every, default=-1)) + 1

    def first_known(self, month: Month) -> np.datetime64:
        """When the bank first knew anything of a month; from the statistics of the files, whatever subjects are read."""
        return min(file.first_known for file in self._files[month])

    def blocks(self, month: Month, low: int, high: int, measures: Sequence[str]) -> FactBlocks | None:
        """All versions of the month for subjects low <= subject_no < high; None where nothing was ever delivered."""
        if month not in self._files:
            return None
        first_known = self.first_known(month)
        read = (file.read(low, high, ["subject_no", "known_at", *measures]) for file in self._files[month])
        pieces = [piece for piece in read if piece is not None]
        if not pieces:
            nothing = {name: np.empty(0) for name in measures}
            return FactBlocks(np.empty(0, np.int32), np.empty(0, "datetime64[us]"), nothing, first_known)
        rows = pa.concat_tables(pieces)
        position = rows.column("subject_no").to_numpy() - np.int32(low)
        known_at = rows.column("known_at").cast(pa.timestamp("us")).to_numpy()
        columns = {name: rows.column(name).to_numpy() for name in measures}
        if position.min() < 0 or position.max() >= high - low:
            inside = (position >= 0) & (position < high - low)
            position, known_at = position[inside], known_at[inside]
            columns = {name: values[inside] for name, values in columns.items()}
        return FactBlocks(position, known_at, columns, first_known)
