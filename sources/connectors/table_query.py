"""What is asked of a feed's table. Names come from the feed through an allow-list and as quoted identifiers; values are bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from core.months import Month
from sources.adapter import Adapter
from sources.connectors.failure import refused
from sources.connectors.feed import IDENTIFIER, TableFeed
from sources.connectors.made_here import read_columns

#: Types that a watermark may be cast to, and the newest mark that is old enough to be read, `lag` seconds bound.
_TYPES = {
    "timestamp": (sql.SQL("timestamp"), sql.SQL("localtimestamp - make_interval(secs => %s)")),
    "timestamptz": (sql.SQL("timestamptz"), sql.SQL("now() - make_interval(secs => %s)")),
}

Question = tuple[sql.Composed, list[Any]]


@dataclass(frozen=True)
class Span:
    """Rows with a watermark in (low, high], both as text; low None: from the beginning."""

    low: str | None
    high: str


@dataclass(frozen=True)
class TableQuery:
    """Statements of one feed."""

    feed: TableFeed
    adapter: Adapter

    def __post_init__(self) -> None:
        for name in (*read_columns(self.adapter), *self.feed.control_sums):
            self._column(name)

    def high(self, low: str | None) -> Question:
        """The highest mark above `low` that is old enough, as text; NULL where there is none."""
        mark = self.feed.watermark
        assert mark is not None
        name = sql.Identifier(mark.column)
        values: list[Any] = []
        parts = [sql.SQL("SELECT max({})::text FROM {} WHERE true").format(name, self._table)]
        if mark.type in _TYPES:
            parts.append(sql.SQL(" AND {} <= ").format(name) + _TYPES[mark.type][1])
            values.append(mark.lag)
        if low is not None:
            parts.append(sql.SQL(" AND {} > %s::{}").format(name, self._mark_type))
            values.append(low)
        return sql.Composed(parts), values

    def months(self, span: Span | None) -> Question:
        """Rows by month as the table writes it: (text, rows)."""
        where, values = self._where(None, span)
        month = self._month_text
        return sql.SQL("SELECT {}, count(*) FROM {} WHERE {} GROUP BY 1").format(
            month, self._table, where
        ), values

    def fingerprint(self, month: Month, span: Span | None) -> Question:
        """Rows, control sums and a digest of all cells that doesn't depend on the order of rows."""
        where, values = self._where(month, span)
        sums = [
            sql.SQL("coalesce(sum({}::numeric), 0)::text").format(self._column(name))
            for name in self.feed.control_sums
        ]
        digest = sql.SQL("coalesce(sum(hashtextextended(ROW({})::text, 0)), 0)::text").format(self._cells)
        asked = sql.SQL(", ").join([sql.SQL("count(*)"), digest, *sums])
        return sql.SQL("SELECT {} FROM {} WHERE {}").format(asked, self._table, where), values

    def rows(self, month: Month, span: Span | None) -> Question:
        """The cells as text, in the order of `read_columns`."""
        where, values = self._where(month, span)
        order = sql.SQL(", ").join(sql.Identifier(name) for name in self.feed.order_by)
        statement = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}")
        return statement.format(self._cells, self._table, where, order), values

    def month_of(self, text: str | None) -> Month | None:
        """The month that the table's text means; None where it means none."""
        try:
            if self.feed.month.form == "%Y%m" and text is not None and len(text) == 6:
                return Month.parse(f"{text[:4]}-{text[4:]}")
            return Month.parse(text or "")
        except ValueError:
            return None

    @property
    def _table(self) -> sql.Composable:
        return sql.Identifier(self.feed.db_schema, self.feed.table)

    @property
    def _cells(self) -> sql.Composed:
        cells = [sql.SQL("{}::text").format(self._column(name)) for name in read_columns(self.adapter)]
        return sql.SQL(", ").join(cells)

    @property
    def _month_text(self) -> sql.Composable:
        name = sql.Identifier(self.feed.month.column)
        if self.feed.month.form == "date":
            return sql.SQL("to_char({}, 'YYYY-MM')").format(name)
        return sql.SQL("{}::text").format(name)

    @property
    def _mark_type(self) -> sql.SQL:
        assert self.feed.watermark is not None
        found = _TYPES.get(self.feed.watermark.type)
        return found[0] if found is not None else sql.SQL("bigint")

    def _column(self, name: str) -> sql.Identifier:
        """The table's column for a column of the source, through the allow-list."""
        column = self.feed.columns.get(name, name)
        if IDENTIFIER.fullmatch(column) is None:
            raise refused(
                "SCHEMA",
                f"the feed of {self.adapter.adapter} needs the table's name for one of the adapter's columns.",
                "Add it to `columns`: plain lower-case names of at most 63 letters, digits and underscores.",
            )
        return sql.Identifier(column)

    def _where(self, month: Month | None, span: Span | None) -> tuple[sql.Composed, list[Any]]:
        parts: list[sql.Composable] = [sql.SQL("true")]
        values: list[Any] = []
        if month is not None:
            name = sql.Identifier(self.feed.month.column)
            if self.feed.month.form == "date":
                parts.append(sql.SQL("{0} >= %s AND {0} < %s").format(name))
                values += [month.first_day, month.plus(1).first_day]
            else:
                parts.append(sql.SQL("{}::text = %s").format(name))
                values.append(str(month).replace("-", "") if self.feed.month.form == "%Y%m" else str(month))
        if span is not None:
            assert self.feed.watermark is not None
            name = sql.Identifier(self.feed.watermark.column)
            parts.append(sql.SQL("{} <= %s::{}").format(name, self._mark_type))
            values.append(span.high)
            if span.low is not None:
                parts.append(sql.SQL("{} > %s::{}").format(name, self._mark_type))
                values.append(span.low)
        return sql.SQL(" AND ").join(parts), values
