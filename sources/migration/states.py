"""Where a migration stands: mapped → dual_run → parity_ok → signed_off → cut_over → rollback_window → retired, or rolled_back.

Every change is written with who, when, on which evidence, and a link of the audit chain, in one transaction with what it
changes. Whoever is refused is told why and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import Clock
from core.errors import GateRefused, GsceneError
from core.person import actor_name
from core.state import MigrationChange, ParityCheck, PlatformMigration
from sources.migration.definition import MigrationDefinition


class State(StrEnum):
    """The states. A cut-over passes through `cut_over` and ends in the rollback window."""

    MAPPED = "mapped"
    DUAL_RUN = "dual_run"
    PARITY_OK = "parity_ok"
    SIGNED_OFF = "signed_off"
    CUT_OVER = "cut_over"
    ROLLBACK_WINDOW = "rollback_window"
    RETIRED = "retired"
    ROLLED_BACK = "rolled_back"


#: Which state may follow which. Back to dual_run: a check that fails, or a definition that changed, takes a sign-off away.
FOLLOWS: Mapping[State, frozenset[State]] = {
    State.MAPPED: frozenset({State.MAPPED, State.DUAL_RUN}),
    State.DUAL_RUN: frozenset({State.DUAL_RUN, State.PARITY_OK}),
    State.PARITY_OK: frozenset({State.DUAL_RUN, State.PARITY_OK, State.SIGNED_OFF}),
    State.SIGNED_OFF: frozenset({State.DUAL_RUN, State.PARITY_OK, State.CUT_OVER}),
    State.CUT_OVER: frozenset({State.ROLLBACK_WINDOW, State.ROLLED_BACK}),
    State.ROLLBACK_WINDOW: frozenset({State.RETIRED, State.ROLLED_BACK}),
    State.RETIRED: frozenset(),
    State.ROLLED_BACK: frozenset(),
}

#: States in which the new side is on trial and parity can be checked.
ON_TRIAL = (State.DUAL_RUN, State.PARITY_OK, State.SIGNED_OFF)

#: What to do in each state, told with every refusal.
NEXT_STEP: Mapping[State, str] = {
    State.MAPPED: "Start the dual run: gscene migrate start NAME.",
    State.DUAL_RUN: "Let both sides deliver the months of the dual run, then: gscene migrate check NAME.",
    State.PARITY_OK: "Have somebody who didn't run it sign: gscene migrate sign NAME.",
    State.SIGNED_OFF: "Cut over: gscene migrate cut-over NAME.",
    State.CUT_OVER: "The cut-over was interrupted; finish it: gscene migrate cut-over NAME.",
    State.ROLLBACK_WINDOW: "Watch; then gscene migrate retire NAME, or gscene migrate rollback NAME.",
    State.RETIRED: "Nothing; the old platform is gone.",
    State.ROLLED_BACK: "Nothing; plan a new migration under another name.",
}


def find(session: Session, name: str) -> PlatformMigration:
    """The migration of this name; GsceneError where none was planned."""
    found = session.get(PlatformMigration, name)
    if found is None:
        raise GsceneError(f"no migration {name} has been planned.", f"Plan it: gscene migrate plan {name}.")
    return found


def state_of(migration: PlatformMigration) -> State:
    """Its state."""
    return State(migration.state)


def definition_of(migration: PlatformMigration) -> MigrationDefinition:
    """The definition that it was planned with."""
    return MigrationDefinition.model_validate(migration.definition)


def require_state(migration: PlatformMigration, act: str, *states: State) -> None:
    """GateRefused unless the migration is in one of `states`; tells where it is and what to do there."""
    here = state_of(migration)
    if here not in states:
        raise GateRefused(
            f"{migration.name} is in the state {here}: it can't {act} from there.",
            NEXT_STEP[here].replace("NAME", migration.name),
        )


def move(
    session: Session,
    clock: Clock,
    migration: PlatformMigration,
    to: State,
    actor: str,
    evidence_sha256: str,
    details: Mapping[str, Any],
) -> MigrationChange:
    """Change the state within the caller's transaction and tell the audit chain. GateRefused for a change that isn't allowed."""
    here = state_of(migration)
    if to not in FOLLOWS[here]:
        raise GateRefused(
            f"{migration.name} can't go from {here} to {to}.", NEXT_STEP[here].replace("NAME", migration.name)
        )
    migration.state = to
    return note(session, clock, migration, actor, evidence_sha256, details, came_from=here)


def note(
    session: Session,
    clock: Clock,
    migration: PlatformMigration,
    actor: str,
    evidence_sha256: str,
    details: Mapping[str, Any],
    came_from: State | None = None,
) -> MigrationChange:
    """Write down what was done; `came_from` is the state before (None: it begins here)."""
    told = {"from": came_from, "to": migration.state, "evidence_sha256": evidence_sha256, **details}
    event = record(session, clock, actor_name(actor), f"migration.{migration.state}", migration.name, told)
    change = MigrationChange(
        migration=migration.name,
        from_state=came_from,
        to_state=migration.state,
        actor=actor_name(actor),
        at=clock.now(),
        evidence_sha256=evidence_sha256,
        details=dict(details),
        event_no=event.event_no,
    )
    session.add(change)
    session.flush()
    return change


def changes(session: Session, name: str) -> list[MigrationChange]:
    """All changes of a migration in order."""
    query = (
        select(MigrationChange).where(MigrationChange.migration == name).order_by(MigrationChange.change_no)
    )
    return list(session.scalars(query))


def last_check(session: Session, name: str) -> ParityCheck | None:
    """The latest run of the checks."""
    query = select(ParityCheck).where(ParityCheck.migration == name).order_by(ParityCheck.check_no.desc())
    return session.scalars(query).first()
