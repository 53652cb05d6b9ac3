"""Has an amount column changed its unit? Sum and median of each, kept in the ledger, are held against the feed's last months.

Yuan sent as fen are 100 times too large, 万元 as yuan 10,000 times: every row is well-formed, ranges may allow it, and the
control sums agree. People's incomes don't rise a hundredfold in a month.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from core.money import fen
from core.state import Delivery
from core.table_schema import ColumnType, TableSchema

#: Fewer amounts than this are neither kept nor judged: a median of a few would be somebody's amount.
FEWEST = 30
#: How many of the last months count.
_MONTHS = 3
#: Powers of ten that units differ by: fen and yuan, yuan and 万元, fen and 万元.
_POWERS = (2, 4, 6)
#: How near to such a power median and mean must come, in powers of ten: 100 is 56 to 178 of the median.
_NEAR_MEDIAN, _NEAR_MEAN = 0.25, 0.6

Figures = dict[str, dict[str, int]]


def figures_of(rows: pa.Table, schema: TableSchema) -> Figures:
    """By amount column: how many are there and not zero, their sum, and the median of their size, in fen."""
    found: Figures = {}
    for column in schema.columns:
        if column.type is not ColumnType.MONEY or column.name not in rows.column_names:
            continue
        values = fen(rows.column(column.name))
        values = values[values != 0]
        if len(values) >= FEWEST:
            high = values >> 30
            total = (int(high.sum()) << 30) + int((values - (high << 30)).sum())
            median = int(np.median(np.abs(values)))
            found[column.name] = {"count": len(values), "sum": total, "median": median}
    return found


def shifted_units(period: str, figures: Figures, accepted: Sequence[Delivery]) -> dict[str, int]:
    """Columns whose amounts look like another unit, with the power of ten (2: a hundred times too large, -2: too small).

    `accepted` are the feed's standing full deliveries. After a release by an operator the months from then on count.
    """
    released = max((other.period for other in accepted if "UNITS" in other.waived.split(",")), default="")
    known = [other for other in accepted if other.figures and other.period >= released]
    before = sorted((o for o in known if o.period <= period), key=_age) or sorted(
        known, key=_age, reverse=True
    )
    found = {}
    for column, mine in figures.items():
        theirs = [other.figures[column] for other in before if other.figures and column in other.figures]
        power = _power(mine, theirs[-_MONTHS:])
        if power:
            found[column] = power
    return found


def _age(entry: Delivery) -> tuple[str, int]:
    return entry.period, entry.revision


def _power(mine: Mapping[str, Any], theirs: Sequence[Mapping[str, Any]]) -> int:
    if not theirs or not mine["median"]:
        return 0
    median = statistics.median(other["median"] for other in theirs)
    mean = statistics.median(other["sum"] / other["count"] for other in theirs)
    if median <= 0 or mean * mine["sum"] <= 0:
        return 0
    by_median = math.log10(mine["median"] / median)
    by_mean = math.log10(mine["sum"] / mine["count"] / mean)
    for power in _POWERS:
        for signed in (power, -power):
            if abs(by_median - signed) <= _NEAR_MEDIAN and abs(by_mean - signed) <= _NEAR_MEAN:
                return signed
    return 0
