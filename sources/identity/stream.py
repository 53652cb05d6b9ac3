"""The search through a file that comes block by block: a column is judged alike however the file is cut.

Of each column the different texts are kept until there are `WINDOW` of them or they take `WINDOW_BYTES`. With fewer in all, the
column is judged at the end as `guard.refuse_identities` would judge it whole. With more, each full window is searched and
forgotten, so that memory doesn't grow with the file, and what was found is added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.identity.clues import Clue, Kind, is_more_than_chance
from sources.identity.guard import column_clues, convincing, refusal

#: Different texts of a column that are kept: three megabytes of pseudonyms; of long texts fewer.
WINDOW, WINDOW_BYTES = 65_536, 4 << 20


@dataclass
class _Sum:
    """One sort of clue in one column: hits and texts of all windows, the most hits of one window, the first hit's line."""

    clue: Clue
    hits: int = 0
    among: int = 0
    chances: list[int] = field(default_factory=list)
    most: int = 0
    line: int = 0

    def add(self, clue: Clue, line: int) -> None:
        self.line = min(self.line or line, line)
        self.hits += len(clue.hits)
        self.among += clue.among
        earlier = self.chances or [0] * len(clue.chances)
        self.chances = [sum_ + n for sum_, (n, _) in zip(earlier, clue.chances, strict=True)]
        self.most = max(self.most, len(clue.hits))

    def convinces(self, column: str) -> bool:
        """As `Clue.convinces`; a text may come again in another window, so only one window's hits are known to be different."""
        shares = [share for _, share in self.clue.chances]
        if not is_more_than_chance(self.hits, list(zip(self.chances, shares, strict=True))):
            return False
        if self.clue.kind.announced(column):
            return True
        return self.most >= self.clue.least and self.hits >= self.clue.share * self.among


@dataclass(frozen=True)
class _Found:
    """What a column holds: the kind, how many hits, the line of the first."""

    kind: Kind
    hits: int
    line: int


class _Column:
    """The different texts of one column since the last full window, with the line where each came first."""

    def __init__(self, name: str) -> None:
        self.name, self.rows, self.searched = name, 0, False
        self.texts = pa.array([], pa.string())
        self.lines = np.empty(0, dtype=np.int64)
        self.sums: dict[tuple[Kind, int, int, float], _Sum] = {}

    def add(self, cells: pa.DictionaryArray, first: int) -> None:
        """Cells of one block, the first of them in line `first`."""
        self.rows += len(cells)
        lines = np.full(len(cells.dictionary), first, dtype=np.int64)
        # Of several cells with one text the first is written last.
        lines[cells.indices.to_numpy()[::-1]] = np.arange(first + len(cells) - 1, first - 1, -1)
        new = pc.indices_nonzero(pc.invert(pc.is_in(cells.dictionary, value_set=self.texts)))
        self.texts = pa.concat_arrays([self.texts, cells.dictionary.take(new)])
        self.lines = np.concatenate([self.lines, lines[new.to_numpy()]])
        while len(self.texts) > WINDOW or self.texts.nbytes > WINDOW_BYTES:
            self._search(min(len(self.texts), WINDOW))

    def _search(self, count: int) -> None:
        """Search the oldest texts and forget them."""
        texts, lines = self.texts.slice(0, count), self.lines[:count]
        for clue in column_clues(texts, count):
            if len(clue.hits):
                key = (clue.kind, len(clue.chances), clue.least, clue.share)
                self.sums.setdefault(key, _Sum(clue)).add(clue, int(lines[clue.hits].min()))
        self.texts = pa.concat_arrays([self.texts.slice(count)])
        self.lines = self.lines[count:]
        self.searched = True

    def found(self) -> Iterator[_Found]:
        """What convinces."""
        if not self.searched:
            clue = convincing(self.name, column_clues(self.texts, self.rows))
            if clue is not None:
                yield _Found(clue.kind, len(clue.hits), int(self.lines[clue.hits].min()))
            return
        self._search(len(self.texts))
        for one in self.sums.values():
            if one.convinces(self.name):
                yield _Found(one.clue.kind, one.hits, one.line)


class IdentityScan:
    """`look` at every block, then `refuse`, or read the `findings`."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}

    def look(self, column: str, cells: pa.DictionaryArray, first: int) -> None:
        """Take one block of a column whose first cell stands in line `first`."""
        self._columns.setdefault(column, _Column(column)).add(cells, first)

    def refuse(self, file: str, remedy: str) -> None:
        """Raise REFUSED/IDENTITY at the first line of the first column that holds identifiers."""
        found = [(one.line, name, one) for name, column in self._columns.items() for one in column.found()]
        if found:
            line, name, one = min(found, key=lambda told: told[0])
            raise refusal(one.kind, file, name, line, remedy)

    def findings(self) -> list[tuple[str, Kind, int]]:
        """(column, kind, hits) of what convinces, for reports: counts, never cells."""
        told: dict[tuple[str, Kind], int] = {}
        for name, column in self._columns.items():
            for one in column.found():
                told[name, one.kind] = max(told.get((name, one.kind), 0), one.hits)
        return [(name, kind, hits) for (name, kind), hits in sorted(told.items(), key=_by_column)]


def _by_column(told: tuple[tuple[str, Kind], int]) -> tuple[str, int]:
    return told[0][0], -told[1]
