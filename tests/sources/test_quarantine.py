"""Rows that can't be read are held back where the adapter says so; mending it lets them in, once, and changes no past."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow.compute as pc
import pytest
from sqlalchemy import select

from core.clock import FixedClock
from core.errors import GsceneError, Refusal
from core.state import AuditEvent, Delivery, Quarantined
from sources import release as release_module
from sources.quarantine import Held, held_rows, in_quarantine
from sources.reading import read_and_convert
from sources.release import Released, release
from sources.versions import as_known, ledger_deliveries
from tests.sources.bench import ADAPTER, FIRST_ARRIVAL, GOOD, Bench, text_of, token

RAW = "raw/resident/si_person_month"
CODES: dict[str, Any] = ADAPTER["columns"]["scheme"]["codes"]
HOLD = {
    "quarantine": {"hold": ["unknown_code", "unreadable", "out_of_range", "duplicate_key"], "at_most": 0.9}
}


def row(letter: str, scheme: str = "110", base: str = "7000", months: str = "1") -> str:
    return f"{token(letter)},202610,{scheme},{base},2026-10-12,{months},是,,0"


def with_code(code: str, meaning: str) -> dict[str, Any]:
    """The adapter's columns with one more scheme code."""
    scheme = {"from": "xz", "codes": CODES | {code: meaning}}
    return {"columns": ADAPTER["columns"] | {"scheme": scheme}}


def held(bench: Bench) -> list[Held]:
    with bench.state.session() as session:
        return in_quarantine(session)


def again(bench: Bench, delivery_no: int = 1, days: int = 90) -> Released:
    bench.clock = FixedClock(FIRST_ARRIVAL + timedelta(days=days))
    return release(
        delivery_no, bench.adapter, bench.schema, store=bench.store, registry=bench.registry, state=bench.state,
        archive=bench.archive, keys=bench.root / "keys", clock=bench.clock, reader=read_and_convert,
    )  # fmt: skip


def known(bench: Bench, days: float) -> list[tuple[Any, ...]]:
    """(subject, scheme, base) as known some days after the first arrival."""
    rows = as_known(
        bench.store.read(RAW),
        bench.schema,
        FIRST_ARRIVAL + timedelta(days=days),
        ledger_deliveries(bench.state, RAW),
    )
    return sorted(
        zip(*(rows.column(n).to_pylist() for n in ("subject_no", "scheme", "base_amt")), strict=True)
    )


def test_held_rows_are_counted_by_reason_and_the_rest_comes_in(bench: Bench) -> None:
    bench.adapt(**HOLD)
    result = bench.deliver(
        text_of([*GOOD, row("c", "51"), row("d", "51"), row("e", base="7;0"), row("f", months="999")])
    )
    entry = bench.entry(1)
    assert (entry.rows_delivered, entry.rows_accepted, entry.rows_quarantined, entry.rows_made) == (
        7,
        3,
        4,
        3,
    )
    assert (result.accepted, result.quarantined, bench.rows().num_rows) == (3, 4, 3)
    assert [(h.reason, h.column, h.still, h.shape) for h in held(bench)] == [
        ("unknown_code", "xz", 2, "99"),
        ("out_of_range", "ys", 1, "999"),
        ("unreadable", "js", 1, "9;9"),
    ]
    assert all(h.remedy for h in held(bench))


def test_neither_ledger_nor_table_nor_audit_holds_a_held_cell(bench: Bench) -> None:
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("c", "secret"), row("d", base="geheim")]))
    rows = bench.store.read("quarantine/resident/si_person_month")
    assert rows.column_names == ["delivery_no", "row_no", "reason", "column", "released_by", "period"]
    with bench.state.session() as session:
        told = [str([e.details for e in session.scalars(select(AuditEvent))])]
        told += [str(vars(q)) for q in session.scalars(select(Quarantined))]
    assert not [
        word for word in ("secret", "geheim", token("c")[3:]) for text in [*told, str(rows)] if word in text
    ]


def test_without_the_reason_declared_the_delivery_is_refused_whole(bench: Bench) -> None:
    bench.adapt(quarantine={"hold": ["unreadable"]})
    with pytest.raises(Refusal, match="REFUSED/CODE"):
        bench.deliver(text_of([*GOOD, row("c", "51")]))
    assert not bench.store.exists(RAW)


def test_a_column_says_for_itself_what_becomes_of_unknown_codes(bench: Bench) -> None:
    scheme = {"from": "xz", "codes": CODES, "on_unknown": "quarantine"}
    bench.adapt(columns=ADAPTER["columns"] | {"scheme": scheme}, quarantine={"at_most": 0.5})
    assert bench.deliver(text_of([*GOOD, row("c", "51")])).quarantined == 1
    with pytest.raises(Refusal, match="REFUSED/CODE"):
        bench.deliver(text_of([*GOOD, row("c").replace("是", "也许")]), revision=2)


def test_above_the_share_the_delivery_is_refused_whole(bench: Bench) -> None:
    rows = [row(letter) for letter in "abcdefghijklmnopqrs"]
    bench.adapt(quarantine={"hold": ["unknown_code"]})
    assert bench.deliver(text_of([*rows, row("t", "51")])).quarantined == 1
    with pytest.raises(Refusal) as caught:
        bench.deliver(text_of([*rows, row("t", "51"), row("u", "51")]), revision=2)
    assert caught.value.code == "REFUSED/QUARANTINE"
    assert (caught.value.line, caught.value.column) == (21, "xz")
    assert "unknown_code" in caught.value.message
    assert bench.rows().num_rows == 19


def test_mending_the_adapter_lets_in_what_is_readable_now_and_only_that(bench: Bench) -> None:
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("c", "51"), row("d", "52"), row("e", base="x")]))
    before = known(bench, 50)
    bench.adapt(**HOLD, **with_code("51", "unemp"), version=2)

    assert again(bench) == Released(1, 2, 1, 2)

    entry = bench.entry(2)
    assert (entry.made_from, entry.mode, entry.revision, entry.state) == (1, "supplement", 1, "ACCEPTED")
    assert (entry.rows_delivered, entry.rows_accepted, entry.rows_quarantined, entry.rows_made) == (
        1,
        1,
        0,
        1,
    )
    assert entry.received_at == bench.clock.now()
    assert known(bench, 50) == known(bench, 89) == before
    assert len(known(bench, 91)) == len(before) + 1
    assert [(h.column, h.rows, h.released) for h in held(bench)] == [("xz", 2, 1), ("js", 1, 0)]
    released = bench.store.read(RAW).filter(pc.equal(bench.store.read(RAW).column("delivery_no"), 2))
    assert released.column("row_no").to_pylist() == [4]


def test_doing_it_again_changes_nothing(bench: Bench) -> None:
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("c", "51"), row("d", "52")]))
    assert again(bench) == Released(1, None, 0, 2)
    bench.adapt(**HOLD, **with_code("51", "unemp"))
    again(bench)
    hashes = [bench.store.content_hash(table, "2026-10") for table in bench.store.tables()]
    for days in (91, 92):
        assert again(bench, days=days) == Released(1, None, 0, 1)
    assert [bench.store.content_hash(table, "2026-10") for table in bench.store.tables()] == hashes
    with bench.state.session() as session:
        assert len(session.scalars(select(Delivery)).all()) == 2
    bench.adapt(**HOLD, **{"columns": with_code("51", "unemp")["columns"]}, version=3)
    bench.adapt(
        **HOLD, columns=ADAPTER["columns"] | {"scheme": {"from": "xz", "codes": CODES | {"52": "unemp"}}}
    )
    assert again(bench, days=93) == Released(1, 3, 1, 0)
    assert held(bench) == [] and again(bench, days=94) == Released(1, None, 0, 0)


def test_a_run_that_died_after_its_entry_was_made_is_completed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("c", "51"), row("d", "52")]))
    bench.adapt(**HOLD, **with_code("51", "unemp"))

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(release_module, "take_in", dies)
        with pytest.raises(KeyboardInterrupt):
            again(bench)
    assert bench.entry(2).state == "RECEIVED" and len(known(bench, 99)) == 3
    assert again(bench, days=95) == Released(1, 2, 1, 1)
    assert len(known(bench, 99)) == 4
    assert again(bench, days=96) == Released(1, None, 0, 1)


def test_the_months_own_intake_completes_it_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("c", "51"), row("d", "52")]))
    bench.adapt(**HOLD, **with_code("51", "unemp"))
    monkeypatch.setattr(release_module, "take_in", lambda number, *_, **__: pytest.fail(str(number)))
    with pytest.raises(pytest.fail.Exception):
        again(bench)
    assert bench.take_in(2).accepted == 1
    assert bench.rows().num_rows == 4


def test_a_row_whose_key_came_in_with_the_same_delivery_stays_held(bench: Bench) -> None:
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("b", "51"), row("c", "51")]))
    bench.adapt(**HOLD, **with_code("51", "pension_emp"))
    assert again(bench) == Released(1, 2, 1, 1)
    assert [base for subject, _, base in known(bench, 99) if subject == 1] != []
    assert known(bench, 99)[:3] == known(bench, 50)[:3]
    assert again(bench, days=95) == Released(1, None, 0, 1)


def test_rows_with_one_key_and_different_content_are_held_all(bench: Bench) -> None:
    bench.adapt(**HOLD)
    result = bench.deliver(text_of([*GOOD, row("c"), row("c", base="7001"), row("c", base="7001")]))
    assert (result.accepted, result.quarantined, result.left_out) == (3, 2, {"exact_duplicate": 1})
    assert [(h.reason, h.still) for h in held(bench)] == [("duplicate_key", 2)]


def test_what_a_whole_corrected_revision_replaced_is_no_longer_in_quarantine(bench: Bench) -> None:
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("c", "51")]))
    bench.deliver(text_of([*GOOD, row("c", "210")]), revision=2)
    assert held(bench) == []
    bench.adapt(**HOLD, **with_code("51", "unemp"))
    assert again(bench) == Released(1, None, 0, 1)
    assert len(known(bench, 99)) == 4


def test_only_what_was_held_is_read_again(bench: Bench) -> None:
    """An adapter that reads other rows differently now doesn't touch what came in."""
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("c", "51"), row("d")]))
    codes = {"51": "unemp"}
    bench.adapt(**HOLD, columns=ADAPTER["columns"] | {"scheme": {"from": "xz", "codes": codes}})
    before = known(bench, 89)
    assert again(bench) == Released(1, 2, 1, 0)
    assert [r for r in known(bench, 99) if r in before] == before


def test_an_adapter_that_no_longer_fits_the_file_is_refused_and_changes_nothing(bench: Bench) -> None:
    bench.adapt(**HOLD)
    bench.deliver(text_of([*GOOD, row("c", "51")]))
    bench.adapt(**HOLD, ignore=["bz", "new"])
    with pytest.raises(Refusal, match="missing `new`"):
        again(bench)
    with bench.state.session() as session:
        assert len(session.scalars(select(Delivery)).all()) == 1
        assert held_rows(session, bench.store, session.get_one(Delivery, 1)).num_rows == 1


def test_only_accepted_deliveries_have_held_rows(bench: Bench) -> None:
    with pytest.raises(GsceneError, match="isn't one that stands"):
        again(bench, 7)


def test_control_sums_count_what_is_held(bench: Bench) -> None:
    bench.adapt(**HOLD)
    rows = [GOOD[0], row("c", "51", base="100")]
    assert bench.deliver(text_of(rows), control_sums={"js": "8100.50"}).quarantined == 1
