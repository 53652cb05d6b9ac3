"""An independent search for texts in all files of a folder: bytes as they lie, unpacked, and every cell of Parquet files."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pandas as pd


def files_with(folder: Path, texts: Sequence[str]) -> list[str]:
    """Files that hold any of the texts, as paths below the folder."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        told = _told(path, content)
        if any(text in told or text.encode() in content for text in texts):
            found.append(str(path.relative_to(folder)))
    return found


def _told(path: Path, content: bytes) -> str:
    if content[:4] == b"PAR1":
        frame = pd.read_parquet(path, partitioning=None)
        return frame.astype(str).to_csv() + str(frame.columns.tolist())
    if content[:2] == b"\x1f\x8b":
        return gzip.decompress(content).decode("utf-8-sig")
    if content[:15] == b"SQLite format 3":
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return "\n".join(database.iterdump())
    return content.decode("gb18030", errors="ignore")
