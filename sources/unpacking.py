"""The bytes of a text file, unpacked piece by piece under caps, so that a bomb is noticed before it has unfolded."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.errors import Refusal
from sources.file_format import Limits

#: Bytes handed on at a time.
PIECE = 1 << 22

_RESEND = "Have the source correct the export and send the period again."


def structure(name: str, what: str, line: int | None = None) -> Refusal:
    """REFUSED/STRUCTURE: `what` is wrong with the file `name`."""
    return Refusal("REFUSED/STRUCTURE", f"{what}.", file=name, line=line, remedy=_RESEND)


def unpacked(path: Path, compression: str, name: str, limits: Limits) -> Iterator[bytes]:
    """Pieces of at most 4 MiB. Raises REFUSED/STRUCTURE for a damaged or cut-off archive and for one that unfolds too far."""
    with path.open("rb") as file:
        if compression == "zip":
            yield from _zipped(file, name, limits)
        elif compression == "gzip":
            yield from gzip_members(file, path.stat().st_size, name, limits)
        else:
            if path.stat().st_size > limits.max_bytes:
                raise structure(name, f"larger than {limits.max_bytes} bytes")
            while piece := file.read(PIECE):
                yield piece


def room_for(packed_bytes: int, limits: Limits) -> int:
    """How far so many packed bytes may unfold."""
    return min(limits.max_bytes, max(1 << 20, limits.max_ratio * packed_bytes))


def too_far(name: str, limits: Limits) -> Refusal:
    """What is said of a bomb."""
    return structure(
        name, f"unfolds to more than {limits.max_ratio} times its size or {limits.max_bytes} bytes"
    )


def gzip_members(file: BinaryIO, size: int, name: str, limits: Limits) -> Iterator[bytes]:
    """Pieces of all members one after the other."""
    room = room_for(size, limits)
    member = zlib.decompressobj(wbits=31)
    packed = file.read(PIECE)
    while packed:
        try:
            piece = member.decompress(packed, PIECE)
        except zlib.error:
            raise structure(name, "not a whole gzip file") from None
        room -= len(piece)
        if room < 0:
            raise too_far(name, limits)
        if piece:
            yield piece
        packed = member.unused_data if member.eof else member.unconsumed_tail
        if len(packed) < PIECE and (more := file.read(PIECE)):
            packed += more
        if member.eof and packed:
            # A gzip file may consist of several members.
            member = zlib.decompressobj(wbits=31)
    if not member.eof:
        raise structure(name, "the gzip file is cut off")


def _zipped(file: BinaryIO, name: str, limits: Limits) -> Iterator[bytes]:
    with open_zip(file, name) as archive:
        entries = archive.infolist()
        if len(entries) != 1 or entries[0].is_dir():
            raise structure(name, "a zip file of other than one file")
        yield from zip_entry(archive, entries[0], name, room_for(entries[0].compress_size, limits), limits)


def open_zip(file: BinaryIO, name: str) -> zipfile.ZipFile:
    """The archive, its directory read; REFUSED/STRUCTURE where it isn't one."""
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, RuntimeError):
        raise structure(name, "not a whole zip file") from None


def zip_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, room: int, limits: Limits
) -> Iterator[bytes]:
    """Pieces of one entry, checked by its CRC; what the directory says of its size isn't believed."""
    if entry.flag_bits & 1:
        raise structure(name, "an encrypted zip file")
    if entry.file_size > room:
        raise too_far(name, limits)
    try:
        with archive.open(entry) as opened:
            while piece := opened.read(PIECE):
                room -= len(piece)
                if room < 0:
                    raise too_far(name, limits)
                yield piece
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError):
        raise structure(name, "a damaged zip file") from None
