"""kill -9 at every named step of receiving and intake, in a real process; two processes at once; a writer that was asleep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.compute as pc
import pytest
from sqlalchemy import select

from core.audit import verify
from core.kill_point import VARIABLE
from core.state import Delivery, DeliveryReceipt, StateDatabase
from core.table_store import TableStore
from tests.sources.bench import GOOD, Bench, text_of

TABLE = "raw/resident/si_person_month"
CHECKOUT = Path(__file__).resolve().parents[2]
POINTS = [
    "receive.after_archive:1", "receive.after_ledger:1", "receive.after_ledger:2", "intake.after_read:1",
    "intake.after_subjects:1", "intake.after_append:1", "intake.after_append:2", "intake.after_ledger:1",
    "receipt.after_signature:1", "intake.after_receipt:2",
]  # fmt: skip


def deliver(home: Path, kill: str | None = None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **({VARIABLE: kill} if kill else {})}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sources.deliver_once", home], cwd=CHECKOUT, env=environment
    )


def laid(tmp_path: Path, migrated: Path) -> Path:
    """A home with two deliveries in its inbox and nothing in its ledger."""
    home = tmp_path / "home"
    home.mkdir()
    bench = Bench(home, migrated)
    bench.lay(text_of(GOOD), revision=1, control_sums={"js": "15000.50"})
    bench.lay(text_of(GOOD[:2]), period="2026-10", revision=2, mode="supplement")
    bench.state.engine.dispose()
    return home


def check(home: Path, whole: bool) -> None:
    """I1-I3, I5: what the ledger calls accepted lies in the table once, and nothing else is known; the chain holds."""
    state = StateDatabase(f"sqlite:///{home / 'state.db'}")
    store = TableStore(home / "lake")
    rows = store.read(TABLE) if store.exists(TABLE) else None
    with state.session() as session:
        verify(session)
        entries = session.scalars(select(Delivery)).all()
        for entry in entries:
            mine = (
                0
                if rows is None
                else pc.sum(pc.equal(rows.column("delivery_no"), entry.delivery_no)).as_py() or 0
            )
            if entry.state == "ACCEPTED":
                assert mine == entry.rows_made == entry.rows_accepted
            else:
                assert mine in (0, entry.manifest["files"][0]["rows"])
        if whole:
            assert sorted((entry.revision, entry.state) for entry in entries) == [
                (1, "ACCEPTED"),
                (2, "ACCEPTED"),
            ]
            assert rows is not None and rows.num_rows == 5
            for name in session.scalars(select(DeliveryReceipt.name)):
                assert (home / "out" / "receipts" / name).is_file()
    state.engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_the_old_stays_whole_and_the_next_run_completes(
    tmp_path: Path, migrated: Path, point: str
) -> None:
    home = laid(tmp_path, migrated)
    assert deliver(home, point).wait(120) == -signal.SIGKILL, "the point was never passed"
    check(home, whole=False)
    assert deliver(home).wait(120) == 0
    check(home, whole=True)
    if point != POINTS[0]:
        return
    version = TableStore(home / "lake").version(TABLE)
    assert deliver(home).wait(120) == 0
    assert TableStore(home / "lake").version(TABLE) == version, "running again is a no-op"


@pytest.mark.slow
def test_two_processes_take_in_each_delivery_once(tmp_path: Path, migrated: Path) -> None:
    """F16: both see the same inbox; whoever comes second finds it done."""
    home = laid(tmp_path, migrated)
    both = [deliver(home), deliver(home)]
    assert [process.wait(120) for process in both] == [0, 0]
    check(home, whole=True)


@pytest.mark.slow
def test_a_writer_that_slept_does_not_write_twice(tmp_path: Path, migrated: Path) -> None:
    """F19: a process is stopped in the middle; another one does the work; the first wakes up."""
    home = laid(tmp_path, migrated)
    asleep = deliver(home)
    wait_for(lambda: (home / "archive" / ".ledger.lock").exists())
    asleep.send_signal(signal.SIGSTOP)
    other = deliver(home)
    time.sleep(4)
    asleep.send_signal(signal.SIGCONT)
    assert [process.wait(120) for process in (asleep, other)] == [0, 0]
    check(home, whole=True)


def wait_for(there) -> None:  # type: ignore[no-untyped-def]
    for _ in range(600):
        if there():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened in 30 seconds")
