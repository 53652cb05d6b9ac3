"""The window formulas, compiled: pure functions of one subject-column per position, over months held side by side.

Every function takes `x`, float64 of shape (months, subjects), oldest month first, NaN = no record, and returns float64 of shape
(subjects,), NaN = missing. Sums run month by month, so a subject's value depends neither on its neighbours nor on how subjects
are chunked: results are equal to the bit. The inner loop runs over subjects, which lie side by side in memory: the compiler
turns it into vector instructions (a tenth of the time that NumPy needs for the same steps).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from features.identity_number import KEY_SPAN
from features.windows import DROP

_NAN = np.nan


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled once per machine: the machine code is kept beside the source, or in NUMBA_CACHE_DIR."""
    return njit(cache=True, nogil=True, error_model="numpy")(function)


@compiled
def _sums(x):  # type: ignore[no-untyped-def]
    """Sum and number of the months with a record."""
    months, subjects = x.shape
    out, count = np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            v = x[m, j]
            there = v == v
            out[j] += v if there else 0.0
            count[j] += 1.0 if there else 0.0
    return out, count


@compiled
def divide(part, whole):  # type: ignore[no-untyped-def]
    """Part / whole, missing where the whole is 0, missing or infinite."""
    out = np.empty(len(part))
    for j in range(len(part)):
        known = np.isfinite(whole[j]) and whole[j] != 0.0
        out[j] = part[j] / whole[j] if known else _NAN
    return out


@compiled
def total(x):  # type: ignore[no-untyped-def]
    """Sum over the window; missing where no month has a record."""
    out, count = _sums(x)
    for j in range(len(out)):
        out[j] = out[j] if count[j] > 0 else _NAN
    return out


@compiled
def mean(x):  # type: ignore[no-untyped-def]
    """Mean over the months with a record."""
    out, count = _sums(x)
    for j in range(len(out)):
        out[j] = out[j] / count[j] if count[j] > 0 else _NAN
    return out


@compiled
def minimum(x):  # type: ignore[no-untyped-def]
    """Smallest monthly value."""
    months, subjects = x.shape
    out = np.full(subjects, _NAN)
    for m in range(months):
        for j in range(subjects):
            v = x[m, j]
            out[j] = v if (v < out[j]) or (out[j] != out[j]) else out[j]
    return out


@compiled
def maximum(x):  # type: ignore[no-untyped-def]
    """Largest monthly value."""
    months, subjects = x.shape
    out = np.full(subjects, _NAN)
    for m in range(months):
        for j in range(subjects):
            v = x[m, j]
            out[j] = v if (v > out[j]) or (out[j] != out[j]) else out[j]
    return out


@compiled
def std(x):  # type: ignore[no-untyped-def]
    """Population standard deviation over the months with a record; missing below two."""
    months, subjects = x.shape
    average, (_, count) = mean(x), _sums(x)
    squares = np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            d = x[m, j] - average[j]
            squares[j] += d * d if d == d else 0.0
    for j in range(subjects):
        squares[j] = np.sqrt(squares[j] / count[j]) if count[j] > 1 else _NAN
    return squares


@compiled
def cv(x):  # type: ignore[no-untyped-def]
    """Coefficient of variation, std / |mean|; missing where the mean is 0."""
    return divide(std(x), np.abs(mean(x)))


@compiled
def slope(x):  # type: ignore[no-untyped-def]
    """Least-squares slope per month over the months with a record, divided by the mean's size; missing below three records.

    b = sum (t - t_mean)(x - x_mean) / sum (t - t_mean)^2, given as a share of |x_mean| so that sizes compare.
    """
    months, subjects = x.shape
    average, (_, count) = mean(x), _sums(x)
    middle = np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            middle[j] += float(m) if x[m, j] == x[m, j] else 0.0
    up, across = np.zeros(subjects), np.zeros(subjects)
    for j in range(subjects):
        middle[j] /= max(count[j], 1.0)
    for m in range(months):
        for j in range(subjects):
            there = x[m, j] == x[m, j]
            t = float(m) - middle[j]
            up[j] += t * (x[m, j] - average[j]) if there else 0.0
            across[j] += t * t if there else 0.0
    out = divide(divide(up, across), np.abs(average))
    for j in range(subjects):
        out[j] = out[j] if count[j] > 2 else _NAN
    return out


@compiled
def last(x):  # type: ignore[no-untyped-def]
    """The latest month with a record."""
    months, subjects = x.shape
    out = np.full(subjects, _NAN)
    for m in range(months):
        for j in range(subjects):
            out[j] = x[m, j] if x[m, j] == x[m, j] else out[j]
    return out


@compiled
def records(x):  # type: ignore[no-untyped-def]
    """Number of months with a record; never missing."""
    return _sums(x)[1]


@compiled
def positive(x):  # type: ignore[no-untyped-def]
    """Number of months with a value above 0; missing where no month has a record."""
    months, subjects = x.shape
    out, count = np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            out[j] += 1.0 if x[m, j] > 0.0 else 0.0
            count[j] += 1.0 if x[m, j] == x[m, j] else 0.0
    for j in range(subjects):
        out[j] = out[j] if count[j] > 0 else _NAN
    return out


@compiled
def positive_share(x):  # type: ignore[no-untyped-def]
    """Months above 0 as a share of the months with a record."""
    return divide(positive(x), records(x))


@compiled
def any_positive(x):  # type: ignore[no-untyped-def]
    """1 where any month is above 0, else 0; missing where no month has a record. Tells that a record exists, never how many."""
    out = positive(x)
    for j in range(len(out)):
        out[j] = 1.0 if out[j] > 0 else out[j]
    return out


@compiled
def longest_gap(x):  # type: ignore[no-untyped-def]
    """Longest run of months without a record or with 0, after the first month above 0; missing where there is none."""
    months, subjects = x.shape
    run, longest = np.zeros(subjects), np.full(subjects, -1.0)
    for m in range(months):
        for j in range(subjects):
            there = x[m, j] > 0.0
            run[j] = 0.0 if there else run[j] + 1.0
            started = there or longest[j] >= 0.0
            longest[j] = max(longest[j], run[j]) if started else longest[j]
    for j in range(subjects):
        longest[j] = longest[j] if longest[j] >= 0.0 else _NAN
    return longest


@compiled
def longest_run(x):  # type: ignore[no-untyped-def]
    """Longest run of months above 0; missing where no month has a record."""
    months, subjects = x.shape
    run, longest, count = np.zeros(subjects), np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            run[j] = run[j] + 1.0 if x[m, j] > 0.0 else 0.0
            longest[j] = max(longest[j], run[j])
            count[j] += 1.0 if x[m, j] == x[m, j] else 0.0
    for j in range(subjects):
        longest[j] = longest[j] if count[j] > 0 else _NAN
    return longest


@compiled
def since_positive(x):  # type: ignore[no-untyped-def]
    """Months since the last value above 0 (0 = the as-of month); missing where there was none."""
    months, subjects = x.shape
    out = np.full(subjects, _NAN)
    for m in range(months):
        for j in range(subjects):
            out[j] = float(months - 1 - m) if x[m, j] > 0.0 else out[j]
    return out


@compiled
def since_record(x):  # type: ignore[no-untyped-def]
    """Months since the last record (0 = the as-of month); missing where there was none."""
    months, subjects = x.shape
    out = np.full(subjects, _NAN)
    for m in range(months):
        for j in range(subjects):
            out[j] = float(months - 1 - m) if x[m, j] == x[m, j] else out[j]
    return out


@compiled
def change(x):  # type: ignore[no-untyped-def]
    """Last record minus first record, as a share of the first's size; missing below two records or where the first is 0."""
    months, subjects = x.shape
    first, latest, count = np.full(subjects, _NAN), np.full(subjects, _NAN), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            v = x[m, j]
            there = v == v
            first[j] = v if there and first[j] != first[j] else first[j]
            latest[j] = v if there else latest[j]
            count[j] += 1.0 if there else 0.0
    out = divide(latest - first, np.abs(first))
    for j in range(subjects):
        out[j] = out[j] if count[j] > 1 else _NAN
    return out


@compiled
def ratio_previous(x):  # type: ignore[no-untyped-def]
    """Sum of the later half divided by the sum of the earlier half (the window before this one)."""
    half = x.shape[0] // 2
    return divide(total(x[half:]), total(x[:half]))


@compiled
def year_on_year(x):  # type: ignore[no-untyped-def]
    """Sum of the last w months divided by the sum of the same months a year before; the span is w + 12 months."""
    window = x.shape[0] - 12
    return divide(total(x[12:]), total(x[:window]))


@compiled
def best_quarter_share(x):  # type: ignore[no-untyped-def]
    """Largest sum of three months in a row as a share of the window's sum, months without a record counting 0; missing where the
    sum isn't above 0, or below three records."""
    months, subjects = x.shape
    whole, count = _sums(x)
    best = np.full(subjects, -np.inf)
    for m in range(2, months):
        for j in range(subjects):
            quarter = 0.0
            for k in range(m - 2, m + 1):
                quarter += x[k, j] if x[k, j] == x[k, j] else 0.0
            best[j] = max(best[j], quarter)
    out = np.full(subjects, _NAN)
    for j in range(subjects):
        out[j] = best[j] / whole[j] if count[j] > 2.0 and whole[j] > 0.0 else _NAN
    return out


@compiled
def seasonal_strength(x):  # type: ignore[no-untyped-def]
    """Share of the variance that calendar months explain (eta squared, 0 to 1): squared distances of the calendar months' means
    from the mean, each as often as it has records, over squared distances of all records. Missing unless more than twelve
    months have a record, or where all are alike."""
    months, subjects = x.shape
    average, (_, count) = mean(x), _sums(x)
    within, between = np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            d = x[m, j] - average[j]
            within[j] += d * d if d == d else 0.0
    for first in range(min(12, months)):
        own, (_, times) = mean(x[first::12]), _sums(x[first::12])
        for j in range(subjects):
            d = own[j] - average[j]
            between[j] += times[j] * d * d if d == d else 0.0
    out = divide(between, within)
    for j in range(subjects):
        out[j] = out[j] if count[j] > 12.0 else _NAN
    return out


@compiled
def _steps(x, sign):  # type: ignore[no-untyped-def]
    """Records that differ from the record before them in the sign's direction; missing below two records."""
    months, subjects = x.shape
    before, out, count = np.full(subjects, _NAN), np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            v = x[m, j]
            there = v == v
            out[j] += 1.0 if sign * (v - before[j]) > 0.0 else 0.0
            before[j] = v if there else before[j]
            count[j] += 1.0 if there else 0.0
    for j in range(subjects):
        out[j] = out[j] if count[j] > 1 else _NAN
    return out


@compiled
def rises(x):  # type: ignore[no-untyped-def]
    """How often a record is above the one before it (a grade's rank: moves for the worse); missing below two records."""
    return _steps(x, 1.0)


@compiled
def falls(x):  # type: ignore[no-untyped-def]
    """How often a record is below the one before it; missing below two records."""
    return _steps(x, -1.0)


@compiled
def level_change(x):  # type: ignore[no-untyped-def]
    """Last record minus first record, in the measure's own unit; missing below two records."""
    months, subjects = x.shape
    first, latest, count = np.full(subjects, _NAN), np.full(subjects, _NAN), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            v = x[m, j]
            there = v == v
            first[j] = v if there and first[j] != first[j] else first[j]
            latest[j] = v if there else latest[j]
            count[j] += 1.0 if there else 0.0
    for j in range(subjects):
        first[j] = latest[j] - first[j] if count[j] > 1 else _NAN
    return first


@compiled
def current_run(x):  # type: ignore[no-untyped-def]
    """Records above 0 in a row up to the latest record (months without a record are passed over); missing where there is none."""
    months, subjects = x.shape
    run, count = np.zeros(subjects), np.zeros(subjects)
    for m in range(months):
        for j in range(subjects):
            v = x[m, j]
            run[j] = run[j] + 1.0 if v > 0.0 else (0.0 if v == v else run[j])
            count[j] += 1.0 if v == v else 0.0
    for j in range(subjects):
        run[j] = run[j] if count[j] > 0 else _NAN
    return run


@compiled
def peak_share(x):  # type: ignore[no-untyped-def]
    """Largest month as a share of the window's sum; missing where the sum is 0."""
    return divide(maximum(x), total(x))


@compiled
def worst_on_year(x):  # type: ignore[no-untyped-def]
    """Lowest month as a ratio to the same month a year before, over the months that have both; the span is w + 12 months."""
    months, subjects = x.shape
    out = np.full(subjects, _NAN)
    for m in range(12, months):
        for j in range(subjects):
            before = x[m - 12, j]
            ratio = x[m, j] / before if before > 0.0 else _NAN
            out[j] = ratio if (ratio < out[j]) or (out[j] != out[j]) else out[j]
    return out


@compiled
def down_on_year(x):  # type: ignore[no-untyped-def]
    """Months more than 30 % below the same month a year before; missing where no month has both. The span is w + 12 months."""
    months, subjects = x.shape
    out, count = np.zeros(subjects), np.zeros(subjects)
    for m in range(12, months):
        for j in range(subjects):
            v, before = x[m, j], x[m - 12, j]
            both = v == v and before > 0.0
            out[j] += 1.0 if both and v < (1.0 - DROP) * before else 0.0
            count[j] += 1.0 if both else 0.0
    for j in range(subjects):
        out[j] = out[j] if count[j] > 0 else _NAN
    return out


@compiled
def last_of_peak(x):  # type: ignore[no-untyped-def]
    """The latest record as a share of the greatest; missing where the greatest is 0 or there is no record."""
    return divide(last(x), maximum(x))


@compiled
def _identities(x):  # type: ignore[no-untyped-def]
    """How often the identity became another, and the month from which the latest has stood (-1: no record).

    Identities under two keys (`features.identity_number`) can't be compared: a change of key is no change.
    """
    months, subjects = x.shape
    before, changed, since = np.full(subjects, _NAN), np.zeros(subjects), np.full(subjects, -1.0)
    for m in range(months):
        for j in range(subjects):
            v = x[m, j]
            there = v == v
            other = v != before[j] and np.floor(v / KEY_SPAN) == np.floor(before[j] / KEY_SPAN)
            changed[j] += 1.0 if other else 0.0
            since[j] = float(m) if other or (there and since[j] < 0.0) else since[j]
            before[j] = v if there else before[j]
    return changed, since


@compiled
def changes(x):  # type: ignore[no-untyped-def]
    """How often the identity became another; missing where there is no record."""
    out, since = _identities(x)
    for j in range(len(out)):
        out[j] = out[j] if since[j] >= 0.0 else _NAN
    return out


@compiled
def held(x):  # type: ignore[no-untyped-def]
    """Months from the first record of the latest identity to its last record, both included; missing where there is no record."""
    months, subjects = x.shape
    _, since = _identities(x)
    out = np.full(subjects, _NAN)
    for m in range(months):
        for j in range(subjects):
            out[j] = float(m) - since[j] + 1.0 if x[m, j] == x[m, j] else out[j]
    return out


#: The formulas of one measure.
KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
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
    "rises": rises,
    "falls": falls,
    "level_change": level_change,
    "current_run": current_run,
    "peak_share": peak_share,
    "worst_on_year": worst_on_year,
    "down_on_year": down_on_year,
    "last_of_peak": last_of_peak,
    "changes": changes,
    "held": held,
    "best_quarter_share": best_quarter_share,
    "seasonal_strength": seasonal_strength,
}
