"""Feeds of rows: what becomes deliveries of our own making, from a database's table or from pages of records.

What the columns are and how the file is written stands in the adapter that will read it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from core.definition_file import Definition
from core.months import Month
from sources.delivery import Name

#: The only names that reach SQL, always as quoted identifiers.
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class FeedBase(Definition):
    """`adapter` says whose rows these are and how they are written; months before `first` are never asked for."""

    adapter: Name
    first: str | None = None
    control_sums: tuple[str, ...] = ()

    @field_validator("first")
    @classmethod
    def _a_month(cls, first: str | None) -> str | None:
        return None if first is None else str(Month.parse(first))

    def wants(self, month: Month) -> bool:
        """Whether the month is one of those to ask for."""
        return self.first is None or month >= Month.parse(self.first)


class RecordFeed(FeedBase):
    """Rows by page over the HTTP exchange; `name` is what the other side calls them, by default the adapter's name."""

    name: Name | None = None
    page_rows: int = Field(default=5_000, ge=1, le=100_000)

    @property
    def remote_name(self) -> str:
        """What the other side calls the feed."""
        return self.name or self.adapter


class MonthColumn(Definition):
    """Which month a row belongs to: text such as 202610 or 2026-10, or a date or moment in Chinese civil time."""

    column: Identifier
    form: Literal["%Y%m", "%Y-%m", "date"] = "%Y%m"


class Watermark(Definition):
    """A column that only grows. `lag`: seconds for which the newest rows are left for the next read, because a transaction
    that began earlier may still write older moments.
    """

    column: Identifier
    type: Literal["timestamp", "timestamptz", "bigint"]
    lag: float = Field(default=300, ge=0, le=86_400)


class TableFeed(FeedBase):
    """A table or view. Without `watermark` each month is compared and re-read whole where it has changed (a full revision);
    with it only rows beyond the last mark are read (supplements). `columns` maps names of the adapter to the table's.
    """

    db_schema: Identifier = Field(default="public", alias="schema")
    table: Identifier
    columns: dict[str, Identifier] = {}
    month: MonthColumn
    order_by: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    watermark: Watermark | None = None
    recent_months: int | None = Field(default=None, ge=1, le=1200)
    allow_emptied: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> TableFeed:
        if self.watermark is not None and (self.recent_months is not None or self.allow_emptied):
            raise ValueError("`recent_months` and `allow_emptied` are for feeds without `watermark`")
        return self
