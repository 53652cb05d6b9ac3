"""Columns that facts work out from a row's own columns before they fold: days between dates, a tax rate, days to a feast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field

from core.definition_file import Definition
from core.table_schema import ColumnType
from features.lunar_new_year import days_after_new_year, days_before_new_year

#: In `derive`, the last day of the month that the rows are filed under: how old something was at that month's end.
PERIOD_END = "period_end"

#: Reads a contract's column as numbers (fen; days since 1970, of moments the day in China) and missing flags.
Read = Callable[[str], tuple[np.ndarray, np.ndarray]]

#: Contract columns by name, each with the types that it may have.
Sources = dict[str, tuple[ColumnType, ...]]


class DaysBetween(Definition):
    """Whole days from one date to another; missing where either is. Either may be `period_end`, or a moment: its day in China
    counts."""

    days_from: str
    to: str

    @property
    def sources(self) -> Sources:
        """Columns that it needs and what they must be."""
        return dict.fromkeys({self.days_from, self.to} - {PERIOD_END}, (ColumnType.DATE, ColumnType.TIME))

    def values(self, read: Read) -> tuple[np.ndarray, np.ndarray]:
        """int64 (rows,) and missing flags."""
        start, no_start = read(self.days_from)
        end, no_end = read(self.to)
        return end - start, no_start | no_end


class DaysAfterNewYear(Definition):
    """Whole days from the latest Chinese New Year to a date (0 = New Year itself)."""

    days_after_new_year: str

    @property
    def sources(self) -> Sources:
        """Columns that it needs and what they must be."""
        return {self.days_after_new_year: (ColumnType.DATE,)}

    def values(self, read: Read) -> tuple[np.ndarray, np.ndarray]:
        """int64 (rows,) and missing flags."""
        days, missing = read(self.days_after_new_year)
        since, outside = days_after_new_year(days)
        return since, missing | outside


class DaysBeforeNewYear(Definition):
    """Whole days from a date to the next Chinese New Year (1 = its eve)."""

    days_before_new_year: str

    @property
    def sources(self) -> Sources:
        """Columns that it needs and what they must be."""
        return {self.days_before_new_year: (ColumnType.DATE,)}

    def values(self, read: Read) -> tuple[np.ndarray, np.ndarray]:
        """int64 (rows,) and missing flags."""
        days, missing = read(self.days_before_new_year)
        until, outside = days_before_new_year(days)
        return until, missing | outside


class TaxRate(Definition):
    """The statutory rate (per cent) that a row's tax comes from: the one of `rates` nearest to tax / net, in basis points.

    It counts where the tax lies within `tolerance` percentage points of it or within one fen, which rounding may cost; missing
    where none does (several rates on one invoice), where the net amount is 0, or where either amount is missing. A red invoice
    has both amounts negative and the rate of the blue one that it takes back.
    """

    tax: str
    net: str
    rates: list[float] = Field(min_length=1)
    tolerance: float = Field(gt=0, le=1)

    @property
    def sources(self) -> Sources:
        """Columns that it needs and what they must be."""
        return {self.tax: (ColumnType.MONEY,), self.net: (ColumnType.MONEY,)}

    def values(self, read: Read) -> tuple[np.ndarray, np.ndarray]:
        """Rates as float64 (rows,) exactly as `rates` gives them, and missing flags."""
        tax, no_tax = read(self.tax)
        net, no_net = read(self.net)
        tax, net = np.where(net < 0, -tax, tax), np.abs(net)
        # In ten-thousandths of a fen, as integers: 10 billion yuan times 10,000 still fit in 64 bits.
        basis = np.rint(np.array(self.rates) * 100).astype(np.int64)
        apart = np.abs(tax[None, :] * 10_000 - net[None, :] * basis[:, None])
        best = apart.argmin(axis=0)
        allowed = np.maximum(net * round(self.tolerance * 100), 10_000)
        missing = no_tax | no_net | (net == 0) | (apart.min(axis=0) > allowed)
        return np.array(self.rates)[best], missing


Derived = DaysBetween | DaysAfterNewYear | DaysBeforeNewYear | TaxRate
