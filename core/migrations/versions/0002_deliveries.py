"""Deliveries: lanes, sequences, signatures, quarantine"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lane", sa.String(), server_default="live", nullable=False))
        batch_op.add_column(sa.Column("sequence", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("previous_sha256", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("signed_by", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("made_from", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("rows_made", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("rows_quarantined", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("receipt_sha256", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("waived", sa.String(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("figures", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("warnings", sa.JSON(), nullable=True))
        batch_op.create_foreign_key("fk_delivery_made_from", "delivery", ["made_from"], ["delivery_no"])
    op.create_table(
        "quarantined",
        sa.Column("delivery_no", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("column", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("released", sa.Integer(), nullable=False),
        sa.Column("shape", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_no"], ["delivery.delivery_no"]),
        sa.PrimaryKeyConstraint("delivery_no", "reason", "column"),
    )
    op.create_table(
        "delivery_receipt",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("delivery_no", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["delivery_no"], ["delivery.delivery_no"]),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_delivery_receipt_delivery", "delivery_receipt", ["delivery_no"])
