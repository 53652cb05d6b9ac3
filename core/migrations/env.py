"""Alembic environment: runs on the connection that `StateDatabase.migrate` hands over."""

from __future__ import annotations

from alembic import context

from core import model_state  # noqa: F401 - its tables belong to the metadata
from core.state import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
