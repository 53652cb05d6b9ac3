"""Fixtures of the intake tests."""

from pathlib import Path

import pytest

from tests.sources.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty home with one feed."""
    return Bench(tmp_path)
