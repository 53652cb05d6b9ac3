"""Fixtures of the connectors' tests: our side, and a real PostgreSQL on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.state import StateDatabase
from tests.sources.connectors.postgres_server import PostgresServer, find_programs
from tests.sources.connectors.pull_bench import PullBench


@pytest.fixture
def side(tmp_path: Path, migrated: Path) -> Iterator[PullBench]:
    """An empty home."""
    shutil.copy(migrated, tmp_path / "state.db")
    state = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    yield PullBench(tmp_path / "home", state)
    state.engine.dispose()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL of our own. Missing programs fail in CI and skip elsewhere."""
    programs = find_programs()
    if programs is None:
        told = "no PostgreSQL in /usr/lib/postgresql/*/bin: run `make services` as root"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    with PostgresServer.start(programs, tmp_path_factory) as server:
        yield server
