"""What a training record doesn't know of its model: titles of features, the inventory's entry, the bundle, who has signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy.orm import Session

from core.clock import Clock
from core.definition_file import Bilingual
from core.months import CHINA_TIME
from core.state import ModelVersion
from models.conditions import conditions_of, overdue
from models.lifecycle import ModelState, history_of, since_reset, state_of
from models.sign_off import APPROVED, NOT_APPROVED, standing_sign_off
from models.sign_off_policy import InventoryEntry


@dataclass(frozen=True)
class Act:
    """One act on a version as its history has it."""

    act: str
    role: str
    actor: str
    day: date
    to_state: str
    reason: str
    evidence_sha256: str
    counts: bool


@dataclass(frozen=True)
class Asked:
    """One condition; `closed_by` "" while it is open."""

    number: int
    text: str
    due_on: date
    opened_by: str
    closed_by: str
    overdue: bool


@dataclass(frozen=True)
class Approval:
    """The approval that counts now, and the hash of the evidence that it stands on."""

    approver: str
    kind: Bilingual
    expires_on: date
    pia: str
    evidence_sha256: str
    policy_sha256: str
    key_id: str


@dataclass(frozen=True)
class Standing:
    """Where a version stands in its life; as a training leaves it where nothing is given."""

    state: str = str(ModelState.DEV)
    acts: tuple[Act, ...] = ()
    conditions: tuple[Asked, ...] = ()
    approval: Approval | None = None


@dataclass(frozen=True)
class Circumstances:
    """`titles`: feature -> title of the catalogue. `sources`: contract tables behind features and outcome. `entry`: the
    inventory's, None where the model isn't in it. `notice` stands above everything.
    """

    titles: Mapping[str, Bilingual] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    entry: InventoryEntry | None = None
    review_every_days: int | None = None
    bundle_sha256: str = ""
    notice: Bilingual | None = None
    standing: Standing = Standing()


def standing_of(session: Session, version: ModelVersion, clock: Clock) -> Standing:
    """What the state database says of a version now."""
    history = history_of(session, version)
    counted = {id(done) for done in since_reset(history)}
    conditions = conditions_of(session, version)
    late = {each.condition_no for each in overdue(conditions, clock)}
    signed = standing_sign_off(session, version)
    return Standing(
        state=str(state_of(session, version)),
        acts=tuple(
            Act(
                done.act, done.role, done.actor, done.at.astimezone(CHINA_TIME).date(), done.to_state, done.reason,
                done.evidence_sha256, id(done) in counted or done.act == "submit",
            )
            for done in history
        ),
        conditions=tuple(
            Asked(
                each.condition_no, each.text, each.due_on, each.opened_by, each.closed_by or "",
                each.condition_no in late,
            )
            for each in conditions
        ),
        approval=None
        if signed is None
        else Approval(
            signed.approver,
            NOT_APPROVED if signed.automatic else APPROVED,
            signed.expires_at.astimezone(CHINA_TIME).date(),
            signed.pia_ref,
            signed.evidence_sha256,
            signed.policy_sha256,
            signed.key_id,
        ),
    )  # fmt: skip
