"""Cut-over and rollback: the registry is re-keyed and the ledger exchanged, in steps that a killed run takes up again.

1. The state says that it has begun: from here on both sides' deliveries wait on the trial lane.
2. The registry is re-keyed (repeating it changes nothing).
3. In one transaction deliveries are withdrawn and promoted and the state says that it is done.
4. What was promoted is taken in like any delivery that waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from core.errors import GateRefused
from core.state import PlatformMigration
from core.subject import SubjectKind
from pipelines.catch_up import take_in_waiting
from pipelines.migration_check import Parity, crosswalk_of
from pipelines.workplace import Workplace
from sources.migration.acts import MigrationDesk, require_current_check, require_separable
from sources.migration.crosswalk import Crosswalk
from sources.migration.definition import MigrationDefinition
from sources.migration.exchange import (
    Exchanged,
    exchange_at_cut_over,
    exchange_at_rollback,
    held,
    months_delivered,
    waiting,
)
from sources.migration.states import State, changes, definition_of, find, move, note, require_state, state_of

ROLLBACK = "rollback"


@dataclass(frozen=True)
class Exchange:
    """What a cut-over or rollback did: subjects re-keyed, deliveries promoted and withdrawn."""

    state: State
    rekeyed: int
    promoted: int
    withdrawn: int


def cut_over(workplace: Workplace, name: str, actor: str) -> Exchange:
    """Make the new side the live one from the cut-over month on. GateRefused unless it is signed off on the latest check, every
    protected subject still carries over, and the old side has delivered all that comes before. A killed run is finished by
    running it again."""
    with workplace.state.session() as session:
        migration = find(session, name)
        require_state(migration, "be cut over", State.SIGNED_OFF, State.CUT_OVER)
        definition, begun = definition_of(migration), state_of(migration) is State.CUT_OVER
    crosswalk = crosswalk_of(workplace, definition)
    if not begun:
        take_in_waiting(workplace)
        _require_ready(workplace, definition, crosswalk)
        desk_of(workplace).begin_cut_over(name, actor)
    rekeyed = _rekey(workplace, definition, crosswalk)
    done = _finish_cut_over(workplace, definition, actor, rekeyed)
    take_in_waiting(workplace)
    return Exchange(State.ROLLBACK_WINDOW, rekeyed, done.promoted, done.withdrawn)


def rollback(workplace: Workplace, name: str, actor: str, reason: str) -> Exchange:
    """Make the old side the live one again. GateRefused once the rollback window is over. A killed run is finished by running it
    again."""
    with workplace.state.session() as session:
        migration = find(session, name)
        definition, here = definition_of(migration), state_of(migration)
        forgotten = any("destroyed" in change.details for change in changes(session, name))
        if here is not State.ROLLED_BACK or forgotten:
            require_state(migration, "be rolled back", State.CUT_OVER, State.ROLLBACK_WINDOW)
            _require_open_window(workplace, migration)
        begun = migration.under_way == ROLLBACK
    done = Exchange(State.ROLLED_BACK, 0, 0, 0)
    if here is not State.ROLLED_BACK:
        if not begun:
            _begin_rollback(workplace, definition, actor, reason)
        rekeyed = _rekey(workplace, definition, crosswalk_of(workplace, definition), back=True)
        done = _finish_rollback(workplace, definition, actor, rekeyed, reason)
    take_in_waiting(workplace)
    evidence = desk_of(workplace).forget(name, {kind: workplace.registry(kind) for kind in SubjectKind})
    with workplace.state.session() as session:
        migration = find(session, name)
        told = {"destroyed": evidence}
        note(session, workplace.clock, migration, actor, migration.definition_sha256, told, State.ROLLED_BACK)
    return done


def desk_of(workplace: Workplace) -> MigrationDesk:
    """The acts that need no more than the state database and the home folder."""
    return MigrationDesk(workplace.state, workplace.clock, workplace.settings.home)


def _require_open_window(workplace: Workplace, migration: PlatformMigration) -> None:
    ends = migration.window_ends_at
    if ends is not None and workplace.clock.now() >= ends and migration.under_way is None:
        raise GateRefused(
            f"the rollback window of {migration.name} is over.",
            "Plan a migration back, with a check and a signature of its own.",
        )


def _require_ready(
    workplace: Workplace, definition: MigrationDefinition, crosswalk: Crosswalk | None
) -> None:
    """What may have changed since the signature and can't be let pass."""
    last = str(definition.cut_over_month.plus(-1))
    with workplace.state.session() as session:
        require_separable(session, definition)
        left = waiting(session, definition.old_sources)
        if left:
            raise GateRefused(f"{left} deliveries of the old side wait.", "Take them in first: gscene run.")
        stopped = held(session, definition.new_sources, definition.cut_over)
        if stopped:
            raise GateRefused(
                f"{stopped} deliveries of the new side from {definition.cut_over} on are held or quarantined.",
                "Decide on each first (gscene deliveries): what is held now would be missing after the cut-over.",
            )
        for table in definition.tables:
            sources = [feed.source for feed in table.old]
            if last not in months_delivered(session, sources, str(table.subject), table.table):
                raise GateRefused(
                    f"the old side hasn't delivered {table.name} of {last}: history would have a hole.",
                    "Wait for it, or set an earlier cut-over month in the definition and check again.",
                )
    parity = Parity(workplace, definition, crosswalk, workplace.clock.now())
    for kind in definition.kinds:
        lost = [finding for finding in parity.protection(kind) if finding.blocks]
        if lost:
            raise GateRefused(
                f"PC15: {lost[0].counts.get('lost', 'an unknown number of')} protected subjects of the kind {kind} would lose "
                "their protection.",
                "Have the provider complete the crosswalk for them; there is no tolerance and no waiver.",
            )
        if crosswalk is not None:
            conflicts = workplace.registry(kind).conflicts(*crosswalk.usable)
            if conflicts:
                raise GateRefused(
                    f"{conflicts} subjects of the kind {kind} have a number under both pseudonyms.",
                    "Find the source that sends under the new key already, and correct the crosswalk.",
                )


def _rekey(
    workplace: Workplace, definition: MigrationDefinition, crosswalk: Crosswalk | None, back: bool = False
) -> int:
    """Subjects that have the other pseudonym now."""
    if crosswalk is None:
        return 0
    old, new = crosswalk.usable
    pairs = (new, old) if back else (old, new)
    return sum(workplace.registry(kind).rekey(*pairs).subjects for kind in SubjectKind)


def _finish_cut_over(
    workplace: Workplace, definition: MigrationDefinition, actor: str, rekeyed: int
) -> Exchanged:
    with workplace.state.session() as session:
        migration, now = find(session, definition.migration), workplace.clock.now()
        done = exchange_at_cut_over(session, definition, now)
        migration.cut_over_at = now
        migration.window_ends_at = now + timedelta(days=definition.rollback_window_days)
        told = {"subjects_rekeyed": rekeyed, "promoted": done.promoted, "withdrawn": done.withdrawn}
        evidence = require_current_check(session, migration).evidence_sha256
        move(session, workplace.clock, migration, State.ROLLBACK_WINDOW, actor, evidence, told)
    return done


def _begin_rollback(workplace: Workplace, definition: MigrationDefinition, actor: str, reason: str) -> None:
    take_in_waiting(workplace)
    with workplace.state.session() as session:
        left = waiting(session, definition.new_sources)
        if left:
            raise GateRefused(f"{left} deliveries of the new side wait.", "Take them in first: gscene run.")
        migration = find(session, definition.migration)
        migration.under_way = ROLLBACK
        told = {"rollback": "begun", "reason": reason}
        note(
            session,
            workplace.clock,
            migration,
            actor,
            migration.definition_sha256,
            told,
            came_from=state_of(migration),
        )


def _finish_rollback(
    workplace: Workplace, definition: MigrationDefinition, actor: str, rekeyed: int, reason: str
) -> Exchange:
    with workplace.state.session() as session:
        migration = find(session, definition.migration)
        begin = next(c for c in changes(session, migration.name) if c.to_state == State.CUT_OVER)
        done = exchange_at_rollback(
            session, definition, begin.details["last_delivery_no"], workplace.clock.now()
        )
        migration.under_way = None
        told = {
            "subjects_rekeyed": rekeyed,
            "promoted": done.promoted,
            "withdrawn": done.withdrawn,
            "reason": reason,
        }
        move(session, workplace.clock, migration, State.ROLLED_BACK, actor, migration.definition_sha256, told)
    return Exchange(State.ROLLED_BACK, rekeyed, done.promoted, done.withdrawn)
