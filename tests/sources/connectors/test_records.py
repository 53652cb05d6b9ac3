"""Rows by page: a month becomes one delivery with every row once, or none."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sources.connectors.check import check
from sources.connectors.connection import Connection
from sources.delivery import parse_manifest
from tests.sources.connectors import exchange_server as faults
from tests.sources.connectors.exchange_server import TOKEN, ExchangeServer, Months
from tests.sources.connectors.pull_bench import PullBench


def row(number: int, month: str = "202610", **changes: Any) -> dict[str, Any]:
    return {
        "grbh": f"k1:{number:040x}", "ssq": month, "xz": "110", "js": f"{number}.50", "rq": "2026-10-12", "ys": 12,
        "dz": "是", "bz": "free\ntext", "env": "0",
    } | changes  # fmt: skip


@dataclass
class Paged:
    side: PullBench
    server: ExchangeServer

    def connect(self, **told: Any) -> Connection:
        self.side.secret("token", TOKEN)
        feed = {"adapter": "city_si", "name": "si", "page_rows": 10}
        return self.side.connect(
            **{
                "kind": "http", "url": self.server.url, "bearer": {"file": "keys/token"}, "deliveries": False,
                "records": [feed], "timeouts": {"connect": 2, "read": 0.4, "total": 20},
            } | told,
        )  # fmt: skip

    def rows(self, place: str = "2026-10-r1") -> list[dict[str, str]]:
        folder = self.side.home / "inbox" / "city" / "resident.si_person_month" / place
        return list(csv.DictReader(io.StringIO((folder / "rows.csv").read_text(encoding="utf-8"))))

    def whole(self) -> None:
        assert self.side.ledger() == [("2026-10", 1, "RECEIVED")]
        assert [r["grbh"] for r in self.rows()] == [row(n)["grbh"] for n in range(35)]


@pytest.fixture
def paged(side: PullBench) -> Iterator[Paged]:
    with ExchangeServer().running() as server:
        server.records["si"] = {"2026-10": Months("v1", [row(n) for n in range(35)], {"js": "612.50"})}
        yield Paged(side, server)


def test_pages_become_one_delivery(paged: Paged) -> None:
    connection = paged.connect()
    assert all(finding.ok for finding in check(paged.side.side, connection))
    assert paged.side.pull(connection).well
    paged.whole()
    assert {r["bz"] for r in paged.rows()} == {""}  # what the adapter ignores isn't kept
    assert paged.rows()[3]["js"] == "3.50" and paged.rows()[3]["ys"] == "12"
    path = next((paged.side.home / "inbox").rglob("manifest.json"))
    manifest = parse_manifest(path.read_bytes(), path)
    assert (
        manifest.made_by == "front"
        and manifest.control_sums == {"js": "612.50"}
        and manifest.files[0].rows == 35
    )
    assert not paged.side.pull(connection).new


def test_a_new_version_is_the_next_revision(paged: Paged) -> None:
    connection = paged.connect()
    paged.side.pull(connection)
    paged.server.records["si"]["2026-10"] = Months("v2", [row(n) for n in range(12)])
    paged.server.records["si"]["2026-11"] = Months("v1", [])
    assert len(paged.side.pull(connection).new) == 2
    assert paged.side.ledger() == [
        ("2026-10", 1, "RECEIVED"),
        ("2026-10", 2, "RECEIVED"),
        ("2026-11", 1, "RECEIVED"),
    ]
    assert len(paged.rows("2026-10-r2")) == 12 and paged.rows("2026-11-r1") == []
    # Another version of the same rows: no new delivery.
    paged.server.records["si"]["2026-10"] = Months("v3", [row(n) for n in range(12)])
    assert paged.side.pull(connection).well and len(paged.side.ledger()) == 3


def paged_before(handler: Any) -> dict[str, Any]:
    month = handler.exchange.records["si"]["2026-10"]
    return handler._rows(month, {"rows": "10", "cursor": "0"}) | {"next": "10"}


PASSING: dict[str, list[faults.Fault]] = {
    "500 in the middle": [lambda h, a: h.send(a), faults.fails(500)],
    "half a page": [lambda h, a: h.send(a), faults.cut(0.5)],
    "truncated JSON": [lambda h, a: h.send(faults.Answer(200, {}, a.body[:-2]))],
    "slow once": [faults.slow_headers(0.6)],
    "429": [faults.fails(429, Retry_After="2")],
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_leaves_no_row_twice_and_none_out(paged: Paged, name: str) -> None:
    paged.server.order("records", *PASSING[name])
    assert paged.side.pull(paged.connect()).well
    paged.whole()


def test_a_duplicate_page_is_passed_over(paged: Paged) -> None:
    """The second answer is the first page once more; its cursor leads on to where the second page would have."""
    paged.server.order(
        "records",
        lambda h, a: h.send(a),
        lambda h, a: h.send(faults._json(paged_before(h) | {"next": "010"})),
    )
    assert paged.side.pull(paged.connect()).well
    paged.whole()


STAYING: dict[str, tuple[faults.Fault, str]] = {
    "cursor loop": (lambda h, a: h.send(faults._json(paged_before(h))), "REFUSED/CURSOR"),
    "a page left out": (faults.told(first=10), "REFUSED/PAGES"),
    "pages that overlap": (faults.told(first=3), "REFUSED/PAGES"),
    "more rows than counted": (faults.told(rows=[row(n) for n in range(99)]), "REFUSED/PAGES"),
    "ends too early": (faults.told(next=None), "REFUSED/ROWCOUNT"),
    "another total": (faults.told(total=36), "REFUSED/PAGES"),
    "changed meanwhile": (faults.told(version="v9"), "REFUSED/CHANGED"),
    "a column missing": (faults.told(rows=[{"grbh": "x"}] * 10), "REFUSED/SCHEMA"),
    "an unknown column": (faults.told(rows=[row(n, more="1") for n in range(10)]), "REFUSED/SCHEMA"),
    "a list in a cell": (faults.told(rows=[row(n, js=[1]) for n in range(10)]), "REFUSED/SCHEMA"),
    "a line break in a cell": (faults.told(rows=[row(n, dz="a\nb") for n in range(10)]), "REFUSED/STRUCTURE"),
    "another form": (faults.told(rows="none"), "REFUSED/LISTING"),
    "endless": (faults.endless, "REFUSED/TOO_LARGE"),
}


@pytest.mark.parametrize("name", STAYING)
def test_a_month_whose_pages_do_not_add_up_is_not_made(paged: Paged, name: str) -> None:
    fault, code = STAYING[name]
    if name == "pages that overlap":
        paged.server.order("records", lambda h, a: h.send(a))
    paged.server.always("records", fault)
    paged.server.records["si"]["2026-09"] = Months("v1", [row(1, "202609")])
    connection = paged.connect(limits={"page_bytes": 200_000})
    pulled = paged.side.pull(connection)
    assert pulled.refused["records/si/2026-10"] == code, pulled
    assert ("2026-10", 1, "RECEIVED") not in paged.side.ledger()
    assert not list((paged.side.home / "pulls" / "front").iterdir())
    paged.server.mended()
    if code in ("REFUSED/SCHEMA", "REFUSED/STRUCTURE", "REFUSED/LISTING"):
        # Not tried again for nothing: the other side changes something first.
        paged.server.records["si"]["2026-10"].version = "v2"
    paged.side.pull(connection)
    assert [entry for entry in paged.side.ledger() if entry[0] == "2026-10"] == [("2026-10", 1, "RECEIVED")]
    assert len(paged.rows()) == 35


class Killed(BaseException):
    """Stands for a process that ends."""


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deadly=st.lists(st.integers(1, 9), max_size=4), cuts=st.lists(st.floats(0, 1), max_size=4))
def test_killed_and_cut_anywhere_every_row_comes_once(
    paged: Paged, monkeypatch: pytest.MonkeyPatch, deadly: list[int], cuts: list[float]
) -> None:
    from sources.connectors.pull_state import PullState

    month = f"{2027 + len(paged.side.ledger()) // 12}-{len(paged.side.ledger()) % 12 + 1:02d}"
    paged.server.records["si"] = {month: Months("v1", [row(n) for n in range(35)])}
    paged.server.order("records", *[faults.cut(share) for share in cuts])
    connection = paged.connect()
    for step in deadly:
        left = [step]
        real = PullState.note

        def note(
            self: PullState, item: str, left: list[int] = left, real: Callable[..., None] = real, **told: Any
        ) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            real(self, item, **told)

        with monkeypatch.context() as patched:
            patched.setattr(PullState, "note", note)
            try:
                paged.side.pull(connection)
            except Killed:
                pass
    assert paged.side.pull(connection).well
    assert [r["grbh"] for r in paged.rows(f"{month}-r1")] == [row(n)["grbh"] for n in range(35)]
    periods = [entry[0] for entry in paged.side.ledger()]
    assert periods.count(month) == 1


def test_a_month_that_broke_off_goes_on_at_its_page(paged: Paged) -> None:
    paged.server.order("records", lambda h, a: h.send(a), lambda h, a: h.send(a), *[faults.fails(500)] * 5)
    connection = paged.connect()
    assert paged.side.pull(connection).state == "SOURCE_UNAVAILABLE"
    paged.server.requests.clear()
    later = paged.side.pull(connection)
    assert later.well and later.resumed == 1
    asked = [path for kind, path, _ in paged.server.requests if kind == "records"]
    assert len(asked) == 2 and "cursor=20" in asked[0]
    paged.whole()


def test_the_adapters_way_of_writing_is_kept(paged: Paged) -> None:
    paged.side.adapt(file={"encoding": "gb18030", "delimiter": "|", "compression": "gzip"})
    paged.server.records["si"]["2026-10"].rows[0]["dz"] = '有"引|号'
    assert paged.side.pull(paged.connect()).well
    path = next((paged.side.home / "inbox").rglob("rows.csv"))
    rows = list(
        csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode("gb18030")), delimiter="|")
    )
    assert (
        len(rows) == 35
        and rows[0]["dz"] == '有"引|号'
        and list(rows[0]) == [*paged.side.adapters["city_si"].source_columns]
    )
