"""Months: the periods that records belong to and the as-of months that features are known at."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

from core.clock import Clock
from core.errors import GateRefused

#: Periods and cutoffs are Chinese civil time. China has had no daylight saving since 1991, so a fixed offset is exact
#: and needs no time-zone database.
CHINA_TIME = timezone(timedelta(hours=8), "Asia/Shanghai")

#: The same for whole columns of moments: microseconds that Chinese civil time is ahead of UTC.
CHINA_AHEAD_US = CHINA_TIME.utcoffset(None) // timedelta(microseconds=1)

#: Days after month end until which a record still counts as known at that month.
CUTOFF_DAYS = 5

_FORM = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month; ordered, hashable, written `2026-10`."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2026-10`; anything else is a ValueError that shows the form."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a month; write it as 2026-10")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_index(cls, index: int) -> Month:
        """The month with this `index`."""
        return cls(index // 12, index % 12 + 1)

    @property
    def index(self) -> int:
        """Months since year 0: differences are distances in months."""
        return self.year * 12 + self.month - 1

    def plus(self, months: int) -> Month:
        """The month this many months later (earlier when negative)."""
        return Month.of_index(self.index + months)

    @property
    def first_day(self) -> date:
        """The first calendar day."""
        return date(self.year, self.month, 1)

    @property
    def last_day(self) -> date:
        """The last calendar day."""
        return date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


def month_range(first: Month, last: Month) -> list[Month]:
    """All months from `first` to `last`, both included; empty when `last` is earlier."""
    return [Month.of_index(index) for index in range(first.index, last.index + 1)]


def require_past(clock: Clock, month: Month, days: int = CUTOFF_DAYS) -> None:
    """GateRefused while the knowledge cutoff of `month` lies ahead of the clock."""
    cutoff = knowledge_cutoff(month, days)
    if clock.now() <= cutoff:
        raise GateRefused(
            f"the knowledge cutoff of {month} is {cutoff.astimezone(CHINA_TIME):%Y-%m-%d %H:%M} and lies ahead.",
            "Choose an earlier as-of month, or wait until the cutoff has passed.",
        )


def knowledge_cutoff(month: Month, days: int = CUTOFF_DAYS) -> datetime:
    """The last moment (UTC) at which a received record still counts as known at `month`.

    Month end plus `days`, to the last microsecond of that day in Asia/Shanghai.
    """
    day = month.last_day + timedelta(days=days)
    return datetime.combine(day, time.max, tzinfo=CHINA_TIME).astimezone(UTC)
