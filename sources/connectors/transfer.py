"""One file from the other side: resumed where it broke off, never longer than stated, whole by its sha256 or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from sources.connectors.connection import Retry
from sources.connectors.counterpart import Opened
from sources.connectors.failure import BrokenRange, Passing, refused
from sources.connectors.retry import Waiting, persist
from sources.delivery import DeliveredFile, sha256_of

#: Opens the file at an offset, given the version that the bytes before it came from.
Opener = Callable[[int, str | None], AbstractAsyncContextManager[Opened]]

#: Whole tries before bytes that don't add up are the source's fault.
WHOLE_TRIES = 2


@dataclass
class Fetched:
    """What fetching one file came to: bytes over the line, and whether an earlier part was gone on with. `furthest`: the
    last byte reached so far, which is what counts as progress: fetching the same half again and again is none.
    """

    path: Path
    received: int = 0
    resumed: bool = False
    furthest: int = 0


async def fetch(
    file: DeliveredFile,
    folder: Path,
    opener: Opener,
    rule: Retry,
    waiting: Waiting,
    *,
    tag: str | None = None,
    note_tag: Callable[[str | None], None] = lambda _tag: None,
    meter: Callable[[int], None] = lambda _bytes: None,
) -> Fetched:
    """Fetch `file` into `folder`; `<name>.part` holds what came so far and outlives this process.

    `tag` is the version that an earlier part came from; `note_tag` is told a new one before any of its bytes is kept.
    Raises SourceUnavailable (the part is kept), Refusal REFUSED/TOO_LARGE when more comes than stated, and
    REFUSED/CHECKSUM when the bytes are others than the manifest's twice.
    """
    fetched = Fetched(folder / file.name)
    if fetched.path.exists():
        return fetched
    part = folder / f"{file.name}.part"
    fetched.resumed = _size(part) > 0
    state = _Part(part, file, fetched, tag, note_tag, meter)
    for _ in range(WHOLE_TRIES):
        await persist(lambda: state.go_on(opener), rule, waiting, progress=lambda: fetched.furthest)
        if sha256_of(part) == file.sha256:
            part.rename(fetched.path)
            return fetched
        # A changed file, a server that cut its ranges wrongly: nothing of it can be kept.
        state.start_again()
        fetched.furthest = 0
    raise refused(
        "CHECKSUM",
        "a file's bytes aren't the ones that its manifest describes, twice from the beginning.",
        "It isn't received. Have the source lay the delivery out again; the next pull tries it once more.",
    )


@dataclass
class _Part:
    path: Path
    file: DeliveredFile
    fetched: Fetched
    tag: str | None
    note_tag: Callable[[str | None], None]
    meter: Callable[[int], None]

    async def go_on(self, opener: Opener) -> None:
        """One try: from what is there to the end."""
        if _size(self.path) > self.file.bytes:
            self.start_again()
        have = _size(self.path)
        if have < self.file.bytes:
            try:
                async with opener(have, self.tag if have else None) as opened:
                    have = await self._keep(opened, have)
            except BrokenRange:
                self.start_again()
                raise
        elif have == 0:
            self.path.touch()
        if have < self.file.bytes:
            raise Passing(f"a file broke off at byte {have} of {self.file.bytes}.")

    async def _keep(self, opened: Opened, have: int) -> int:
        if opened.start not in (0, have):
            raise BrokenRange("the other side went on at another place than asked.")
        if opened.tag != self.tag:
            self.tag = opened.tag
            self.note_tag(opened.tag)
        with self.path.open("r+b" if self.path.exists() else "xb") as part:
            part.truncate(opened.start)
            part.seek(opened.start)
            size = opened.start
            try:
                async for chunk in opened.chunks:
                    if size + len(chunk) > self.file.bytes:
                        raise refused(
                            "TOO_LARGE",
                            f"a file goes on after the {self.file.bytes} bytes that its manifest states.",
                            "It isn't received. Have the source make the delivery again.",
                        )
                    part.write(chunk)
                    size += len(chunk)
                    self.fetched.received += len(chunk)
                    self.fetched.furthest = max(self.fetched.furthest, size)
                    self.meter(len(chunk))
            finally:
                part.flush()
                os.fsync(part.fileno())
        return size

    def start_again(self) -> None:
        self.path.unlink(missing_ok=True)
        self.tag = None
        self.note_tag(None)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
