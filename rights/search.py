"""Proof that nothing is left: every file of the home is searched for the subject's pseudonym and provider's code.

Bytes are searched as they lie; what is packed is unpacked, and Parquet files, whose pages are compressed, are searched cell by
cell. A file that can't be searched proves nothing and is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rights.contents import Unsearchable, any_content

#: A code shorter than this stands in any file by chance ("E1"): it is searched as a whole cell only.
LEAST_BYTES = 8


@dataclass(frozen=True)
class Searched:
    """Files that hold a name, and files of which it can't be said; both sorted."""

    naming: list[Path]
    unsearchable: list[Path]


def search(home: Path, names: tuple[str, ...], leave_out: tuple[Path, ...] = ()) -> Searched:
    """Look through all files below `home` for any of the names; `leave_out` are files or folders that aren't searched."""
    searched = Searched([], [])
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        if any(file == each or file.is_relative_to(each) for each in leave_out):
            continue
        try:
            if _names(file, names):
                searched.naming.append(file)
        except Unsearchable:
            searched.unsearchable.append(file)
    return searched


def _names(file: Path, names: tuple[str, ...]) -> bool:
    with file.open("rb") as opened:
        head = opened.read(4)
    if head == b"PAR1":
        try:
            return _in_cells(file, names)
        except (pa.ArrowException, OSError):
            raise Unsearchable(f"{file.name} isn't a whole Parquet file.", "Remove it.") from None
    long_names = [name for name in names if len(name.encode()) >= LEAST_BYTES]
    if not long_names:
        return False
    wanted = [name.encode(encoding) for name in long_names for encoding in ("utf-8", "gb18030")]
    pattern = re.compile(b"|".join(re.escape(each) for each in sorted(set(wanted))), re.IGNORECASE)
    overlap = max(map(len, wanted))

    def found(pieces: Iterator[bytes]) -> bool:
        rest = b""
        for piece in pieces:
            text = rest + piece
            if pattern.search(text):
                return True
            rest = text[-overlap:]
        return False

    return any_content(file, found)


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
