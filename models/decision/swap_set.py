"""The swap set: who would be approved by a challenger and not by the champion, and the reverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.validation.finding import Interval


@dataclass(frozen=True)
class SwapCell:
    """One of the four cells. `bad_rate` with its 90 % Jeffreys interval, of rows with a decided outcome; None without any."""

    name: str
    rows: int
    decided: int
    events: int
    bad_rate: float | None
    interval: Interval | None


@dataclass(frozen=True)
class SwapSet:
    """`swapped_in` approved by the challenger alone, `swapped_out` by the champion alone; cut-offs in points of each."""

    champion_from: int
    challenger_from: int
    both: SwapCell
    swapped_in: SwapCell
    swapped_out: SwapCell
    neither: SwapCell

    @property
    def cells(self) -> tuple[SwapCell, ...]:
        """In the order in which they are shown."""
        return self.both, self.swapped_in, self.swapped_out, self.neither


def swap_set(
    champion: np.ndarray,
    challenger: np.ndarray,
    target: np.ndarray,
    champion_from: int,
    challenger_from: int | None = None,
    vetoed: np.ndarray | None = None,
) -> SwapSet:
    """Integer points (n,) of both on the same rows, `target` as in a sample; `vetoed` rows are approved by neither.

    Without `challenger_from` it is the cut-off at which the challenger approves as many as the champion, or the fewest more: then
    swaps tell of the ranking, not of a laxer policy.
    """
    free = np.ones(len(target), dtype=bool) if vetoed is None else ~vetoed
    by_champion = free & (champion >= champion_from)
    if challenger_from is None:
        challenger_from = same_rate_cut_off(challenger[free], int(by_champion.sum()))
    by_challenger = free & (challenger >= challenger_from)
    return SwapSet(
        champion_from,
        challenger_from,
        _cell("both", by_champion & by_challenger, target),
        _cell("swapped_in", ~by_champion & by_challenger, target),
        _cell("swapped_out", by_champion & ~by_challenger, target),
        _cell("neither", ~by_champion & ~by_challenger, target),
    )


def same_rate_cut_off(points: np.ndarray, approved: int) -> int:
    """The highest cut-off from which on at least `approved` rows lie; above all points where none are."""
    if not len(points) or approved <= 0:
        return int(points.max(initial=0)) + 1
    return int(np.sort(points)[::-1][min(approved, len(points)) - 1])


def _cell(name: str, rows: np.ndarray, target: np.ndarray) -> SwapCell:
    from scipy.stats import beta

    decided, events = int((target[rows] >= 0).sum()), int((target[rows] == 1).sum())
    if not decided:
        return SwapCell(name, int(rows.sum()), 0, 0, None, None)
    # Brown, Cai and DasGupta, Statistical Science 16 (2001) 101-133: equal-tailed Jeffreys, with the ends at 0 and 1 exact.
    low = 0.0 if events == 0 else float(beta.ppf(0.05, events + 0.5, decided - events + 0.5))
    high = 1.0 if events == decided else float(beta.ppf(0.95, events + 0.5, decided - events + 0.5))
    return SwapCell(name, int(rows.sum()), decided, events, events / decided, Interval(low, high, 0.9))
