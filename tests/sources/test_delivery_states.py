"""What becomes of deliveries that come late, early, twice, incomplete or in another unit, and what people may decide."""

from __future__ import annotations

import itertools
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from core.errors import GsceneError, Refusal
from core.money import fen
from core.months import Month
from core.state import AuditEvent, Delivery
from core.subject import SubjectKind
from sources.arrivals import Arrival, receive
from sources.delivery import read_delivery
from sources.month_intake import accepted_rows, take_in_month, waiting_months
from sources.operator_decisions import waive, withdraw
from sources.versions import accepted_by_period, ledger_deliveries, resolver
from tests.sources.bench import FIRST_ARRIVAL, GOOD, Bench, text_of, token

TABLE = "raw/resident/si_person_month"


def row(letter: str, amount: object, month: str = "202610") -> str:
    return f"{token(letter)},{month},110,{amount},,,,,0"


def many(amount: int, count: int = 300) -> str:
    """A file of people who all earn about as much."""
    people = (f"k1:{number:040x},202610,110,{amount + number},,,,,0" for number in range(count))
    return text_of(list(people))


def state_of(bench: Bench, number: int) -> tuple[str, str | None]:
    entry = bench.entry(number)
    return entry.state, entry.reason


def amounts(bench: Bench) -> dict[str, Decimal]:
    return {known[0]: known[2] for known in bench.known()}


# -- order -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbered", [False, True])
def test_every_order_of_four_deliveries_ends_in_one_state(
    tmp_path: Path, migrated: Path, numbered: bool
) -> None:
    """F9: the same rows known, the same money, the same accepted content, whichever of the 24 ways they come."""
    ends = set()
    for order in itertools.permutations(range(4)):
        root = tmp_path / "".join(map(str, order))
        root.mkdir()
        bench = Bench(root, migrated)
        feed = [
            ([row("a", 10), row("b", 20)], 1, "full"),
            ([row("b", 21), row("c", 30)], 2, "supplement"),
            ([row("a", 13), row("b", 23)], 3, "full"),
            ([row("b", 24), row("d", 40)], 4, "supplement"),
        ]
        folders = [
            bench.lay(text_of(rows), revision=revision, mode=mode, sequence=place + 1 if numbered else None)  # type: ignore[arg-type]
            for place, (rows, revision, mode) in enumerate(feed)
        ]
        for place in order:
            bench.receive(folders[place])
            taken(bench)
        known = bench.known()
        ends.add((tuple(known), sum(amount for _, _, amount, *_ in known)))
        shutil.rmtree(root)
    assert {(total, len(rows)) for rows, total in ends} == {(Decimal("77.00"), 3)} and len(ends) == 1


def taken(bench: Bench) -> None:
    """Take in what waits, as a month's run does."""
    with bench.state.session() as session:
        waiting = session.scalars(
            select(Delivery.delivery_no).where(Delivery.state == "RECEIVED").order_by(Delivery.received_at)
        ).all()
    for number in waiting:
        bench.take_in(number)


def test_a_lower_revision_that_comes_late_is_stored_and_not_applied(bench: Bench) -> None:
    bench.deliver(text_of([row("a", 13)]), revision=3)
    before = bench.store.version(TABLE)
    late = bench.deliver(text_of([row("a", 11), row("b", 1)]), revision=2)
    assert (late.state, late.accepted) == ("SUPERSEDED", 0)
    assert state_of(bench, 2) == ("SUPERSEDED", None) and "Revision 3" in (bench.entry(2).remedy or "")
    assert (bench.store.version(TABLE), amounts(bench)) == (before, {token("a"): 13})
    assert bench.take_in(2).repeated
    assert (bench.archive / bench.entry(2).archive).is_file(), "stored"


def test_a_restated_month_is_known_in_both_versions(bench: Bench) -> None:
    bench.deliver(text_of([row("a", 10), row("b", 20)]))
    bench.deliver(text_of([row("a", 11)]), revision=2)
    then, now = bench.entry(1).received_at, bench.entry(2).received_at
    assert [known[2] for known in bench.known(at=then)] == [10, 20]
    assert [known[2] for known in bench.known(at=now)] == [11]


def test_a_late_month_waits_alone(bench: Bench) -> None:
    bench.deliver(text_of(GOOD))
    bench.receive(bench.lay(text_of([row("a", 1, "202609")]), period="2026-09"))
    waiting = waiting_months(bench.state)
    assert {key: [str(m) for m in months] for key, months in waiting.items()} == {
        (SubjectKind.RESIDENT, "si_person_month"): ["2026-09"]
    }


# -- sequences -------------------------------------------------------------------------------------------------------------


def chained(bench: Bench, revisions: int) -> list[Path]:
    """Numbered full revisions, each naming the manifest before it."""
    folders: list[Path] = []
    for revision in range(1, revisions + 1):
        previous = read_delivery(folders[-1]).manifest_sha256 if folders else None
        text = text_of([row("a", revision)])
        folders.append(bench.lay(text, revision=revision, sequence=revision, previous=previous))
    return folders


def test_a_gap_holds_what_comes_after_until_it_is_filled(bench: Bench) -> None:
    first, second, third = chained(bench, 3)
    bench.take_in(bench.receive(first))
    held = bench.receive(third)
    assert state_of(bench, held) == ("HELD", "HELD/GAP") and "2 have not come" in (
        bench.entry(held).remedy or ""
    )
    assert bench.receive(third) == held
    with pytest.raises(Refusal, match="HELD/GAP"):
        bench.take_in(held)
    at = FIRST_ARRIVAL + timedelta(days=20)
    filled = bench.receive(second, at)
    assert state_of(bench, filled) == state_of(bench, held) == ("RECEIVED", None)
    assert bench.entry(held).received_at == at, "known from the moment it was let in"
    taken(bench)
    assert amounts(bench) == {token("a"): 3}


def test_a_gap_may_be_waived_and_its_number_may_still_come(bench: Bench) -> None:
    folders = chained(bench, 4)
    third, fourth = bench.receive(folders[2]), bench.receive(folders[3])
    assert waive(bench.state, bench.clock, third, "Li Na", "1 and 2 were never sent") == [third, fourth]
    taken(bench)
    assert [state_of(bench, n)[0] for n in (third, fourth)] == ["ACCEPTED", "ACCEPTED"]
    assert bench.entry(third).received_at == bench.clock.now()
    # It was received before the waived one was let in: no later decision makes a known revision unknown.
    late = bench.receive(folders[0])
    bench.take_in(late)
    assert state_of(bench, late)[0] == "ACCEPTED" and amounts(bench) == {token("a"): 4}
    with bench.state.session() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "delivery.waived")).one()
        assert (event.actor, event.details["why"]) == ("Li Na", "1 and 2 were never sent")
    with pytest.raises(GsceneError, match="nothing to waive"):
        waive(bench.state, bench.clock, third, "Li Na", "again")


def test_a_broken_chain_is_noticed_when_the_gap_is_filled(bench: Bench) -> None:
    first, second, _ = chained(bench, 3)
    third = bench.lay(text_of([row("a", 9)]), revision=3, sequence=3, previous="0" * 64)
    bench.receive(first)
    held = bench.receive(third)
    bench.receive(second)
    assert state_of(bench, held) == ("REFUSED", "REFUSED/SEQUENCE")


def test_a_refused_file_is_no_lost_one(bench: Bench) -> None:
    bad = bench.lay(text_of([row("a", "x")]), revision=1, sequence=1)
    with pytest.raises(Refusal, match="REFUSED/TYPE"):
        bench.take_in(bench.receive(bad))
    second = bench.receive(bench.lay(text_of([row("a", 2)]), revision=2, sequence=2))
    assert state_of(bench, second) == ("RECEIVED", None)
    again = bench.receive(bench.lay(text_of([row("a", 1)]), revision=1, sequence=1))
    assert state_of(bench, again) == ("RECEIVED", None), "the refused number may come again"


# -- withdrawal ------------------------------------------------------------------------------------------------------------


def test_a_withdrawn_delivery_is_known_no_longer_and_what_it_superseded_counts(bench: Bench) -> None:
    bench.deliver(text_of([row("a", 13)]), revision=3)
    bench.deliver(text_of([row("a", 11)]), revision=2)
    then = bench.entry(2).received_at
    assert withdraw(bench.state, bench.clock, 1, "Li Na", "wrong district") == [2]
    at = bench.clock.now()
    assert bench.known(at=at) == [] and [known[2] for known in bench.known(at=then)] == [13]
    taken(bench)
    assert [known[2] for known in bench.known(at=at)] == [11] and [k[2] for k in bench.known(at=then)] == [13]
    assert accepted_by_period(bench.state, TABLE) == {"2026-10": [-1, 1, 2]}, "facts made before are stale"
    assert accepted_rows(bench.state, SubjectKind.RESIDENT, "si_person_month") == {"2026-10": 2}
    resolve = resolver(bench.schema, bench.state, TABLE, "2026-10")
    assert at in resolve.replacements and resolve.replaces(at)
    with pytest.raises(GsceneError, match="withdrawn already"):
        withdraw(bench.state, bench.clock, 1, "Li Na", "again")


def test_what_waits_can_be_withdrawn_and_may_come_again(bench: Bench) -> None:
    folder = bench.lay(text_of(GOOD))
    number = bench.receive(folder)
    assert withdraw(bench.state, bench.clock, number, "Li Na", "sent too early") == []
    assert state_of(bench, number) == ("REFUSED", "REFUSED/WITHDRAWN")
    assert bench.take_in(bench.receive(folder)).accepted == 3


def test_a_decision_needs_a_name_and_a_reason(bench: Bench) -> None:
    bench.deliver(text_of(GOOD))
    for by, reason in (("", "x"), ("Li Na", " ")):
        with pytest.raises(GsceneError, match="a name and a reason"):
            withdraw(bench.state, bench.clock, 1, by, reason)


# -- units and volume ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "told"), [(100, "100 times too large"), (10_000, "10,000 times too large")]
)
def test_amounts_in_another_unit_wait_for_a_person(bench: Bench, factor: int, told: str) -> None:
    bench.deliver(many(5000))
    with pytest.raises(Refusal, match="QUARANTINED/UNITS") as caught:
        bench.deliver(many(5000 * factor), revision=2)
    assert told in caught.value.message and caught.value.column == "js"
    assert state_of(bench, 2) == ("QUARANTINED", "QUARANTINED/UNITS")
    assert bench.entry(2).warnings == {"units": {"base_amt": {100: 2, 10_000: 4}[factor]}}
    assert bench.known()[0][2] < 6000
    assert waive(bench.state, bench.clock, 2, "Li Na", "the office changed to fen") == [2]
    assert bench.take_in(2).accepted == 300
    assert bench.deliver(many(5001 * factor), revision=3).accepted == 300, (
        "the released month is the new measure"
    )


def test_a_corrected_revision_replaces_a_quarantined_one(bench: Bench) -> None:
    bench.deliver(many(5000))
    with pytest.raises(Refusal, match="QUARANTINED"):
        bench.deliver(many(500_000), revision=2)
    bench.deliver(many(5100), revision=3)
    assert state_of(bench, 2) == ("SUPERSEDED", None)


@pytest.mark.parametrize("factor", [1, 2, 10, 30])
def test_amounts_that_grow_are_no_other_unit(bench: Bench, factor: int) -> None:
    bench.deliver(many(5000))
    assert bench.deliver(many(5000 * factor), revision=2).accepted == 300


def test_a_full_revision_that_drops_most_of_a_month_is_held(bench: Bench) -> None:
    bench.deliver(many(5000))
    with pytest.raises(Refusal, match="HELD/VOLUME"):
        bench.deliver(many(5000, 30), revision=2)
    assert state_of(bench, 2) == ("HELD", "HELD/VOLUME")
    assert len(bench.known()) == 300
    waive(bench.state, bench.clock, 2, "Li Na", "a district was counted twice")
    assert bench.take_in(2).accepted == 30 and len(bench.known()) == 30


def test_a_smaller_drop_is_a_warning_in_ledger_and_receipt(bench: Bench) -> None:
    bench.deliver(many(5000))
    bench.deliver(many(5000, 190), revision=2)
    told = {"volume": {"revision before": {"rows": 190, "expected": 300, "change": -0.367}}}
    assert bench.entry(2).warnings == told
    bench.deliver(many(5000, 290), revision=3)
    bench.deliver(many(5000, 20), revision=4, mode="supplement")
    assert bench.entry(4).warnings is None, "a supplement isn't the whole month"


def test_months_around_warn_and_hold_only_where_declared(bench: Bench) -> None:
    for month in ("2026-07", "2026-08"):
        bench.deliver(many(5000).replace("202610", month.replace("-", "")), period=month)
    bench.deliver(many(5000, 40))
    assert bench.entry(3).warnings == {
        "volume": {"months around": {"rows": 40, "expected": 300, "change": -0.867}}
    }
    bench.adapt(volume={"hold_drop_months": 0.5})
    with pytest.raises(Refusal, match="HELD/VOLUME"):
        bench.deliver(many(5000, 40).replace("202610", "202609"), period="2026-09")


def test_figures_are_kept_only_of_many(bench: Bench) -> None:
    bench.deliver(many(5000, 29))
    bench.deliver(many(5000, 31), period="2026-10", revision=2)
    assert bench.entry(1).figures == {}
    kept = bench.entry(2).figures
    rows = bench.rows().filter(bench.rows().column("delivery_no").to_numpy() == 2)
    assert kept == {
        "base_amt": {"count": 31, "sum": int(fen(rows.column("base_amt")).sum()), "median": 501_500}
    }


# -- several files, lanes, several processes -------------------------------------------------------------------------------


def test_several_files_are_one_delivery_and_a_refusal_names_the_file(bench: Bench) -> None:
    parts = [text_of([row("a", 1)]), text_of([row("b", 2), row("c", 3)])]
    bench.take_in(bench.receive(bench.lay_files([part.encode() for part in parts], [1, 2])))
    assert sorted(amounts(bench).values()) == [1, 2, 3]
    assert bench.rows().column("row_no").to_pylist() == [1, 2, 3]
    bad = [parts[0], text_of([row("b", 2), row("c", "x")])]
    with pytest.raises(Refusal, match="REFUSED/TYPE") as caught:
        bench.take_in(bench.receive(bench.lay_files([part.encode() for part in bad], [1, 2], revision=2)))
    assert (caught.value.file, caught.value.line) == ("data1.csv", 3)
    with pytest.raises(Refusal, match="REFUSED/ROWCOUNT") as caught:
        bench.take_in(bench.receive(bench.lay_files([part.encode() for part in parts], [1, 3], revision=3)))
    assert caught.value.file == "data1.csv"
    twice = [parts[0], parts[0].replace(",1,", ",2,")]
    with pytest.raises(Refusal, match="REFUSED/KEY") as caught:
        bench.take_in(bench.receive(bench.lay_files([part.encode() for part in twice], [1, 1], revision=4)))
    assert (caught.value.file, caught.value.line) == ("data1.csv", 2)


def test_a_platform_on_trial_is_known_to_nobody_else(bench: Bench) -> None:
    bench.deliver(text_of([row("a", 1)]))
    number = bench.receive(bench.lay(text_of([row("z", 2)]), revision=2))
    with bench.state.session() as session:
        session.get_one(Delivery, number).lane = "trial"
    result = bench.take_in(number)
    assert result.raw_table == "trial/resident/si_person_month"
    assert amounts(bench) == {token("a"): 1} and bench.registry.size == 1
    assert set(ledger_deliveries(bench.state, "trial/resident/si_person_month")) == {number}
    assert set(ledger_deliveries(bench.state, TABLE)) == {1}
    assert bench.store.exists("registry/trial_resident")


def test_a_month_tells_of_warnings_and_of_what_is_held(bench: Bench) -> None:
    bench.deliver(many(5000))
    with pytest.raises(Refusal):
        bench.deliver(many(5000, 30), revision=2)
    bench.receive(bench.lay(many(5000, 190), revision=3))
    month = take_in_month(
        SubjectKind.RESIDENT, bench.schema, Month(2026, 10), adapters={"city_si": bench.adapter}, store=bench.store,
        registry=bench.registry, state=bench.state, archive=bench.archive, keys=bench.root / "keys", clock=bench.clock,
    )  # fmt: skip
    assert (month.deliveries, month.accepted, month.held, list(month.warnings)) == (2, 490, 0, ["3 volume"])


def test_a_full_disk_is_told_and_enters_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bench.lay(text_of(GOOD))
    usage = shutil.disk_usage(bench.root)
    with monkeypatch.context() as full:
        full.setattr("sources.arrivals.shutil.disk_usage", lambda _: usage._replace(free=10))
        with pytest.raises(GsceneError, match="too little free space"):
            bench.receive(folder)
    assert not waiting_months(bench.state)
    assert bench.take_in(bench.receive(folder)).accepted == 3


def test_the_folder_of_another_source_is_no_place_for_a_delivery(bench: Bench) -> None:
    folder = bench.lay(text_of(GOOD))
    moved = folder.parents[2] / "village" / folder.parent.name / folder.name
    shutil.copytree(folder, moved)
    with pytest.raises(Refusal, match="folder of another source"):
        receive(Arrival(moved, FIRST_ARRIVAL, "observed"), bench.archive, bench.state, bench.clock)
