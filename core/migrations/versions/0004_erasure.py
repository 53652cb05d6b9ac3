"""Who was left out for want of consent; erasure requests, their tombstones and what they touch"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "ineligible_count",
        sa.Column("table", sa.String(), primary_key=True),
        sa.Column("partition", sa.String(), primary_key=True),
        sa.Column("purpose", sa.String(), primary_key=True),
        sa.Column("source", sa.String(), primary_key=True),
        sa.Column("reason", sa.String(), primary_key=True),
        sa.Column("subjects", sa.Integer(), nullable=False),
    )
    op.create_table(
        "erasure",
        sa.Column("erasure_no", sa.Integer(), primary_key=True),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("tombstone", sa.String(length=64), nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("request_ref", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retrain_by", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("subject", "tombstone"),
    )
    op.create_table(
        "erased_partition",
        sa.Column("erasure_no", sa.Integer(), sa.ForeignKey("erasure.erasure_no"), primary_key=True),
        sa.Column("table", sa.String(), primary_key=True),
        sa.Column("partition", sa.String(), primary_key=True),
        sa.Column("before", sa.String(length=64), nullable=False),
        sa.Column("after", sa.String(length=64), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("by_delivery", sa.JSON(), nullable=False),
    )
    op.create_table(
        "redaction",
        sa.Column("content_sha256", sa.String(length=64), primary_key=True),
        sa.Column("redacted_sha256", sa.String(length=64), nullable=False),
        sa.Column("rows_removed", sa.Integer(), nullable=False),
        sa.Column("cells_replaced", sa.Integer(), nullable=False),
        sa.Column("redacted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "model_mark",
        sa.Column("model_no", sa.Integer(), sa.ForeignKey("model_version.model_no"), primary_key=True),
        sa.Column("erasure_no", sa.Integer(), sa.ForeignKey("erasure.erasure_no"), primary_key=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("retrain_by", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "recall",
        sa.Column("recall_no", sa.Integer(), primary_key=True),
        sa.Column("erasure_no", sa.Integer(), sa.ForeignKey("erasure.erasure_no"), nullable=False),
        sa.Column("list_version", sa.String(), nullable=False),
        sa.Column("lead_id", sa.String(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
    )
