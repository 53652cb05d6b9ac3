"""The search through a file that comes block by block: what was found is added up, and judged at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from sources.identity.clues import Clue, Kind, is_more_than_chance
from sources.identity.guard import column_clues, refusal


@dataclass
class _Sum:
    """One sort of clue in one column: hits and texts of all blocks, the most hits of one block, the first hit's line."""

    clue: Clue
    hits: int = 0
    among: int = 0
    chances: list[int] = field(default_factory=list)
    most: int = 0
    line: int = 0

    def add(self, clue: Clue, line: int) -> None:
        self.line = self.line or line
        self.hits += len(clue.hits)
        self.among += clue.among
        earlier = self.chances or [0] * len(clue.chances)
        self.chances = [sum_ + n for sum_, (n, _) in zip(earlier, clue.chances, strict=True)]
        self.most = max(self.most, len(clue.hits))

    def convinces(self, column: str) -> bool:
        """As `Clue.convinces`; texts come again in every block, so only one block's hits are known to be different."""
        shares = [share for _, share in self.clue.chances]
        if not is_more_than_chance(self.hits, list(zip(self.chances, shares, strict=True))):
            return False
        if self.clue.kind.announced(column):
            return True
        return self.most >= self.clue.least and self.hits >= self.clue.share * self.among


class IdentityScan:
    """`look` at every block, then `refuse`."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, Kind, int, int, float], _Sum] = {}

    def look(self, column: str, cells: pa.DictionaryArray, first: int) -> None:
        """Search one block of a column whose first cell stands in line `first`."""
        for clue in column_clues(cells.dictionary, len(cells)):
            if not len(clue.hits):
                continue
            key = (column, clue.kind, len(clue.chances), clue.least, clue.share)
            at = np.isin(cells.indices.to_numpy(), clue.hits)
            self._sums.setdefault(key, _Sum(clue)).add(clue, first + int(at.argmax()))

    def refuse(self, file: str, remedy: str) -> None:
        """Raise REFUSED/IDENTITY at the first line of the first column that holds identifiers."""
        for (column, *_), found in sorted(self._sums.items(), key=lambda item: item[1].line):
            if found.convinces(column):
                raise refusal(found.clue, file, column, found.line, remedy)

    def findings(self) -> list[tuple[str, Kind, int]]:
        """(column, kind, hits) of what convinces, for reports: counts, never cells."""
        told: dict[tuple[str, Kind], int] = {}
        for (column, kind, *_), found in self._sums.items():
            if found.convinces(column):
                told[column, kind] = max(told.get((column, kind), 0), found.hits)
        return [
            (column, kind, hits)
            for (column, kind), hits in sorted(told.items(), key=lambda x: (x[0][0], -x[1]))
        ]
