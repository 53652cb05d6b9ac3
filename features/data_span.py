"""Which months of records a consent lets be used: from a day to a day, as long as they may be kept, and fetched how often.

The months that count are whole ones. A feature is told where one consent covers every month that it looks at, so nothing outside
a consent's range can enter it; a subject whose consent covers six months has the features of up to six months and not those of
twelve.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from core.months import CHINA_TIME, CUTOFF_DAYS, Month, knowledge_cutoff
from features.consent_registers import FOR_EVER, Consents


@dataclass(frozen=True)
class DataSpan:
    """The months `first` to `as_of` of records, looked at as known at the cutoff of `as_of`."""

    first: Month
    as_of: Month
    cutoff_days: int = CUTOFF_DAYS

    @property
    def begins(self) -> np.datetime64:
        """The first day that the records are about."""
        return np.datetime64(self.first.first_day, "D")

    @property
    def first_month_ends(self) -> np.datetime64:
        """The last day of the oldest month: days of keeping count from there, never later than from the record's arrival."""
        return np.datetime64(self.first.last_day, "D")

    @property
    def ends(self) -> np.datetime64:
        """The last day that the records are about."""
        return np.datetime64(self.as_of.last_day, "D")

    @property
    def asked_before(self) -> np.datetime64:
        """The day of the cutoff before: a consent that was given by then has been used for that month already."""
        return np.datetime64(_day_of_cutoff(self.as_of.plus(-1), self.cutoff_days), "D")


def outside_data(consents: Consents, span: DataSpan) -> np.ndarray:
    """bool (consents,): data_from or data_to leave out a day of the span."""
    begins = ~np.isnat(consents.data_from) & (consents.data_from > span.begins)
    return begins | (~np.isnat(consents.data_to) & (consents.data_to < span.ends))


def past_retention(consents: Consents, span: DataSpan, on: np.datetime64) -> np.ndarray:
    """bool (consents,): the oldest month ended more than `retention_days` before the day `on`."""
    return span.first_month_ends + consents.retention_days < on


def fetched_before(consents: Consents, span: DataSpan) -> np.ndarray:
    """bool (consents,): given for one fetch, which was that of an earlier month."""
    return consents.once & (consents.granted <= span.asked_before)


@dataclass(frozen=True)
class Limits:
    """The tightest limits of any of some consents: whether a span needs to be judged at all costs one comparison each."""

    latest_from: np.datetime64
    earliest_to: np.datetime64
    least_retention: np.timedelta64
    once: bool

    @classmethod
    def of(cls, consents: Consents) -> Limits:
        """Of all these consents."""
        begins, ends = consents.data_from, consents.data_to
        return cls(
            begins[~np.isnat(begins)].max(initial=np.datetime64("0001-01-01", "D")),
            ends[~np.isnat(ends)].min(initial=np.datetime64("9999-12-31", "D")),
            np.append(consents.retention_days, FOR_EVER).min(),
            bool(consents.once.any()),
        )

    def may_bar(self, span: DataSpan, on: np.datetime64) -> bool:
        """Whether some consent may not cover the span on the day `on`."""
        return bool(
            self.once
            or self.latest_from > span.begins
            or self.earliest_to < span.ends
            or span.first_month_ends + self.least_retention < on
        )


def _day_of_cutoff(month: Month, cutoff_days: int) -> date:
    return knowledge_cutoff(month, cutoff_days).astimezone(CHINA_TIME).date()
