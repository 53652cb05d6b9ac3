"""Numbers of erased subjects. A number, once given, is never given again: after an erasure it stays a hole, and no row may be
written about it, not even by a run that began before.

Kept beside the tables, one small file per registry, because every writer has to know and a table store knows no database.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.errors import GsceneError

_FOLDER = ".erased"


class ErasedSubject(GsceneError):
    """Rows about an erased subject were to be written."""


class ErasedNumbers:
    """The holes of one lake, by registry (`resident`, `trial_resident`, ...)."""

    def __init__(self, root: Path) -> None:
        self._folder = root / _FOLDER

    def add(self, registry: str, number: int) -> None:
        """Make a number a hole; a no-op when it is one."""
        known = set(self.of(registry).tolist())
        if number in known:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{registry}.{secrets.token_hex(8)}"
        with part.open("w", encoding="ascii") as file:
            file.write("".join(f"{each}\n" for each in sorted({*known, number})))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / registry)

    def of(self, registry: str) -> np.ndarray:
        """The holes, sorted, int64."""
        path = self._folder / registry
        if not path.exists():
            return np.empty(0, dtype=np.int64)
        return np.array([int(line) for line in path.read_text(encoding="ascii").split()], dtype=np.int64)

    def refuse(self, table: str, rows: pa.Table) -> None:
        """ErasedSubject where rows that are to be written are about a hole."""
        registry = registry_of(table)
        if registry is None or "subject_no" not in rows.schema.names:
            return
        holes = self.of(registry)
        if len(holes) and np.isin(rows.column("subject_no").to_numpy(), holes).any():
            raise ErasedSubject(
                f"the new rows of {table} are about a subject who has been erased meanwhile.",
                "Run the stage again: it will find the subject gone.",
            )


def registry_of(table: str) -> str | None:
    """The registry whose numbers a table's `subject_no` are; None for registries themselves and tables of other forms."""
    parts = table.split("/")
    if len(parts) != 3 or parts[0] == "registry":
        return None
    return f"trial_{parts[1]}" if parts[0] == "trial" else parts[1]
