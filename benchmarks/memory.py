"""How much memory a process and everything it started hold at one moment, watched while it works (Linux)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

#: Seconds between two looks; a peak that lasts shorter is missed.
EVERY = 0.1


class Memory(threading.Thread):
    """Adds up the proportional set sizes of this process and its descendants until stopped; `peak_mb` is the greatest sum."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        """Look until `stop`."""
        while not self._over.wait(EVERY):
            self.peak_mb = max(self.peak_mb, held_mb(os.getpid()))

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


def held_mb(root: int) -> float:
    """Megabytes of a process and its descendants; shared pages count once."""
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(_proportional_kb(pid) for pid in family) / 1024


def _parent(process: Path) -> int:
    try:
        # The program's name stands in brackets and may hold anything.
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _proportional_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        # It has ended since.
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
