"""Proof that nothing is left: every file of the home is searched for the subject's pseudonym and provider's code.

Bytes are searched as they lie; packed text is unpacked, and Parquet files, whose pages are compressed, are searched cell by cell.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

#: A code shorter than this stands in any file by chance ("E1"): it is searched as a whole cell only.
LEAST_BYTES = 8

_CHUNK = 1 << 24


def files_naming(home: Path, names: tuple[str, ...], leave_out: tuple[Path, ...] = ()) -> list[Path]:
    """Files below `home` that hold any of the names, sorted; `leave_out` are files or folders that aren't searched."""
    found = []
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        if any(file == each or file.is_relative_to(each) for each in leave_out):
            continue
        if _names(file, names):
            found.append(file)
    return found


def _names(file: Path, names: tuple[str, ...]) -> bool:
    with file.open("rb") as opened:
        head = opened.read(4)
    if head == b"PAR1":
        return _in_cells(file, names)
    long_names = [name for name in names if len(name.encode()) >= LEAST_BYTES]
    if not long_names:
        return False
    wanted = [name.encode(encoding) for name in long_names for encoding in ("utf-8", "gb18030")]
    pattern = re.compile(b"|".join(re.escape(each) for each in sorted(set(wanted))), re.IGNORECASE)
    overlap = max(map(len, wanted))
    rest = b""
    for piece in _unpacked(file, head):
        if pattern.search(rest + piece):
            return True
        rest = piece[-overlap:]
    return False


def _unpacked(file: Path, head: bytes) -> Iterator[bytes]:
    unpack = zlib.decompressobj(wbits=31) if head[:2] == b"\x1f\x8b" else None
    with file.open("rb") as opened:
        while piece := opened.read(_CHUNK):
            try:
                yield unpack.decompress(piece) if unpack is not None else piece
            except zlib.error:
                yield piece


def _in_cells(file: Path, names: tuple[str, ...]) -> bool:
    parquet = pq.ParquetFile(file)
    texts = [field.name for field in parquet.schema_arrow if pa.types.is_string(field.type)]
    wanted = pa.array(list(names), pa.string())
    for group in range(parquet.metadata.num_row_groups if texts else 0):
        rows = parquet.read_row_group(group, columns=texts, use_threads=False)
        for name in texts:
            cells = pc.utf8_lower(pc.utf8_trim_whitespace(pc.utf8_normalize(rows.column(name), form="NFKC")))
            if pc.any(pc.is_in(cells, value_set=pc.utf8_lower(wanted))).as_py():
                return True
    return False
