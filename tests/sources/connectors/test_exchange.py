"""The HTTP exchange against a loopback server that misbehaves: each fault with what it comes to, nothing twice, nothing lost."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Refusal
from sources.connectors.check import check
from sources.connectors.connection import Connection, Retry
from sources.connectors.exchange import Exchange
from sources.connectors.http_client import HttpClient
from sources.connectors.retry import Waiting
from sources.connectors.transfer import fetch
from sources.delivery import MANIFEST_NAME, parse_manifest
from tests.sources.connectors import exchange_server as faults
from tests.sources.connectors.exchange_server import TOKEN, ExchangeServer
from tests.sources.connectors.pull_bench import PullBench, Waits, body_of, lay_out

BODIES = {month: body_of(40, seed=int(month[-2:])) for month in ("2026-08", "2026-09", "2026-10")}
ALL = [(month, 1, "RECEIVED") for month in BODIES]


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer().running() as running:
        yield running


@dataclass
class Exchanging:
    """Our side and a server with three deliveries."""

    side: PullBench
    server: ExchangeServer
    shelf: Path

    def connect(self, **told: Any) -> Connection:
        self.side.secret("token", TOKEN)
        quick = {"connect": 2, "read": 0.4, "total": 20}
        return self.side.connect(
            **(
                {"kind": "http", "url": self.server.url, "bearer": {"file": "keys/token"}, "timeouts": quick}
                | told
            )
        )

    def whole(self) -> None:
        """All three are in ledger and archive, once each, byte for byte."""
        assert sorted(self.side.ledger()) == ALL
        assert self.side.archived() >= {hashlib.sha256(body).hexdigest() for body in BODIES.values()}
        assert len(self.side.laid()) == 3


@pytest.fixture
def exchange(side: PullBench, server: ExchangeServer, tmp_path: Path) -> Exchanging:
    for month, body in BODIES.items():
        server.shelve(lay_out(tmp_path / "shelf", body, period=month), f"d-{month}")
    return Exchanging(side, server, tmp_path / "shelf")


def test_new_deliveries_come_once_and_the_listing_goes_on_where_it_ended(exchange: Exchanging) -> None:
    connection = exchange.connect()
    pulled = exchange.side.pull(connection)
    assert pulled.well and len(pulled.new) == 3 and pulled.bytes == sum(map(len, BODIES.values()))
    exchange.whole()
    again = exchange.side.pull(connection)
    assert again.well and not again.new
    assert "since=3" in exchange.server.requests[-1][1]
    exchange.server.shelve(lay_out(exchange.shelf, body_of(5), revision=2), "d-4")
    assert len(exchange.side.pull(connection).new) == 1


# -- faults that pass ----------------------------------------------------------------------------------------------------

PASSING: dict[str, tuple[str, list[faults.Fault]]] = {
    "500s then ok": ("file", [faults.fails(500)] * 3),
    "503 on the listing": ("list", [faults.fails(503)]),
    "slow headers once": ("manifest", [faults.slow_headers(0.8)]),
    "half a body, then closed": ("file", [faults.cut(0.5)]),
    "cut, cut, cut": ("file", [faults.cut(0.5), faults.cut(0.5), faults.cut(0.3), faults.cut(1)]),
    "cut before the first byte": ("file", [faults.cut(0)]),
    "Content-Length too long": ("file", [faults.length_off_by(+100)]),
    "Content-Length too short": ("file", [faults.length_off_by(-100)]),
    "wrong bytes once": ("file", [faults.wrong_bytes]),
    "429 with Retry-After": ("file", [faults.fails(429, Retry_After="7")]),
    "Range ignored": ("file", [faults.cut(0.5), faults.range_ignored]),
    "Range shifted": ("file", [faults.cut(0.5), faults.range_shifted]),
    "Range that lies": ("file", [faults.cut(0.5), faults.range_lies]),
    "another version in the middle": ("file", [faults.cut(0.5), faults.etag_changed]),
    "416": ("file", [faults.cut(0.5), faults.fails(416)]),
    "truncated JSON": ("list", [faults.cut(0.5)]),
    "half JSON in a whole body": ("list", [lambda h, a: h.send(faults.Answer(200, {}, a.body[:-9]))]),
    "duplicate page of the listing": ("list", [lambda h, a: h.send(a), faults.told(cursor="1", more=True)]),
    "redirect within the host": ("manifest", [faults.redirect("/api/v1/deliveries/d-2026-08/manifest")]),
    "restart": ("manifest", [faults.cut(0), faults.fails(502)]),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_leaves_no_trace(exchange: Exchanging, name: str) -> None:
    kind, ordered = PASSING[name]
    exchange.server.order(kind, *ordered)
    pulled = exchange.side.pull(exchange.connect(limits={"concurrent": 1}))
    assert pulled.well, pulled
    exchange.whole()
    assert len(exchange.side.waits.slept) <= len(ordered)


def test_retry_after_is_honoured_within_bounds(exchange: Exchanging) -> None:
    exchange.server.order("list", faults.fails(429, Retry_After="7"))
    assert exchange.side.pull(exchange.connect()).well
    assert exchange.side.waits.slept == [7.0]
    exchange.server.order("list", faults.fails(429, Retry_After="3600"))
    asked = len(exchange.server.requests)
    assert exchange.side.pull(exchange.connect()).state == "SOURCE_UNAVAILABLE"
    # Longer than the rule allows: not asked again in this run, rather than too early.
    assert len(exchange.server.requests) == asked + 1


def test_only_the_missing_half_is_asked_for(exchange: Exchanging) -> None:
    exchange.server.order("file", faults.cut(1000))
    pulled = exchange.side.pull(exchange.connect(limits={"concurrent": 1}))
    assert pulled.bytes == sum(map(len, BODIES.values()))
    asked = exchange.server.asked("file")
    assert asked[1]["Range"] == "bytes=1000-" and asked[1]["If-Range"].startswith('"')


def test_what_came_of_another_version_is_not_gone_on_with(exchange: Exchanging) -> None:
    exchange.server.order("file", faults.cut(1000), faults.etag_changed)
    assert exchange.side.pull(exchange.connect(limits={"concurrent": 1})).well
    first = [
        headers for kind, path, headers in exchange.server.requests if kind == "file" and "2026-08" in path
    ]
    assert ["Range" in headers for headers in first] == [False, True, False]
    exchange.whole()


# -- faults that stay ----------------------------------------------------------------------------------------------------

STAYING: dict[str, tuple[str, Callable[[ExchangeServer], faults.Fault], str]] = {
    "always 500": ("list", lambda s: faults.fails(500), "SOURCE_UNAVAILABLE"),
    "always 500 on files": ("file", lambda s: faults.fails(500), "SOURCE_UNAVAILABLE"),
    "always slow headers": ("list", lambda s: faults.slow_headers(0.6), "SOURCE_UNAVAILABLE"),
    "always half a body without ranges": ("file", lambda s: faults.half_without_ranges, "SOURCE_UNAVAILABLE"),
    "truncated JSON": ("list", lambda s: faults.cut(0.5), "SOURCE_UNAVAILABLE"),
    "expired token": ("list", lambda s: faults.fails(401), "REFUSED/LOGIN"),
    "redirect to a foreign host": ("list", lambda s: faults.redirect("http://198.51.100.7/"), "REFUSED/REDIRECT"),
    "redirect to another port": ("list", lambda s: faults.redirect("http://localhost:1/"), "REFUSED/REDIRECT"),
    "redirects for ever": ("list", lambda s: faults.redirect("/api/v1/deliveries"), "REFUSED/EXCHANGE"),
    "endless listing": ("list", lambda s: faults.endless, "REFUSED/TOO_LARGE"),
    "cursor loop": ("list", lambda s: faults.told(cursor="0", more=True), "REFUSED/CURSOR"),
    "another form": ("list", lambda s: faults.told(deliveries=[{"id": "../../etc", "manifest_sha256": "x"}]), "REFUSED/LISTING"),
    "packed": ("list", lambda s: faults.packed, "REFUSED/EXCHANGE"),
    "unknown path": ("list", lambda s: faults.fails(404), "REFUSED/EXCHANGE"),
}  # fmt: skip


@pytest.mark.parametrize("name", STAYING)
def test_a_fault_that_stays_ends_the_run_and_mended_all_comes_once(exchange: Exchanging, name: str) -> None:
    kind, fault, state = STAYING[name]
    exchange.server.always(kind, fault(exchange.server))
    connection = exchange.connect()
    pulled = exchange.side.pull(connection)
    assert pulled.state == state, pulled
    assert pulled.problem and pulled.remedy and exchange.side.ledger() == []
    assert len(exchange.side.waits.slept) <= 4 * 3  # each of three deliveries has its tries, no more
    exchange.server.mended()
    assert exchange.side.pull(connection).well
    exchange.whole()


ITEMS: dict[str, tuple[str, faults.Fault, str]] = {
    "wrong sha256": ("file", faults.wrong_bytes, "REFUSED/CHECKSUM"),
    "endless body": ("file", faults.endless, "REFUSED/TOO_LARGE"),
    "a manifest of another delivery": (
        "manifest",
        faults.redirect("/api/v1/deliveries/d-2026-09/manifest"),
        "REFUSED/CHECKSUM",
    ),
    "redirected file": ("file", faults.redirect("http://198.51.100.7/"), "REFUSED/REDIRECT"),
}


@pytest.mark.parametrize("name", ITEMS)
def test_a_fault_of_one_delivery_refuses_that_one_and_the_others_come(
    exchange: Exchanging, name: str
) -> None:
    kind, fault, code = ITEMS[name]
    times = 2 if name == "wrong sha256" else 1
    exchange.server.order(kind, *[fault] * times)
    connection = exchange.connect(limits={"concurrent": 1})
    pulled = exchange.side.pull(connection)
    assert pulled.refused == {"d-2026-08": code} and len(pulled.new) == 2 and not pulled.well
    assert not list((exchange.side.home / "pulls" / "front").iterdir())
    if code != "REFUSED/REDIRECT":
        assert exchange.side.pull(connection).well
        exchange.whole()


def test_a_drip_is_ended_by_the_total_time_and_gone_on_with(exchange: Exchanging) -> None:
    exchange.server.order("file", faults.slow_body(0.02))
    connection = exchange.connect(timeouts={"connect": 2, "read": 0.4, "total": 1}, limits={"concurrent": 1})
    pulled = exchange.side.pull(connection)
    assert pulled.state == "SOURCE_UNAVAILABLE" and "1 s" in pulled.problem
    later = exchange.side.pull(connection)
    assert later.well and later.resumed == 1
    exchange.whole()


def test_a_delivery_of_a_foreign_source_is_not_received(exchange: Exchanging) -> None:
    exchange.server.shelve(lay_out(exchange.shelf, body_of(3), source="elsewhere"), "foreign")
    connection = exchange.connect()
    pulled = exchange.side.pull(connection)
    assert pulled.refused == {"foreign": "REFUSED/SOURCE"} and len(pulled.new) == 3
    exchange.whole()
    assert exchange.side.pull(connection).well  # told once, not every night


def test_the_same_revision_with_other_bytes_is_for_the_ledger_to_refuse(exchange: Exchanging) -> None:
    connection = exchange.connect()
    exchange.side.pull(connection)
    exchange.server.shelve(lay_out(exchange.shelf / "again", body_of(7)), "d-again")
    pulled = exchange.side.pull(connection)
    assert pulled.refused == {"d-again": "REFUSED/CONFLICT"}
    assert exchange.side.ledger() == [*ALL, ("2026-10", 1, "REFUSED")]
    assert len(exchange.side.laid()) == 4  # the accepted one lies untouched beside it


# -- breaker ---------------------------------------------------------------------------------------------------------------


def test_the_breaker_opens_half_opens_and_closes(exchange: Exchanging) -> None:
    side, server = exchange.side, exchange.server
    connection = exchange.connect(breaker={"opens_after": 2, "rest": 600})
    server.always("list", faults.fails(500))
    assert [side.pull(connection).state for _ in range(2)] == ["SOURCE_UNAVAILABLE"] * 2
    asked = len(server.requests)
    pulled = side.pull(connection)
    assert pulled.state == "SOURCE_UNAVAILABLE" and "left alone until 2026-11-04 09:10:00" in pulled.problem
    assert len(server.requests) == asked  # open: the other side isn't touched
    side.clock.pass_(seconds=601)
    slept = len(side.waits.slept)
    assert side.pull(connection).state == "SOURCE_UNAVAILABLE"
    assert (
        len(server.requests) == asked + 1 and len(side.waits.slept) == slept
    )  # half open: one try, no repeats
    assert side.pull(connection).problem.startswith("left alone")  # open again
    server.mended()
    side.clock.pass_(seconds=601)
    assert side.pull(connection).well
    exchange.whole()
    server.always("list", faults.fails(500))
    side.pull(connection)
    server.mended()
    assert side.pull(connection).well  # closed: one failure opens nothing


def test_a_good_check_closes_the_breaker(exchange: Exchanging) -> None:
    connection = exchange.connect(breaker={"opens_after": 1})
    exchange.server.always("list", faults.fails(500))
    exchange.side.pull(connection)
    assert not all(finding.ok for finding in check(exchange.side.side, connection))
    assert exchange.side.pull(connection).problem.startswith("left alone")
    exchange.server.mended()
    assert all(finding.ok for finding in check(exchange.side.side, connection))
    assert exchange.side.pull(connection).well


# -- any sequence of failures ------------------------------------------------------------------------------------------------

_FAULT = st.one_of(
    st.floats(0, 1).map(lambda share: ("cut", share)),
    st.sampled_from(["500", "ignored", "shifted", "lies", "etag", "short", "long", "bits"]).map(
        lambda name: (name, 0.0)
    ),
)


def _made(name: str, share: float) -> faults.Fault:
    return {
        "cut": faults.cut(share), "500": faults.fails(500), "ignored": faults.range_ignored,
        "shifted": faults.range_shifted, "lies": faults.range_lies, "etag": faults.etag_changed,
        "short": faults.length_off_by(-7), "long": faults.length_off_by(+7), "bits": faults.wrong_bytes,
    }[name]  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ordered=st.lists(_FAULT, max_size=8), rows=st.integers(0, 60))
def test_any_sequence_of_failures_ends_byte_identical_or_not_at_all(
    exchange: Exchanging,
    tmp_path_factory: pytest.TempPathFactory,
    ordered: list[tuple[str, float]],
    rows: int,
) -> None:
    """The file is there whole, or it isn't and the failure is told; with the server mended it is whole in the next try."""
    import asyncio

    root = tmp_path_factory.mktemp("any")
    body = body_of(rows, seed=rows)
    folder = lay_out(root / "shelf", body)
    server = exchange.server
    server.mended()
    server.shelve(folder, "any")
    server.order("file", *[_made(*fault) for fault in ordered])
    connection = exchange.connect()
    file = parse_manifest((folder / MANIFEST_NAME).read_bytes(), folder).files[0]
    staging = root / "staging"
    staging.mkdir()
    tags: list[str | None] = [None]

    async def once(listed_as: str = "any") -> Path:
        from sources.connectors.counterpart import Listed

        async with HttpClient(connection, exchange.side.side.secrets) as client:  # type: ignore[arg-type]
            other = Exchange(connection, client)  # type: ignore[arg-type]
            fetched = await fetch(
                file, staging, lambda at, tag: other.open(Listed(listed_as, ""), file, at, tag),
                Retry(attempts=3), Waiting(Waits().sleep), tag=tags[0], note_tag=lambda tag: tags.__setitem__(0, tag),
            )  # fmt: skip
        return fetched.path

    from core.errors import GsceneError

    for _ in range(len(ordered) + 2):
        try:
            assert asyncio.run(once()).read_bytes() == body
            break
        except GsceneError:
            assert not (staging / file.name).exists()
    assert (staging / file.name).read_bytes() == body


# -- secrets and identity ------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_logs_state_or_messages(
    exchange: Exchanging, caplog: pytest.LogCaptureFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = exchange.connect()
    told = str(exchange.side.pull(connection)) + str(exchange.side.side)
    exchange.server.always("list", faults.fails(401))
    told += str(exchange.side.pull(connection)) + str(check(exchange.side.side, connection))
    told += caplog.text + "".join(capsys.readouterr())
    assert TOKEN not in told
    exchange.side.state.engine.dispose()
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "token":
            assert TOKEN.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_can_read_is_not_used(exchange: Exchanging, mode: int) -> None:
    connection = exchange.connect()
    (exchange.side.home / "keys" / "token").chmod(mode)
    pulled = exchange.side.pull(connection)
    assert pulled.state == "FAILED" and "chmod 600" in pulled.remedy and not exchange.server.requests


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"url": "http://exchange.example/api"}, "use https"),
        ({"url": "https://exchange.example"}, "authority"),
        ({"url": "https://me:pw@exchange.example", "tls": {"ca": "x"}}, "no user"),
        ({"bearer": "the-secret-itself"}, "bearer"),
        ({"bearer": {"file": "a", "env": "B"}}, "either"),
        ({"tls": {"ca": "x", "certificate": "y"}}, "belong together"),
        ({"timeout": 3}, "timeout"),
    ],
)
def test_a_wrong_connection_file_is_told_by_file_and_line(
    exchange: Exchanging, told: dict[str, Any], why: str
) -> None:
    with pytest.raises(Refusal, match=why) as refused:
        exchange.connect(**told)
    assert refused.value.line is not None and str(refused.value.file).endswith("front.yaml")
    assert "the-secret-itself" not in str(refused.value) and "pw@" not in str(refused.value)
