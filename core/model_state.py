"""Where each trained model stands, who signed what for it, its open conditions, and what MLflow still has to be told.

Rows are written by `models.lifecycle` and `models.outbox` alone, each change in one transaction with its link of the audit chain.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.state import Base


class ModelStanding(Base):
    """The state that a model version is in now."""

    __tablename__ = "model_standing"

    model_no: Mapped[int] = mapped_column(ForeignKey("model_version.model_no"), primary_key=True)
    state: Mapped[str]
    changed_at: Mapped[datetime]


class ModelChange(Base):
    """One act on a model version: who did it in which role, on what evidence, why, and the link of the audit chain.

    `automatic`: done by the demo's policy, not by a person. `details`: hashes, dates and references only.
    """

    __tablename__ = "model_change"
    __table_args__ = (Index("ix_model_change_model", "model_no"),)

    change_no: Mapped[int] = mapped_column(primary_key=True)
    model_no: Mapped[int] = mapped_column(ForeignKey("model_version.model_no"))
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    act: Mapped[str]
    role: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]
    evidence_sha256: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str]
    details: Mapped[dict[str, Any]]
    automatic: Mapped[bool]
    event_no: Mapped[int] = mapped_column(ForeignKey("audit_event.event_no"))


class ModelCondition(Base):
    """What a validator or approver asked for, by when; open until somebody closes it with a reason."""

    __tablename__ = "model_condition"
    __table_args__ = (Index("ix_model_condition_model", "model_no"),)

    condition_no: Mapped[int] = mapped_column(primary_key=True)
    model_no: Mapped[int] = mapped_column(ForeignKey("model_version.model_no"))
    text: Mapped[str]
    due_on: Mapped[date]
    opened_by: Mapped[str]
    opened_at: Mapped[datetime]
    closed_by: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    closing_reason: Mapped[str | None]


class ModelSignOff(Base):
    """One approval: the signed statement's sha256 and what it says. `voided_at`: taken away since.

    The statement and its signature lie beside the bundle; scoring believes them, and this row only where it says the same.
    """

    __tablename__ = "model_sign_off"
    __table_args__ = (Index("ix_model_sign_off_model", "model_no"),)

    sign_off_no: Mapped[int] = mapped_column(primary_key=True)
    model_no: Mapped[int] = mapped_column(ForeignKey("model_version.model_no"))
    statement_sha256: Mapped[str] = mapped_column(String(64))
    bundle_sha256: Mapped[str] = mapped_column(String(64))
    evidence_sha256: Mapped[str] = mapped_column(String(64))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    approver: Mapped[str]
    signed_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    pia_ref: Mapped[str]
    automatic: Mapped[bool]
    key_id: Mapped[str]
    voided_at: Mapped[datetime | None]


class ModelOutbox(Base):
    """What the MLflow ledger still has to be told, in order; `done_at` once it has been."""

    __tablename__ = "model_outbox"

    entry_no: Mapped[int] = mapped_column(primary_key=True)
    model_no: Mapped[int] = mapped_column(ForeignKey("model_version.model_no"))
    kind: Mapped[str]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str | None]
    done_at: Mapped[datetime | None]
