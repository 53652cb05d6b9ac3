"""The time column of a table as vintages, and which of them train and which judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import Refusal
from core.months import Month
from models.definition import TimeSplit
from models.vintages import VintagePlan

#: A plan has at most so many training vintages; more months than that become quarters or years.
MOST_PERIODS = 48

#: Months of one vintage: months, quarters, years, five years.
GRAINS = (1, 3, 12, 60)

NO_TIME = -1

_FORMS = "a date (2026-10-31), a month (2026-10 or 202610) or a year (2026)"


@dataclass(frozen=True)
class Periods:
    """`vintage` (n,): first month of the row's vintage as text, "" without a time; `grain` months a vintage."""

    vintage: np.ndarray
    grain: int


def periods_of(file: Path, table: pd.DataFrame, column: str) -> Periods:
    """Vintages of all rows. Refusal REFUSED/TIME where the column holds something else than dates, months or years."""
    month = _month_index(table[column])
    unread = int((table[column].notna().to_numpy() & (month == NO_TIME)).sum())
    if unread or (month == NO_TIME).all():
        raise Refusal(
            "REFUSED/TIME",
            f"{unread:,} cells of the time column can't be read." if unread else "the time column is empty.",
            file=str(file),
            column=column,
            remedy=f"Write {_FORMS}.",
        )
    known = month[month != NO_TIME]
    grain = next(
        size for size in GRAINS if len(np.unique(known // size)) <= MOST_PERIODS or size == GRAINS[-1]
    )
    first = np.where(month == NO_TIME, NO_TIME, month // grain * grain)
    codes, place = np.unique(first, return_inverse=True)
    texts = np.array(["" if code == NO_TIME else str(Month.of_index(int(code))) for code in codes])
    return Periods(texts[place.ravel()], grain)


def plan_periods(
    file: Path, column: str, periods: Periods, target: np.ndarray, later_share: float, gap_months: int
) -> VintagePlan:
    """The newest periods that hold `later_share` of the rows judge, those at least `gap_months` before them train.

    Refusal REFUSED/TIME where nothing is left to train on.
    """
    decided = (periods.vintage != "") & (target >= 0)
    names, counts = np.unique(periods.vintage[decided], return_counts=True)
    later = 1
    while later < min(len(names) - 1, 12) and counts[-later:].sum() < later_share * counts.sum():
        later += 1
    months = [Month.parse(str(name)) for name in names]
    start = months[-later] if months else None
    training = tuple(month for month in months if start and month.index <= start.index - gap_months)[
        -MOST_PERIODS:
    ]
    if not training:
        raise Refusal(
            "REFUSED/TIME",
            f"{len(names)} periods with outcomes leave none to train on before the gap.",
            file=str(file),
            column=column,
            remedy="Bring earlier rows, give a smaller --gap, or leave --time out for repeated cross-validation.",
        )
    return VintagePlan(training, tuple(months[-later:]))


def split_of(plan: VintagePlan, grain: int, gap_months: int, holdout_share: float) -> TimeSplit:
    """The plan as a definition tells it."""
    return TimeSplit(
        kind="by_time",
        training_vintages=len(plan.training),
        spacing_months=min(grain, 12),
        out_of_time_vintages=len(plan.out_of_time),
        gap_months=max(gap_months, 1),
        holdout_share=holdout_share,
    )


def _month_index(cells: pd.Series) -> np.ndarray:
    """Months since year 0 of each cell, NO_TIME where it is empty or can't be read."""
    if pd.api.types.is_datetime64_any_dtype(cells):
        return _of_dates(pd.DatetimeIndex(cells))
    if pd.api.types.is_numeric_dtype(cells):
        return _of_numbers(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    codes, different = pd.factorize(cells.astype("string").str.strip())
    numbers = pd.to_numeric(pd.Series(different), errors="coerce").to_numpy(dtype=np.float64)
    told = _of_numbers(numbers)
    dates = pd.to_datetime(
        pd.Series(different).where(np.isnan(numbers)), errors="coerce", format="mixed", utc=True
    )
    told = np.where(np.isnan(numbers), _of_dates(pd.DatetimeIndex(dates)), told)
    return np.append(told, NO_TIME)[codes]


def _of_dates(dates: pd.DatetimeIndex) -> np.ndarray:
    index = dates.year.to_numpy(dtype=np.float64) * 12 + dates.month.to_numpy(dtype=np.float64) - 1
    return np.where(np.isnan(index), NO_TIME, np.nan_to_num(index)).astype(np.int64)


def _of_numbers(values: np.ndarray) -> np.ndarray:
    """2026, 202610 and 20261031."""
    whole = np.where(np.isfinite(values) & (values == np.floor(values)), values, 0.0).astype(np.int64)
    found = np.full(len(values), NO_TIME, dtype=np.int64)
    for low, high, year, month in (
        (1900, 2100, whole, np.ones_like(whole)),
        (190001, 210012, whole // 100, whole % 100),
        (19000101, 21001231, whole // 10000, whole // 100 % 100),
    ):
        here = (whole >= low) & (whole <= high) & (month >= 1) & (month <= 12)
        found[here] = (year * 12 + month - 1)[here]
    return found
