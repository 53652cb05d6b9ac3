"""Pull a connection: what a former run left whole, then finished deliveries, feeds of rows, and receipts back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from filelock import FileLock, Timeout

from core.errors import GsceneError, Refusal
from core.months import CHINA_TIME
from sources.connectors.breaker import BreakerState, next_try
from sources.connectors.connection import (
    Connection,
    DropConnection,
    HttpConnection,
    PostgresConnection,
    Retry,
)
from sources.connectors.counterpart import Counterpart
from sources.connectors.drop import Drop
from sources.connectors.exchange import Exchange
from sources.connectors.failure import UNAVAILABLE, SourceUnavailable
from sources.connectors.feed import RecordFeed, TableFeed
from sources.connectors.files import hand_back, pull_files
from sources.connectors.http_client import HttpClient
from sources.connectors.our_side import OurSide
from sources.connectors.pull_state import COMPLETE
from sources.connectors.records import pull_records
from sources.connectors.run import Pulled, Run
from sources.connectors.sftp import Sftp
from sources.connectors.table_feed import TableReader


def pull_all(side: OurSide, connections: Sequence[Connection]) -> list[Pulled]:
    """Pull each connection in turn. What one of them ends with doesn't touch the others."""
    return [pull(side, connection) for connection in connections]


def pull(side: OurSide, connection: Connection) -> Pulled:
    """One run of one connection. What the other side does wrong is told in the result, never raised.

    A run that is killed at any moment and repeated brings each delivery once: parts are gone on with, whole deliveries
    enter the ledger, those in the ledger are known.
    """
    pulled = Pulled(connection.connection)
    try:
        with FileLock(side.lock_file(connection.connection), timeout=0):
            _run(side, connection, pulled)
    except Timeout:
        pulled.state = "busy"
        pulled.problem, pulled.remedy = (
            "another process is pulling this connection.",
            "Wait until it is done.",
        )
    return pulled


def _run(side: OurSide, connection: Connection, pulled: Pulled) -> None:
    pulls = side.pulls(connection.connection)
    breaker = pulls.breaker(connection)
    opened_at = pulls.opened_at()
    half_open = breaker is BreakerState.HALF_OPEN
    run = Run(side, connection, no_repeats(connection.retry) if half_open else connection.retry, pulled)
    _finish_interrupted(run)
    if breaker is BreakerState.OPEN and opened_at is not None:
        until = next_try(opened_at, connection.breaker).astimezone(CHINA_TIME)
        pulled.state = UNAVAILABLE
        pulled.problem = f"left alone until {until:%Y-%m-%d %H:%M:%S} after failed runs in a row."
        pulled.remedy = f"Wait, or mend the cause and run: gscene pull --check {connection.connection}"
        return
    cursor = None
    try:
        cursor = asyncio.run(_in_time(run))
    except SourceUnavailable as failure:
        pulls.fail(connection)
        pulled.state, pulled.problem, pulled.remedy = UNAVAILABLE, failure.message, failure.remedy
    except GsceneError as failure:
        pulled.state = failure.code if isinstance(failure, Refusal) else "FAILED"
        pulled.problem, pulled.remedy = failure.message, failure.remedy
    except OSError as failure:
        # A full disk, a folder that may not be written: what lies here is whole, or a part that is gone on with.
        pulled.state = "FAILED"
        pulled.problem = f"this machine failed: {failure.strerror or type(failure).__name__}."
        pulled.remedy = "Free some space or mend the rights of the home folder, then pull again."
    else:
        told = {"new": len(pulled.new), "bytes": pulled.bytes, "refused": len(pulled.refused)}
        pulls.end(cursor=cursor, told=told)


async def _in_time(run: Run) -> str | None:
    seconds = run.connection.timeouts.total
    try:
        async with asyncio.timeout(seconds):
            return await _pull(run)
    except TimeoutError:
        raise SourceUnavailable(f"the time for one run, {seconds:g} s, is over.") from None


async def _pull(run: Run) -> str | None:
    connection, side = run.connection, run.side
    cursor = None
    if isinstance(connection, PostgresConnection):
        for table in connection.feeds:
            await _feed(run, connection, table)
    elif isinstance(connection, HttpConnection):
        async with HttpClient(connection, side.secrets) as client:
            exchange = Exchange(connection, client)
            if connection.deliveries:
                cursor = await pull_files(run, exchange)
            for feed in connection.records:
                await _feed(run, client, feed)
            await hand_back(run, exchange)
    else:
        async with counterpart_of(run) as counterpart:
            cursor = await pull_files(run, counterpart)
            await hand_back(run, counterpart)
    if run.down:
        raise run.down[0]
    return cursor


async def _feed(run: Run, place: HttpClient | PostgresConnection, feed: RecordFeed | TableFeed) -> None:
    """One feed; what is wrong with it doesn't hold up the others."""
    title = f"pull {run.connection.connection} {feed.adapter} (bytes)"
    try:
        with run.side.progress.stage(title) as run.stage:
            if isinstance(place, HttpClient):
                assert isinstance(feed, RecordFeed)
                await pull_records(run, place, feed)
            else:
                assert isinstance(feed, TableFeed)
                await TableReader(run, place, feed).read()
    except Refusal as refusal:
        run.pulled.refused[feed.adapter] = refusal.code
        run.tell(refusal)
    except SourceUnavailable as failure:
        run.unavailable(failure)


def counterpart_of(run: Run) -> Counterpart:
    """The folder or server of a connection that only brings finished deliveries."""
    if isinstance(run.connection, DropConnection):
        return Drop(run.connection, run.side.clock)
    assert not isinstance(run.connection, HttpConnection | PostgresConnection)
    return Sftp(run.connection, run.side.secrets)


def _finish_interrupted(run: Run) -> None:
    """What was whole when a former run was stopped needs nothing more from the other side."""
    for item, entry in run.pulls.items().items():
        if entry.state == COMPLETE:
            run.land(item)


def no_repeats(rule: Retry) -> Retry:
    """The same rule with a single try."""
    return rule.model_copy(update={"attempts": 1})
