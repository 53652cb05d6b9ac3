"""No way leads to a cut-over past a failing check or without a second person's signature; every step is on record."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.audit import verify
from core.clock import FixedClock
from core.errors import ExitCode, GateRefused, GsceneError, Refusal
from core.person import actor_name
from core.state import AuditEvent, PlatformMigration, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from sources.migration.acts import MigrationDesk, keep_check
from sources.migration.definition import MigrationDefinition
from sources.migration.finding import ParityFinding, Verdict, judged, not_row_verifiable
from sources.migration.lanes import lane_of, may_use_old_key
from sources.migration.rekeyed import subject_numbers
from sources.migration.states import (
    FOLLOWS,
    NEXT_STEP,
    State,
    changes,
    find,
    last_check,
    move,
    state_of,
)

NOW = datetime(2026, 4, 20, tzinfo=UTC)
PEOPLE = ("Li", "Wang", "Chen")
GREEN = judged("PC04", "t", "matched_equal", 1.0, low=0.999)
RED = judged("PC15", "resident", "carried_over", 0.5, low=1.0)
YELLOW = judged("PC10", "t", "median_shift_days", 9.0, high=3.0)
GREY = not_row_verifiable("PC07", "t", "median_shift_days")


def definition(**changes: Any) -> MigrationDefinition:
    plain: dict[str, Any] = {
        "migration": "m",
        "title": {"zh": "迁移", "en": "Migration"},
        "tables": [
            {
                "table": "si_person_month", "subject": "resident",
                "old": [{"source": "city", "adapter": "city_si"}], "new": [{"source": "prov", "adapter": "prov_si"}],
            }
        ],
        "dual_run": {"first": "2026-01", "last": "2026-03"},
        "cut_over": "2026-04",
        "rollback_window_days": 30,
        "key_ver": {"old": "k1", "new": "k1"},
    }  # fmt: skip
    return MigrationDefinition.model_validate(plain | changes)


@pytest.fixture
def desk(tmp_path: Path, migrated: Path) -> MigrationDesk:
    return open_desk(tmp_path, migrated)


def open_desk(home: Path, migrated: Path, at: datetime = NOW) -> MigrationDesk:
    home.mkdir(exist_ok=True)
    shutil.copy(migrated, home / "state.db")
    return MigrationDesk(StateDatabase(f"sqlite:///{home / 'state.db'}"), FixedClock(at), home)


def check(desk: MigrationDesk, actor: str, *findings: ParityFinding) -> None:
    with desk.state.session() as session:
        keep_check(session, desk.clock, find(session, "m"), actor, findings, {"raw/x/2026-01": "0" * 64})


def state(desk: MigrationDesk) -> State:
    with desk.state.session() as session:
        return state_of(find(session, "m"))


def lanes(desk: MigrationDesk) -> tuple[str, str]:
    with desk.state.session() as session:
        return lane_of(session, "city"), lane_of(session, "prov")


def go(desk: MigrationDesk, to: State) -> None:
    """Past the cut-over without its work, which has tests of its own."""
    with desk.state.session() as session:
        migration = find(session, "m")
        migration.cut_over_at, migration.window_ends_at = (
            desk.clock.now(),
            desk.clock.now() + timedelta(days=30),
        )
        move(session, desk.clock, migration, to, "Li", "0" * 64, {})


def signed_off(desk: MigrationDesk) -> None:
    desk.plan(definition(), "Li")
    desk.start("m", "Li")
    check(desk, "Wang", GREEN)
    desk.sign("m", "Chen", [])


def test_the_whole_way_is_on_record_with_names_evidence_and_audit(desk: MigrationDesk) -> None:
    signed_off(desk)
    desk.begin_cut_over("m", "Li")
    go(desk, State.ROLLBACK_WINDOW)
    later = MigrationDesk(desk.state, FixedClock(NOW + timedelta(days=31)), desk.home)
    later.retire("m", "Li", {})
    with desk.state.session() as session:
        told = changes(session, "m")
        assert [c.to_state for c in told] == [
            "mapped", "dual_run", "parity_ok", "signed_off", "cut_over", "rollback_window", "retired"
        ]  # fmt: skip
        assert [c.actor for c in told][:4] == ["Li", "Li", "Wang", "Chen"]
        events = {event.event_no: event for event in session.query(AuditEvent)}
        for change in told:
            event = events[change.event_no]
            assert (event.action, event.object) == (f"migration.{change.to_state}", "m")
            assert event.details["evidence_sha256"] == change.evidence_sha256
        signature, last = told[3], last_check(session, "m")
        assert last is not None and signature.evidence_sha256 == last.evidence_sha256
        assert verify(session) == len(events)


@pytest.mark.parametrize("name", ["Wang", "wang ", "Ｗang", "Li"])
def test_whoever_ran_it_may_not_sign_it(desk: MigrationDesk, name: str) -> None:
    desk.plan(definition(), "Li")
    desk.start("m", "Li")
    check(desk, "Wang", GREEN)
    with pytest.raises(GateRefused, match="may not sign it off") as refused:
        desk.sign("m", name, [])
    assert refused.value.exit_code == ExitCode.GATE_REFUSED and refused.value.remedy
    assert state(desk) is State.PARITY_OK


def test_every_light_that_is_not_green_must_be_named_by_the_signature(desk: MigrationDesk) -> None:
    desk.plan(definition(), "Li")
    desk.start("m", "Li")
    check(desk, "Wang", GREEN, YELLOW, GREY)
    with pytest.raises(GateRefused, match="PC07, PC10 did not pass") as refused:
        desk.sign("m", "Chen", [])
    assert "--accept PC07 --accept PC10" in refused.value.remedy
    with pytest.raises(GateRefused, match="PC07"):
        desk.sign("m", "Chen", ["PC10"])
    desk.sign("m", "Chen", ["PC10", "PC07"], "agreed with the province")
    with desk.state.session() as session:
        assert changes(session, "m")[-1].details["accepted"] == ["PC07", "PC10"]


def test_a_later_check_or_another_definition_takes_the_signature_away(desk: MigrationDesk) -> None:
    signed_off(desk)
    check(desk, "Wang", GREEN, RED)
    assert state(desk) is State.DUAL_RUN
    check(desk, "Wang", GREEN)
    with pytest.raises(GateRefused):
        desk.begin_cut_over("m", "Li")
    desk.sign("m", "Chen", [])
    desk.plan(definition(rollback_window_days=10), "Li")
    assert state(desk) is State.DUAL_RUN
    with pytest.raises(GateRefused):
        desk.sign("m", "Chen", [])


def test_refusals_say_where_it_stands_and_what_to_do(desk: MigrationDesk) -> None:
    with pytest.raises(GsceneError, match="no migration m") as unknown:
        desk.start("m", "Li")
    assert "gscene migrate plan m" in unknown.value.remedy
    desk.plan(definition(), "Li")
    with pytest.raises(GateRefused, match="in the state mapped") as refused:
        desk.sign("m", "Chen", [])
    assert "gscene migrate start m" in refused.value.remedy
    assert set(NEXT_STEP) == set(State) == set(FOLLOWS)


def test_lanes_follow_the_state(desk: MigrationDesk) -> None:
    assert lanes(desk) == ("live", "live"), "before it is planned nothing is known of it"
    desk.plan(definition(), "Li")
    assert lanes(desk) == ("live", "trial")
    desk.start("m", "Li")
    check(desk, "Wang", GREEN)
    desk.sign("m", "Chen", [])
    assert lanes(desk) == ("live", "trial")
    desk.begin_cut_over("m", "Li")
    assert lanes(desk) == ("trial", "trial")
    go(desk, State.ROLLBACK_WINDOW)
    assert lanes(desk) == ("trial", "live")
    with desk.state.session() as session:
        find(session, "m").under_way = "rollback"
    assert lanes(desk) == ("trial", "trial")
    with desk.state.session() as session:
        find(session, "m").under_way = None
    go(desk, State.ROLLED_BACK)
    assert lanes(desk) == ("live", "trial")
    desk.plan(definition(migration="again"), "Li")
    assert lanes(desk) == ("live", "trial")
    with desk.state.session() as session:
        session.get_one(PlatformMigration, "again").state = State.RETIRED
        assert lane_of(session, "prov") == "live", "the migration planned last decides"
        assert lane_of(session, "bank") == "live"
        with pytest.raises(Refusal, match="was retired by the migration again"):
            lane_of(session, "city")


def test_a_source_stands_in_one_unfinished_migration(desk: MigrationDesk) -> None:
    desk.plan(definition(), "Li")
    with pytest.raises(GateRefused, match="stands in the migration m"):
        desk.plan(definition(migration="other"), "Li")


def test_old_pseudonyms_resolve_only_where_and_as_long_as_they_may(
    desk: MigrationDesk, tmp_path: Path
) -> None:
    registry = SubjectRegistry(TableStore(tmp_path / "lake"), SubjectKind.RESIDENT)
    old, new = pa.array(["k1:a", "k1:b"]), pa.array(["k2:a", "k2:b"])
    mixed = pa.array(["k1:b", "k9:c", "k2:a"])
    numbers = registry.numbers(old)
    assert subject_numbers(desk.state, registry, "bank", old, old).tolist() == numbers.tolist()
    registry.rekey(old, new)
    desk.plan(definition(dual_key=["bank"]), "Li")
    with desk.state.session() as session:
        session.get_one(PlatformMigration, "m").state = State.ROLLBACK_WINDOW
        assert may_use_old_key(session, "bank") and not may_use_old_key(session, "prov")
    assert subject_numbers(desk.state, registry, "bank", mixed, mixed).tolist() == [1, 2, 0]
    with pytest.raises(Refusal, match="1 rows are about subjects under a key") as refused:
        subject_numbers(desk.state, registry, "prov", mixed, mixed)
    assert refused.value.code == "REFUSED/RETIRED_KEY" and "k1" not in str(refused.value)
    registry.forget_former_numbers()
    with pytest.raises(Refusal):
        subject_numbers(desk.state, registry, "bank", mixed, mixed)
    with pytest.raises(GsceneError, match="has replaced"):
        registry.numbers(mixed)


@pytest.mark.parametrize("name", ["", "x", "a\x00b", "y" * 81])
def test_an_actor_is_a_persons_name(name: str) -> None:
    with pytest.raises(GsceneError, match="person's name"):
        actor_name(name)


class Migration(RuleBasedStateMachine):
    """Every act by anybody in any order, beside a model that remembers the latest check and who signed it."""

    home: Path
    empty: Path
    runs = 0
    cut_overs = 0

    @initialize(steps=st.integers(0, 3))
    def begin(self, steps: int) -> None:
        """Some of the straight way is gone already, or random acts would hardly ever come to its end."""
        type(self).runs += 1
        self.desk = open_desk(self.home / str(self.runs), self.empty)
        self.desk.plan(definition(), "Li")
        self.window, self.green, self.signer, self.ran = 30, False, "", {"Li"}
        self.needed: set[str] = set()
        straight = (
            lambda: self.start("Li"),
            lambda: self.check("Wang", [GREEN]),
            lambda: self.sign("Chen", set()),
        )
        for step in straight[:steps]:
            step()

    def attempt(self, act: Any) -> bool:
        try:
            act()
        except GateRefused:
            return False
        return True

    @property
    def here(self) -> State:
        return state(self.desk)

    @rule(who=st.sampled_from(PEOPLE))
    def start(self, who: str) -> None:
        if self.attempt(lambda: self.desk.start("m", who)) and self.here is State.DUAL_RUN:
            with self.desk.state.session() as session:
                self.ran |= {change.actor for change in changes(session, "m")}

    @rule(who=st.sampled_from(PEOPLE), days=st.sampled_from([30, 40]))
    def plan(self, who: str, days: int) -> None:
        changed = days != self.window
        if self.attempt(lambda: self.desk.plan(definition(rollback_window_days=days), who)) and changed:
            self.window, self.green, self.signer = days, False, ""
            self.ran.add(who)

    @rule(
        who=st.sampled_from(PEOPLE),
        findings=st.lists(st.sampled_from([GREEN, RED, YELLOW, GREY]), max_size=3),
    )
    def check(self, who: str, findings: list[ParityFinding]) -> None:
        if self.attempt(lambda: check(self.desk, who, *findings)):
            self.green, self.signer = not any(finding.blocks for finding in findings), ""
            self.needed = {f.check for f in findings if f.verdict is not Verdict.PASS}
            self.ran.add(who)

    @rule(who=st.sampled_from(PEOPLE), accepted=st.sets(st.sampled_from(["PC07", "PC10"])))
    def sign(self, who: str, accepted: set[str]) -> None:
        if self.attempt(lambda: self.desk.sign("m", who, accepted)):
            assert self.green and who not in self.ran and self.needed <= accepted
            self.signer = who

    @rule(who=st.sampled_from(PEOPLE))
    def cut_over(self, who: str) -> None:
        if self.attempt(lambda: self.desk.begin_cut_over("m", who)):
            type(self).cut_overs += 1
            assert self.green, "no check that fails is passed over"
            assert self.signer and self.signer not in self.ran, "and a second person has signed"

    @precondition(lambda self: self.here in (State.CUT_OVER, State.ROLLBACK_WINDOW))
    @rule(to=st.sampled_from([State.ROLLBACK_WINDOW, State.ROLLED_BACK, State.RETIRED]))
    def after(self, to: State) -> None:
        allowed = to in FOLLOWS[self.here]
        assert self.attempt(lambda: go(self.desk, to)) == allowed

    @invariant()
    def the_record_tells_the_state(self) -> None:
        if hasattr(self, "desk"):
            with self.desk.state.session() as session:
                told = changes(session, "m")
                assert told[-1].to_state == find(session, "m").state
                steps = [(State(c.from_state), State(c.to_state)) for c in told if c.from_state is not None]
                assert all(to in FOLLOWS[here] for here, to in steps)

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.state.engine.dispose()


def test_no_path_reaches_a_cut_over_without_parity_and_a_second_signature(
    tmp_path: Path, migrated: Path
) -> None:
    Migration.home, Migration.empty = tmp_path, migrated
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Migration, settings=settings(max_examples=60, stateful_step_count=14, suppress_health_check=slow)
    )
    assert Migration.cut_overs > 0, "or nothing was shown"
