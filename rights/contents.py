"""What a file holds: its bytes as they lie, and the text of everything that is packed in it, by content and not by name.

Every entry of a zip file (a workbook is one), every member of a gzip file, and those packed in them again. All that one file
unfolds to is held to the caps of intake, so that a bomb is told and not followed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from zipfile import is_zipfile

from core.errors import GsceneError, Refusal
from sources.file_format import Limits
from sources.unpacking import PIECE, gzip_members, open_zip, room_for, structure, too_far, zip_entry

#: How often packed things may be packed again, and how many entries a zip file may have.
MOST_LAYERS = 3
MOST_ENTRIES = 100_000

_GZIP, _ZIP, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"

#: Says whether one text, given piece by piece, is what is looked for; it reads on to the end unless it is.
Found = Callable[[Iterator[bytes]], bool]


class Unsearchable(GsceneError):
    """A file of which nobody can say what it holds: damaged, encrypted, or beyond the caps."""


def any_content(path: Path, found: Found, limits: Limits | None = None) -> bool:
    """Whether `found` says so of the bytes of the file or of any text packed in it. Raises Unsearchable where neither the part
    that can be unpacked has it nor the rest can be unpacked."""
    limits = limits or Limits()
    room = _Room(room_for(path.stat().st_size, limits), path.name, limits)
    with path.open("rb") as file:
        try:
            return _any_content(file, found, room, MOST_LAYERS)
        except Refusal as refused:
            raise Unsearchable(
                f"{path.name} can't be searched: {refused.message}", "Look into it elsewhere, or remove it."
            ) from None


@dataclass
class _Room:
    """Bytes that a file may still unfold to, over all layers."""

    left: int
    name: str
    limits: Limits

    def through(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.left -= len(piece)
            if self.left < 0:
                raise too_far(self.name, self.limits)
            yield piece


def _any_content(file: BinaryIO, found: Found, room: _Room, layers: int) -> bool:
    head = file.read(4)
    file.seek(0)
    if found(iter(lambda: file.read(PIECE), b"")):
        return True
    for text in _packed(file, head, room):
        pieces = room.through(text)
        first = next(pieces, b"")
        whole = chain([first], pieces)
        if first.startswith((_GZIP, _ZIP)):
            if not layers:
                raise structure(room.name, f"packed more than {MOST_LAYERS} times over")
            # Without a name on the disk: a kill leaves nothing behind.
            with tempfile.TemporaryFile() as inner:
                inner.writelines(whole)
                inner.seek(0)
                if _any_content(inner, found, room, layers - 1):
                    return True
        elif first.startswith(_PARQUET):
            raise structure(room.name, "a packed Parquet file")
        elif found(whole):
            return True
    return False


def _packed(file: BinaryIO, head: bytes, room: _Room) -> Iterator[Iterator[bytes]]:
    """The texts packed in a file. A zip file is told by its end, as whatever stands before it is skipped by those who read it."""
    if head.startswith(_GZIP):
        size = file.seek(0, 2)
        file.seek(0)
        yield gzip_members(file, size, room.name, room.limits)
    file.seek(0)
    if head == _ZIP or is_zipfile(file):
        with open_zip(file, room.name) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ENTRIES:
                raise structure(room.name, f"a zip file of more than {MOST_ENTRIES} entries")
            for entry in entries:
                yield zip_entry(archive, entry, room.name, room.left, room.limits)
