"""Model versions that learned from subjects who have been erased since.

A model holds no row of anybody and can't unlearn; it is named, and has to be trained again without the subject by a deadline.
"""

from __future__ import annotations

from sqlalchemy import select

from core.clock import Clock
from core.errors import GateRefused
from core.months import CHINA_TIME
from core.state import ModelMark, ModelVersion, StateDatabase


def require_trained_again(state: StateDatabase, version: ModelVersion, clock: Clock) -> None:
    """GateRefused where the version learned from an erased subject and its deadline for retraining has passed."""
    with state.session() as session:
        marks = session.scalars(select(ModelMark).where(ModelMark.model_no == version.model_no)).all()
    overdue = [mark for mark in marks if mark.retrain_by <= clock.now()]
    if overdue:
        day = min(mark.retrain_by for mark in overdue).astimezone(CHINA_TIME)
        raise GateRefused(
            f"{version.name} of {version.training_month} learned from {len(overdue)} erased subjects and had to be trained again "
            f"by {day:%Y-%m-%d}.",
            f"Run the asset models/…/{version.name} for a current month, then this one.",
        )
