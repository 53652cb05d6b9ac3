"""Home folders whose models are signed, for the tests of this folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.models.signing import SignedHome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one live version, copied for each test."""
    home = SignedHome(tmp_path_factory.mktemp("signed") / "home")
    home.live()
    home.state.engine.dispose()
    return home.home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> SignedHome:
    shutil.copytree(made.parent, tmp_path / "copy")
    copied = SignedHome(tmp_path / "copy" / "home")
    # The key that the copied home was signed with.
    copied.__dict__["key_file"] = tmp_path / "copy" / "home-key" / "promotion.pem"
    return copied


@pytest.fixture
def empty(tmp_path: Path) -> SignedHome:
    return SignedHome(tmp_path / "home")
