"""Ctrl-C while months are folded and features made: the store is whole, and the next run finishes what is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.table_store import TableStore
from tests.features.folding_child import run, tables

ROOT = Path(__file__).parents[2]


def contents(root: Path) -> dict[tuple[str, str], str]:
    """Hash of every partition that the store shows, each read in whole before."""
    store, found = TableStore(root), {}
    for table in tables():
        for period in store.partitions(table):
            assert store.read(table, [period]).num_rows > 0
            found[table, period] = store.content_hash(table, period)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """What an undisturbed run leaves."""
    root = tmp_path_factory.mktemp("whole")
    run(root)
    made = contents(root)
    assert len(made) == sum(map(len, tables().values()))
    return made


@pytest.mark.slow
@pytest.mark.parametrize(("lines", "wait"), [(1, 0.0), (3, 0.005), (8, 0.02), (16, 0.0), (17, 0.01)])
def test_an_interrupted_run_leaves_the_store_whole(
    whole: dict[tuple[str, str], str], tmp_path: Path, lines: int, wait: float
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.features.folding_child", str(tmp_path)], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    for _ in range(lines):
        assert child.stdout.readline()
    time.sleep(wait)
    said = None
    while said is None:
        # Python can lose one that arrives while it tidies up; whoever presses Ctrl-C presses again.
        child.send_signal(signal.SIGINT)
        try:
            _, said = child.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            continue
    assert child.returncode != 0 and "KeyboardInterrupt" in said
    left = contents(tmp_path)
    assert set(left.items()) <= set(whole.items()), "what is there is what an undisturbed run makes"
    assert len(left) >= lines - 1, "and what was said to be done is there"
    run(tmp_path)
    assert contents(tmp_path) == whole
