"""A raw table made anew from the archive: what was known when stays known, and nothing happens where anything is amiss."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from core.audit import verify
from core.errors import GsceneError, Refusal
from core.progress import SilentProgress
from core.state import AuditEvent, Delivery
from core.table_schema import Column, ColumnType, TableSchema
from core.table_store import TableStore
from sources.adapter import load_adapter
from sources.reading import ReadingJob, read_and_convert
from sources.rebuild import Rebuilt, rebuild
from sources.versions import as_known, ledger_deliveries
from tests.sources.bench import ADAPTER, FIRST_ARRIVAL, GOOD, SCHEMA, Bench, text_of, token
from tests.sources.test_quarantine import HOLD, RAW, again, row, with_code

#: The contract's next major version: months are gone, a remark has come that must be there.
NEXT = TableSchema(
    "si_person_month",
    (*(c for c in SCHEMA.columns if c.name != "months"), Column("remark", ColumnType.STRING)),
    SCHEMA.business_key,
)
COMMON = ("subject_no", "scheme", "base_amt", "paid_date", "received", "received_at", "delivery_no", "row_no")


def next_columns(columns: dict[str, Any]) -> dict[str, Any]:
    return {
        "columns": {name: rule for name, rule in columns.items() if name != "months"}
        | {"remark": {"from": "env"}},
        "ignore": ["bz", "ys"],
    }


def made_anew(
    bench: Bench, schema: TableSchema = NEXT, reader: Any = read_and_convert, **changes: Any
) -> Rebuilt:
    path = bench.root / "next" / "city_si.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(ADAPTER | changes, allow_unicode=True), encoding="utf-8")
    adapter = load_adapter(path, schema)
    return rebuild(
        RAW, schema, "2.0.0", by="Li Na", store=bench.store, registry=bench.registry, state=bench.state,
        archive=bench.archive, keys=bench.root / "keys", adapters={"city_si": adapter}, clock=bench.clock,
        progress=SilentProgress(), reader=reader,
    )  # fmt: skip


def known(bench: Bench, days: float, schema: TableSchema) -> list[tuple[Any, ...]]:
    at = FIRST_ARRIVAL + timedelta(days=days)
    rows = as_known(bench.store.read(RAW), schema, at, ledger_deliveries(bench.state, RAW))
    return sorted(zip(*(rows.column(n).to_pylist() for n in (*COMMON, "period")), strict=True), key=repr)


def accounts(bench: Bench) -> list[tuple[Any, ...]]:
    with bench.state.session() as session:
        return [
            (
                e.delivery_no, e.state, e.rows_delivered, e.rows_accepted, e.rows_quarantined, e.rows_made,
                sorted((left.reason, left.rows) for left in e.left_out), e.received_at, e.withdrawn_at,
            )
            for e in session.scalars(select(Delivery).order_by(Delivery.delivery_no))
        ]  # fmt: skip


@pytest.fixture
def history(bench: Bench) -> Bench:
    """Two months: a first sending with left-out and held rows, a restatement, a supplement, one withdrawn, and a release of
    held rows after the adapter was mended. One row stays held."""
    bench.adapt(**HOLD)
    test_row = row("g").removesuffix("0") + "1"
    bench.deliver(text_of([*GOOD, test_row, GOOD[0], row("c", "51"), row("d", "99")]))
    bench.deliver(text_of([row("b", base="1"), row("h")]), revision=2, mode="supplement")
    september = [line.replace("202610", "202609").replace("2026-10,", "202609,") for line in GOOD]
    bench.deliver(text_of(september), period="2026-09")
    bench.deliver(text_of([row("k")]), revision=3, mode="supplement")
    with bench.state.session() as session:
        session.get_one(Delivery, 4).withdrawn_at = FIRST_ARRIVAL + timedelta(days=10)
    bench.adapt(**HOLD, **with_code("51", "unemp"))
    again(bench)
    assert [entry[1] for entry in accounts(bench)] == ["ACCEPTED"] * 5
    return bench


DAYS = (-1, 0, 1.5, 2.5, 3.5, 9, 11, 89, 91)
MENDED = next_columns(with_code("51", "unemp")["columns"]) | HOLD


def test_the_table_under_another_contract_tells_what_was_known_at_any_moment(history: Bench) -> None:
    before, account = {day: known(history, day, SCHEMA) for day in DAYS}, accounts(history)
    old_version, old = history.store.version(RAW), history.store.read(RAW)
    done = made_anew(history, **MENDED)
    assert {day: known(history, day, NEXT) for day in DAYS} == before
    assert accounts(history) == account
    assert (done.deliveries, done.version_before) == (5, old_version)
    assert done.rows == old.num_rows == history.store.read(RAW).num_rows
    assert history.store.columns(RAW) == NEXT.arrow_with_envelope().names
    assert history.store.read(RAW).column("remark").null_count == 0
    assert history.store.read(RAW, version=old_version).equals(old), "the old version stays readable"
    with history.state.session() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "table.rebuilt")).one()
        assert event.actor == "Li Na" and event.details["rows"] == old.num_rows
        verify(session)


def test_the_same_contract_gives_the_same_rows_and_doing_it_again_changes_nothing(history: Bench) -> None:
    order = [("delivery_no", "ascending"), ("row_no", "ascending")]
    before = history.store.read(RAW).sort_by(order)
    mended = HOLD | with_code("51", "unemp")
    for _ in range(2):
        made_anew(history, SCHEMA, **mended)
        assert history.store.read(RAW).sort_by(order).equals(before)


def test_deliveries_go_on_under_the_new_contract(history: Bench) -> None:
    history.schema = NEXT
    history.adapt(**MENDED)
    with pytest.raises(GsceneError, match="the new rows have"):
        history.deliver(text_of([row("m")]), revision=4, mode="supplement")
    made_anew(history, **MENDED)
    assert history.take_in(6).accepted == 1
    assert history.take_in(6).repeated


def lost(bench: Bench) -> None:
    (bench.archive / bench.entry(3).archive).unlink()


def flipped(bench: Bench) -> None:
    path = bench.archive / bench.entry(3).archive
    body = bytearray(path.read_bytes())
    body[-5] ^= 1
    path.chmod(0o600)
    path.write_bytes(body)


@pytest.mark.parametrize("harm", [lost, flipped])
def test_a_file_that_is_missing_or_changed_stops_it(history: Bench, harm: Callable[[Bench], None]) -> None:
    harm(history)
    unchanged(history, "no longer holds the bytes of delivery 3", **MENDED)


def test_a_delivery_that_no_longer_adds_up_stops_it(history: Bench) -> None:
    told = {"leave_out": [{"reason": "test_row", "column": "env", "equals": ["0", "1"]}]}
    unchanged(history, "delivery 1 doesn't add up", **(MENDED | told))
    unchanged(history, "delivery 5 doesn't add up", **(next_columns(ADAPTER["columns"]) | HOLD))


def test_an_adapter_that_cant_read_a_delivery_any_more_stops_it(history: Bench) -> None:
    columns = MENDED["columns"] | {"remark": {"from": "no_such_column"}}
    unchanged(history, "REFUSED/SCHEMA", **(MENDED | {"columns": columns}))


def test_until_it_stands_readers_see_the_old_table(history: Bench) -> None:
    """Looked at by another process's eyes at every delivery, and killed at the last one."""
    old, seen = history.store.read(RAW), []

    def reader(job: ReadingJob) -> Any:
        seen.append(TableStore(history.store.root).read(RAW).equals(old))
        if len(seen) == 5:
            raise KeyboardInterrupt
        return read_and_convert(job)

    with pytest.raises(KeyboardInterrupt):
        made_anew(history, reader=reader, **MENDED)
    assert seen == [True] * 5 and history.store.read(RAW).equals(old)
    made_anew(history, **MENDED)


def test_subjects_keep_their_numbers_though_their_pseudonyms_are_gone(history: Bench) -> None:
    """After a platform migration the registry doesn't know old pseudonyms; the old rows still say whose they are."""
    before = known(history, 91, SCHEMA)
    history.registry = replace_registry(history)
    made_anew(history, **MENDED)
    assert known(history, 91, NEXT) == before


def replace_registry(bench: Bench) -> Any:
    class Unknown:
        lane = bench.registry.lane

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"the registry was asked for {name}")

    return Unknown()


def test_a_table_that_was_never_filled_has_nothing_to_make_anew(bench: Bench) -> None:
    with pytest.raises(GsceneError, match="there is no table"):
        made_anew(bench, **MENDED)


def unchanged(bench: Bench, told: str, **changes: Any) -> None:
    version, account = bench.store.version(RAW), accounts(bench)
    with pytest.raises((GsceneError, Refusal), match=told) as caught:
        made_anew(bench, **changes)
    assert token("a")[3:] not in str(caught.value)
    assert (bench.store.version(RAW), accounts(bench)) == (version, account)
