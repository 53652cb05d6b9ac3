"""Rows by page over the HTTP exchange: each month of a feed becomes a delivery of our making, whole or not at all."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator

from core.errors import Refusal
from core.months import Month
from sources.adapter import Adapter
from sources.connectors.exchange import Cursor
from sources.connectors.failure import SourceUnavailable, refused
from sources.connectors.feed import RecordFeed
from sources.connectors.http_client import HttpClient
from sources.connectors.made_here import DATA_NAME, Cells, RowFile, describe, read_columns
from sources.connectors.pull_state import DONE, wants
from sources.connectors.run import Run
from sources.shape import is_name_like

#: Pages in a row without a new row, after which a listing leads nowhere.
BARREN_PAGES = 3

_COMPARE = "Compare the server with docs/connectors.md."
Body = TypeVar("Body", bound=BaseModel)
Version = Annotated[str, Field(min_length=1, max_length=200)]


class _MonthEntry(BaseModel):
    month: str
    version: Version
    total: int = Field(ge=0)
    control_sums: dict[str, Annotated[str, Field(pattern=r"^-?\d{1,20}(\.\d{1,8})?$")]] = {}

    @field_validator("month")
    @classmethod
    def _a_month(cls, month: str) -> str:
        return str(Month.parse(month))


class FeedMonths(BaseModel):
    """Months of a feed, each in one version that all its pages share."""

    months: tuple[_MonthEntry, ...] = Field(max_length=1200)


class _Page(BaseModel):
    version: Version
    total: int = Field(ge=0)
    first: int = Field(ge=0)
    rows: tuple[dict[str, Any], ...]
    next: Cursor | None = None


async def pull_records(run: Run, client: HttpClient, feed: RecordFeed) -> None:
    """Bring every month of the feed that is new or has another version. A month that fails doesn't hold up the others."""
    adapter = run.adapter(feed.adapter)
    known = run.pulls.items()
    for entry in sorted((await months_of_feed(run, client, feed)).months, key=lambda entry: entry.month):
        item = f"records/{feed.remote_name}/{entry.month}"
        if not feed.wants(Month.parse(entry.month)) or not wants(known.get(item), entry.version):
            continue
        try:
            await _Reading(run, client, feed, adapter, entry, item).read()
        except Refusal as refusal:
            run.refuse(item, refusal)
        except SourceUnavailable as failure:
            run.unavailable(failure)


async def months_of_feed(run: Run, client: HttpClient, feed: RecordFeed) -> FeedMonths:
    """The months that the other side has of a feed."""
    return _checked(FeedMonths, await run.persist(lambda: client.json(f"/v1/records/{feed.remote_name}")))


class _Reading:
    """One month under way: the rows so far lie in staging, how many they are and the next page in the state database."""

    def __init__(
        self, run: Run, client: HttpClient, feed: RecordFeed, adapter: Adapter, entry: _MonthEntry, item: str
    ) -> None:
        self.run, self.client, self.feed, self.adapter = run, client, feed, adapter
        self.entry, self.item, self.month = entry, item, Month.parse(entry.month)

    async def read(self) -> None:
        """Read on from where an earlier run stopped, then bring the delivery into the ledger."""
        side, name = self.run.side, self.run.connection.connection
        begun = self.run.pulls.begin(self.item, self.entry.version)
        data = side.staging(name, self.item) / DATA_NAME
        if begun.rows and data.exists() and data.stat().st_size >= begun.bytes:
            self.run.pulled.resumed += 1
            size, rows, cursor = begun.bytes, begun.rows, begun.cursor
        else:
            data = side.fresh_staging(name, self.item) / DATA_NAME
            size, rows, cursor = 0, 0, None
        with RowFile(data, self.adapter, size=size, rows=rows) as file:
            await self._pages(file, cursor)
            file.keep()
        made = describe(
            side, data, self.adapter, self.month, connection=name, rows=file.rows, mode="full",
            control_sums=self.entry.control_sums,
        )  # fmt: skip
        if made:
            self.run.land(self.item)
        else:
            self.run.pulls.note(self.item, state=DONE)

    async def _pages(self, file: RowFile, cursor: str | None) -> None:
        seen, barren = {cursor}, 0
        while file.rows < self.entry.total or (cursor is None and file.rows == 0):
            page = await self.run.persist(partial(self._page, cursor))
            fresh = self._fresh(page, file.rows)
            barren = 0 if fresh else barren + 1
            before = file.size
            file.write([self._cells(row) for row in fresh])
            file.keep()
            self.run.meter(file.size - before)
            self.run.pulls.note(self.item, bytes=file.size, rows=file.rows, cursor=page.next)
            cursor = page.next
            if cursor is None:
                break
            if cursor in seen or barren >= BARREN_PAGES:
                raise refused(
                    "CURSOR",
                    "the pages of a month lead back to earlier ones.",
                    "Nothing of the month was taken. Have the other side mend its cursors.",
                )
            seen.add(cursor)
        if file.rows != self.entry.total:
            raise refused(
                "ROWCOUNT",
                f"the pages of {self.month} brought {file.rows} rows, the server counts {self.entry.total}.",
                "Nothing of the month was taken; the next pull reads it again.",
            )

    async def _page(self, cursor: str | None) -> _Page:
        asked = {"version": self.entry.version, "rows": str(self.feed.page_rows)}
        path = f"/v1/records/{self.feed.remote_name}/{self.month}"
        return _checked(_Page, await self.client.json(path, asked | ({"cursor": cursor} if cursor else {})))

    def _fresh(self, page: _Page, have: int) -> tuple[dict[str, Any], ...]:
        """Rows of the page that aren't there yet: all, or none where a page comes a second time."""
        if page.version != self.entry.version:
            raise refused(
                "CHANGED",
                f"{self.month} changed while it was read.",
                "The next pull reads it in its new version.",
            )
        if page.total == self.entry.total and page.first + len(page.rows) <= min(have, page.total):
            return ()
        if page.total != self.entry.total or page.first != have or have + len(page.rows) > page.total:
            raise refused(
                "PAGES",
                f"a page of {self.month} doesn't begin where the one before it ended, or holds more rows than there are.",
                "Nothing of the month was taken. Have the other side mend its pages.",
            )
        return page.rows

    def _cells(self, row: dict[str, Any]) -> Cells:
        columns = read_columns(self.adapter)
        missing = [name for name in columns if name not in row]
        unknown = set(row) - set(self.adapter.source_columns)
        if missing or unknown:
            told = [f"`{name}` is missing" for name in missing]
            told += [
                f"`{name}` is unknown" if is_name_like(name) else "one has no name"
                for name in sorted(unknown)
            ]
            raise refused(
                "SCHEMA",
                f"the columns of the rows aren't those of {self.adapter.adapter}: {', '.join(told[:5])}.",
                "Agree the change with the source and name every column in the adapter.",
            )
        return [_text(name, row[name]) for name in columns]


def _text(column: str, value: Any) -> str | None:
    """A value as text; numbers are still the text that was sent."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    raise refused("SCHEMA", f"column `{column}` holds a list or an object.", _COMPARE)


def _checked(kind: type[Body], body: Any) -> Body:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(
            str(part) for part in first["loc"] if not isinstance(part, str) or is_name_like(part)
        )
        message = "not a month such as 2026-10" if first["loc"][-1:] == ("month",) else first["msg"]
        raise refused(
            "LISTING", f"a page of records has another form: {place}: {message}.", _COMPARE
        ) from None
