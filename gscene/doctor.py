"""`gscene doctor`: is this machine and this home folder in order?"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from core.errors import GsceneError
from core.telemetry import QUIET_ENVIRONMENT
from gscene.console import Reporter
from gscene.options import home_option, json_option

CHECKOUT = Path(__file__).resolve().parents[1]

#: A demo needs about 1 GB; more is comfort.
FREE_GB = 3.0

PACKAGES = ("dagster", "mlflow", "great-expectations", "lightgbm", "duckdb", "deltalake", "pandas", "pyarrow")


@dataclass(frozen=True)
class Finding:
    """One check: its name, whether all is well, what was seen, and what to do if not."""

    name: str
    ok: bool
    seen: str
    remedy: str = ""


@click.command()
@home_option("demo")
@json_option
def doctor(home: Path, as_json: bool) -> int:
    """Check Python, packages, definitions, the home folder and the telemetry switches.

    检查运行环境是否就绪。
    """
    reporter = Reporter(as_json)
    findings = [check(home) for check in CHECKS]
    reporter.table(
        "gscene doctor",
        ["check", "state", "seen", "remedy"],
        [[f.name, "ok" if f.ok else "PROBLEM", f.seen, "" if f.ok else f.remedy] for f in findings],
    )
    reporter.result = {"ok": all(f.ok for f in findings), "findings": [vars(f) for f in findings]}
    reporter.finish()
    return 0 if all(f.ok for f in findings) else 1


def _python(_home: Path) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "Python", (3, 11) <= sys.version_info[:2] < (3, 14), version, "Use Python 3.11, 3.12 or 3.13."
    )


def _packages(_home: Path) -> Finding:
    locked = _locked_versions()
    wrong = []
    for name in PACKAGES:
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != locked.get(name, installed):
            wrong.append(f"{name} {installed} (lock: {locked[name]})")
    return Finding("packages", not wrong, ", ".join(wrong) or "as in uv.lock", "Run `make install`.")


def _locked_versions() -> dict[str, str]:
    import tomllib

    lock = CHECKOUT / "uv.lock"
    if not lock.exists():
        return {}
    return {
        p["name"]: p.get("version", "") for p in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    }


def _definitions(_home: Path) -> Finding:
    try:
        from pipelines.build import build_definitions

        assets = len(list(build_definitions().resolve_asset_graph().get_all_asset_keys()))
    except GsceneError as error:
        return Finding("definitions", False, str(error), "Correct the named file.")
    return Finding("definitions", True, f"{assets} assets load")


def _disk(home: Path) -> Finding:
    existing = next(folder for folder in (home.absolute(), *home.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 1e9
    writable = os.access(existing, os.W_OK)
    return Finding(
        "disk", free > FREE_GB and writable, f"{free:.0f} GB free", "Free some space or use --home."
    )


def _state(home: Path) -> Finding:
    if not home.exists():
        return Finding("home folder", True, f"{home} not made yet")
    from core import audit
    from pipelines.workplace import Workplace

    try:
        workplace = Workplace.open(home)
        with workplace.state.session() as session:
            events = audit.verify(session)
    except GsceneError as error:
        return Finding("home folder", False, str(error), error.remedy)
    return Finding(
        "home folder", True, f"{len(workplace.store.tables())} tables, audit chain of {events} events whole"
    )


def _telemetry(_home: Path) -> Finding:
    loud = [name for name, value in QUIET_ENVIRONMENT.items() if os.environ.get(name, value) != value]
    return Finding(
        "telemetry", not loud, ", ".join(loud) or "off", "Unset these variables; gscene sets them itself."
    )


CHECKS: tuple[Callable[[Path], Finding], ...] = (_python, _packages, _definitions, _disk, _state, _telemetry)
