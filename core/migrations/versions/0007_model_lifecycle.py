"""Models: state, signatures, conditions, and the outbox of the MLflow ledger"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"

#: Recorded before models were signed: they are known, and nobody has signed them.
_KNOWN = "INSERT INTO model_standing (model_no, state, changed_at) SELECT model_no, 'dev', trained_at FROM model_version"


def _model() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["model_no"], ["model_version.model_no"])


def upgrade() -> None:
    """Apply."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "model_standing",
        sa.Column("model_no", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("changed_at", time, nullable=False),
        _model(),
        sa.PrimaryKeyConstraint("model_no"),
    )
    op.create_table(
        "model_change",
        sa.Column("change_no", sa.Integer(), nullable=False),
        sa.Column("model_no", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", time, nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("event_no", sa.Integer(), nullable=False),
        _model(),
        sa.ForeignKeyConstraint(["event_no"], ["audit_event.event_no"]),
        sa.PrimaryKeyConstraint("change_no"),
    )
    op.create_table(
        "model_condition",
        sa.Column("condition_no", sa.Integer(), nullable=False),
        sa.Column("model_no", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("opened_at", time, nullable=False),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("closed_at", time, nullable=True),
        sa.Column("closing_reason", sa.String(), nullable=True),
        _model(),
        sa.PrimaryKeyConstraint("condition_no"),
    )
    op.create_table(
        "model_sign_off",
        sa.Column("sign_off_no", sa.Integer(), nullable=False),
        sa.Column("model_no", sa.Integer(), nullable=False),
        sa.Column("statement_sha256", sa.String(length=64), nullable=False),
        sa.Column("bundle_sha256", sa.String(length=64), nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("approver", sa.String(), nullable=False),
        sa.Column("signed_at", time, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("pia_ref", sa.String(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("voided_at", time, nullable=True),
        _model(),
        sa.PrimaryKeyConstraint("sign_off_no"),
    )
    op.create_table(
        "model_outbox",
        sa.Column("entry_no", sa.Integer(), nullable=False),
        sa.Column("model_no", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("done_at", time, nullable=True),
        _model(),
        sa.PrimaryKeyConstraint("entry_no"),
    )
    for table in ("model_change", "model_condition", "model_sign_off"):
        op.create_index(f"ix_{table}_model", table, ["model_no"])
    op.execute(_KNOWN)
