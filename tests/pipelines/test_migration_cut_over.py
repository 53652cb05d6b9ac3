"""Cut-over, rollback, retirement: history and scores go on under the new key, what was known stays what it was, nothing counts
twice, and a killed run is finished by running it again."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from core.audit import verify
from core.clock import FixedClock
from core.errors import GateRefused, GsceneError, Refusal
from core.months import Month
from core.state import AuditEvent, Delivery
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from features.as_of import feature_table
from leads.carry_over import protected_subjects
from pipelines.catch_up import take_in_waiting
from pipelines.migration_check import check_migration
from pipelines.migration_cut_over import cut_over, rollback
from pipelines.workplace import Blueprint, Workplace
from sources.migration import exchange
from sources.migration.lanes import lane_of
from sources.migration.states import State, changes, find
from sources.month_intake import take_in_month, waiting_months
from sources.versions import ledger_deliveries, resolver
from tests.features.bits import same_bits
from tests.pipelines.migration_world import (
    CHECKER,
    CUT_OVER,
    DUAL_FIRST,
    DUAL_LAST,
    FIRMS,
    KIND,
    MIGRATED,
    NAME,
    NEW_IDS,
    OLD_IDS,
    PLANNER,
    SIGNER,
    MigrationWorld,
    base,
    build_base,
    made_up_adapters,
    truth_of,
)

__all__ = ["base", "made_up_adapters"]

#: Both sides have sent the cut-over month and its knowledge cutoff has passed.
CUT_OVER_DAY = datetime(2026, 5, 20, 2, tzinfo=UTC)
WINDOW_OVER = CUT_OVER_DAY + timedelta(days=60)
VAT = "tax_vat_return"


@pytest.fixture(scope="module")
def signed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checked, signed off, and the cut-over month delivered by both sides - by the new one with other amounts."""
    home = tmp_path_factory.mktemp("signed") / "home"
    shutil.copytree(base, home)
    world = MigrationWorld(home, FixedClock(CUT_OVER_DAY))
    world.desk.start(NAME, PLANNER)
    world.new_side(DUAL_FIRST, DUAL_LAST)
    assert check_migration(world.workplace, NAME, CHECKER).passed
    world.desk.sign(NAME, SIGNER, [])
    world.old_side(CUT_OVER, CUT_OVER)
    take_in_waiting(world.workplace)
    world.new_side(
        CUT_OVER, CUT_OVER, lambda frame, table, _m: other_amounts(frame) if table == VAT else frame
    )
    return home


def other_amounts(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(taxable_sales_amt=[round(amount + 100, 2) for amount in frame["taxable_sales_amt"]])


@pytest.fixture
def world(signed: Path, tmp_path: Path) -> MigrationWorld:
    shutil.copytree(signed, tmp_path / "home")
    return MigrationWorld(tmp_path / "home", FixedClock(CUT_OVER_DAY))


def texts(file: Path) -> set[str]:
    """Every text cell of a Parquet file."""
    table = pq.read_table(file, partitioning=None)
    return {
        cell
        for name in table.column_names
        for cell in table.column(name).to_pylist()
        if isinstance(cell, str)
    }


def take_in_rows(workplace: Workplace) -> None:
    """Take in what waits, without judging and folding it."""
    refused: Refusal | None = None
    for (kind, table), months in waiting_months(workplace.state).items():
        for month in months:
            try:
                take_in_month(
                    kind, workplace.blueprint.schemas[table], month, adapters=workplace.blueprint.adapters,
                    store=workplace.store, registry=workplace.registry(kind), state=workplace.state,
                    archive=workplace.settings.archive, keys=workplace.settings.keys, clock=workplace.clock,
                )  # fmt: skip
            except Refusal as refusal:
                refused = refusal
    if refused is not None:
        raise refused


@pytest.fixture
def rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that look at ledger and registry alone spare Dagster's runs."""
    monkeypatch.setattr("pipelines.migration_cut_over.take_in_waiting", take_in_rows)


def features(world: MigrationWorld, month: Month) -> pa.Table:
    """As of a month, from the facts as they are now."""
    plan = world.workplace.blueprint
    return feature_table(world.store, plan.feature_sets["enterprise_monthly"], month)


def known(world: MigrationWorld, table: str, month: Month, at: datetime) -> pa.Table:
    """Live rows of a month as known."""
    name = f"raw/{KIND}/{table}"
    resolve = resolver(world.schemas[table], world.state, name, str(month))
    return resolve(world.store.read(name, [str(month)]), at)


def sales(rows: pa.Table) -> dict[int, object]:
    return dict(
        zip(rows.column("subject_no").to_pylist(), rows.column("taxable_sales_amt").to_pylist(), strict=True)
    )


def registry(world: MigrationWorld) -> SubjectRegistry:
    return SubjectRegistry(world.store, KIND)


def lanes(world: MigrationWorld) -> tuple[str, str]:
    with world.state.session() as session:
        return lane_of(session, "city_x"), lane_of(session, "prov_x")


def migrate(world: MigrationWorld) -> None:
    cut_over(world.workplace, NAME, PLANNER)


@pytest.mark.slow
def test_after_the_cut_over_history_goes_on_and_what_was_known_stays_as_it_was(world: MigrationWorld) -> None:
    months = (DUAL_LAST, CUT_OVER)
    before = {month: features(world, month) for month in months}
    numbers = registry(world).numbers(pa.array(OLD_IDS), add=False)
    old_rows = known(world, VAT, CUT_OVER, CUT_OVER_DAY)

    done = cut_over(world.workplace, NAME, PLANNER)
    assert (done.rekeyed, done.promoted, done.withdrawn) == (FIRMS, 3, 3)
    assert lanes(world) == ("trial", "live")
    for month in months:
        assert same_bits(features(world, month), before[month]), "as known then, to the bit"
    assert known(world, VAT, CUT_OVER, CUT_OVER_DAY - timedelta(seconds=1)).equals(old_rows)

    assert registry(world).size == FIRMS, "nobody became a stranger"
    assert (registry(world).numbers(pa.array(NEW_IDS), add=False) == numbers).all()
    truth = truth_of(world.schemas[VAT], CUT_OVER)
    now = known(world, VAT, CUT_OVER, CUT_OVER_DAY)
    assert now.num_rows == len(truth) == old_rows.num_rows, "the same record from both sides counts once"
    shifted = {number: amount + 100 for number, amount in sales(old_rows).items()}
    assert sales(now) == shifted, "and it is the new side's"
    with world.state.session() as session:
        assert verify(session) > 0


@pytest.mark.slow
def test_the_next_month_of_the_new_platform_continues_each_subject(world: MigrationWorld) -> None:
    migrate(world)
    world.at(CUT_OVER_DAY + timedelta(days=25)).new_side(CUT_OVER.plus(1), CUT_OVER.plus(1))
    take_in_waiting(world.workplace)
    assert registry(world).size == FIRMS
    rows = known(world, VAT, CUT_OVER.plus(1), world.clock.now())
    assert rows.num_rows == len(truth_of(world.schemas[VAT], CUT_OVER.plus(1)))
    frame = features(world, CUT_OVER.plus(1)).to_pandas()
    assert frame["vat_sales_12m"].notna().mean() > 0.99, "windows reach back over the cut-over"


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
def test_everybody_protected_is_protected_under_the_new_key(world: MigrationWorld) -> None:
    registers = [world.store.read(f"raw/{KIND}/{name}") for name in ("suppression", "consent_register")]
    protected = protected_subjects(*registers)
    before = registry(world).subject_ids(protected).to_pylist()
    migrate(world)
    after = registry(world).subject_ids(protected).to_pylist()
    assert len(protected) >= 15 and all(one.startswith("k1:") for one in before)
    assert after == [NEW_IDS[np.flatnonzero(OLD_IDS == one)[0]] for one in before]


def register_row(world: MigrationWorld, firm: int, day: int, source: str = "bank_x") -> int:
    """One more suppression of a firm, under its old pseudonym."""
    from tests.pipelines.migration_world import suppressions_of

    month = CUT_OVER.plus(2)
    sample = suppressions_of(world.schemas["suppression"], month).iloc[:1].assign(firm=firm)
    return world.send(source, "suppression", month, sample, OLD_IDS, days=day, revision=day)


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
def test_old_pseudonyms_lead_to_their_subjects_in_the_window_and_are_refused_after_it(
    world: MigrationWorld,
) -> None:
    migrate(world)
    world.at(CUT_OVER_DAY + timedelta(days=30))
    register_row(world, 20, 1)
    take_in_rows(world.workplace)
    assert registry(world).size == FIRMS
    rows = world.store.read(f"raw/{KIND}/suppression", [str(CUT_OVER.plus(2))])
    (number,) = set(rows.column("subject_no").to_pylist())
    assert registry(world).subject_ids(np.array([number])).to_pylist() == [NEW_IDS[20]]

    world.at(WINDOW_OVER + timedelta(days=1)).desk.retire(NAME, PLANNER, {KIND: registry(world)})
    register_row(world, 21, 2)
    with pytest.raises(Refusal) as refused:
        take_in_rows(world.workplace)
    assert refused.value.code == "REFUSED/RETIRED_KEY"
    assert registry(world).size == FIRMS


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
def test_in_the_window_a_source_that_was_not_named_may_not_use_the_old_key(world: MigrationWorld) -> None:
    migrate(world)
    with world.state.session() as session:
        migration = find(session, NAME)
        migration.definition = {**migration.definition, "dual_key": []}
    register_row(world, 20, 1)
    with pytest.raises(Refusal, match="RETIRED_KEY"):
        take_in_rows(world.workplace)


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
def test_retirement_ends_every_trace_of_who_had_which_old_pseudonym(world: MigrationWorld) -> None:
    migrate(world)
    vault = world.home / "restricted" / "migrations" / NAME / "crosswalk.parquet"
    assert vault.stat().st_mode & 0o777 == 0o600 and vault.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(GateRefused, match="isn't over"):
        world.desk.retire(NAME, PLANNER, {})
    kinds = {kind: SubjectRegistry(world.store, kind) for kind in SubjectKind}
    world.at(WINDOW_OVER + timedelta(hours=1)).desk.retire(NAME, PLANNER, kinds)
    assert not vault.parent.exists()
    left = {
        cell
        for path in (world.home / "lake" / "registry").glob("enterprise*/**/*.parquet")
        for cell in texts(path)
    }
    assert left >= set(NEW_IDS) and not left & set(OLD_IDS)
    former = world.store.read(f"registry/{KIND}_former")
    assert set(former.column("subject_no").to_pylist()) == {-1}
    assert former.column("digest").to_pylist() == sorted(
        hashlib.sha256(one.encode()).hexdigest() for one in OLD_IDS
    )
    with world.state.session() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "migration.retired")).one()
        kept = find(session, NAME).crosswalk or {}
        assert event.details["destroyed"]["crosswalk_sha256"] == kept["sha256"]
        assert event.details["destroyed"]["bytes"] == kept["bytes"]
        with pytest.raises(Refusal) as refused:
            lane_of(session, "city_x")
        assert refused.value.code == "REFUSED/RETIRED_SOURCE"
    world.send("prov_x", VAT, CUT_OVER.plus(1), truth_of(world.schemas[VAT], CUT_OVER.plus(1)), NEW_IDS)
    with pytest.raises(Refusal, match="RETIRED_SOURCE"):
        world.send("city_x", VAT, CUT_OVER.plus(1), truth_of(world.schemas[VAT], CUT_OVER.plus(1)), OLD_IDS)


@pytest.mark.slow
def test_a_rollback_gives_the_old_side_back_with_what_it_has_sent_since(world: MigrationWorld) -> None:
    old_rows = known(world, VAT, CUT_OVER, CUT_OVER_DAY)
    before = features(world, CUT_OVER)
    cut_over(world.workplace, NAME, PLANNER)
    between = CUT_OVER_DAY + timedelta(days=25)
    world.at(between).new_side(CUT_OVER.plus(1), CUT_OVER.plus(1))
    world.old_side(CUT_OVER.plus(1), CUT_OVER.plus(1))
    take_in_waiting(world.workplace)
    of_new = known(world, VAT, CUT_OVER, between)

    back = between + timedelta(days=1)
    done = rollback(world.at(back).workplace, NAME, PLANNER, "the province's portal is down")
    assert done.state is State.ROLLED_BACK
    assert lanes(world) == ("live", "trial")
    assert (registry(world).numbers(pa.array(OLD_IDS), add=False) >= 0).all()
    assert registry(world).size == FIRMS
    assert sales(known(world, VAT, CUT_OVER, back)) == sales(old_rows)
    assert known(world, VAT, CUT_OVER, between).equals(of_new), "what was known in the window stays known"
    assert same_bits(features(world, CUT_OVER), before)
    next_month = known(world, VAT, CUT_OVER.plus(1), back)
    assert next_month.num_rows == len(truth_of(world.schemas[VAT], CUT_OVER.plus(1)))
    sources = {
        entry.source
        for entry in ledger_deliveries(world.state, f"raw/{KIND}/{VAT}", str(CUT_OVER.plus(1))).values()
        if entry.known_at(back)
    }
    assert sources == {"city_x"}
    assert not (world.home / "restricted" / "migrations" / NAME).exists()


class Killed(BaseException):
    """As a kill -9 would, nothing that runs after it is run."""


def die(*_args: object, **_how: object) -> None:
    raise Killed


def then_die(function: Callable[..., object]) -> Callable[..., object]:
    def dying(*args: object, **how: object) -> object:
        function(*args, **how)
        raise Killed

    return dying


KILLS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "before the re-keying": lambda patch: patch.setattr(SubjectRegistry, "rekey", die),
    "within the re-keying": lambda patch: patch.setattr(
        SubjectRegistry, "_remember_former", then_die(SubjectRegistry._remember_former)
    ),
    "after the re-keying": lambda patch: patch.setattr(
        SubjectRegistry, "rekey", then_die(SubjectRegistry.rekey)
    ),
    "within the exchange": lambda patch: patch.setattr("pipelines.migration_cut_over.move", die),
    "before what was promoted is taken in": lambda patch: patch.setattr(
        "pipelines.migration_cut_over._finish_cut_over",
        then_die(__import__("pipelines.migration_cut_over", fromlist=["x"])._finish_cut_over),
    ),
}


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
@pytest.mark.parametrize("when", KILLS)
def test_a_killed_cut_over_is_finished_by_running_it_again(
    when: str, world: MigrationWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        KILLS[when](patch)
        with pytest.raises(Killed):
            cut_over(world.workplace, NAME, PLANNER)
    again = MigrationWorld(world.home, FixedClock(CUT_OVER_DAY + timedelta(hours=3)))
    if when == "before what was promoted is taken in":
        take_in_rows(again.workplace)
    else:
        assert lanes(again) == ("trial", "trial"), (
            "in between nobody comes in under a key that is being changed"
        )
        cut_over(again.workplace, NAME, PLANNER)
    assert lanes(again) == ("trial", "live")
    assert registry(again).size == FIRMS
    rows = known(again, VAT, CUT_OVER, again.clock.now())
    assert rows.num_rows == len(truth_of(world.schemas[VAT], CUT_OVER))
    with again.state.session() as session:
        promoted = session.scalars(select(Delivery).where(Delivery.basis == exchange.PROMOTED)).all()
        assert len(promoted) == len(MIGRATED) and all(entry.state == "ACCEPTED" for entry in promoted)
        assert [c.to_state for c in changes(session, NAME)][-2:] == ["cut_over", "rollback_window"]


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
def test_a_killed_rollback_is_finished_by_running_it_again(
    world: MigrationWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(world)
    world.at(CUT_OVER_DAY + timedelta(days=5))
    for killed in ("pipelines.migration_cut_over.move", "sources.migration.acts.MigrationDesk.forget"):
        with monkeypatch.context() as patch:
            patch.setattr(killed, die)
            with pytest.raises(Killed):
                rollback(world.workplace, NAME, PLANNER, "to be on the safe side")
    rollback(world.workplace, NAME, PLANNER, "to be on the safe side")
    assert lanes(world) == ("live", "trial")
    rows = known(world, VAT, CUT_OVER, world.clock.now())
    assert rows.num_rows == len(truth_of(world.schemas[VAT], CUT_OVER))
    assert not (world.home / "restricted" / "migrations" / NAME).exists()
    with pytest.raises(GateRefused):
        rollback(world.workplace, NAME, PLANNER, "once more")


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
def test_one_newly_protected_subject_outside_the_crosswalk_stops_a_signed_cut_over(
    world: MigrationWorld,
) -> None:
    stranger = np.append(OLD_IDS, "k1:" + "f" * 40)
    from tests.pipelines.migration_world import suppressions_of

    sample = suppressions_of(world.schemas["suppression"], CUT_OVER).iloc[:1].assign(firm=FIRMS)
    world.send("bank_x", "suppression", CUT_OVER, sample, stranger, days=1)
    with pytest.raises(GateRefused, match="PC15: 1 protected"):
        cut_over(world.workplace, NAME, PLANNER)
    assert lanes(world) == ("live", "trial")


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
def test_two_numbers_of_one_subject_stop_the_cut_over(world: MigrationWorld) -> None:
    registry(world).numbers(pa.array(NEW_IDS[:2]))
    with pytest.raises(GateRefused, match="2 subjects of the kind enterprise have a number under both"):
        cut_over(world.workplace, NAME, PLANNER)


@pytest.mark.usefixtures("rows_only")
@pytest.mark.slow
def test_a_hole_before_the_cut_over_month_stops_it(world: MigrationWorld) -> None:
    with world.state.session() as session:
        query = select(Delivery).where(
            Delivery.source == "city_x", Delivery.table == VAT, Delivery.period == str(DUAL_LAST)
        )
        for entry in session.scalars(query):
            entry.state = "REFUSED"
    with pytest.raises(GateRefused, match="history would have a hole"):
        cut_over(world.workplace, NAME, PLANNER)


@pytest.mark.slow
def test_a_changed_crosswalk_is_not_read(world: MigrationWorld) -> None:
    file = world.home / "restricted" / "migrations" / NAME / "crosswalk.parquet"
    file.chmod(0o644)
    with pytest.raises(GsceneError, match="read by others"):
        cut_over(world.workplace, NAME, PLANNER)
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(GsceneError, match="isn't the crosswalk that was taken over"):
        cut_over(world.workplace, NAME, PLANNER)


@pytest.mark.slow
def test_what_is_on_trial_is_known_to_nobody_else(
    made_up_adapters: Blueprint, signed: Path, base: Path
) -> None:
    one, other = (MigrationWorld(home, FixedClock(CUT_OVER_DAY)) for home in (base, signed))
    for table in MIGRATED:
        name = f"raw/{KIND}/{table}"
        assert one.store.content_hash(name, str(DUAL_LAST)) == other.store.content_hash(name, str(DUAL_LAST))
    assert pc.all(pc.starts_with(registry(other).table().column("subject_id"), "k1:")).as_py()
    assert build_base.__doc__
