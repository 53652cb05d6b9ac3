"""Counts of people by two columns, with margins, small cells suppressed: what may be shown of a table that may not itself."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import Refusal
from sources.deidentification.people import People
from sources.deidentification.suppression import SuppressedTable, suppress

#: Larger tables are mostly small cells; each asks for a search through all the others.
MAX_CELLS = 20_000

#: Fewer people than these never stand in a published table, whatever k its rows were asked for.
LEAST_CELL = 10
#: Public tables are rounded to multiples of it.
PUBLIC_BASE = 5

#: What stands for a cell that isn't published.
SUPPRESSED = "*"
TOTAL = "合计 total"


@dataclass(frozen=True)
class CrossTable:
    """People by two columns."""

    columns: tuple[str, str]
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    table: SuppressedTable

    @property
    def share_suppressed(self) -> float:
        """Of all cells and margins."""
        return float(self.table.suppressed.mean())

    def lines(self, base: int = 1) -> list[list[str]]:
        """The table as published: a header, a line a row, totals at the right and below; `*` where a cell isn't shown."""
        header = [" / ".join(self.columns), *map(_guarded, self.column_names), TOTAL]
        names = [*map(_guarded, self.row_names), TOTAL]
        return [
            header,
            *(
                [name, *(SUPPRESSED if cell is None else str(cell) for cell in cells)]
                for name, cells in zip(names, self.table.published(base), strict=True)
            ),
        ]


def cross(people: People, row: str, column: str, threshold: int = LEAST_CELL) -> CrossTable:
    """Count people by the two columns and suppress. Refusal REFUSED/CELLS where the table is too large to be looked at."""
    rows, columns = people.columns[row], people.columns[column]
    if len(rows.texts) * len(columns.texts) > MAX_CELLS:
        raise Refusal(
            "REFUSED/CELLS",
            f"{len(rows.texts)} by {len(columns.texts)} cells are more than {MAX_CELLS}.",
            remedy="Cross coarser columns: regions to counties, days to years.",
        )
    places = rows.places.astype(np.int64) * len(columns.texts) + columns.places
    if people.subject is not None:
        subjects = int(people.subject.max(initial=0)) + 1
        places = np.unique(places * subjects + people.subject) // subjects
    counts = np.bincount(places, minlength=len(rows.texts) * len(columns.texts))
    grid = counts.reshape(len(rows.texts), len(columns.texts))
    down, along = np.argsort(np.array(rows.texts)), np.argsort(np.array(columns.texts))
    return CrossTable(
        (row, column),
        tuple(rows.texts[place] for place in down),
        tuple(columns.texts[place] for place in along),
        suppress(grid[np.ix_(down, along)], threshold),
    )


def write_cross_table(made: CrossTable, path: Path, base: int = 1) -> None:
    """CSV with totals; `*` where a cell isn't published."""
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(made.lines(base))
    os.replace(part, path)


def _guarded(name: str) -> str:
    """A name that a spreadsheet takes for text, never for a formula."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠") else name
