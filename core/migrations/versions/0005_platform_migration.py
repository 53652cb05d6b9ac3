"""Platform migrations: state, parity checks, sign-off"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "platform_migration",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("under_way", sa.String(), nullable=True),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("definition_sha256", sa.String(length=64), nullable=False),
        sa.Column("crosswalk", sa.JSON(), nullable=True),
        sa.Column("cut_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("window_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "parity_check",
        sa.Column("check_no", sa.Integer(), nullable=False),
        sa.Column("migration", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("definition_sha256", sa.String(length=64), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["migration"], ["platform_migration.name"]),
        sa.PrimaryKeyConstraint("check_no"),
    )
    op.create_table(
        "migration_change",
        sa.Column("change_no", sa.Integer(), nullable=False),
        sa.Column("migration", sa.String(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("event_no", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["migration"], ["platform_migration.name"]),
        sa.ForeignKeyConstraint(["event_no"], ["audit_event.event_no"]),
        sa.PrimaryKeyConstraint("change_no"),
    )
