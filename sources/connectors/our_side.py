"""Our side of every connection: staging, inbox, ledger, and what pulling needs of this installation."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.clock import Clock
from core.errors import Refusal
from core.progress import Progress, SilentProgress
from core.state import StateDatabase
from sources.adapter import Adapter
from sources.arrivals import Arrival, receive
from sources.connectors.pull_state import COMPLETE, DONE, REFUSED, PullState
from sources.connectors.retry import Waiting
from sources.connectors.secret import Secrets
from sources.delivery import MANIFEST_NAME, Manifest, folder_of, parse_manifest, sha256_of


@dataclass(frozen=True)
class OurSide:
    """One home folder as connections see it. Deliveries are put together in `pulls/`, and only whole ones move to `inbox/`,
    on the same disk in one step.
    """

    home: Path
    archive: Path
    state: StateDatabase
    clock: Clock
    adapters: Mapping[str, Adapter]
    environment: Mapping[str, str] = field(repr=False, default_factory=dict)
    progress: Progress = field(default_factory=SilentProgress)
    waiting: Waiting = field(default_factory=Waiting)

    @property
    def inbox(self) -> Path:
        """Where whole deliveries lie."""
        return self.home / "inbox"

    @property
    def receipts(self) -> Path:
        """Where receipts lie, by source."""
        return self.home / "out" / "receipts"

    @property
    def secrets(self) -> Secrets:
        """Reader of secrets."""
        return Secrets(self.home, self.environment)

    def pulls(self, connection: str) -> PullState:
        """What is remembered of a connection."""
        return PullState(self.state, self.clock, connection)

    def lock_file(self, connection: str) -> Path:
        """Held while a connection is pulled."""
        folder = self.home / "pulls"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{connection}.lock"

    def staging(self, connection: str, item: str) -> Path:
        """The folder in which an item is put together; names of the other side never become paths of ours."""
        return self.home / "pulls" / connection / hashlib.sha256(item.encode()).hexdigest()[:20]

    def fresh_staging(self, connection: str, item: str) -> Path:
        """The same, emptied."""
        folder = self.staging(connection, item)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def land(self, connection: str, item: str) -> int:
        """Bring a delivery that is whole in staging into inbox and ledger; returns its delivery_no.

        Killed at any point and called again it ends the same: the place in the inbox is written down before the folder
        moves there, and the ledger knows the same bytes again. `received_at` is the moment of this call. Raises the
        Refusal of the ledger, which is written down for the item too.
        """
        pulls, staged = self.pulls(connection), self.staging(connection, item)
        known = pulls.item(item)
        if known is None or known.state != COMPLETE or known.folder is None:
            body = (staged / MANIFEST_NAME).read_bytes()
            target = self._place_for(staged, parse_manifest(body, staged / MANIFEST_NAME), body)
            place = target.relative_to(self.home).as_posix()
            pulls.note(item, state=COMPLETE, folder=place, manifest_sha256=hashlib.sha256(body).hexdigest())
        else:
            target = self.home / known.folder
        if staged.exists():
            _move(staged, target)
        try:
            number = receive(
                Arrival(target, self.clock.now(), "observed"), self.archive, self.state, self.clock
            )
        except Refusal as refusal:
            pulls.note(item, state=REFUSED, reason=refusal.code)
            raise
        pulls.note(item, state=DONE, delivery_no=number, reason=None)
        return number

    def _place_for(self, staged: Path, manifest: Manifest, body: bytes) -> Path:
        """Its folder in the inbox. What lies there under the same revision with other bytes is never touched: the ledger
        shall see both.
        """
        target = folder_of(self.inbox, manifest)
        if not target.exists() or _same(target, staged):
            return target
        return target.with_name(f"{target.name}.{hashlib.sha256(body).hexdigest()[:12]}")


def _same(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in other.iterdir())
    if sorted(path.name for path in one.iterdir()) != names:
        return False
    return all(sha256_of(one / name) == sha256_of(other / name) for name in names)


def _move(staged: Path, target: Path) -> None:
    """In one step; a folder of the same bytes that lies there already is replaced by them."""
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    _to_disk(staged)
    staged.rename(target)
    _to_disk(target.parent)


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
