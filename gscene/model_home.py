"""The home folder as commands on models open it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.clock import SystemClock
from core.errors import GsceneError
from gscene.console import Reporter


def opened(home: Path, as_json: bool) -> Any:
    """The home, the reporter and the sign-off policy; GsceneError where there is no home."""
    from models.sign_off_policy import load_sign_off_policy
    from pipelines.workplace import Workplace

    reporter = Reporter(as_json)
    if not (home / "state.db").exists() and not (home / "gscene.yaml").exists():
        raise GsceneError(
            f"{home} is no home folder.", "Choose one with --home, or make one: gscene demo, gscene run."
        )
    workplace = Workplace.open(home, SystemClock(), reporter)
    return workplace, reporter, load_sign_off_policy(workplace.settings)
