"""The circuit breaker of a connection: after failed runs in a row the other side is left alone for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sources.connectors.connection import BreakerRule


class BreakerState(StrEnum):
    """closed: pulls run. open: they end at once. half_open: one try, without repeats, decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


def state_of(opened_at: datetime | None, rule: BreakerRule, now: datetime) -> BreakerState:
    """State at `now` of a breaker that opened at `opened_at` (None: never, or closed since)."""
    if opened_at is None:
        return BreakerState.CLOSED
    return BreakerState.OPEN if now < next_try(opened_at, rule) else BreakerState.HALF_OPEN


def next_try(opened_at: datetime, rule: BreakerRule) -> datetime:
    """The moment from which one try is made."""
    return opened_at + timedelta(seconds=rule.rest)


def opens(failures: int, rule: BreakerRule) -> bool:
    """Whether so many failed runs in a row open it; the failed try of a half-open breaker opens it again."""
    return failures >= rule.opens_after
