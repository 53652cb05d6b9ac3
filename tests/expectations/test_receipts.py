"""Nothing is read without a receipt for exactly these bytes and these rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.clock import FixedClock
from core.errors import ExitCode, GateRefused
from core.state import StateDatabase
from core.table_store import TableStore
from expectations.contract import load_contracts
from expectations.data_docs import write_data_docs
from expectations.receipts import require_receipt, require_receipts, write_receipt
from expectations.validate import validate_partition
from tests.expectations.rows import rows_of, with_column

CLOCK = FixedClock(datetime(2026, 11, 5, tzinfo=UTC))
TABLE = "raw/resident/si_person_month"
CONTRACTS = load_contracts()
SOCIAL = CONTRACTS["si_person_month"]


@pytest.fixture
def state(tmp_path: Path) -> StateDatabase:
    state = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    state.migrate()
    return state


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    store = TableStore(tmp_path / "lake")
    for month in ("2026-09", "2026-10"):
        store.replace(TABLE, month, rows_of(SOCIAL, period=month).drop_columns(["period"]))
    return store


def stamp(state: StateDatabase, store: TableStore, partition: str) -> bool:
    judged = validate_partition(store, SOCIAL, TABLE, partition)
    write_receipt(state, TABLE, partition, judged.content_hash, judged.outcome, CLOCK)
    return judged.outcome.passed


def test_without_a_receipt_nothing_is_read(state: StateDatabase, store: TableStore) -> None:
    with pytest.raises(GateRefused) as caught:
        require_receipt(state, store, TABLE, "2026-10")
    assert caught.value.exit_code is ExitCode.GATE_REFUSED
    assert TABLE in caught.value.message and "2026-10 (never validated)" in caught.value.message
    assert caught.value.remedy


def test_a_passing_receipt_opens_its_months_and_no_other(state: StateDatabase, store: TableStore) -> None:
    assert stamp(state, store, "2026-10")
    require_receipt(state, store, TABLE, "2026-10")
    with pytest.raises(GateRefused, match=r"2026-09 \(never validated\)\.") as caught:
        require_receipts(state, store, TABLE, ["2026-09", "2026-10"])
    assert "2026-10" not in caught.value.message
    stamp(state, store, "2026-09")
    require_receipts(state, store, TABLE, ["2026-09", "2026-10"])


def test_content_that_changed_since_closes_the_gate(state: StateDatabase, store: TableStore) -> None:
    stamp(state, store, "2026-10")
    more = with_column(rows_of(SOCIAL), "delivery_no", [2] * 4).drop_columns(["period"])
    store.append(TABLE, "2026-10", more)
    with pytest.raises(GateRefused, match="its content has changed"):
        require_receipt(state, store, TABLE, "2026-10")
    stamp(state, store, "2026-10")
    require_receipt(state, store, TABLE, "2026-10")


def test_a_failed_validation_closes_the_gate_and_says_which_rule(
    state: StateDatabase, store: TableStore
) -> None:
    stamp(state, store, "2026-10")
    bad = with_column(rows_of(SOCIAL), "scheme", ["pension_emp", "unemp", "other", "unemp"])
    store.replace(TABLE, "2026-10", bad.drop_columns(["period"]))
    assert not stamp(state, store, "2026-10")
    with pytest.raises(GateRefused, match="in_set scheme: 1 of 4 rows"):
        require_receipt(state, store, TABLE, "2026-10")


def test_a_changed_contract_closes_the_gate(state: StateDatabase, store: TableStore) -> None:
    stamp(state, store, "2026-10")
    newer = CONTRACTS | {"si_person_month": SOCIAL.model_copy(update={"version": "1.1.0"})}
    with pytest.raises(GateRefused, match="its contract has changed"):
        require_receipt(state, store, TABLE, "2026-10", newer)


def test_a_compatible_version_vouches_for_months_that_came_before_it(
    state: StateDatabase, store: TableStore
) -> None:
    """A new column that may be missing: earlier rows lack it, and the gate opens once they are validated again."""
    column = SOCIAL.columns["pay_months"].model_copy(update={"title": SOCIAL.title})
    newer = SOCIAL.model_copy(
        update={"version": "2.1.0", "columns": {**SOCIAL.columns, "new_months": column}}
    )
    newer = type(SOCIAL).model_validate(newer.model_dump())
    stamp(state, store, "2026-10")
    contracts = CONTRACTS | {"si_person_month": newer}
    with pytest.raises(GateRefused, match="its contract has changed"):
        require_receipt(state, store, TABLE, "2026-10", contracts)
    for delivered in (False, True):
        if delivered:
            late = with_column(rows_of(newer, period="2026-11"), "delivery_no", [9] * 4)
            store.append(TABLE, "2026-11", late.drop_columns(["period"]))
        judged = validate_partition(store, newer, TABLE, "2026-10")
        write_receipt(state, TABLE, "2026-10", judged.content_hash, judged.outcome, CLOCK)
        assert judged.outcome.failures == ()
        require_receipt(state, store, TABLE, "2026-10", contracts)


def test_a_month_that_was_never_delivered_has_no_receipt(state: StateDatabase, store: TableStore) -> None:
    with pytest.raises(GateRefused, match="2025-01"):
        require_receipts(state, store, TABLE, ["2025-01"])


def test_data_docs_show_months_rules_and_no_values(
    state: StateDatabase, store: TableStore, tmp_path: Path
) -> None:
    stamp(state, store, "2026-09")
    bad = with_column(rows_of(SOCIAL), "scheme", ["pension_emp", "unemp", "<script>", "unemp"])
    store.replace(TABLE, "2026-10", bad.drop_columns(["period"]))
    stamp(state, store, "2026-10")
    index = write_data_docs(state, CONTRACTS, tmp_path / "docs")
    page = (index.parent / "raw.resident.si_person_month.html").read_text(encoding="utf-8")
    assert "1 / 2" in index.read_text(encoding="utf-8")
    assert "in_set scheme: 1 of 4 rows" in page and "个人社保缴费" in page
    assert "script" not in page
