"""Planning, starting, signing and retiring a migration: each act checks that it may be done, does it, and writes it down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.audit import record
from core.clock import Clock
from core.errors import GateRefused
from core.months import CHINA_TIME
from core.person import actor_name, same_person
from core.state import ParityCheck, PlatformMigration, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from sources.migration.definition import MigrationDefinition
from sources.migration.exchange import last_delivery_no, tables_delivered
from sources.migration.finding import ParityFinding, Verdict
from sources.migration.lanes import planned, side_of
from sources.migration.states import (
    ON_TRIAL,
    State,
    changes,
    definition_of,
    find,
    last_check,
    move,
    note,
    require_state,
    state_of,
)
from sources.migration.vault import CrosswalkVault, destroy

_FINISHED = (State.RETIRED, State.ROLLED_BACK)


@dataclass(frozen=True)
class MigrationDesk:
    """What every act needs: the state database, the clock, the home folder."""

    state: StateDatabase
    clock: Clock
    home: Path

    def plan(self, definition: MigrationDefinition, actor: str) -> State:
        """Write the definition down as planned, or (until the cut-over) a changed one as changed: that takes parity and
        signature away. GateRefused where the lanes couldn't be told apart any more."""
        with self.state.session() as session:
            require_separable(session, definition)
            known = session.get(PlatformMigration, definition.migration)
            told = {"definition_sha256": definition.sha256}
            if known is None:
                known = PlatformMigration(
                    name=definition.migration,
                    state=State.MAPPED,
                    definition=definition.model_dump(mode="json"),
                    definition_sha256=definition.sha256,
                )
                session.add(known)
                session.flush()
                note(session, self.clock, known, actor, definition.sha256, told)
                return State.MAPPED
            require_state(known, "be planned anew", State.MAPPED, *ON_TRIAL)
            if known.definition_sha256 == definition.sha256:
                return state_of(known)
            if (
                state_of(known) is not State.MAPPED
                and known.definition["crosswalk"] != _plain(definition)["crosswalk"]
            ):
                raise GateRefused(
                    f"the crosswalk of {known.name} has been taken over; the definition may not name another.",
                    "Plan a migration under another name.",
                )
            known.definition, known.definition_sha256 = _plain(definition), definition.sha256
            back = State.MAPPED if state_of(known) is State.MAPPED else State.DUAL_RUN
            move(session, self.clock, known, back, actor, definition.sha256, told)
            return back

    def start(self, name: str, actor: str) -> State:
        """Take the crosswalk over and begin the dual run; what was laid is destroyed once that is on record. Repeating it
        finishes what was interrupted."""
        with self.state.session() as session:
            migration = find(session, name)
            definition = definition_of(migration)
            require_state(migration, "start", State.MAPPED, State.DUAL_RUN)
            begun = state_of(migration) is State.DUAL_RUN
        vault = CrosswalkVault(self.home, name)
        if not begun:
            kept = vault.take_over(definition) if definition.crosswalk else None
            with self.state.session() as session:
                migration = find(session, name)
                migration.crosswalk = kept
                evidence = definition.sha256 if kept is None else str(kept["sha256"])
                move(session, self.clock, migration, State.DUAL_RUN, actor, evidence, {"crosswalk": kept})
        for laid in (path for path in vault.laid(definition) if path.is_file()):
            with self.state.session() as session:
                record(
                    session,
                    self.clock,
                    actor_name(actor),
                    "migration.laid_crosswalk_destroyed",
                    name,
                    destroy(laid),
                )
        return State.DUAL_RUN

    def sign(self, name: str, actor: str, accepted: Collection[str], remark: str = "") -> None:
        """Sign off on the latest check. GateRefused for the person who planned, started or checked, for a check that isn't the
        one of this definition, and while a light that isn't green hasn't been named in `accepted`."""
        with self.state.session() as session:
            migration = find(session, name)
            require_state(migration, "be signed off", State.PARITY_OK)
            check = require_current_check(session, migration)
            # Who signed an earlier round may sign again; running it is what parts the two.
            ran = {change.actor for change in changes(session, name) if change.to_state != State.SIGNED_OFF}
            ran.add(check.actor)
            if any(same_person(actor, other) for other in ran):
                raise GateRefused(
                    f"{actor_name(actor)} has planned, started or checked {name} and may not sign it off.",
                    "Have another person sign: gscene migrate sign " + name,
                )
            open_ = named_by_signature(findings_of(check))
            missing = sorted(set(open_) - set(accepted))
            if missing:
                raise GateRefused(
                    f"{', '.join(missing)} did not pass and must be named by whoever signs.",
                    f"Read the report, then add {' '.join(f'--accept {one}' for one in missing)}.",
                )
            told = {"check_no": check.check_no, "accepted": sorted(set(accepted)), "remark": remark}
            move(session, self.clock, migration, State.SIGNED_OFF, actor, check.evidence_sha256, told)

    def begin_cut_over(self, name: str, actor: str) -> None:
        """Say that the cut-over has begun; from here on both sides wait on trial. GateRefused unless the signature names the
        check that is the latest, and that one passed."""
        with self.state.session() as session:
            migration = find(session, name)
            require_state(migration, "be cut over", State.SIGNED_OFF)
            check = require_current_check(session, migration)
            signed = [change for change in changes(session, name) if change.to_state == State.SIGNED_OFF]
            if signed[-1].evidence_sha256 != check.evidence_sha256:
                raise GateRefused(
                    f"{name} was signed off on another check.", f"Sign again: gscene migrate sign {name}."
                )
            told = {"check_no": check.check_no, "last_delivery_no": last_delivery_no(session)}
            move(session, self.clock, migration, State.CUT_OVER, actor, check.evidence_sha256, told)

    def retire(
        self, name: str, actor: str, registries: Mapping[SubjectKind, SubjectRegistry]
    ) -> dict[str, Any]:
        """End the migration once its rollback window is over: the crosswalk is destroyed, and with it every trace of who had
        which old pseudonym. Returns the evidence."""
        with self.state.session() as session:
            migration = find(session, name)
            require_state(migration, "be retired", State.ROLLBACK_WINDOW)
            ends = migration.window_ends_at
            if migration.under_way or ends is None or self.clock.now() < ends:
                until = "" if ends is None else f" It ends {ends.astimezone(CHINA_TIME):%Y-%m-%d %H:%M}."
                raise GateRefused(
                    f"the rollback window of {name} isn't over.{until}", "Wait, or roll back within it."
                )
        evidence = self.forget(name, registries)
        with self.state.session() as session:
            migration = find(session, name)
            told = {"destroyed": evidence}
            move(session, self.clock, migration, State.RETIRED, actor, _hash(evidence), told)
        return evidence

    def forget(self, name: str, registries: Mapping[SubjectKind, SubjectRegistry]) -> dict[str, Any]:
        """Destroy the kept crosswalk and what the registries still tell of old pseudonyms; returns the evidence: sha256 and bytes
        as recorded when it was taken over, so that an interrupted run tells the same."""
        with self.state.session() as session:
            kept = find(session, name).crosswalk
        CrosswalkVault(self.home, name).destroy()
        files = sum(registry.forget_former_numbers() for registry in registries.values()) if kept else 0
        evidence: dict[str, Any] = {"registry_files_deleted": files, "at": self.clock.now().isoformat()}
        if kept is not None:
            evidence |= {
                "crosswalk_sha256": kept["sha256"],
                "bytes": kept["bytes"],
                "method": "overwritten, removed",
            }
        return evidence


def require_separable(session: Session, definition: MigrationDefinition) -> None:
    """GateRefused unless the lane of every delivery is clear: a source stands in one unfinished migration, the new side has
    delivered nothing live, and each table that either side delivers is named."""
    sources = {*definition.old_sources, *definition.new_sources}
    for other in planned(session):
        shared = sorted(source for source in sources if side_of(other, source) is not None)
        if other.name != definition.migration and shared and state_of(other) not in _FINISHED:
            raise GateRefused(
                f"{', '.join(shared)} stands in the migration {other.name}, which isn't finished.",
                "Finish or roll back that one first.",
            )
    live = sorted({source for source, _, _ in tables_delivered(session, definition.new_sources, "live")})
    known = session.get(PlatformMigration, definition.migration)
    if live and known is None:
        raise GateRefused(
            f"{', '.join(live)} has delivered already and counts as live.",
            "A new platform is put on trial before its first delivery: give its feeds another source name.",
        )
    named = {(feed.source, str(t.subject), t.table) for t in definition.tables for feed in (*t.old, *t.new)}
    left = sorted("/".join(place) for place in tables_delivered(session, sources) - named)
    if left:
        raise GateRefused(
            f"the migration leaves out what its sources also deliver: {', '.join(left)}.",
            "Name these tables in the definition: lanes are told apart by source.",
        )


def findings_of(check: ParityCheck) -> list[ParityFinding]:
    """The findings of a run of checks."""
    return [ParityFinding.from_plain(plain) for plain in check.findings["findings"]]


def named_by_signature(findings: Collection[ParityFinding]) -> list[str]:
    """Checks whose light isn't green and that don't block: a signature must name them."""
    return sorted({f.check for f in findings if f.verdict is not Verdict.PASS})


def require_current_check(session: Session, migration: PlatformMigration) -> ParityCheck:
    """The latest check; GateRefused unless it passed, on the definition as it is now."""
    check = last_check(session, migration.name)
    if check is None or not check.passed or check.definition_sha256 != migration.definition_sha256:
        raise GateRefused(
            f"no passing check of {migration.name} as it is defined now is on record.",
            f"Run: gscene migrate check {migration.name}.",
        )
    return check


def keep_check(
    session: Session,
    clock: Clock,
    migration: PlatformMigration,
    actor: str,
    findings: Collection[ParityFinding],
    inputs: Mapping[str, str],
) -> ParityCheck:
    """Write a run of checks down and let the state follow: parity_ok where nothing blocks, else dual_run."""
    plain = {"findings": [finding.as_plain() for finding in findings]}
    passed = not any(finding.blocks for finding in findings)
    evidence = _hash({"definition": migration.definition_sha256, "inputs": dict(inputs), **plain})
    check = ParityCheck(
        migration=migration.name,
        actor=actor_name(actor),
        checked_at=clock.now(),
        definition_sha256=migration.definition_sha256,
        inputs=dict(inputs),
        findings=plain,
        evidence_sha256=evidence,
        passed=passed,
    )
    session.add(check)
    session.flush()
    blocked = sorted({finding.check for finding in findings if finding.blocks})
    told = {"check_no": check.check_no, "findings": len(plain["findings"]), "blocked_by": blocked}
    move(session, clock, migration, State.PARITY_OK if passed else State.DUAL_RUN, actor, evidence, told)
    return check


def _plain(definition: MigrationDefinition) -> dict[str, Any]:
    return definition.model_dump(mode="json")


def _hash(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
