"""Window formulas: pure functions of one subject-column per position, over months held side by side.

Every function takes `x`, float64 of shape (months, subjects), oldest month first, NaN = no record, and returns float64 of shape
(subjects,), NaN = missing. Sums run month by month down axis 0, so a subject's value depends neither on its neighbours nor on how
subjects are chunked: results are equal to the bit.
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
    "longest_gap",
    "longest_run",
    "since_positive",
    "since_record",
    "change",
    "ratio_previous",
    "year_on_year",
    "share_of",
]

#: Formulas that look back over twice the window, or over the window a year earlier.
EXTRA_MONTHS: dict[str, Callable[[int], int]] = {
    "ratio_previous": lambda w: w,
    "year_on_year": lambda w: 12,
}


def _seen(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    valid = ~np.isnan(x)
    return valid, valid.sum(axis=0)


def total(x: np.ndarray) -> np.ndarray:
    """Sum over the window; missing where no month has a record."""
    valid, n = _seen(x)
    return np.where(n > 0, np.where(valid, x, 0.0).sum(axis=0), np.nan)


def mean(x: np.ndarray) -> np.ndarray:
    """Mean over the months with a record."""
    _, n = _seen(x)
    return total(x) / np.where(n > 0, n, 1)


def minimum(x: np.ndarray) -> np.ndarray:
    """Smallest monthly value."""
    return np.fmin.reduce(x, axis=0)


def maximum(x: np.ndarray) -> np.ndarray:
    """Largest monthly value."""
    return np.fmax.reduce(x, axis=0)


def std(x: np.ndarray) -> np.ndarray:
    """Population standard deviation over the months with a record; missing below two."""
    valid, n = _seen(x)
    centred = np.where(valid, x - mean(x), 0.0)
    return np.where(
        n > 1, np.sqrt((centred * centred).sum(axis=0) / np.where(n > 0, n, 1)), np.nan
    )


def cv(x: np.ndarray) -> np.ndarray:
    """Coefficient of variation, std / |mean|; missing where the mean is 0."""
    return _divide(std(x), np.abs(mean(x)))


def slope(x: np.ndarray) -> np.ndarray:
    """Least-squares slope per month over the months with a record, divided by the mean's size; missing below three records.

    b = sum (t - t_mean)(x - x_mean) / sum (t - t_mean)^2, given as a share of |x_mean| so that sizes compare.
    """
    valid, n = _seen(x)
    months = np.arange(x.shape[0], dtype=np.float64)[:, None]
    count = np.where(n > 0, n, 1)
    t_mean = np.where(valid, months, 0.0).sum(axis=0) / count
    t = np.where(valid, months - t_mean, 0.0)
    x_mean = mean(x)
    b = _divide((t * np.where(valid, x - x_mean, 0.0)).sum(axis=0), (t * t).sum(axis=0))
    return np.where(n > 2, _divide(b, np.abs(x_mean)), np.nan)


def last(x: np.ndarray) -> np.ndarray:
    """The latest month with a record."""
    result = np.full(x.shape[1], np.nan)
    for row in x:
        np.copyto(result, row, where=~np.isnan(row))
    return result


def records(x: np.ndarray) -> np.ndarray:
    """Number of months with a record; never missing."""
    return _seen(x)[1].astype(np.float64)


def positive(x: np.ndarray) -> np.ndarray:
    """Number of months with a value above 0; missing where no month has a record."""
    _, n = _seen(x)
    return np.where(n > 0, (x > 0).sum(axis=0), np.nan)


def positive_share(x: np.ndarray) -> np.ndarray:
    """Months above 0 as a share of the months with a record."""
    _, n = _seen(x)
    return _divide((x > 0).sum(axis=0), n)


def longest_gap(x: np.ndarray) -> np.ndarray:
    """Longest run of months without a record or with 0, after the first month above 0; missing where there is none."""
    run = np.zeros(x.shape[1])
    longest = np.zeros(x.shape[1])
    started = np.zeros(x.shape[1], dtype=bool)
    for row in x:
        there = row > 0
        started |= there
        run = np.where(there, 0.0, run + 1.0)
        np.maximum(longest, run, out=longest, where=started)
    return np.where(started, longest, np.nan)


def longest_run(x: np.ndarray) -> np.ndarray:
    """Longest run of months above 0; missing where no month has a record."""
    run = np.zeros(x.shape[1])
    longest = np.zeros(x.shape[1])
    for row in x:
        run = np.where(row > 0, run + 1.0, 0.0)
        np.maximum(longest, run, out=longest)
    return np.where(_seen(x)[1] > 0, longest, np.nan)


def since_positive(x: np.ndarray) -> np.ndarray:
    """Months since the last value above 0 (0 = the as-of month); missing where there was none."""
    return _since(x > 0)


def since_record(x: np.ndarray) -> np.ndarray:
    """Months since the last record (0 = the as-of month); missing where there was none."""
    return _since(~np.isnan(x))


def change(x: np.ndarray) -> np.ndarray:
    """Last record minus first record, as a share of the first's size; missing below two records or where the first is 0."""
    first = last(x[::-1])
    return np.where(_seen(x)[1] > 1, _divide(last(x) - first, np.abs(first)), np.nan)


def ratio_previous(x: np.ndarray) -> np.ndarray:
    """Sum of the later half divided by the sum of the earlier half (the window before this one)."""
    half = x.shape[0] // 2
    return _divide(total(x[half:]), total(x[:half]))


def year_on_year(x: np.ndarray) -> np.ndarray:
    """Sum of the last w months divided by the sum of the same months a year before; `x` spans w + 12 months."""
    window = x.shape[0] - 12
    return _divide(total(x[-window:]), total(x[:window]))


def share_of(x: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Sum of `x` divided by the sum of `whole` over the same window."""
    return _divide(total(x), total(whole))


def _since(there: np.ndarray) -> np.ndarray:
    result = np.full(there.shape[1], np.nan)
    for age, row in enumerate(there[::-1]):
        result = np.where(np.isnan(result) & row, float(age), result)
    return result


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part = np.asarray(part, dtype=np.float64)
    known = np.isfinite(whole) & (whole != 0)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=known)


#: The formulas of one measure by the name used in the catalogue; `share_of` takes two.
FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
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
    "longest_gap": longest_gap,
    "longest_run": longest_run,
    "since_positive": since_positive,
    "since_record": since_record,
    "change": change,
    "ratio_previous": ratio_previous,
    "year_on_year": year_on_year,
}
