"""Which delivered rows count: filters, rows sent twice, older versions, rows without a subject. Everything left out has a
reason and is counted under it; a row has one reason, the first.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sources.column_reader import ColumnReader
from sources.delivered_rows import DeliveredRows
from sources.grain import group_numbers, repeated
from sources.hold_reasons import Reason
from sources.holding import Holding
from sources.row_rules import LeaveOut, WrittenMoment

NO_KEY = "no_key"
NOTHING_TOLD = "nothing_told"


class Selection:
    """Positions of the rows that still count, ascending, and how many were left out under which reason."""

    def __init__(self, delivered: DeliveredRows, holding: Holding, only: np.ndarray | None) -> None:
        self._holding = holding
        self.rows: np.ndarray = np.arange(delivered.rows) if only is None else np.sort(only)
        self.left_out: dict[str, int] = {}

    def leave_out(self, hit: np.ndarray, reason: str) -> None:
        """Take the hit ones of `rows` out."""
        count = int(hit.sum())
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + count
            self._holding.forget(self.rows[hit])
            self.rows = self.rows[~hit]


def select(reader: ColumnReader, holding: Holding, only: np.ndarray | None) -> Selection:
    """Rows after the adapter's filters, without whole repetitions and rows that have no subject."""
    delivered, adapter = reader.delivered, reader.adapter
    selection = Selection(delivered, holding, only)
    for rule in adapter.leave_out:
        selection.leave_out(_meant(delivered, rule)[selection.rows], rule.reason)
    if adapter.duplicates is not None and adapter.duplicates.exact is not None:
        again = np.ones(delivered.rows, dtype=bool)
        again[_first_of_equal_rows(delivered, selection.rows)] = False
        selection.leave_out(again[selection.rows], adapter.duplicates.exact)
    if adapter.key is not None and adapter.key.missing == "leave_out":
        key = reader.key
        if key.faults is not None:
            nameless = key.faults[delivered.places(key.source)[selection.rows]] == Reason.NO_KEY
            selection.leave_out(nameless, NO_KEY)
    return selection


def keep_latest(
    selection: Selection,
    reader: ColumnReader,
    holding: Holding,
    keys: pa.Table,
    latest_by: WrittenMoment,
    superseded: str,
) -> None:
    """Of rows with one business key (`keys`, one row for each of `selection.rows`) leave out all but the last changed.

    Rows whose key or moment can't be read are versions of nothing; the moment's own fault holds or refuses them.
    """
    read = reader.moments(latest_by.source_column, latest_by.parse)
    places = reader.delivered.places(read.source)[selection.rows]
    if read.faults is not None:
        holding.judge(selection.rows, read.faults[places], read.source)
    changed = read.values.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)[places]
    whole = np.ones(len(places), dtype=bool)
    for column in keys.columns:
        whole &= column.is_valid().to_numpy().astype(bool)
    whole &= changed >= 0
    groups, count = group_numbers(keys)
    last = np.full(count, -1, dtype=np.int64)
    np.maximum.at(last, groups[whole], changed[whole])
    selection.leave_out(whole & (changed < last[groups]), superseded)


def _meant(delivered: DeliveredRows, rule: LeaveOut) -> np.ndarray:
    if rule.equals:
        return delivered.holds(rule.column, rule.equals)
    return ~delivered.holds(rule.column, rule.other_than)


def _first_of_equal_rows(delivered: DeliveredRows, kept: np.ndarray) -> np.ndarray:
    """Positions of the first of each set of rows that are equal in every column."""
    names = list(delivered.columns)
    columns = [delivered.places(name)[kept] for name in names]
    alike = repeated(columns, [len(delivered.texts(name)) for name in names])
    if not alike.any():
        return kept
    suspects = np.flatnonzero(alike)
    numbers, count = group_numbers(
        pa.table({name: pa.array(c[suspects]) for name, c in zip(names, columns, strict=True)})
    )
    first = np.full(count, len(kept), dtype=np.int64)
    np.minimum.at(first, numbers, suspects)
    again = alike
    again[first] = False
    return kept[~again]
