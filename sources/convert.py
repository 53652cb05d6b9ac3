"""From a table of delivered strings to canonical columns, as an adapter says.

Each different text of a column is read once (dictionary encoding), then spread over the rows. A row that can't be read is
held back where the adapter says so; else the first such row refuses the delivery whole, with the line in the delivered file
and the shape of the cell, never its content.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.months import Month
from core.table_schema import TableSchema
from sources.adapter import Adapter
from sources.canonical_rows import CanonicalRows, variants
from sources.column_reader import ColumnReader
from sources.control_sums import check_control_sums as check_control_sums
from sources.delivered_rows import FIRST_LINE as FIRST_LINE
from sources.delivered_rows import DeliveredRows as DeliveredRows
from sources.holding import HELD, Holding
from sources.row_checks import covered
from sources.row_selection import NOTHING_TOLD, keep_latest, select

DELETE = "delete"
#: What `absorbed` calls rows that withdraw their key.
WITHDRAWN = "withdrawn_row"


@dataclass(frozen=True)
class Converted:
    """`rows`: canonical business columns without subject and period, then `row_no` (1 is the first row of the file; negative:
    the row withdraws its business key and holds nothing else); `subject_codes`: the normalised key of each row; `left_out`:
    source rows by reason; `quarantined`: the source rows held back (`sources.holding.HELD`); `absorbed`: cells by what the
    adapter put up with, and rows that withdraw their key.

    Delivered = accepted + sum(left_out) + quarantined, in source rows; accepted ones may make more or fewer `rows`.
    """

    rows: pa.Table
    subject_codes: pa.Array
    left_out: dict[str, int]
    delivered: int
    quarantined: pa.Table = field(default_factory=HELD.empty_table)
    absorbed: dict[str, int] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """Source rows that came in."""
        return self.delivered - sum(self.left_out.values()) - self.quarantined.num_rows


def convert(
    delivered: DeliveredRows,
    adapter: Adapter,
    schema: TableSchema,
    period: Month,
    *,
    revision: int = 1,
    only: np.ndarray | None = None,
) -> Converted:
    """Canonical rows of one delivery. Raises Refusal REFUSED/CODE, TYPE, RANGE, PERIOD, KEY, CHECK or QUARANTINE with file,
    line, column and remedy.

    Ranges and keys are the contract's. They are judged again on the whole partition later; a delivery that breaks them must
    not come in, because every accepted version stays and the next revision could not overcome it. `only`: positions of the
    rows to look at, for reading held rows again; then `delivered` counts those.
    """
    reader = ColumnReader(delivered, adapter, schema, period)
    holding = Holding(delivered, adapter)
    selection = select(reader, holding, only)
    envelope = {
        "period": str(period), "revision": revision, "source": adapter.source, "adapter": adapter.adapter,
    }  # fmt: skip
    canonical = CanonicalRows(reader, holding, envelope, _deleted(reader, holding, selection.rows))
    if adapter.duplicates is not None and adapter.duplicates.latest_by is not None:
        keys = canonical.keys(selection.rows)
        latest_by, superseded = adapter.duplicates.latest_by, adapter.duplicates.superseded
        keep_latest(selection, reader, holding, keys, latest_by, superseded)
    shapes = variants(adapter)
    told = [canonical.told_by(shape, selection.rows) for shape in shapes]
    if adapter.unpivot is not None:
        selection.leave_out(~np.logical_or.reduce(told), NOTHING_TOLD)
        told = [canonical.told_by(shape, selection.rows) for shape in shapes]
    if adapter.covers is not None:
        faults = covered(delivered, adapter, adapter.covers, selection.rows)
        holding.judge(selection.rows, faults, adapter.covers.last)
    for shape, hit in zip(shapes, told, strict=True):
        canonical.judge(shape, selection.rows if hit.all() else selection.rows[hit])
    rows = canonical.made(shapes, [selection.rows[hit] for hit in told])
    if only is None:
        holding.require_few(delivered.rows)
    return Converted(
        rows.table(),
        rows.codes if rows.codes is not None else pa.nulls(len(rows), pa.string()),
        selection.left_out,
        delivered.rows if only is None else len(only),
        holding.table() if holding.any else HELD.empty_table(),
        {WITHDRAWN: rows.withdrawing} if rows.withdrawing else {},
    )


def _deleted(reader: ColumnReader, holding: Holding, rows: np.ndarray) -> np.ndarray | None:
    """Which of all delivered rows say that their key is withdrawn; None where the feed has no such flag."""
    operation = reader.adapter.operation
    if operation is None:
        return None
    read = reader.operation(operation)
    places = reader.delivered.places(read.source)
    if read.faults is not None:
        holding.judge(rows, read.faults[places[rows]], read.source)
    hit = pc.fill_null(pc.equal(read.values, DELETE), False).to_numpy(zero_copy_only=False).astype(bool)
    return hit[places] if hit.any() else None
