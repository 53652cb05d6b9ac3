"""Large files through the gateway: memory that doesn't grow with them, and nothing half written when the machine stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sources.identity.numbers import RESIDENT_CHECKS, RESIDENT_WEIGHTS

CHECKOUT = Path(__file__).parents[3]
RUN = """
import os, signal, sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from sources import unpacking
from sources.gateway.crosswalk import make_crosswalk
from sources.gateway.plan import Plan
from sources.gateway.pseudonymise import pseudonymise
from tests.sources.gateway.plans import KEY, NEXT

work, source, target, kill_after = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
unpacking.PIECE = 200_000

class Stage:
    blocks = 0
    def advance(self, n=1, note=""):
        self.blocks += 1
        if self.blocks == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

class Killing:
    @contextmanager
    def stage(self, title, total=None):
        yield Stage()

plan = Plan.model_validate({"plan": "si", "source": "city", "purpose": "risk",
                            "ids": {"sfzh": {"kind": "resident", "to": "grbh"}}, "keep": ["je", "zt"]})
if work == "file":
    pseudonymise(source, target, plan, KEY, progress=Killing())
else:
    make_crosswalk(source, target, plan, "sfzh", KEY, NEXT, date(2026, 11, 1), Killing())
# Not getrusage: its peak is inherited from the process that started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""


def people_file(path: Path, rows: int) -> Path:
    """A file with so many different residents."""
    rng = np.random.default_rng(rows)
    serial = np.arange(rows)
    days = np.datetime64("1940-01-01") + (serial % 20_000)
    bodies = [
        f"{430100 + n % 25:06d}{str(day).replace('-', '')}{(n // 20_000) % 1000:03d}"
        for n, day in zip(serial.tolist(), days, strict=True)
    ]
    digits = np.array([[ord(c) - 48 for c in body] for body in bodies])
    checks = (digits @ np.array(RESIDENT_WEIGHTS)) % 11
    amounts = rng.integers(100, 10**7, rows)
    lines = [
        f"{body}{RESIDENT_CHECKS[check]},{amount / 100:.2f},{'x' * 200}{amount}"
        for body, check, amount in zip(bodies, checks, amounts, strict=True)
    ]
    path.write_text("\n".join(["sfzh,je,zt", *lines, ""]), encoding="utf-8")
    return path


def run_apart(
    work: str, source: Path, target: Path, kill_after: int = -1
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, work, str(source), str(target), str(kill_after)],
        cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("work", ["file", "crosswalk"])
def test_memory_doesn_t_grow_with_ten_times_the_rows(tmp_path: Path, work: str) -> None:
    peaks = []
    for rows in (20_000, 200_000):
        source = people_file(tmp_path / f"{rows}.csv", rows)
        done = run_apart(work, source, tmp_path / f"{rows}.out.parquet")
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    # Kilobytes. Ten times the rows are 45 MB more of text; a crosswalk's pairs are sorted in 128 MB, whatever their number.
    assert peaks[1] - peaks[0] < {"file": 25_000, "crosswalk": 100_000}[work], peaks


@pytest.mark.parametrize("work", ["file", "crosswalk"])
def test_killed_half_way_nothing_has_the_target_s_name_and_a_second_run_succeeds(
    tmp_path: Path, work: str
) -> None:
    source, target = people_file(tmp_path / "in.csv", 30_000), tmp_path / "out" / "out.csv"
    target.parent.mkdir()
    killed = run_apart(work, source, target, kill_after=3)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = [path for path in target.parent.rglob("*") if path.is_file()]
    # What is left stands under a hidden name, and holds no id.
    assert left and all(path.relative_to(target.parent).parts[0].startswith(".") for path in left)
    ids = [line.split(",")[0].encode() for line in source.read_text().splitlines()[1:300]]
    assert not any(number in path.read_bytes() for path in left for number in ids)
    assert run_apart(work, source, target).returncode == 0
    assert len(target.read_text().splitlines()) == 30_001
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".")]
