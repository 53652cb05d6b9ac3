"""How long work tells of itself; the command line shows bars, tests and Dagster stay silent or log lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Stage(Protocol):
    """One stage under way."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """`n` more units are done; `note` says what the last one was."""
        ...


class Progress(Protocol):
    """Opens stages."""

    def stage(self, title: str, total: int | None = None) -> AbstractContextManager[Stage]:
        """A stage of `total` units (None: unknown), open while the context lasts."""
        ...


class _SilentStage:
    def advance(self, n: int = 1, note: str = "") -> None:
        """Says nothing."""


class SilentProgress:
    """Progress that nobody looks at."""

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Stage]:
        """A stage that says nothing."""
        yield _SilentStage()
