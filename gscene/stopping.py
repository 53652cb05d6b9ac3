"""What Ctrl-C and SIGTERM mean to a command that keeps servers running."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = signal.Handlers | Callable[[int, FrameType | None], Any]
STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stops_interrupt() -> Iterator[None]:
    """Within this, SIGINT and SIGTERM both raise KeyboardInterrupt.

    A service manager says SIGTERM where a person says Ctrl-C, and a shell that starts a program in the background lets
    it ignore SIGINT: both must take the servers along.
    """
    with _handled(signal.default_int_handler):
        yield


@contextmanager
def stops_ignored() -> Iterator[None]:
    """Within this, neither signal does anything: a second Ctrl-C while stopping must not leave a half."""
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    before = {stop: signal.signal(stop, handler) for stop in STOPS}
    try:
        yield
    finally:
        for stop, former in before.items():
            signal.signal(stop, former)
