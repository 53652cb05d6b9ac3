"""Where a model version stands: dev → validated → approved → live → monitored → retired, and who may move it.

The rules are data (`ACTS`) and one pure function (`require_allowed`) over the history of acts; `models.signing_desk` does the
acts. Rejected or rolled back, a version begins again in dev, and everything that was signed for it is void.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import Clock
from core.errors import GsceneError, SignOffRefused
from core.model_state import ModelChange, ModelStanding
from core.person import actor_name, same_person
from core.state import ModelVersion

#: Who acts where no person does, in a demonstration alone.
DEMO = "demo"


class ModelState(StrEnum):
    """The states."""

    DEV = "dev"
    VALIDATED = "validated"
    APPROVED = "approved"
    LIVE = "live"
    MONITORED = "monitored"
    RETIRED = "retired"


#: States in which a version scores.
IN_FORCE = (ModelState.LIVE, ModelState.MONITORED)
_SIGNED = (ModelState.APPROVED, *IN_FORCE)


@dataclass(frozen=True)
class Act:
    """What somebody in `role` does: from which states, to which one (None: it stays where it is), and the next step after it."""

    role: str
    sources: Mapping[ModelState, ModelState]


def _stays(*states: ModelState) -> dict[ModelState, ModelState]:
    return {state: state for state in states}


ACTS: Mapping[str, Act] = {
    "submit": Act("author", _stays(ModelState.DEV)),
    "validate": Act(
        "validator", {ModelState.DEV: ModelState.VALIDATED} | _stays(ModelState.VALIDATED, *_SIGNED)
    ),
    "approve": Act("approver", {ModelState.VALIDATED: ModelState.APPROVED} | _stays(*_SIGNED)),
    "promote": Act("promoter", {ModelState.APPROVED: ModelState.LIVE}),
    "monitor": Act("monitor", {ModelState.LIVE: ModelState.MONITORED} | _stays(ModelState.MONITORED)),
    "supersede": Act("promoter", dict.fromkeys(IN_FORCE, ModelState.APPROVED)),
    "reject": Act("reviewer", dict.fromkeys((ModelState.VALIDATED, ModelState.APPROVED), ModelState.DEV)),
    "withdraw": Act("promoter", dict.fromkeys(IN_FORCE, ModelState.DEV)),
    "restore": Act("promoter", {ModelState.APPROVED: ModelState.LIVE}),
    "retire": Act(
        "reviewer", {state: ModelState.RETIRED for state in ModelState if state is not ModelState.RETIRED}
    ),
}

#: Acts after which everything signed before counts no more.
RESETS = ("reject", "withdraw", "retire")

#: What to do in each state, told with every refusal.
NEXT_STEP: Mapping[ModelState, str] = {
    ModelState.DEV: "Its author submits it, another person validates it: gscene models submit NAME, gscene models validate NAME.",
    ModelState.VALIDATED: "A third person approves it: gscene models approve NAME.",
    ModelState.APPROVED: "Put it live: gscene models promote NAME.",
    ModelState.LIVE: "It scores. Watch it: gscene models monitor NAME; or gscene models rollback NAME.",
    ModelState.MONITORED: "It scores. gscene models validate NAME and approve NAME renew its sign-off.",
    ModelState.RETIRED: "Nothing; train another version.",
}


class Done(Protocol):
    """What the rules look at in an act that was done."""

    act: str
    actor: str


def since_reset(history: Sequence[Done]) -> list[Done]:
    """Acts that still count."""
    resets = [place for place, done in enumerate(history) if done.act in RESETS]
    return list(history[resets[-1] + 1 :] if resets else history)


def people(history: Sequence[Done], act: str) -> list[str]:
    """Who did an act, as it counts now. An author stays one for ever."""
    counted = history if act == "submit" else since_reset(history)
    return sorted({done.actor for done in counted if done.act == act})


def require_allowed(
    act: str, actor: str, state: ModelState, history: Sequence[Done], name: str, *, automatic: bool = False
) -> ModelState:
    """The state that `act` leads to. SignOffRefused SIGN_OFF/STATE, SIGN_OFF/SAME_PERSON or SIGN_OFF/MISSING where `actor` may
    not do it now; the demo (`automatic`) is one signer in every role."""
    rule = ACTS[act]
    if state not in rule.sources:
        raise SignOffRefused(
            "SIGN_OFF/STATE",
            f"{name} is in the state {state}: {act} is not possible there.",
            NEXT_STEP[state].replace("NAME", name),
        )
    authors, validators, approvers = (people(history, each) for each in ("submit", "validate", "approve"))
    barred = {
        "submit": [("validator", validators), ("approver", approvers)],
        "validate": [("author", authors), ("approver", approvers)],
        "approve": [("author", authors), ("validator", validators)],
        "promote": [("author", authors)],
        "monitor": [("author", authors)],
    }.get(act, [])
    for role, those in barred:
        if not automatic and any(same_person(actor, other) for other in those):
            raise SignOffRefused(
                "SIGN_OFF/SAME_PERSON",
                f"{actor_name(actor)} is {role} of {name} and may not be its {rule.role} too.",
                f"Have another person do it: gscene models {act} {name} --as NAME.",
            )
    for needed, those in (("submit", authors), ("validate", validators), ("approve", approvers)):
        if act == needed or act in ("submit", *RESETS, "supersede"):
            break
        if not those:
            raise SignOffRefused(
                "SIGN_OFF/MISSING",
                f"nobody has done `{needed}` for {name} yet: {act} has to wait.",
                f"gscene models {needed} {name} --as NAME.",
            )
    return rule.sources[state]


def name_of(version: ModelVersion) -> str:
    """Name of a version as people see it: `enterprise_risk/2026-10-0123456789ab`."""
    return f"{version.name}/{version.training_month}-{version.bundle_sha256[:12]}"


def state_of(session: Session, version: ModelVersion) -> ModelState:
    """Its state."""
    return ModelState(session.get_one(ModelStanding, version.model_no).state)


def history_of(session: Session, version: ModelVersion) -> list[ModelChange]:
    """All acts on a version in order."""
    query = select(ModelChange).where(ModelChange.model_no == version.model_no)
    return list(session.scalars(query.order_by(ModelChange.change_no)))


def versions_of(session: Session, name: str, *states: ModelState) -> list[ModelVersion]:
    """Versions of a model in order of training month and number; with `states`, only those that stand in one of them."""
    query = select(ModelVersion).join(ModelStanding).where(ModelVersion.name == name)
    if states:
        query = query.where(ModelStanding.state.in_([str(state) for state in states]))
    return list(session.scalars(query.order_by(ModelVersion.training_month, ModelVersion.model_no)))


def find_version(session: Session, name: str, wanted: str | None, *states: ModelState) -> ModelVersion:
    """The version that starts with `wanted` (`2026-10-0123…`, or digits of its sha256), else the newest one in `states`.

    GsceneError where there is none, or more than one.
    """
    every = versions_of(session, name)
    if not every:
        raise GsceneError(f"{name} has no trained version.", "gscene models list shows what there is.")
    if wanted is None:
        found = versions_of(session, name, *states)[-1:]
        told = f" in the state {' or '.join(states)}" if states else ""
    else:
        found = [
            v
            for v in every
            if name_of(v).split("/")[1].startswith(wanted) or v.bundle_sha256.startswith(wanted)
        ]
        told = f" that starts with {wanted}"
    if len(found) != 1:
        raise GsceneError(
            f"{name} has {len(found)} versions{told}.",
            f"Give --version as gscene models list shows it, such as {name_of(every[-1]).split('/')[1]}.",
        )
    return found[0]


def enter(session: Session, clock: Clock, version: ModelVersion) -> None:
    """A newly trained version begins in dev."""
    session.add(ModelStanding(model_no=version.model_no, state=str(ModelState.DEV), changed_at=clock.now()))
    session.flush()


def note(
    session: Session,
    clock: Clock,
    version: ModelVersion,
    act: str,
    actor: str,
    to: ModelState,
    *,
    evidence_sha256: str,
    reason: str,
    details: Mapping[str, Any],
    automatic: bool,
) -> ModelChange:
    """Write an act down with its link of the audit chain and move the version, in the caller's transaction."""
    standing = session.get_one(ModelStanding, version.model_no)
    told = {
        "from": standing.state, "to": str(to), "role": ACTS[act].role, "evidence_sha256": evidence_sha256, "reason": reason,
        "automatic": automatic, **details,
    }  # fmt: skip
    event = record(session, clock, actor_name(actor), f"model.{act}", name_of(version), told)
    change = ModelChange(
        model_no=version.model_no, from_state=standing.state, to_state=str(to), act=act, role=ACTS[act].role,
        actor=actor_name(actor), at=clock.now(), evidence_sha256=evidence_sha256, reason=reason, details=dict(details),
        automatic=automatic, event_no=event.event_no,
    )  # fmt: skip
    standing.state, standing.changed_at = str(to), clock.now()
    session.add(change)
    session.flush()
    return change
