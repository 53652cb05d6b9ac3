"""Conditions on a model: what a validator or approver asked for, by when. An overdue one blocks every further step forward."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import Clock
from core.errors import GsceneError, SignOffRefused
from core.model_state import ModelCondition
from core.months import CHINA_TIME
from core.person import actor_name
from core.state import ModelVersion
from models.lifecycle import name_of


@dataclass(frozen=True)
class Condition:
    """One condition as it is asked for; `due_on` is the last day."""

    text: str
    due_on: date

    @classmethod
    def parse(cls, told: str) -> Condition:
        """From `2027-03-31: what has to be done`; GsceneError for any other form."""
        day, colon, text = told.partition(":")
        try:
            due_on = date.fromisoformat(day.strip())
        except ValueError:
            colon = ""
        if not colon or not text.strip():
            raise GsceneError(
                "a condition is a day, a colon and a text.", "Such as: --condition '2027-03-31: recalibrate'."
            )
        return cls(text.strip(), due_on)


def open_condition(session: Session, clock: Clock, version: ModelVersion, asked: Condition, by: str) -> None:
    """Keep a condition, in the caller's transaction; GsceneError where it is due already."""
    if asked.due_on < today(clock):
        raise GsceneError(f"the condition is due on {asked.due_on}, which has passed.", "Give a day to come.")
    session.add(
        ModelCondition(
            model_no=version.model_no, text=asked.text, due_on=asked.due_on, opened_by=actor_name(by), opened_at=clock.now()
        )
    )  # fmt: skip
    session.flush()


def close_condition(session: Session, clock: Clock, condition_no: int, by: str, reason: str) -> None:
    """Close a condition as met, with what shows it; audited. GsceneError where it isn't open."""
    known = session.get(ModelCondition, condition_no)
    if known is None or known.closed_at is not None:
        raise GsceneError(
            f"there is no open condition {condition_no}.", "gscene models show NAME lists them."
        )
    if not reason.strip():
        raise GsceneError("closing a condition takes a reason.", "Give --reason.")
    known.closed_by, known.closed_at, known.closing_reason = actor_name(by), clock.now(), reason.strip()
    version = session.get_one(ModelVersion, known.model_no)
    told = {"condition_no": condition_no, "reason": reason.strip(), "overdue": known.due_on < today(clock)}
    record(session, clock, actor_name(by), "model.condition_closed", name_of(version), told)


def conditions_of(
    session: Session, version: ModelVersion, *, open_only: bool = False
) -> list[ModelCondition]:
    """Conditions of a version, the earliest due first."""
    query = select(ModelCondition).where(ModelCondition.model_no == version.model_no)
    if open_only:
        query = query.where(ModelCondition.closed_at.is_(None))
    return list(session.scalars(query.order_by(ModelCondition.due_on, ModelCondition.condition_no)))


def overdue(conditions: list[ModelCondition], clock: Clock) -> list[ModelCondition]:
    """Those that are open past their day."""
    return [each for each in conditions if each.closed_at is None and each.due_on < today(clock)]


def require_none_overdue(session: Session, clock: Clock, version: ModelVersion) -> None:
    """SignOffRefused SIGN_OFF/CONDITION where a condition of the version is overdue."""
    late = overdue(conditions_of(session, version, open_only=True), clock)
    if late:
        told = "; ".join(f"no. {each.condition_no}, due {each.due_on}" for each in late)
        raise SignOffRefused(
            "SIGN_OFF/CONDITION",
            f"{name_of(version)} has overdue conditions: {told}.",
            "Meet them, then: gscene models close NUMBER --as NAME --reason TEXT.",
        )


def today(clock: Clock) -> date:
    """The day in China."""
    return clock.now().astimezone(CHINA_TIME).date()
