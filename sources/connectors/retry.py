"""Bounded retries with jitter. Only what made no progress counts; time and chance are handed in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from sources.connectors.connection import Retry
from sources.connectors.failure import Passing, SourceUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Waiting:
    """How a retry waits; tests hand in a sleep that doesn't sleep and chance that isn't one."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


async def persist(
    work: Callable[[], Awaitable[T]],
    rule: Retry,
    waiting: Waiting,
    *,
    progress: Callable[[], int] = lambda: 0,
) -> T:
    """Do `work` again after each Passing failure. Raises SourceUnavailable after `rule.attempts` tries in a row without
    progress, or when the other side asks for a longer wait than the rule allows.

    `progress` counts what has been gained; a try after which it has moved starts the count anew, so that a long file
    gets through a line that breaks every minute. The wait doubles from `first_wait` to `longest_wait`, between a half
    and the whole of it by chance: many clients don't come back at the same moment.
    """
    barren, gained, wait, given_up = 0, progress(), 0.0, False

    def count(state: RetryCallState) -> None:
        nonlocal barren, gained, wait, given_up
        barren = 1 if progress() != gained else barren + 1
        gained = progress()
        failure = state.outcome.exception() if state.outcome is not None else None
        asked = failure.wait if isinstance(failure, Passing) and failure.wait is not None else 0.0
        spread = min(rule.longest_wait, rule.first_wait * 2 ** (barren - 1)) * (0.5 + waiting.chance() / 2)
        wait = max(asked, spread)
        given_up = barren >= rule.attempts or asked > rule.longest_wait

    def give_up(state: RetryCallState) -> T:
        failure = state.outcome.exception() if state.outcome is not None else None
        told = failure.message if isinstance(failure, Passing) else "no answer."
        raise SourceUnavailable(f"{told} Tried {barren} times without progress.") from failure

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Passing),
        after=count,
        stop=lambda _state: given_up,
        wait=lambda _state: wait,
        sleep=waiting.sleep,
        retry_error_callback=give_up,
    )

    async def attempt() -> T:
        return await work()

    return await retrying(attempt)
