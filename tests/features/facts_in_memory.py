"""Facts as Parquet files that never touch the disk: the same bytes as the table store's, without its log, so that hundreds of
small worlds are quick."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.table_store import TableStore


class FactsInMemory(TableStore):
    """What the engine reads of a table store: the files of some months."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self._held: dict[Path, pa.Buffer] = {}

    def put(self, table: str, period: str, facts: pa.Table) -> None:
        """Keep the facts of a month."""
        sink = pa.BufferOutputStream()
        pq.write_table(facts, sink)
        self._held[Path(table) / f"period={period}" / "part.parquet"] = sink.getvalue()

    def files(
        self, table: str, partitions: Sequence[str] | None = None, version: int | None = None
    ) -> list[Path]:
        """Names of the months' files."""
        mine = (path for path in self._held if str(path).startswith(f"{table}/"))
        return sorted(path for path in mine if partitions is None or path.parent.name[7:] in partitions)

    def open(self, path: Path, **_: Any) -> pq.ParquetFile:  # type: ignore[override]
        """One of the files."""
        return pq.ParquetFile(pa.BufferReader(self._held[path]))
