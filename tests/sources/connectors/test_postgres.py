"""Direct read of a real PostgreSQL: whole months by comparison, changes beyond a watermark, and nothing but reading."""

from __future__ import annotations

import contextlib
import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import Refusal
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from sources.connectors.check import check
from sources.connectors.connection import load_connection
from sources.delivery import MANIFEST_NAME, parse_manifest
from sources.intake import take_in
from tests.sources.bench import token
from tests.sources.connectors.postgres_server import PASSWORD, PostgresServer
from tests.sources.connectors.pull_bench import PullBench

pytestmark = pytest.mark.postgres

TABLE = """CREATE TABLE public.v_grjfmx (
  id bigserial PRIMARY KEY, grbh text, ssq text, xz text, js numeric(12,2), rq date, ys int, dz text, bz text,
  env text DEFAULT '0', src_updated_at timestamptz DEFAULT now() - interval '1 hour')"""


def row(letter: str, month: str, amount: str = "8000.50", note: str = "free\ntext") -> str:
    return (
        "INSERT INTO v_grjfmx (grbh, ssq, xz, js, rq, ys, dz, bz) VALUES "
        f"('{token(letter)}', '{month}', '110', {amount}, '2026-10-12', 12, '是', '{note}')"
    )


FEED: dict[str, Any] = {
    "adapter": "city_si",
    "table": "v_grjfmx",
    "month": {"column": "ssq", "form": "%Y%m"},
    "order_by": ["id"],
    "control_sums": ["js"],
}


class FrontDatabase:
    """A platform's database with one table, and a connection to it."""

    def __init__(self, server: PostgresServer, side: PullBench) -> None:
        self.server, self.side = server, side
        self.name = server.fresh(
            "front", [TABLE, row("a", "202609"), row("a", "202610"), row("b", "202610", "100")]
        )
        self.feed = dict(FEED)

    def connect(self, **told: Any) -> Any:
        self.side.environment["FRONT_PASSWORD"] = PASSWORD
        return self.side.connect(
            kind="postgres", **({
                "host": "127.0.0.1", "port": self.server.port, "database": self.name, "user": "bank",
                "password": {"env": "FRONT_PASSWORD"}, "feeds": [self.feed], "timeouts": {"connect": 2},
            } | told),
        )  # fmt: skip

    def execute(self, *statements: str) -> None:
        self.server.execute(self.name, *statements)


@pytest.fixture
def front(postgres: PostgresServer, side: PullBench) -> FrontDatabase:
    return FrontDatabase(postgres, side)


def delivered(side: PullBench, folder: str) -> tuple[list[dict[str, str]], Any]:
    path = side.home / "inbox" / folder
    manifest = parse_manifest((path / MANIFEST_NAME).read_bytes(), path / MANIFEST_NAME)
    return list(csv.DictReader(io.StringIO((path / "rows.csv").read_text(encoding="utf-8")))), manifest


def test_months_become_deliveries_with_counts_and_sums_of_one_snapshot(
    front: FrontDatabase, side: PullBench
) -> None:
    pulled = side.pull(front.connect())
    assert pulled.well and len(pulled.new) == 2, pulled
    assert side.ledger() == [("2026-09", 1, "RECEIVED"), ("2026-10", 1, "RECEIVED")]
    rows, manifest = delivered(side, "city/resident.si_person_month/2026-10-r1")
    assert [(r["grbh"], r["js"], r["rq"], r["ys"]) for r in rows] == [
        (token("a"), "8000.50", "2026-10-12", "12"),
        (token("b"), "100.00", "2026-10-12", "12"),
    ]
    assert manifest.made_by == "front" and manifest.mode == "full"
    assert manifest.control_sums == {"js": "8100.5"} and manifest.files[0].rows == 2
    # What the adapter ignores, free text above all, has never left the platform.
    assert {r["bz"] for r in rows} == {""}


def test_what_was_read_is_taken_in(front: FrontDatabase, side: PullBench, tmp_path: Path) -> None:
    pulled = side.pull(front.connect())
    store = TableStore(tmp_path / "lake")
    for number in pulled.new:
        take_in(
            number, side.adapters["city_si"], side.schema, store=store, state=side.state, clock=side.clock,
            registry=SubjectRegistry(store, SubjectKind.RESIDENT), archive=side.home / "archive", keys=tmp_path / "keys",
        )  # fmt: skip
    amounts = store.read("raw/resident/si_person_month", ["2026-10"]).column("base_amt").to_pylist()
    assert sorted(map(str, amounts)) == ["100.00", "8000.50"]


def test_an_unchanged_month_is_not_read_again_and_a_changed_one_is_its_next_revision(
    front: FrontDatabase, side: PullBench
) -> None:
    connection = front.connect()
    side.pull(connection)
    again = side.pull(connection)
    assert again.well and not again.new and again.bytes == 0
    front.execute("UPDATE v_grjfmx SET js = 9000 WHERE ssq = '202609'", row("c", "202610"))
    assert len(side.pull(connection).new) == 2
    assert side.ledger()[2:] == [("2026-09", 2, "RECEIVED"), ("2026-10", 2, "RECEIVED")]
    # Changed there and back between two pulls: nothing new.
    front.execute(
        "UPDATE v_grjfmx SET js = 1 WHERE ssq = '202609'",
        "UPDATE v_grjfmx SET js = 9000 WHERE ssq = '202609'",
    )
    assert not side.pull(connection).new


def test_counts_sums_and_rows_are_of_one_moment(
    front: FrontDatabase, side: PullBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a month is read the platform goes on writing."""
    from sources.connectors.table_feed import TableReader

    real = TableReader._copy

    async def copy(self: Any, line: Any, month: Any, *arguments: Any) -> None:
        front.execute(row("c", str(month).replace("-", "")), "UPDATE v_grjfmx SET js = js + 1")
        await real(self, line, month, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(TableReader, "_copy", copy)
        pulled = side.pull(front.connect())
    assert pulled.well, pulled
    for folder in side.laid():
        rows, manifest = delivered(side, folder)
        assert len(rows) == manifest.files[0].rows == (1 if "2026-09" in folder else 2)
        assert sum(Decimal(r["js"]) for r in rows) == Decimal(manifest.control_sums["js"])
    assert len(side.pull(front.connect()).new) == 2


def test_an_emptied_month_is_told_and_not_delivered_unless_it_is_meant(
    front: FrontDatabase, side: PullBench
) -> None:
    connection = front.connect()
    side.pull(connection)
    front.execute("DELETE FROM v_grjfmx WHERE ssq = '202609'", row("c", "202610"))
    pulled = side.pull(connection)
    assert list(pulled.refused.values()) == ["REFUSED/EMPTIED"] and len(pulled.new) == 1
    front.feed["allow_emptied"] = True
    assert len(side.pull(front.connect()).new) == 1
    rows, manifest = delivered(side, "city/resident.si_person_month/2026-09-r2")
    assert rows == [] and manifest.files[0].rows == 0 and manifest.control_sums == {"js": "0"}


def test_rows_without_a_month_are_told_after_the_others_are_in(front: FrontDatabase, side: PullBench) -> None:
    front.execute(row("d", "2026-13"), "UPDATE v_grjfmx SET ssq = NULL WHERE ssq = '202609'")
    pulled = side.pull(front.connect())
    assert len(pulled.new) == 1 and pulled.refused == {"city_si": "REFUSED/PERIOD"}
    assert pulled.problem.startswith("2 rows")


def watermark(front: FrontDatabase, **mark: Any) -> Any:
    front.feed |= {"watermark": {"column": "src_updated_at", "type": "timestamptz", "lag": 60} | mark}
    return front.connect()


def test_beyond_a_watermark_only_new_rows_come_as_supplements(front: FrontDatabase, side: PullBench) -> None:
    connection = watermark(front)
    assert len(side.pull(connection).new) == 2
    front.execute(
        row("c", "202610"),
        "UPDATE v_grjfmx SET src_updated_at = now() - interval '30 minutes' WHERE grbh = '{}'".format(
            token("c")
        ),
        # Written a moment ago: an earlier transaction may still be open, so it waits for the next pull.
        row("d", "202610"),
        "UPDATE v_grjfmx SET src_updated_at = now() WHERE grbh = '{}'".format(token("d")),
    )
    assert len(side.pull(connection).new) == 1
    rows, manifest = delivered(side, "city/resident.si_person_month/2026-10-r2")
    assert [r["grbh"] for r in rows] == [token("c")] and manifest.mode == "supplement"
    assert not side.pull(connection).new
    front.execute(
        "UPDATE v_grjfmx SET src_updated_at = now() - interval '2 minutes' WHERE grbh = '{}'".format(
            token("d")
        )
    )
    assert len(side.pull(connection).new) == 1
    assert [r["grbh"] for r in delivered(side, "city/resident.si_person_month/2026-10-r3")[0]] == [token("d")]


def test_a_number_is_a_watermark_too(front: FrontDatabase, side: PullBench) -> None:
    connection = watermark(front, column="id", type="bigint")
    assert len(side.pull(connection).new) == 2
    front.execute(row("c", "202609"))
    assert side.pull(connection).new and side.ledger()[-1][:2] == ("2026-09", 2)
    assert not side.pull(connection).new


class Killed(BaseException):
    """Stands for a process that ends."""


@pytest.mark.parametrize("by_watermark", [False, True])
@pytest.mark.parametrize("deadly", range(1, 9))
def test_killed_at_any_write_of_the_pull_state_each_delivery_comes_once(
    front: FrontDatabase, side: PullBench, monkeypatch: pytest.MonkeyPatch, by_watermark: bool, deadly: int
) -> None:
    from sources.connectors.pull_state import PullState

    connection = watermark(front) if by_watermark else front.connect()
    noted, real = [0], PullState.note

    def note(self: PullState, item: str, **told: Any) -> None:
        noted[0] += 1
        if noted[0] == deadly:
            raise Killed
        real(self, item, **told)

    with monkeypatch.context() as patched:
        patched.setattr(PullState, "note", note)
        with contextlib.suppress(Killed):  # a run with fewer writes isn't killed
            side.pull(connection)
    pulled = side.pull(connection)
    assert pulled.well, pulled
    assert side.ledger() == [("2026-09", 1, "RECEIVED"), ("2026-10", 1, "RECEIVED")]
    assert not side.pull(connection).new
    assert len(side.laid()) == 2 and not list((side.home / "pulls" / "front").iterdir())


def test_a_server_that_restarts_is_asked_again(
    front: FrontDatabase, side: PullBench, monkeypatch: Any
) -> None:
    from sources.connectors.table_feed import TableReader

    real, calls = TableReader._copy, []

    async def copy(self: Any, *arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            front.server.restart()
        await real(self, *arguments)

    monkeypatch.setattr(TableReader, "_copy", copy)
    assert side.pull(front.connect()).well and len(calls) == 3
    assert side.ledger() == [("2026-09", 1, "RECEIVED"), ("2026-10", 1, "RECEIVED")]


def test_a_statement_that_takes_too_long_ends_the_run(front: FrontDatabase, side: PullBench) -> None:
    front.execute(
        "CREATE VIEW slow AS SELECT v.* FROM v_grjfmx v, pg_sleep(3)", "GRANT SELECT ON slow TO bank"
    )
    front.feed["table"] = "slow"
    pulled = side.pull(front.connect(statement_seconds=0.3))
    assert pulled.state == "SOURCE_UNAVAILABLE" and "0.3 s" in pulled.problem and side.ledger() == []


def test_a_server_that_is_down(front: FrontDatabase, side: PullBench) -> None:
    pulled = side.pull(front.connect(port=1))
    assert pulled.state == "SOURCE_UNAVAILABLE" and len(side.waits.slept) == 4


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"user": "nobody_here"}, "REFUSED/LOGIN"),
        ({"password": {"env": "WRONG"}}, "REFUSED/LOGIN"),
        ({"table": "absent"}, "REFUSED/TABLE"),
        ({"table": "secret"}, "REFUSED/TABLE"),
        ({"columns": {"js": "absent"}}, "REFUSED/SCHEMA"),
        ({"control_sums": ["dz"]}, "REFUSED/QUERY"),
    ],
)
def test_what_is_wrong_is_told_by_pull_and_check(
    front: FrontDatabase, side: PullBench, told: dict[str, Any], code: str
) -> None:
    front.execute("CREATE TABLE secret (LIKE v_grjfmx)", "REVOKE ALL ON secret FROM bank")
    side.environment["WRONG"] = "wrong"
    of_feed = {name: value for name, value in told.items() if name in ("table", "columns", "control_sums")}
    front.feed |= of_feed
    connection = front.connect(**{name: value for name, value in told.items() if name not in of_feed})
    pulled = side.pull(connection)
    assert code in pulled.refused.values() and pulled.remedy
    findings = check(side.side, connection)
    assert [finding.ok for finding in findings] == [True, False] and code in findings[-1].seen
    assert side.ledger() == []
    assert PASSWORD not in str(pulled) and token("a") not in str(pulled) + str(findings)


def test_tls_is_verified_against_the_named_authority(
    front: FrontDatabase, side: PullBench, tmp_path: Path
) -> None:
    import trustme

    front.server.ca.cert_pem.write_to_path(side.home / "front-ca.pem")
    trustme.CA().cert_pem.write_to_path(side.home / "other-ca.pem")
    assert side.pull(front.connect(host="localhost", tls={"ca": "front-ca.pem"})).well
    for host, ca in (("localhost", "other-ca.pem"), ("127.0.0.1", "front-ca.pem")):
        pulled = side.pull(front.connect(host=host, tls={"ca": ca}))
        assert set(pulled.refused.values()) == {"REFUSED/CERTIFICATE"}, host


def test_beyond_this_machine_tls_must_be_named(side: PullBench) -> None:
    with pytest.raises(Refusal, match="authority"):
        side.connect(kind="postgres", host="db.example", database="d", user="u", feeds=[FEED])


@pytest.mark.parametrize("name", ['x"; DROP TABLE v_grjfmx; --', "Ab", "a.b", "", "a" * 64, "表"])
def test_no_name_reaches_sql_but_through_the_allow_list(
    front: FrontDatabase, side: PullBench, name: str
) -> None:
    for place in ({"table": name}, {"schema": name}, {"order_by": [name]}, {"columns": {"js": name}}):
        front.feed = FEED | place
        with pytest.raises(Refusal) as refused:
            front.connect()
        assert refused.value.line is not None


def test_headers_that_are_no_identifiers_need_a_mapping(front: FrontDatabase, side: PullBench) -> None:
    columns = {"period": {"from": "所属期", "parse": ["%Y%m"]}}
    from tests.sources.bench import ADAPTER

    side.adapt(columns=ADAPTER["columns"] | columns)
    assert side.pull(front.connect()).refused == {"city_si": "REFUSED/SCHEMA"}
    front.feed["columns"] = {"所属期": "ssq"}
    assert side.pull(front.connect()).well


def test_the_session_can_only_read(front: FrontDatabase, side: PullBench) -> None:
    import asyncio

    from sources.connectors.failure import Passing
    from sources.connectors.front_database import snapshot

    front.execute("GRANT ALL ON v_grjfmx TO bank")
    connection = front.connect()

    async def write() -> None:
        async with snapshot(connection, side.side.secrets) as line:
            await line.execute("DELETE FROM public.v_grjfmx")

    with pytest.raises((Refusal, Passing), match=r"ReadOnly|25006"):
        asyncio.run(write())
    with front.server.admin("front") as line:
        assert line.execute("SELECT count(*) FROM v_grjfmx").fetchone() == (3,)


def test_a_connection_file_is_read_from_its_folder(front: FrontDatabase, side: PullBench) -> None:
    front.connect()
    assert load_connection(side.home / "connections" / "front.yaml").kind == "postgres"
