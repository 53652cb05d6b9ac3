"""The state database on a real PostgreSQL, as it is promised beside SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from core import audit
from core.state import Base, Delivery, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from sources.arrivals import Arrival, receive
from sources.intake import take_in
from tests.sources.connectors.postgres_server import PostgresServer
from tests.sources.connectors.pull_bench import PullBench, body_of, lay_out

pytestmark = pytest.mark.postgres


def test_the_state_database_on_postgresql(postgres: PostgresServer, tmp_path: Path) -> None:
    """Migrations give the mapped tables, and ledger, audit chain and pulls work on them."""
    name = postgres.fresh("state")
    url = f"postgresql+psycopg://gscene_test@/{name}?host={postgres.socket_folder}&port={postgres.port}"
    state = StateDatabase(url)
    try:
        state.migrate()
        state.migrate()
        found = inspect(state.engine)
        for table in Base.metadata.tables.values():
            assert {c["name"] for c in found.get_columns(table.name)} == {c.name for c in table.columns}
        drop = tmp_path / "drop"
        lay_out(drop, body_of(3))
        side = PullBench(tmp_path / "home", state)
        connection = side.connect(kind="drop", path=str(drop), settle=0)
        side.clock.at = datetime.now(UTC)
        assert side.pull(connection).well and not side.pull(connection).new
        folder = side.home / "inbox" / side.laid()[0]
        number = receive(Arrival(folder, side.clock.at, "observed"), side.home / "archive", state, side.clock)
        store = TableStore(tmp_path / "lake")
        taken = take_in(
            number, side.adapters["city_si"], side.schema, store=store, state=state, clock=side.clock,
            registry=SubjectRegistry(store, SubjectKind.RESIDENT), archive=side.home / "archive", keys=tmp_path / "keys",
        )  # fmt: skip
        assert taken.delivered == 3
        with state.session() as session:
            entry = session.get_one(Delivery, number)
            assert (entry.state, entry.received_at, entry.lane) == ("ACCEPTED", side.clock.at, "live")
            assert sum(left.rows for left in entry.left_out) + (entry.rows_accepted or 0) == 3
            assert audit.verify(session) >= 3
            assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    finally:
        state.engine.dispose()
