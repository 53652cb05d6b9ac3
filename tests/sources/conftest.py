"""Fixtures of the intake tests."""

from pathlib import Path

import pytest

from core.state import StateDatabase
from tests.sources.bench import Bench


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty state database."""
    file = tmp_path_factory.mktemp("state") / "state.db"
    state = StateDatabase(f"sqlite:///{file}")
    state.migrate()
    state.engine.dispose()
    return file


@pytest.fixture
def bench(tmp_path: Path, migrated: Path) -> Bench:
    """An empty home with one feed."""
    return Bench(tmp_path, migrated)
