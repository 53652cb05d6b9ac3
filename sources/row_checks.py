"""What must hold within a row: the span of time that it covers, and values that have to fit each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.money import MONEY, fen
from sources import cells
from sources.adapter import Adapter
from sources.delivered_rows import DeliveredRows
from sources.hold_reasons import Reason
from sources.row_rules import Check, Covers


def covered(delivered: DeliveredRows, adapter: Adapter, covers: Covers, rows: np.ndarray) -> np.ndarray:
    """Faults (uint8) of the rows (positions) by the months between their first and last day."""
    days = []
    faults = np.zeros(len(rows), dtype=np.uint8)
    for name in (covers.first, covers.last):
        texts = delivered.texts(name)
        absent = cells.missing(texts, adapter.nulls)
        read = cells.days(texts, absent, covers.parse, ())
        places = delivered.places(name)[rows]
        faults[read.bad[places]] = Reason.UNREADABLE
        faults[absent[places]] = Reason.MISSING
        days.append(pc.fill_null(read.values.cast(pa.int32()), 0).to_numpy(zero_copy_only=False)[places])
    first, last = (day.astype("datetime64[D]") for day in days)
    begun, ended = first.astype("datetime64[M]"), (last + 1).astype("datetime64[M]")
    whole = (begun.astype("datetime64[D]") == first) & (ended.astype("datetime64[D]") == last + 1)
    months = (ended - begun).astype(np.int64)
    other = ~(whole & np.isin(months, covers.months))
    faults[other & (faults == Reason.GOOD)] = Reason.OTHER_SPAN
    return faults


def inconsistent(check: Check, columns: Mapping[str, pa.Array]) -> np.ndarray:
    """Which rows break the check, bool (rows,); those with a missing value don't."""
    given = [columns[name] for name in check.columns]
    there = np.logical_and.reduce([column.is_valid().to_numpy(zero_copy_only=False) for column in given])
    values = [_numbers(column) for column in given]
    if check.ratio is not None:
        over, under = values
        # A ratio to nothing holds for nothing alone.
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(under == 0, np.where(over == 0, np.nan, np.inf), over / under)
        broken = np.zeros(len(ratio), dtype=bool)
        if check.minimum is not None:
            broken |= ratio < check.minimum
        if check.maximum is not None:
            broken |= ratio > check.maximum
        return broken & there
    equals, later, earlier = values
    # A hair of room for binary fractions: meters count hundredths.
    return (np.abs(later - earlier - equals) > check.within + 1e-6) & there


def _numbers(column: pa.Array) -> np.ndarray:
    if column.type == MONEY:
        return fen(column) / 100
    return pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.float64)
