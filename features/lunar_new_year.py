"""Days of Chinese New Year (the first day of the lunar year), around which firms close and invoices stop."""

from __future__ import annotations

from datetime import date

import numpy as np

#: Days since 1970-01-01, ascending, 2010 to 2040; the dates that the State Council's holidays of past years confirm and the
#: Purple Mountain Observatory's calendar (GB/T 33661-2017) gives for the years to come.
NEW_YEARS = np.array(
    [
        (date(*day) - date(1970, 1, 1)).days
        for day in (
            (2010, 2, 14), (2011, 2, 3), (2012, 1, 23), (2013, 2, 10), (2014, 1, 31), (2015, 2, 19),
            (2016, 2, 8), (2017, 1, 28), (2018, 2, 16), (2019, 2, 5), (2020, 1, 25), (2021, 2, 12),
            (2022, 2, 1), (2023, 1, 22), (2024, 2, 10), (2025, 1, 29), (2026, 2, 17), (2027, 2, 6),
            (2028, 1, 26), (2029, 2, 13), (2030, 2, 3), (2031, 1, 23), (2032, 2, 11), (2033, 1, 31),
            (2034, 2, 19), (2035, 2, 8), (2036, 1, 28), (2037, 2, 15), (2038, 2, 4), (2039, 1, 24),
            (2040, 2, 12),
        )
    ],
    dtype=np.int64,
)  # fmt: skip

#: A lunar year has 384 days at most: a day further behind the last known New Year isn't covered.
_LONGEST_YEAR = 384


def days_after_new_year(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days (int64, since 1970-01-01) to days since the latest New Year (0 = the day itself); and which aren't covered."""
    place = np.searchsorted(NEW_YEARS, days, side="right") - 1
    since = days - NEW_YEARS[np.maximum(place, 0)]
    return since, (place < 0) | (since >= _LONGEST_YEAR)


def days_before_new_year(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days to days until the next New Year (1 = its eve; never 0, because New Year itself begins the next year); and which the
    list doesn't cover."""
    place = np.searchsorted(NEW_YEARS, days, side="right")
    until = NEW_YEARS[np.minimum(place, len(NEW_YEARS) - 1)] - days
    return until, (place == len(NEW_YEARS)) | (until > _LONGEST_YEAR)
