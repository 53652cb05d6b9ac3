"""Directory drop: a folder of this machine that a platform's front-end machine writes finished deliveries to."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from core.clock import Clock
from sources.connectors.connection import DropConnection
from sources.connectors.counterpart import (
    CHUNK,
    MAX_SIGNATURE_BYTES,
    SIGNATURE_NAME,
    UNFINISHED,
    Listed,
    Listing,
    Opened,
)
from sources.connectors.failure import Passing, refused
from sources.delivery import MANIFEST_NAME, MAX_MANIFEST_BYTES, DeliveredFile, Manifest

#: Folders between the drop and a delivery: `<source>/<subject>.<table>/<period>-r<revision>` and one to spare.
DEPTH = 4


class Drop:
    """The folder as a counterpart. Symbolic links are never followed: they could lead out of it."""

    def __init__(self, connection: DropConnection, clock: Clock) -> None:
        self.connection, self.clock, self.root = connection, clock, Path(connection.path)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    async def listing(self, cursor: str | None) -> Listing:
        """Every folder with a manifest; its tag is the manifest's size and time."""
        if not self.root.is_dir() or self.root.is_symlink():
            raise Passing("the drop folder isn't there.")
        found = []
        for folder in _folders(self.root, DEPTH):
            if (folder / MANIFEST_NAME).is_symlink() or (folder / MANIFEST_NAME).is_file():
                seen = os.lstat(folder / MANIFEST_NAME)
                name = folder.relative_to(self.root).as_posix()
                found.append(Listed(name, f"{seen.st_size}/{seen.st_mtime_ns}"))
        return Listing(tuple(found))

    async def manifest(self, listed: Listed) -> bytes:
        """The manifest's bytes."""
        with self._plain(self.root / listed.item / MANIFEST_NAME) as file:
            return file.read(MAX_MANIFEST_BYTES + 1)

    async def signature(self, listed: Listed) -> bytes | None:
        """The signature beside it."""
        path = self.root / listed.item / SIGNATURE_NAME
        if not path.is_symlink() and not path.exists():
            return None
        with self._plain(path) as file:
            return file.read(MAX_SIGNATURE_BYTES + 1)

    async def finished(self, listed: Listed, manifest: Manifest) -> bool:
        """All files there in their stated size, and nothing written for `settle` seconds."""
        folder = self.root / listed.item
        if any(path.name.endswith(UNFINISHED) for path in folder.iterdir()):
            return False
        latest = os.lstat(folder / MANIFEST_NAME).st_mtime
        for file in manifest.files:
            path = folder / file.name
            if path.is_symlink():
                raise _a_link()
            if not path.is_file() or path.stat().st_size != file.bytes:
                return False
            latest = max(latest, path.stat().st_mtime)
        return (
            self.clock.now() - datetime.fromtimestamp(latest, UTC)
        ).total_seconds() >= self.connection.settle

    @asynccontextmanager
    async def open(
        self, listed: Listed, file: DeliveredFile, offset: int, tag: str | None
    ) -> AsyncIterator[Opened]:
        """The file from `offset` on; its size and time are its version: a changed file starts again."""
        with self._plain(self.root / listed.item / file.name) as opened:
            seen = os.fstat(opened.fileno())
            version = f"{seen.st_size}/{seen.st_mtime_ns}"
            start = offset if tag == version else 0
            opened.seek(start)
            yield Opened(start, _pieces(opened), version)

    async def put_receipt(self, name: str, body: bytes, item: str | None) -> bool:
        """Lay the receipt into the receipts folder, whole."""
        if self.connection.receipts is None:
            return False
        target = Path(self.connection.receipts) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        part.write_bytes(body)
        part.replace(target)
        return True

    async def taken(self, listed: Listed, manifest: Manifest) -> None:
        """With `take: move` the delivery's files are removed; anything else in its folder stays."""
        if self.connection.take != "move":
            return
        folder = self.root / listed.item
        # The manifest goes last: without it, half a delivery would look like one that is still being written.
        for name in (*(file.name for file in manifest.files), SIGNATURE_NAME, MANIFEST_NAME):
            (folder / name).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()

    def _plain(self, path: Path) -> BinaryIO:
        """Open a plain file without following a link."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise Passing("a file has gone from the drop folder.") from None
        except OSError as error:
            if path.is_symlink():
                raise _a_link() from None
            raise Passing(f"a file of the drop can't be read: {type(error).__name__}.") from None
        file = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise refused("LINK", "something else than a plain file lies in a delivery.", _PLAIN)
        return file


_PLAIN = "Have the front-end machine write plain files and folders."


def _a_link() -> Exception:
    return refused("LINK", "a delivery holds a symbolic link.", _PLAIN)


def _folders(root: Path, depth: int) -> Iterator[Path]:
    """Folders below `root` in order, without following links and without those still being written."""
    entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not entry.name.endswith(UNFINISHED):
            yield Path(entry.path)
            if depth > 1:
                yield from _folders(Path(entry.path), depth - 1)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
