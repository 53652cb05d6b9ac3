"""The register of decision policies: proposed by one person, adopted by another, never edited, in force by date.

A proposed file is kept byte for byte as `<home>/policies/<policy>/<version>.yaml`; the audit chain holds its hash, who proposed
and who adopted it. Neither alone suffices: a file that isn't what the chain says, or is gone, is refused.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import Clock
from core.errors import GateRefused, GsceneError
from core.months import CHINA_TIME
from core.person import actor_name, same_person
from core.settings import Settings
from core.state import AuditEvent
from models.conditions import today
from models.decision.policy import DecisionPolicy, load_decision_policy

FOLDER = "policies"
PROPOSED, ADOPTED = "policy.proposed", "policy.adopted"


@dataclass(frozen=True)
class Registered:
    """One version as it stands: its verified file, who proposed it, and who adopted it on which day ("" and None before that).

    `until`: the first day on which it is no longer in force, by its own end or the begin of a later version.
    """

    policy: DecisionPolicy
    file: Path
    sha256: str
    author: str
    adopter: str = ""
    adopted_on: date | None = None
    until: date | None = None

    def in_force(self, on: date) -> bool:
        """Whether it decides on a day."""
        return (
            self.adopted_on is not None
            and self.policy.effective_from <= on
            and (self.until is None or on < self.until)
        )

    def state(self, on: date) -> str:
        """Word for tables: proposed, adopted (its time hasn't come), in force, or ended."""
        if self.adopted_on is None:
            return "proposed"
        if self.in_force(on):
            return "in force"
        return "adopted" if on < self.policy.effective_from else "ended"


def propose(
    session: Session, settings: Settings, clock: Clock, path: Path, actor: str, reason: str
) -> DecisionPolicy:
    """Keep a new version as it is, in the caller's transaction; it decides nothing until another person adopts it.

    GsceneError where the version isn't the next one.
    """
    policy, who = load_decision_policy(path), _signed(actor, reason)
    known = [
        each.policy.version for each in registered(session, settings) if each.policy.policy == policy.policy
    ]
    if policy.version != max(known, default=0) + 1:
        raise GsceneError(
            f"the next version of {policy.policy} is {max(known, default=0) + 1}, not {policy.version}.",
            "A proposed version is never changed: give the file the next number.",
        )
    body = path.read_bytes()
    kept = _file(settings, policy.policy, policy.version)
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(".part")
    part.write_bytes(body)
    os.replace(part, kept)
    told = {
        "sha256": hashlib.sha256(body).hexdigest(),
        "policy_sha256": policy.sha256,
        "reason": reason.strip(),
    }
    told |= {
        "model": policy.model,
        "effective_from": str(policy.effective_from),
        "effective_to": str(policy.effective_to),
    }
    record(session, clock, who, PROPOSED, policy.name, told)
    return policy


def adopt(
    session: Session, settings: Settings, clock: Clock, name: str, version: int, actor: str, reason: str
) -> DecisionPolicy:
    """Put a proposed version in force from its day on, in the caller's transaction.

    GateRefused for its author, GsceneError where it was adopted before, begins in the past, or its time overlaps with another
    adopted one of the model.
    """
    who = _signed(actor, reason)
    every = registered(session, settings)
    found = find(every, name, version)
    if found.adopted_on is not None:
        raise GsceneError(
            f"{found.policy.name} has been adopted already.", "gscene policy list shows what is in force."
        )
    if same_person(who, found.author):
        raise GateRefused(
            f"{actor_name(found.author)} proposed {found.policy.name} and may not adopt it too.",
            f"Have another person do it: gscene policy adopt {name} --version {version} --as NAME.",
        )
    if found.policy.effective_from < today(clock):
        raise GsceneError(
            f"{found.policy.name} begins on {found.policy.effective_from}, which has passed; what was decided stays.",
            "Propose a version that begins today or later.",
        )
    require_no_overlap(found.policy, [each.policy for each in every if each.adopted_on is not None])
    told = {
        "sha256": found.sha256,
        "policy_sha256": found.policy.sha256,
        "author": found.author,
        "reason": reason.strip(),
    }
    record(session, clock, who, ADOPTED, found.policy.name, told)
    return found.policy


def require_no_overlap(new: DecisionPolicy, adopted: Sequence[DecisionPolicy]) -> None:
    """GsceneError where two would decide about one model on one day.

    A later version of the same policy ends an open-ended one before it; a stated end has to be waited for, and no version begins
    before one that was adopted earlier. Policies of other names never end each other.
    """
    for other in adopted:
        if other.model != new.model:
            continue
        if other.policy == new.policy:
            free = new.effective_from > other.effective_from and (
                other.effective_to is None or new.effective_from >= other.effective_to
            )
        else:
            before = new.effective_to is not None and new.effective_to <= other.effective_from
            after = other.effective_to is not None and other.effective_to <= new.effective_from
            free = before or after
        if not free:
            raise GsceneError(
                f"{new.name} overlaps with {other.name}, in force from {other.effective_from} to "
                f"{other.effective_to or 'further notice'}.",
                "Propose a version whose time begins later.",
            )


def registered(session: Session, settings: Settings) -> list[Registered]:
    """Every version, by policy and number; GateRefused where a file is missing or isn't what was proposed or adopted."""
    query = select(AuditEvent).where(AuditEvent.action.in_([PROPOSED, ADOPTED])).order_by(AuditEvent.event_no)
    proposed: dict[str, AuditEvent] = {}
    adopted: dict[str, AuditEvent] = {}
    for event in session.scalars(query):
        (proposed if event.action == PROPOSED else adopted)[event.object] = event
    found = [_verified(settings, name, event, adopted.get(name)) for name, event in proposed.items()]
    found.sort(key=lambda each: (each.policy.policy, each.policy.version))
    return [_ended(each, found) for each in found]


def policy_in_force(session: Session, settings: Settings, model: str, on: date) -> Registered:
    """The one version that decides about a model on a day; GateRefused where there is none."""
    found = [
        each for each in registered(session, settings) if each.policy.model == model and each.in_force(on)
    ]
    if not found:
        raise GateRefused(
            f"no decision policy of {model} is in force on {on}.",
            "gscene policy propose FILE, then another person: gscene policy adopt NAME --version N.",
        )
    return found[0]


def find(every: Sequence[Registered], name: str, version: int | None = None) -> Registered:
    """The version asked for, else the newest of a policy; GsceneError where there is none."""
    fitting = [
        each for each in every if each.policy.policy == name and version in (None, each.policy.version)
    ]
    if not fitting:
        raise GsceneError(
            f"there is no policy {name}{'' if version is None else f'/{version}'}.",
            "gscene policy list shows what there is.",
        )
    return fitting[-1]


def _verified(settings: Settings, name: str, proposed: AuditEvent, adopted: AuditEvent | None) -> Registered:
    policy, _, version = name.partition("/")
    file, sha256 = _file(settings, policy, int(version)), str(proposed.details["sha256"])
    try:
        body = file.read_bytes()
    except OSError:
        raise _tampered(name, file, "is missing") from None
    if hashlib.sha256(body).hexdigest() != sha256 or (
        adopted is not None and adopted.details["sha256"] != sha256
    ):
        raise _tampered(name, file, "was changed since it was proposed")
    told = load_decision_policy(file)
    if told.name != name or told.sha256 != proposed.details["policy_sha256"]:
        raise _tampered(name, file, "says something else than the audit chain")
    if adopted is None:
        return Registered(told, file, sha256, proposed.actor)
    return Registered(told, file, sha256, proposed.actor, adopted.actor, _day(adopted), told.effective_to)


def _day(event: AuditEvent) -> date:
    return event.at.astimezone(CHINA_TIME).date()


def _ended(one: Registered, every: Sequence[Registered]) -> Registered:
    """With the day on which a later adopted version of the same policy begins."""
    if one.adopted_on is None:
        return one
    later = [
        each.policy.effective_from
        for each in every
        if each.adopted_on is not None
        and each.policy.policy == one.policy.policy
        and each.policy.effective_from > one.policy.effective_from
    ]
    ends = [*later, *([] if one.policy.effective_to is None else [one.policy.effective_to])]
    return Registered(
        one.policy, one.file, one.sha256, one.author, one.adopter, one.adopted_on, min(ends, default=None)
    )


def _tampered(name: str, file: Path, what: str) -> GateRefused:
    return GateRefused(
        f"the file of the decision policy {name} {what}: {file}.",
        "Restore it from a backup; nothing is decided until then.",
    )


def _file(settings: Settings, policy: str, version: int) -> Path:
    return settings.home / FOLDER / policy / f"{version}.yaml"


def _signed(actor: str, reason: str) -> str:
    if not reason.strip():
        raise GsceneError("this takes a reason.", "Give --reason.")
    return actor_name(actor)
