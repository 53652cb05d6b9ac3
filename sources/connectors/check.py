"""Is a connection in order? One step after the other, the first that fails with its remedy; nothing is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.errors import GsceneError, Refusal
from sources.connectors.connection import Connection, HttpConnection, PostgresConnection, SftpConnection
from sources.connectors.counterpart import Listing
from sources.connectors.exchange import Exchange
from sources.connectors.failure import UNAVAILABLE, SourceUnavailable
from sources.connectors.feed import RecordFeed
from sources.connectors.http_client import HttpClient
from sources.connectors.our_side import OurSide
from sources.connectors.pull import counterpart_of, no_repeats
from sources.connectors.records import months_of_feed
from sources.connectors.run import Pulled, Run
from sources.connectors.secret import SecretPlace
from sources.connectors.table_feed import TableReader


@dataclass(frozen=True)
class Finding:
    """One step: what was tried, whether it went well, what was seen, and what to do if not."""

    step: str
    ok: bool
    seen: str
    remedy: str = ""


def check(side: OurSide, connection: Connection) -> list[Finding]:
    """Secrets, then the other side: its identity, our login, what it lays out, each feed. A whole success closes the breaker."""
    run = Run(side, connection, no_repeats(connection.retry), Pulled(connection.connection))
    findings = [_tried("secrets", lambda: _secrets(side, connection))]
    if findings[0].ok:
        findings += asyncio.run(_in_time(run))
    if all(finding.ok for finding in findings):
        run.pulls.end(cursor=None, told={"check": True})
    return findings


def _secrets(side: OurSide, connection: Connection) -> str:
    places = [getattr(connection, name, None) for name in ("password", "bearer", "key_passphrase")]
    for place in places:
        if isinstance(place, SecretPlace):
            side.secrets.read(place)
    files = 0
    if isinstance(connection, SftpConnection) and connection.key is not None:
        side.secrets.private_file(connection.key)
        files += 1
    tls = getattr(connection, "tls", None)
    if tls is not None:
        side.secrets.file(tls.ca)
        files += 1
        if tls.key is not None:
            side.secrets.private_file(tls.key)
            side.secrets.file(tls.certificate)
            files += 2
    read = sum(place is not None for place in places)
    return f"{read} secrets, {files} key and certificate files"


async def _in_time(run: Run) -> list[Finding]:
    try:
        async with asyncio.timeout(run.connection.timeouts.total):
            return await _other_side(run)
    except TimeoutError:
        return [Finding("other side", False, f"{UNAVAILABLE} no end in time.", "Look at `timeouts.total`.")]


async def _other_side(run: Run) -> list[Finding]:
    connection = run.connection
    if isinstance(connection, PostgresConnection):
        return [
            await _answered(f"feed {feed.adapter}", _table(run, connection, n))
            for n, feed in enumerate(connection.feeds)
        ]
    if not isinstance(connection, HttpConnection):
        async with counterpart_of(run) as counterpart:
            return [await _answered("deliveries", _count(run, counterpart.listing))]
    try:
        client = HttpClient(connection, run.side.secrets)
    except GsceneError as failure:
        return [_failed("certificates", failure)]
    async with client:
        findings = []
        if connection.deliveries:
            findings.append(await _answered("deliveries", _count(run, Exchange(connection, client).listing)))
        for feed in connection.records:
            findings.append(await _answered(f"records {feed.adapter}", _records(run, client, feed)))
    return findings


def _count(run: Run, listing: Callable[[str | None], Awaitable[Listing]]) -> Callable[[], Awaitable[str]]:
    async def count() -> str:
        return f"{len((await run.persist(lambda: listing(None))).deliveries)} laid out"

    return count


def _records(run: Run, client: HttpClient, feed: RecordFeed) -> Callable[[], Awaitable[str]]:
    async def months() -> str:
        run.adapter(feed.adapter)
        return f"{len((await months_of_feed(run, client, feed)).months)} months"

    return months


def _table(run: Run, connection: PostgresConnection, number: int) -> Callable[[], Awaitable[str]]:
    async def read() -> str:
        return f"{await TableReader(run, connection, connection.feeds[number]).check()} months"

    return read


async def _answered(step: str, work: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(step, True, await work())
    except GsceneError as failure:
        return _failed(step, failure)


def _tried(step: str, work: Callable[[], str]) -> Finding:
    try:
        return Finding(step, True, work())
    except GsceneError as failure:
        return _failed(step, failure)


def _failed(step: str, failure: GsceneError) -> Finding:
    code = (
        failure.code
        if isinstance(failure, Refusal)
        else UNAVAILABLE
        if isinstance(failure, SourceUnavailable)
        else ""
    )
    return Finding(step, False, f"{code} {failure.message}".strip(), failure.remedy)
