"""Deliveries of our own making: rows read from a database or from pages, written as the feed's adapter reads them."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sqlalchemy import select

from core.months import Month
from core.state import Delivery
from sources.adapter import Adapter
from sources.arrivals import REFUSED
from sources.connectors.failure import refused
from sources.connectors.our_side import OurSide
from sources.delivery import sha256_of, write_manifest

DATA_NAME = "rows.csv"

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Cells = Sequence[str | None]


def read_columns(adapter: Adapter) -> tuple[str, ...]:
    """Columns of the source that are asked for. Those that the adapter ignores stay empty: what nobody reads, free text
    above all, never leaves the other side.
    """
    return tuple(name for name in adapter.source_columns if name not in adapter.ignore)


class RowFile:
    """The data file under way, in the adapter's encoding and with its header. Cells are the text that was sent, None empty."""

    def __init__(self, path: Path, adapter: Adapter, *, size: int = 0, rows: int = 0) -> None:
        """Open the file; `size` and `rows` are what an earlier run has kept: what lies beyond is cut off."""
        if adapter.file.format != "csv" or adapter.file.compression not in ("none", "gzip"):
            raise refused(
                "FEED",
                f"{adapter.adapter} reads another format; feeds of rows are written as csv, plain or gzip.",
                "Use an adapter with `format: csv` for this feed.",
            )
        self.path, self.adapter, self.rows = path, adapter, rows
        self._columns = read_columns(adapter)
        self._places = [
            None if name in adapter.ignore else self._columns.index(name) for name in adapter.source_columns
        ]
        self._file = path.open("r+b" if size else "wb")
        self._file.truncate(size)
        self._file.seek(size)
        if not size:
            self._write([adapter.source_columns], mark=adapter.file.bom is True)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.tell()

    def write(self, rows: Sequence[Cells]) -> None:
        """Append rows, each in the order of `read_columns`. Raises Refusal for what a line can't hold."""
        if rows:
            self._write([["" if at is None else row[at] or "" for at in self._places] for row in rows])
            self.rows += len(rows)

    def keep(self) -> None:
        """See everything on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, rows: Sequence[Sequence[str]], mark: bool = False) -> None:
        form, text = self.adapter.file, io.StringIO()
        csv.writer(text, delimiter=form.delimiter, lineterminator="\n").writerows(rows)
        lines = text.getvalue()
        if lines.count("\n") != len(rows) or _CONTROL.search(lines.replace("\n", "")):
            self._refuse_control(rows)
        try:
            body = (("\ufeff" if mark else "") + lines).encode(form.encoding)
        except UnicodeEncodeError:
            raise refused(
                "ENCODING", f"a cell that {form.encoding} can't hold.", "Have the other side mend its rows."
            ) from None
        # Each batch is a gzip member of its own: a file that breaks off after one is still whole up to there.
        self._file.write(gzip.compress(body, mtime=0) if form.compression == "gzip" else body)

    def _refuse_control(self, rows: Sequence[Sequence[str]]) -> None:
        for number, row in enumerate(rows, start=self.rows + 1):
            for name, cell in zip(self.adapter.source_columns, row, strict=True):
                if _CONTROL.search(cell):
                    raise refused(
                        "STRUCTURE",
                        f"a line break or control character in column `{name}`, row {number}.",
                        "Have the other side clean the column, or let the adapter ignore it if nobody needs it.",
                    )


def next_revision(side: OurSide, adapter: Adapter, month: Month) -> tuple[int, str | None]:
    """The revision that a new delivery of the month gets, and the sha256 of the last one's data file."""
    with side.state.session() as session:
        last = session.scalars(
            select(Delivery)
            .where(
                Delivery.source == adapter.source,
                Delivery.subject == str(adapter.subject),
                Delivery.table == adapter.target,
                Delivery.period == str(month),
                Delivery.state != REFUSED,
            )
            .order_by(Delivery.revision.desc(), Delivery.delivery_no.desc())
        ).first()
    return (1, None) if last is None else (last.revision + 1, last.manifest["files"][0]["sha256"])


def describe(
    side: OurSide,
    data: Path,
    adapter: Adapter,
    month: Month,
    *,
    connection: str,
    rows: int,
    mode: Literal["full", "supplement"],
    control_sums: Mapping[str, str],
) -> bool:
    """Write the manifest beside a finished data file; False where the last delivery of the month has the same bytes."""
    revision, last = next_revision(side, adapter, month)
    if mode == "full" and last == sha256_of(data):
        return False
    write_manifest(
        data,
        source=adapter.source,
        adapter=adapter.adapter,
        subject=adapter.subject,
        table=adapter.target,
        period=str(month),
        rows=rows,
        revision=revision,
        mode=mode,
        control_sums=control_sums,
        made_by=connection,
    )
    return True
