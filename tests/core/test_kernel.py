"""Months, money, errors, audit chain, state database and definition files."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect, text

from core import audit
from core.clock import FixedClock
from core.definition_file import Bilingual, Definition, line_of, load_definition
from core.errors import GsceneError, Refusal
from core.money import MONEY, fen, from_fen
from core.months import Month, knowledge_cutoff, month_range
from core.settings import Settings
from core.state import Base, StateDatabase

CLOCK = FixedClock(datetime(2026, 11, 3, tzinfo=UTC))


@given(st.integers(0, 40_000))
def test_month_index_round_trip(index: int) -> None:
    assert Month.of_index(index).index == index


def test_months() -> None:
    month = Month.parse("2024-02")
    assert month.last_day == date(2024, 2, 29)
    assert str(month.plus(-2)) == "2023-12"
    assert [str(m) for m in month_range(month, month.plus(1))] == ["2024-02", "2024-03"]
    for wrong in ("2024-2", "2024-13", "24-01", "2024-01-01"):
        with pytest.raises(ValueError, match="2026-10"):
            Month.parse(wrong)


def test_cutoff_is_china_time() -> None:
    assert knowledge_cutoff(Month(2026, 10), 5) == datetime(2026, 11, 5, 15, 59, 59, 999999, tzinfo=UTC)


@given(
    st.lists(st.one_of(st.none(), st.integers(-(10**17), 10**17)), max_size=20),
    st.integers(0, 3),
)
def test_fen_round_trip(values: list[int | None], cut: int) -> None:
    column = pa.array([None if v is None else Decimal(v).scaleb(-2) for v in values], MONEY).slice(cut)
    expected = [v or 0 for v in values[cut:]]
    assert fen(column).tolist() == expected
    missing = np.array([v is None for v in values[cut:]], dtype=bool)
    assert from_fen(fen(column), missing).to_pylist() == column.to_pylist()


def test_refusal_says_code_place_and_remedy() -> None:
    refusal = Refusal(
        "REFUSED/CODE",
        "an undeclared code.",
        file="a.csv",
        line=3,
        column="xz",
        remedy="Declare it.",
    )
    assert str(refusal) == "REFUSED/CODE - a.csv:3 [xz] - an undeclared code. - Declare it."


class Dish(Definition):
    name: Bilingual
    parts: list[int]


def test_definition_errors_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "dish.yaml"
    path.write_text("name: {zh: 菜, en: dish}\nparts:\n  - 1\n  - two\n", encoding="utf-8")
    with pytest.raises(Refusal) as caught:
        load_definition(path, Dish)
    assert (caught.value.line, caught.value.file) == (4, str(path))
    path.write_text("name: {zh: 菜, en: dish}\nparts: [1]\nspice: hot\n", encoding="utf-8")
    with pytest.raises(Refusal, match="spice"):
        load_definition(path, Dish)
    path.write_text("name: [\n", encoding="utf-8")
    with pytest.raises(Refusal, match="not YAML"):
        load_definition(path, Dish)
    path.write_text("a:\n  b:\n    - c\n", encoding="utf-8")
    assert line_of(path, "a", "b", 0) == 3


@pytest.fixture
def state(tmp_path: Path) -> StateDatabase:
    database = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    database.migrate()
    return database


def test_migrations_make_the_mapped_schema(state: StateDatabase) -> None:
    inspector = inspect(state.engine)
    for table in Base.metadata.sorted_tables:
        assert {c["name"] for c in inspector.get_columns(table.name)} == set(table.columns.keys())
    state.migrate()


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit_event SET actor = 'x' WHERE event_no = 2",
        "DELETE FROM audit_event WHERE event_no = 2",
        "UPDATE audit_event SET details = '[]' WHERE event_no = 1",
    ],
)
def test_audit_chain_shows_tampering(state: StateDatabase, tamper: str) -> None:
    with state.session() as session:
        for number in range(3):
            audit.record(session, CLOCK, "tester", "try", f"thing {number}", {"rows": number})
    with state.session() as session:
        assert audit.verify(session) == 3
        kept = audit.head(session)
    with state.session() as session:
        session.execute(text(tamper))
    with (
        state.session() as session,
        pytest.raises(GsceneError, match="broken at event"),
    ):
        audit.verify(session)
    with state.session() as session:
        assert audit.head(session) == kept or "2" in tamper


def test_settings(tmp_path: Path) -> None:
    assert Settings.load(tmp_path).cutoff_days == 5
    (tmp_path / "gscene.yaml").write_text("cutof_days: 3\n")
    with pytest.raises(GsceneError, match="cutof_days"):
        Settings.load(tmp_path)
