"""How a pull can fail: for a moment, for this run, or for good."""

from __future__ import annotations

from core.errors import GsceneError, Refusal

#: What a run of a connection ends with when the other side can't be reached or doesn't keep up.
UNAVAILABLE = "SOURCE_UNAVAILABLE"


class Passing(GsceneError):
    """A failure that may be over in a moment; `wait` are the seconds that the other side asked for."""

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class BrokenRange(Passing):
    """The other side can't go on at our offset: what was fetched so far is of no use."""


class SourceUnavailable(GsceneError):
    """The other side gave nothing in the tries and the time allowed. What was fetched is kept for the next run."""

    code = UNAVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(
            message, "Nothing is lost: pull again later. `gscene pull --check NAME` tells where it stops."
        )


def refused(code: str, message: str, remedy: str) -> Refusal:
    """A refusal by a connector."""
    return Refusal(f"REFUSED/{code}", message, remedy=remedy)
