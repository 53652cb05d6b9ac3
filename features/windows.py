"""Window formulas: pure functions of one subject-column per position, over months held side by side.

Every function takes a `Span`, months side by side with the oldest first, and returns float64 of shape (subjects,),
NaN = missing. Sums run month by month, so a subject's value depends neither on its neighbours nor on how subjects are
chunked: results are equal to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

Formula = Literal[
    "sum",
    "mean",
    "min",
    "max",
    "std",
    "cv",
    "slope",
    "last",
    "records",
    "positive",
    "positive_share",
    "any_positive",
    "longest_gap",
    "longest_run",
    "since_positive",
    "since_record",
    "change",
    "ratio_previous",
    "year_on_year",
    "share_of",
]

#: Formulas that tell no more than that a record exists; a contract may ask less consent for that (domain rule L9).
PRESENCE = frozenset({"any_positive"})

#: Formulas that look back over twice the window, or over the window a year earlier.
EXTRA_MONTHS: dict[str, Callable[[int], int]] = {
    "ratio_previous": lambda w: w,
    "year_on_year": lambda w: 12,
}


class Span:
    """One measure over consecutive months: `x`, float64 of shape (months, subjects), oldest first, NaN = no record.

    What several windows need (which months have a record, values with 0 for none) is worked out once and shared by `tail`.
    """

    def __init__(self, x: np.ndarray, parent: Span | None = None) -> None:
        self.x = x
        self._parent = parent
        self._valid: np.ndarray | None = None
        self._filled: np.ndarray | None = None
        self._counts: np.ndarray | None = None

    @property
    def months(self) -> int:
        """Number of months."""
        return int(self.x.shape[0])

    @property
    def valid(self) -> np.ndarray:
        """Whether the month has a record, shape (months, subjects)."""
        if self._valid is None:
            above = self._parent
            self._valid = above.valid[-self.months :] if above is not None else ~np.isnan(self.x)
        return self._valid

    @property
    def filled(self) -> np.ndarray:
        """Values with 0 where there is no record, shape (months, subjects)."""
        if self._filled is None:
            above = self._parent
            self._filled = (
                above.filled[-self.months :] if above is not None else np.where(self.valid, self.x, 0.0)
            )
        return self._filled

    @property
    def counts(self) -> np.ndarray:
        """Number of months with a record, shape (subjects,)."""
        if self._counts is None:
            self._counts = np.add.reduce(self.valid, axis=0, dtype=np.int64)
        return self._counts

    def tail(self, months: int) -> Span:
        """The last months; asked for more than there are, earlier months count as without a record."""
        if months == self.months:
            return self
        if months < self.months:
            return Span(self.x[-months:], self)
        return Span(np.vstack([np.full((months - self.months, self.x.shape[1]), np.nan), self.x]))

    def head(self, months: int) -> Span:
        """The first months."""
        return Span(self.x[:months])

    def reversed(self) -> Span:
        """Newest month first."""
        return Span(self.x[::-1])


def _down(x: np.ndarray) -> np.ndarray:
    """Sum over axis 0, one month after the other. `np.sum` adds pairwise when there is a single subject, and a subject's value
    would then depend on whether it has neighbours."""
    result = np.zeros(x.shape[1])
    for row in x:
        result += row
    return result


def total(s: Span) -> np.ndarray:
    """Sum over the window; missing where no month has a record."""
    return np.where(s.counts > 0, _down(s.filled), np.nan)


def mean(s: Span) -> np.ndarray:
    """Mean over the months with a record."""
    return total(s) / np.maximum(s.counts, 1)


def minimum(s: Span) -> np.ndarray:
    """Smallest monthly value."""
    return np.fmin.reduce(s.x, axis=0)


def maximum(s: Span) -> np.ndarray:
    """Largest monthly value."""
    return np.fmax.reduce(s.x, axis=0)


def std(s: Span) -> np.ndarray:
    """Population standard deviation over the months with a record; missing below two."""
    centred = np.where(s.valid, s.x - mean(s), 0.0)
    return np.where(
        s.counts > 1,
        np.sqrt(_down(centred * centred) / np.maximum(s.counts, 1)),
        np.nan,
    )


def cv(s: Span) -> np.ndarray:
    """Coefficient of variation, std / |mean|; missing where the mean is 0."""
    return _divide(std(s), np.abs(mean(s)))


def slope(s: Span) -> np.ndarray:
    """Least-squares slope per month over the months with a record, divided by the mean's size; missing below three records.

    b = sum (t - t_mean)(x - x_mean) / sum (t - t_mean)^2, given as a share of |x_mean| so that sizes compare.
    """
    months = np.arange(s.months, dtype=np.float64)[:, None]
    t_mean = _down(np.where(s.valid, months, 0.0)) / np.maximum(s.counts, 1)
    t = np.where(s.valid, months - t_mean, 0.0)
    x_mean = mean(s)
    b = _divide(_down(t * np.where(s.valid, s.x - x_mean, 0.0)), _down(t * t))
    return np.where(s.counts > 2, _divide(b, np.abs(x_mean)), np.nan)


def last(s: Span) -> np.ndarray:
    """The latest month with a record."""
    result = np.full(s.x.shape[1], np.nan)
    for row, valid in zip(s.x, s.valid, strict=True):
        np.copyto(result, row, where=valid)
    return result


def records(s: Span) -> np.ndarray:
    """Number of months with a record; never missing."""
    return s.counts.astype(np.float64)


def positive(s: Span) -> np.ndarray:
    """Number of months with a value above 0; missing where no month has a record."""
    return np.where(s.counts > 0, np.add.reduce(s.filled > 0, axis=0, dtype=np.int64), np.nan)


def positive_share(s: Span) -> np.ndarray:
    """Months above 0 as a share of the months with a record."""
    return _divide(np.add.reduce(s.filled > 0, axis=0, dtype=np.int64), s.counts)


def any_positive(s: Span) -> np.ndarray:
    """1 where any month is above 0, else 0; missing where no month has a record. Tells that a record exists, never how many."""
    return np.where(s.counts > 0, np.any(s.filled > 0, axis=0).astype(np.float64), np.nan)


def longest_gap(s: Span) -> np.ndarray:
    """Longest run of months without a record or with 0, after the first month above 0; missing where there is none."""
    run = np.zeros(s.x.shape[1])
    longest = np.zeros(s.x.shape[1])
    started = np.zeros(s.x.shape[1], dtype=bool)
    for row in s.filled:
        there = row > 0
        started |= there
        run = np.where(there, 0.0, run + 1.0)
        np.maximum(longest, run, out=longest, where=started)
    return np.where(started, longest, np.nan)


def longest_run(s: Span) -> np.ndarray:
    """Longest run of months above 0; missing where no month has a record."""
    run = np.zeros(s.x.shape[1])
    longest = np.zeros(s.x.shape[1])
    for row in s.filled:
        run = np.where(row > 0, run + 1.0, 0.0)
        np.maximum(longest, run, out=longest)
    return np.where(s.counts > 0, longest, np.nan)


def since_positive(s: Span) -> np.ndarray:
    """Months since the last value above 0 (0 = the as-of month); missing where there was none."""
    return _since(s.filled > 0)


def since_record(s: Span) -> np.ndarray:
    """Months since the last record (0 = the as-of month); missing where there was none."""
    return _since(s.valid)


def change(s: Span) -> np.ndarray:
    """Last record minus first record, as a share of the first's size; missing below two records or where the first is 0."""
    first = last(s.reversed())
    return np.where(s.counts > 1, _divide(last(s) - first, np.abs(first)), np.nan)


def ratio_previous(s: Span) -> np.ndarray:
    """Sum of the later half divided by the sum of the earlier half (the window before this one)."""
    half = s.months // 2
    return _divide(total(s.tail(s.months - half)), total(s.head(half)))


def year_on_year(s: Span) -> np.ndarray:
    """Sum of the last w months divided by the sum of the same months a year before; the span is w + 12 months."""
    window = s.months - 12
    return _divide(total(s.tail(window)), total(s.head(window)))


def share_of(s: Span, whole: Span) -> np.ndarray:
    """Sum of one measure divided by the sum of another over the same window."""
    return _divide(total(s), total(whole))


def _since(there: np.ndarray) -> np.ndarray:
    result = np.full(there.shape[1], np.nan)
    for age in range(there.shape[0] - 1, -1, -1):
        result[there[there.shape[0] - 1 - age]] = age
    return result


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part = np.asarray(part, dtype=np.float64)
    known = np.isfinite(whole) & (whole != 0)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=known)


#: The formulas of one measure by the name used in the catalogue; `share_of` takes two.
FORMULAS: dict[str, Callable[[Span], np.ndarray]] = {
    "sum": total,
    "mean": mean,
    "min": minimum,
    "max": maximum,
    "std": std,
    "cv": cv,
    "slope": slope,
    "last": last,
    "records": records,
    "positive": positive,
    "positive_share": positive_share,
    "any_positive": any_positive,
    "longest_gap": longest_gap,
    "longest_run": longest_run,
    "since_positive": since_positive,
    "since_record": since_record,
    "change": change,
    "ratio_previous": ratio_previous,
    "year_on_year": year_on_year,
}
