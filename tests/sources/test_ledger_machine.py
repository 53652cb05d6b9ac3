"""Ledger and intake under any sequence of deliveries, losses, crashes and decisions, against a model that is written out plainly.

A source produces deliveries; they arrive in any order, twice, or with other bytes; intake takes them in one by one and may
die at a named step. What must hold (trust I1-I3, I5, I6) is looked at after every step, right after a crash too.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import sources.intake
import sources.operator_decisions
import sources.versions
from core.audit import verify
from core.clock import FixedClock
from core.errors import Refusal
from core.money import fen
from core.state import Delivery
from sources.operator_decisions import waive, withdraw
from sources.versions import KnownDelivery
from tests.sources.bench import FIRST_ARRIVAL, Bench, text_of, token

TABLE = "raw/resident/si_person_month"
PERIODS = ("2026-09", "2026-10")
CRASHES = ("intake.after_read", "intake.after_subjects", "intake.after_append", "intake.after_ledger")


class Crash(BaseException):
    """The process died here."""


@dataclass
class Sent:
    """A delivery as the model knows it; `amounts` in yuan by subject letter."""

    period: str
    revision: int
    full: bool
    sequence: int | None
    amounts: dict[str, int]
    folder: Path
    number: int = 0
    state: str = "IN TRANSIT"
    at: datetime = FIRST_ARRIVAL
    withdrawn: datetime | None = None
    waived: bool = False

    def known(self, moment: datetime) -> bool:
        return (
            self.state == "ACCEPTED"
            and self.at <= moment
            and (self.withdrawn is None or self.withdrawn > moment)
        )


@dataclass
class Model:
    """The rules of the ledger, by the word."""

    sent: list[Sent] = field(default_factory=list)

    def arrived(self) -> list[Sent]:
        return [d for d in self.sent if d.state != "IN TRANSIT"]

    def gap(self, delivery: Sent) -> bool:
        if delivery.sequence is None:
            return False
        floor = max((d.sequence or 0 for d in self.sent if d.waived), default=0)
        come = {d.sequence for d in self.arrived()}
        return any(n not in come for n in range(floor + 1, delivery.sequence))

    def admit(self, at: datetime) -> None:
        for d in sorted(self.sent, key=lambda d: d.sequence or 0):
            if d.state == "HELD" and not self.gap(d):
                d.state, d.at = "RECEIVED", max(d.at, at)

    def higher(self, delivery: Sent, moment: datetime | None = None) -> bool:
        return any(
            o.period == delivery.period
            and o.full
            and o.revision > delivery.revision
            and o.state == "ACCEPTED"
            and o.withdrawn is None
            and (moment is None or o.at <= moment)
            for o in self.sent
        )

    def rows(self, period: str, moment: datetime) -> dict[str, int]:
        live = [d for d in self.sent if d.period == period and d.known(moment)]
        standing = [d for d in live if not any(o.full and o.revision > d.revision for o in live)]

        def rank(d: Sent) -> tuple[datetime, int, int]:
            return min(o.at for o in live if o.revision >= d.revision), d.revision, d.number

        return {s: a for d in sorted(standing, key=rank) for s, a in d.amounts.items()}


class LedgerMachine(RuleBasedStateMachine):
    migrated: Path

    @initialize(numbered=st.booleans())
    def start(self, numbered: bool) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="ledger"))
        self.bench = Bench(self.root, self.migrated)
        self.model, self.numbered, self.now = Model(), numbered, FIRST_ARRIVAL
        self.remembered: list[tuple[str, datetime, dict[str, int]]] = []
        self.revisions = dict.fromkeys(PERIODS, 0)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.bench.state.engine.dispose()
            shutil.rmtree(self.root)

    def later(self) -> datetime:
        self.now += timedelta(hours=1)
        self.bench.clock = FixedClock(self.now)
        return self.now

    # -- the source --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.sent) < 7)
    @rule(
        period=st.sampled_from([PERIODS[0], *PERIODS]),
        full=st.booleans(),
        amounts=st.dictionaries(st.sampled_from("abc"), st.integers(1, 9), max_size=3),
    )
    def produce(self, period: str, full: bool, amounts: dict[str, int]) -> None:
        self.revisions[period] += 1
        sequence = len(self.model.sent) + 1 if self.numbered else None
        folder = self.lay(period, self.revisions[period], full, sequence, amounts)
        self.model.sent.append(Sent(period, self.revisions[period], full, sequence, amounts, folder))

    def lay(
        self, period: str, revision: int, full: bool, sequence: int | None, amounts: dict[str, int]
    ) -> Path:
        month = period.replace("-", "")
        rows = [f"{token(s)},{month},110,{a},,,,,0" for s, a in amounts.items()]
        return self.bench.lay(
            text_of(rows), period=period, revision=revision, mode="full" if full else "supplement", sequence=sequence,
            control_sums={"js": str(sum(amounts.values()))},
        )  # fmt: skip

    # -- arrival -----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: any(d.state == "IN TRANSIT" for d in self.model.sent))
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        delivery = data.draw(st.sampled_from([d for d in self.model.sent if d.state == "IN TRANSIT"]))
        at = self.later()
        delivery.number = self.bench.receive(delivery.folder, at)
        delivery.state, delivery.at = "RECEIVED", at
        if self.model.gap(delivery):
            delivery.state = "HELD"
        self.model.admit(at)

    @precondition(lambda self: any(d.folder.exists() for d in self.model.arrived()))
    @rule(data=st.data())
    def arrive_again(self, data: st.DataObject) -> None:
        delivery = data.draw(st.sampled_from([d for d in self.model.arrived() if d.folder.exists()]))
        at = self.later()
        number = self.bench.receive(delivery.folder, at)
        if delivery.state == "REFUSED":
            # It was withdrawn while it waited: the same bytes are a new delivery.
            again = Sent(
                **{**vars(delivery), "number": number, "state": "RECEIVED", "at": at, "waived": False}
            )
            assert number not in {d.number for d in self.model.sent}
            delivery.folder = self.root / "gone"
            self.model.sent.append(again)
            if self.model.gap(again):
                again.state = "HELD"
            self.model.admit(at)
        else:
            assert number == delivery.number

    @precondition(lambda self: any(d.state not in ("IN TRANSIT", "REFUSED") for d in self.model.sent))
    @rule(data=st.data())
    def arrive_with_other_bytes(self, data: st.DataObject) -> None:
        choice = [d for d in self.model.sent if d.state not in ("IN TRANSIT", "REFUSED")]
        delivery = data.draw(st.sampled_from(choice))
        self.lay(delivery.period, delivery.revision, delivery.full, delivery.sequence, {"d": 5})
        with pytest.raises(Refusal, match="REFUSED/CONFLICT"):
            self.bench.receive(delivery.folder, self.later())
        self.lay(delivery.period, delivery.revision, delivery.full, delivery.sequence, delivery.amounts)

    # -- intake ------------------------------------------------------------------------------------------------------------

    @precondition(lambda self: any(d.state == "RECEIVED" for d in self.model.sent))
    @rule(data=st.data(), crash=st.sampled_from([None, *CRASHES]))
    def take_in(self, data: st.DataObject, crash: str | None) -> None:
        delivery = data.draw(st.sampled_from([d for d in self.model.sent if d.state == "RECEIVED"]))
        moment = self.later()
        before = self.expected(delivery.period, moment)
        superseded = self.model.higher(delivery, delivery.at)
        crashed = False
        with patch.object(sources.intake, "kill_point", dying_at(crash)):
            try:
                self.bench.take_in(delivery.number)
            except Crash:
                crashed = True
        delivery.state = "SUPERSEDED" if superseded else "ACCEPTED"
        if crashed:
            # A reader sees the old version or the new one, before anybody repairs anything.
            assert self.known(delivery.period, moment) in (before, self.expected(delivery.period, moment))
            self.the_audit_chain_holds()
            self.bench.take_in(delivery.number)
        version = self.bench.store.version(TABLE)
        assert self.bench.take_in(delivery.number).repeated
        assert self.bench.store.version(TABLE) == version

    @precondition(lambda self: any(d.state == "RECEIVED" for d in self.model.sent))
    @rule()
    def take_all_in(self) -> None:
        waiting = [d for d in self.model.sent if d.state == "RECEIVED"]
        for delivery in sorted(waiting, key=lambda d: (d.at, d.number)):
            superseded = self.model.higher(delivery, delivery.at)
            self.bench.take_in(delivery.number)
            delivery.state = "SUPERSEDED" if superseded else "ACCEPTED"
        self.later()

    # -- decisions ---------------------------------------------------------------------------------------------------------

    @precondition(lambda self: any(d.state == "HELD" for d in self.model.sent))
    @rule(data=st.data())
    def waive(self, data: st.DataObject) -> None:
        delivery = data.draw(st.sampled_from([d for d in self.model.sent if d.state == "HELD"]))
        at = self.later()
        waive(self.bench.state, self.bench.clock, delivery.number, "Li Na", "never sent")
        delivery.state, delivery.waived, delivery.at = "RECEIVED", True, at
        self.model.admit(at)

    @precondition(lambda self: any(self.may_go(d) for d in self.model.sent))
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        delivery = data.draw(st.sampled_from([d for d in self.model.sent if self.may_go(d)]))
        at = self.later()
        withdraw(self.bench.state, self.bench.clock, delivery.number, "Li Na", "wrong district")
        if delivery.state != "ACCEPTED":
            delivery.state = "REFUSED"
            return
        delivery.withdrawn = at
        for other in self.model.sent:
            lower = other.period == delivery.period and other.state == "SUPERSEDED"
            if lower and not self.model.higher(other):
                other.state, other.at = "RECEIVED", at

    @staticmethod
    def may_go(delivery: Sent) -> bool:
        return delivery.state in ("RECEIVED", "HELD") or (
            delivery.state == "ACCEPTED" and not delivery.withdrawn
        )

    # -- what must hold ----------------------------------------------------------------------------------------------------

    def known(self, period: str, at: datetime) -> dict[str, int]:
        return {row[0][3:5]: int(row[2]) for row in self.bench.known(period, at)}

    def expected(self, period: str, at: datetime) -> dict[str, int]:
        return {token(s)[3:5]: amount for s, amount in self.model.rows(period, at).items()}

    @invariant()
    def states_are_the_models(self) -> None:
        if not hasattr(self, "model"):
            return
        for delivery in self.model.arrived():
            entry = self.bench.entry(delivery.number)
            assert (entry.state, entry.received_at) == (delivery.state, delivery.at)
            assert entry.withdrawn_at == delivery.withdrawn

    @invariant()
    def what_is_known_is_the_models(self) -> None:
        if not hasattr(self, "model"):
            return
        for period in PERIODS:
            assert self.known(period, self.now) == self.expected(period, self.now)
        for period, at, rows in self.remembered:
            assert self.known(period, at) == rows, "what was known then has changed"
        if not any(d.state == "RECEIVED" for d in self.model.sent):
            self.remembered += [(period, self.now, self.known(period, self.now)) for period in PERIODS]
            self.now += timedelta(minutes=1)

    @invariant()
    def accepted_rows_lie_there_once(self) -> None:
        if not hasattr(self, "model") or not self.bench.store.exists(TABLE):
            return
        rows = self.bench.store.read(TABLE)
        for delivery in self.model.arrived():
            mine = rows.filter(pc.equal(rows.column("delivery_no"), delivery.number))
            taken = delivery.state == "ACCEPTED"
            assert mine.num_rows == (len(delivery.amounts) if taken else 0)
            if taken and mine.num_rows:
                assert fen(mine.column("base_amt")).sum() == 100 * sum(delivery.amounts.values())

    @invariant()
    def the_audit_chain_holds(self) -> None:
        if hasattr(self, "model"):
            with self.bench.state.session() as session:
                verify(session)
                numbers = {entry.delivery_no for entry in session.query(Delivery)}
                assert {d.number for d in self.model.arrived()} <= numbers


def dying_at(crash: str | None):  # type: ignore[no-untyped-def]
    def kill_point(name: str) -> None:
        if name == crash:
            raise Crash

    return kill_point


def run(migrated: Path, examples: int, steps: int = 20, planted: bool = False) -> None:
    """With `planted` always the same examples, and the first failure is enough."""
    machine = type("Machine", (LedgerMachine,), {"migrated": migrated})
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
        derandomize=planted, phases=(Phase.generate,) if planted else tuple(Phase),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=how)


@pytest.mark.slow
def test_any_sequence_of_events_keeps_the_ledgers_promises(migrated: Path) -> None:
    run(migrated, 60)


def _early(number, converted, adapter, schema, store, registry, state, keys, clock):  # type: ignore[no-untyped-def]
    """Intake that tells the ledger before it writes the rows."""
    intake = sources.intake
    with state.session() as session:
        entry = session.get_one(Delivery, number)
        judged = intake.judge(session, entry, converted, adapter, schema, converted.delivered)
        result = intake._accept(session, store, clock, entry, converted, adapter, judged)
    intake.kill_point("intake.after_subjects")
    rows = intake.with_subjects(converted, entry, adapter, schema, registry, keys, state)
    if rows.num_rows:
        store.append(TABLE, entry.period, rows)
    return result


def _for_ever(entry: KnownDelivery, at: datetime) -> bool:
    return entry.accepted and entry.received_at <= at


PLANTED = {
    "the ledger is told before the rows are written": ("sources.intake._settle", _early),
    "a withdrawn delivery stays known": ("sources.versions.KnownDelivery.known_at", _for_ever),
    "a gap holds nothing": ("sources.sequence.missing_numbers", lambda session, entry: []),
    "a late lower revision is applied": ("sources.intake.superseded_by", lambda session, entry: None),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("bug", PLANTED)
def test_the_machine_notices_a_planted_bug(migrated: Path, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    monkeypatch.setattr(*PLANTED[bug])
    with pytest.raises((AssertionError, Refusal)):
        run(migrated, 200, planted=True)
