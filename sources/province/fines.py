"""Fines that residents get, in traffic and from other offices, and when they pay them.

Drawn from a stream of their own, after the rest of life: whether anybody tells of fines changes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sources.province.random_streams import sigmoid, stream
from sources.province.settings import ProvinceSettings

#: Share of residents who drive, and their traffic fines a month at no stress.
DRIVERS, TRAFFIC_A_MONTH = 0.45, 0.05
#: Other fines a month (parking of goods, waste, building), of anybody.
OTHER_A_MONTH = 0.012
#: Days until a fine is paid, on average, where it is paid at all.
DAYS_TO_PAY = 18.0
#: Days to pay of a fine that never is.
NEVER_PAID = 9_999
#: A month, for telling which fines are still open.
MONTH_DAYS = 30


@dataclass(frozen=True)
class Fines:
    """Matrices of shape (lived months, residents): whether a fine was given, and after how many days it was paid."""

    traffic: np.ndarray
    traffic_days: np.ndarray
    other: np.ndarray
    other_days: np.ndarray

    def unpaid(self, row: int, window: int) -> np.ndarray:
        """Fines of the last `window` months that are still open at the end of a month, per resident."""
        count = np.zeros(self.traffic.shape[1], dtype=np.int16)
        for at in range(max(row - window + 1, 0), row + 1):
            lasts = (row - at + 1) * MONTH_DAYS
            count += self.traffic[at] & (self.traffic_days[at] > lasts)
            count += self.other[at] & (self.other_days[at] > lasts)
        return count


def give(settings: ProvinceSettings, stress: np.ndarray) -> Fines:
    """Fines of all months; `stress` has shape (lived, residents)."""
    rng = stream(settings.seed, "residents", "fines")
    drives = rng.random(stress.shape[1]) < DRIVERS
    traffic, other = np.zeros(stress.shape, dtype=bool), np.zeros(stress.shape, dtype=bool)
    traffic_days, other_days = np.zeros(stress.shape, np.int16), np.zeros(stress.shape, np.int16)
    for row, now in enumerate(stress):
        traffic[row] = drives & (rng.random(len(now)) < TRAFFIC_A_MONTH * np.exp(0.2 * now))
        other[row] = rng.random(len(now)) < OTHER_A_MONTH * np.exp(0.3 * now)
        traffic_days[row], other_days[row] = _days(rng, now), _days(rng, now)
    return Fines(traffic, traffic_days, other, other_days)


def _days(rng: np.random.Generator, now: np.ndarray) -> np.ndarray:
    """Strained people pay later, or not at all."""
    never = rng.random(len(now)) < sigmoid(-2.0 + 0.9 * now)
    days = 1 + rng.exponential(DAYS_TO_PAY * np.exp(0.25 * np.clip(now, -2, 3)))
    return np.where(never, NEVER_PAID, np.minimum(days, 360)).astype(np.int16)
