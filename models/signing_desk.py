"""Submitting, validating, approving, promoting, rejecting, rolling back and retiring a model version.

Each act checks that it may be done, does it in one transaction with its link of the audit chain, and puts the aliases that
follow from it into the outbox of MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import GsceneError, SignOffRefused
from core.model_state import ModelChange, ModelSignOff
from core.months import CHINA_TIME
from core.person import actor_name, same_person
from core.settings import Settings
from core.state import ModelVersion, StateDatabase
from models.artefact import Bundle
from models.bundle_trial import tried_bundle
from models.conditions import Condition, open_condition, require_none_overdue, today
from models.evidence import evidence_sha256, keep_files, require_intact
from models.impact_assessment import ImpactAssessment, covering_assessment
from models.lifecycle import (
    DEMO,
    IN_FORCE,
    RESETS,
    ModelState,
    find_version,
    history_of,
    name_of,
    note,
    people,
    require_allowed,
    since_reset,
    state_of,
    versions_of,
)
from models.outbox import put_aliases
from models.promotion_key import PromotionKey
from models.sign_off import APPROVED, NOT_APPROVED, standing_sign_off, verified_sign_off, write_statement
from models.sign_off_policy import SignOffPolicy, load_sign_off_policy


@dataclass(frozen=True)
class SigningDesk:
    """What every act needs. `automatic`: the demo signs, in every role and without an impact assessment; see `demo_desk`."""

    state: StateDatabase
    settings: Settings
    clock: Clock
    automatic: bool = field(default=False, kw_only=True)

    # -- the way forward -------------------------------------------------------------------------------------------

    def submit(self, version: ModelVersion, actor: str, reason: str) -> None:
        """Say who developed a version; several may. None of them validates or approves it."""
        with self.state.session() as session:
            to = self._allowed(session, version, "submit", actor, reason)
            evidence = evidence_sha256(version.bundle_sha256, {}, self._policy.sha256_for(version.name))
            self._note(session, version, "submit", actor, to, evidence, reason, {})

    def validate(
        self,
        version: ModelVersion,
        actor: str,
        reason: str,
        *,
        evidence: Sequence[Path] = (),
        conditions: Sequence[Condition] = (),
    ) -> str:
        """Vouch for a version on its report and `evidence` files; a later validation renews it. Returns the evidence hash."""
        with self.state.session() as session:
            to = self._allowed(session, version, "validate", actor, reason)
        self._tried(version)
        files = keep_files(self.settings, version, evidence)
        with self.state.session() as session:
            to = self._allowed(session, version, "validate", actor, reason)
            sha256 = evidence_sha256(version.bundle_sha256, files, self._policy.sha256_for(version.name))
            self._note(session, version, "validate", actor, to, sha256, reason, {"files": files})
            self._open(session, version, conditions, actor)
        return sha256

    def approve(
        self,
        version: ModelVersion,
        actor: str,
        reason: str,
        key: PromotionKey,
        *,
        pia: str = "",
        until: date | None = None,
        conditions: Sequence[Condition] = (),
    ) -> str:
        """Approve (or renew) until the end of a day, and sign that with the promotion key. Returns the statement's sha256.

        SignOffRefused where the last validation is missing or too old, its evidence was changed, a condition is overdue, or no
        impact assessment covers features and purpose.
        """
        with self.state.session() as session:
            self._allowed(session, version, "approve", actor, reason)
            validation = self._fresh_validation(session, version)
            require_none_overdue(session, self.clock, version)
        files: Mapping[str, str] = validation.details["files"]
        require_intact(self.settings, version, files)
        bundle = self._tried(version)
        assessment = self._assessment(bundle, pia)
        policy = self._policy.sha256_for(version.name)
        told = {
            "model": name_of(version), "bundle_sha256": version.bundle_sha256, "policy_sha256": policy,
            "evidence_files": dict(files), "evidence_sha256": evidence_sha256(version.bundle_sha256, files, policy),
            "approver": actor_name(actor), "approved_at": self.clock.now().isoformat(),
            "expires_at": self._until(until, assessment).isoformat(),
            "pia": {"ref": assessment.pia if assessment else "", "sha256": assessment.sha256 if assessment else ""},
            "automatic": self.automatic, "fast_scoring": bundle.fast_agrees(),
            "approval": (NOT_APPROVED if self.automatic else APPROVED).model_dump(),
        }  # fmt: skip
        with self.state.session() as session:
            history = history_of(session, version)
            told |= {"authors": people(history, "submit"), "validators": people(history, "validate")}
            told["conditions"] = [{"text": each.text, "due_on": str(each.due_on)} for each in conditions]
        statement = write_statement(self.settings, version, told, key)
        with self.state.session() as session:
            to = self._allowed(session, version, "approve", actor, reason)
            self._void(session, version)
            session.add(
                ModelSignOff(
                    model_no=version.model_no, statement_sha256=statement, bundle_sha256=version.bundle_sha256,
                    evidence_sha256=str(told["evidence_sha256"]), policy_sha256=policy, approver=actor_name(actor),
                    signed_at=self.clock.now(), expires_at=datetime.fromisoformat(str(told["expires_at"])),
                    pia_ref=pia, automatic=self.automatic, key_id=key.key_id,
                )
            )  # fmt: skip
            details = {entry: told[entry] for entry in ("pia", "expires_at", "fast_scoring")}
            details |= {"statement_sha256": statement, "key_id": key.key_id}
            self._note(session, version, "approve", actor, to, str(told["evidence_sha256"]), reason, details)
            self._open(session, version, conditions, actor)
        return statement

    def promote(self, version: ModelVersion, actor: str, reason: str) -> None:
        """Put an approved version live; the one that was live becomes an approved one that can be rolled back to."""
        self._go_live(version, "promote", actor, reason)

    def monitor(self, version: ModelVersion, actor: str, reason: str, evidence: Sequence[Path]) -> None:
        """Say that a live version is watched, on the monitoring reports given."""
        if not evidence and not self.automatic:
            raise _refuse("EVIDENCE", "monitoring is shown by a report.", "Give --evidence FILE.")
        files = keep_files(self.settings, version, evidence)
        with self.state.session() as session:
            to = self._allowed(session, version, "monitor", actor, reason)
            require_none_overdue(session, self.clock, version)
            sha256 = evidence_sha256(version.bundle_sha256, files, self._policy.sha256_for(version.name))
            self._note(session, version, "monitor", actor, to, sha256, reason, {"files": files})

    # -- the way back ----------------------------------------------------------------------------------------------

    def reject(self, version: ModelVersion, actor: str, reason: str) -> None:
        """Send a validated or approved version back to dev; what was signed for it is void."""
        self._back(version, "reject", actor, reason)

    def retire(self, version: ModelVersion, actor: str, reason: str) -> None:
        """End a version for good; where it was live, nothing scores until another one is."""
        self._back(version, "retire", actor, reason)

    def rollback(self, name: str, actor: str, reason: str, to: str | None = None) -> ModelVersion:
        """Put an earlier champion back live (`to`, else the one that was live last) and send the present one back to dev.

        SignOffRefused where no earlier champion's sign-off holds; then nothing is changed.
        """
        with self.state.session() as session:
            present = versions_of(session, name, *IN_FORCE)
            earlier = self._earlier_champion(session, name, to)
        self._go_live(earlier, "restore", actor, reason, instead_of=present)
        return earlier

    # -- parts -----------------------------------------------------------------------------------------------------

    @property
    def _policy(self) -> SignOffPolicy:
        return load_sign_off_policy(self.settings)

    def _tried(self, version: ModelVersion) -> Bundle:
        return tried_bundle(self.settings.home / version.bundle, version.bundle_sha256)

    def _allowed(
        self, session: Session, version: ModelVersion, act: str, actor: str, reason: str
    ) -> ModelState:
        if not reason.strip():
            raise _refuse("REASON", f"{act} takes a reason.", "Give --reason.")
        if same_person(actor, DEMO) != self.automatic:
            raise _refuse(
                "ACTOR", f"`{DEMO}` is the demo's signer, not a person.", "Give your own name with --as."
            )
        return require_allowed(
            act, actor, state_of(session, version), history_of(session, version), name_of(version), automatic=self.automatic
        )  # fmt: skip

    def _note(
        self, session: Session, version: ModelVersion, act: str, actor: str, to: ModelState, evidence: str, reason: str,
        details: Mapping[str, Any],
    ) -> None:  # fmt: skip
        note(
            session, self.clock, version, act, actor, to, evidence_sha256=evidence, reason=reason.strip(), details=details,
            automatic=self.automatic,
        )  # fmt: skip
        put_aliases(session, self.clock, version)

    def _open(
        self, session: Session, version: ModelVersion, conditions: Sequence[Condition], actor: str
    ) -> None:
        for asked in conditions:
            open_condition(session, self.clock, version, asked, actor)

    def _fresh_validation(self, session: Session, version: ModelVersion) -> ModelChange:
        counted = since_reset(history_of(session, version))
        last = [done for done in counted if isinstance(done, ModelChange) and done.act == "validate"][-1]
        age, most = self.clock.now() - last.at, self._policy.validation_valid_days
        if age > timedelta(days=most):
            again = f"Validate it again: gscene models validate {version.name}."
            raise _refuse(
                "VALIDATION", f"the last validation is {age.days} days old; {most} are allowed.", again
            )
        return last

    def _assessment(self, bundle: Bundle, pia: str) -> ImpactAssessment | None:
        """None for the demo, which has none."""
        if self.automatic:
            return None
        card = bundle.card
        return covering_assessment(
            self.settings.impact_assessments, pia, subject=card.subject, purpose=card.purpose, features=bundle.names,
            on=today(self.clock),
        )  # fmt: skip

    def _until(self, until: date | None, assessment: ImpactAssessment | None) -> datetime:
        """The end of the last day, in China: at most as long as the policy allows and the assessment holds."""
        latest = today(self.clock) + timedelta(days=self._policy.approval_valid_days)
        latest = latest if assessment is None else min(latest, assessment.valid_until)
        day = until or latest
        if not today(self.clock) <= day <= latest:
            raise GsceneError(
                f"an approval ends between today and {latest}, not on {day}.", "Give another --until."
            )
        return datetime.combine(day + timedelta(days=1), time(), CHINA_TIME).astimezone(
            self.clock.now().tzinfo
        )

    def _go_live(
        self,
        version: ModelVersion,
        act: str,
        actor: str,
        reason: str,
        instead_of: Sequence[ModelVersion] = (),
    ) -> None:
        with self.state.session() as session:
            self._allowed(session, version, act, actor, reason)
            require_none_overdue(session, self.clock, version)
            signed = verified_sign_off(session, self.settings, version, self.clock)
        require_intact(self.settings, version, signed.evidence_files)
        self._tried(version)
        with self.state.session() as session:
            to = self._allowed(session, version, act, actor, reason)
            evidence = signed.evidence_sha256
            for other in versions_of(session, version.name, *IN_FORCE):
                leaving = (
                    "withdraw" if other.model_no in {each.model_no for each in instead_of} else "supersede"
                )
                away = self._allowed(session, other, leaving, actor, reason)
                if leaving in RESETS:
                    self._void(session, other)
                self._note(session, other, leaving, actor, away, evidence, reason, {"by": name_of(version)})
            told = {"statement_sha256": signed.statement_sha256}
            self._note(session, version, act, actor, to, evidence, reason, told)

    def _back(self, version: ModelVersion, act: str, actor: str, reason: str) -> None:
        with self.state.session() as session:
            to = self._allowed(session, version, act, actor, reason)
            self._void(session, version)
            evidence = evidence_sha256(version.bundle_sha256, {}, self._policy.sha256_for(version.name))
            self._note(session, version, act, actor, to, evidence, reason, {})

    def _void(self, session: Session, version: ModelVersion) -> None:
        signed = standing_sign_off(session, version)
        if signed is not None:
            signed.voided_at = self.clock.now()
            session.flush()

    def _earlier_champion(self, session: Session, name: str, to: str | None) -> ModelVersion:
        """The approved version that went live last, or the one asked for if it was live before."""
        went_live = {
            version.model_no: max(
                (c.change_no for c in history_of(session, version) if c.to_state == ModelState.LIVE),
                default=0,
            )
            for version in versions_of(session, name, ModelState.APPROVED)
        }
        asked = find_version(session, name, to) if to is not None else None
        known = [no for no, at in went_live.items() if at and (asked is None or no == asked.model_no)]
        if not known:
            raise _refuse(
                "STATE",
                f"{name} has no earlier champion that could go live again.",
                "gscene models list shows the versions; an approved one goes live with gscene models promote.",
            )
        return session.get_one(ModelVersion, max(known, key=went_live.__getitem__))


def _refuse(code: str, message: str, remedy: str) -> SignOffRefused:
    return SignOffRefused(f"SIGN_OFF/{code}", message, remedy)
