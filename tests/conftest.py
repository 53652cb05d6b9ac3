"""What all tests share: a Hypothesis profile without time limits, quiet libraries, and the open data beside the project."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from core.telemetry import quiet

quiet(os.environ)

# A shared two-core machine stalls now and then; a deadline would make property tests flaky without testing anything.
settings.register_profile("gscene", deadline=None)
settings.load_profile("gscene")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the open data sets: GSCENE_SHARED, or `shared` beside the project; skips where there is none."""
    root = Path(os.environ.get("GSCENE_SHARED", Path(__file__).parents[2] / "shared"))
    if not (root / "data").is_dir():
        assert not os.environ.get("CI"), f"CI must have the open data in {root}"
        pytest.skip(f"open data not found in {root}; set GSCENE_SHARED")
    return root / "data"
