"""Time is passed in, never read: a run can be replayed as of any moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the moment, in UTC."""

    def now(self) -> datetime:
        """The current moment as an aware UTC datetime."""
        ...


class SystemClock:
    """The machine's clock; made only where a program starts."""

    def now(self) -> datetime:
        """The machine's time in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still, for replays and tests."""

    at: datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("FixedClock needs an aware datetime; add a time zone")

    def now(self) -> datetime:
        """The fixed moment in UTC."""
        return self.at.astimezone(UTC)
