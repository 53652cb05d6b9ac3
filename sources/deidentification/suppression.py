"""Cell suppression in a table of counts with margins: small cells, and as many others as keep them from being worked out.

A suppressed cell must not follow from the others by adding and subtracting. Margins are cells like any other: with the total
row and column the table is a grid whose rows and columns add up to nothing when margins count negative. In such a grid four
cells at the corners of a rectangle can move together: what the first gains, its neighbours in row and column lose (or, where
one of them is a margin, gain), and the fourth follows. If all four are suppressed, and none that would shrink is smaller
than the room that is asked for, then the first cell can be anything in a range wider than the threshold, and so can the
others. One such rectangle per small cell is enough, since further suppressed cells only leave more freedom. The margins' own
corner can always grow, so there is always a rectangle.

Sound, not minimal: the least suppression is NP-hard. Protects against whoever knows the published table and that counts aren't
negative, not against one who contributes to a cell himself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: A margin is worth so many inner cells: tables are read by their margins first.
_MARGIN_WEIGHT = 1000.0


@dataclass(frozen=True)
class SuppressedTable:
    """Counts with margins, int64 (rows + 1, columns + 1), the last row and column being totals, and what isn't published:
    `primary` for being small, `suppressed` for either reason.
    """

    counts: np.ndarray
    primary: np.ndarray
    suppressed: np.ndarray

    def published(self, base: int = 1) -> list[list[int | None]]:
        """The cells, None where suppressed: why is not told, since that would tell which are small. `base`: each cell is rounded
        to a multiple of it by itself, so that rounded cells needn't add up to a rounded margin.
        """
        rounded = (2 * self.counts + base) // (2 * base) * base
        return [
            [None if hidden else int(count) for count, hidden in zip(row, mask, strict=True)]
            for row, mask in zip(rounded, self.suppressed, strict=True)
        ]


def with_margins(counts: np.ndarray) -> np.ndarray:
    """Counts (rows, columns) with totals as last column and row."""
    rows = np.hstack([counts, counts.sum(axis=1, keepdims=True)])
    return np.vstack([rows, rows.sum(axis=0, keepdims=True)]).astype(np.int64)


def suppress(counts: np.ndarray, threshold: int) -> SuppressedTable:
    """Suppress cells and margins from 1 to `threshold` - 1, and others until no suppressed one is known to within `threshold`.

    `counts`: whole numbers, none negative, shape (rows, columns).
    """
    if counts.ndim != 2 or (counts < 0).any():
        raise ValueError("counts are a table of numbers that aren't negative")
    grid = with_margins(counts)
    primary = (grid > 0) & (grid < threshold)
    suppressed = primary.copy()
    # The hardest first: their rectangles serve the others.
    small = sorted(zip(*np.nonzero(primary), strict=True), key=lambda at: -int(grid[at]))
    for row, column in small:
        other_row, other_column = _rectangle(grid, suppressed, int(row), int(column), threshold)
        suppressed[[row, row, other_row, other_row], [column, other_column, column, other_column]] = True
    return SuppressedTable(grid, primary, suppressed)


def _rectangle(
    grid: np.ndarray, suppressed: np.ndarray, row: int, column: int, threshold: int
) -> tuple[int, int]:
    """The opposite corner of the cheapest rectangle in which the cell can move by more than the threshold."""
    signs = _signs(grid.shape)
    # Moving the cell up by one moves each corner by one, up or down by its sign.
    sign = signs[row, column]
    across, along, opposite = -sign * signs[row], -sign * signs[:, column], sign * signs
    room_up = np.minimum(
        np.minimum(_room(across, grid[row])[None, :], _room(along, grid[:, column])[:, None]),
        _room(opposite, grid),
    )
    room_down = np.minimum(
        np.minimum(_room(-across, grid[row])[None, :], _room(-along, grid[:, column])[:, None]),
        np.minimum(_room(-opposite, grid), grid[row, column]),
    )
    weight = np.where(suppressed, 0.0, 1.0 + np.log1p(grid) / 100)
    weight[-1, :] *= _MARGIN_WEIGHT
    weight[:, -1] *= _MARGIN_WEIGHT
    cost = weight[row][None, :] + weight[:, column][:, None] + weight
    cost = np.where(room_up + room_down > threshold, cost, np.inf)
    cost[row, :], cost[:, column] = np.inf, np.inf
    other_row, other_column = np.unravel_index(int(cost.argmin()), cost.shape)
    assert np.isfinite(cost[other_row, other_column])
    return int(other_row), int(other_column)


def _signs(shape: tuple[int, ...]) -> np.ndarray:
    signs = np.ones(shape)
    signs[-1, :] *= -1
    signs[:, -1] *= -1
    return signs


def _room(moves: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How far cells can go the way they move: those that shrink down to nothing, those that grow without end."""
    return np.where(moves < 0, counts, np.inf)
