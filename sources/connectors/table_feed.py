"""Direct read of a front-end database: months of a table become deliveries of our making, each from one snapshot."""

from __future__ import annotations

import hashlib
from decimal import Decimal

from core.errors import Refusal
from core.months import Month
from core.state import PullItem
from sources.connectors.connection import PostgresConnection
from sources.connectors.failure import SourceUnavailable, refused
from sources.connectors.feed import TableFeed
from sources.connectors.front_database import Line, rows, snapshot
from sources.connectors.made_here import DATA_NAME, RowFile, describe
from sources.connectors.pull_state import DONE, UNDER_WAY
from sources.connectors.run import Run
from sources.connectors.table_query import Span, TableQuery


class TableReader:
    """One feed. The unit that is resumed is the month: a snapshot doesn't outlive its session, so a month that broke off is
    read again; months that are in the ledger stay.
    """

    def __init__(self, run: Run, connection: PostgresConnection, feed: TableFeed) -> None:
        self.run, self.connection, self.feed = run, connection, feed
        self.adapter = run.adapter(feed.adapter)
        self.query = TableQuery(feed, self.adapter)
        self.name = f"table/{feed.db_schema}.{feed.table}/{feed.adapter}"

    async def read(self) -> None:
        """Bring what is new. Rows whose month can't be read are told as a refusal of the feed, after the others are in."""
        if self.feed.watermark is None:
            await self._months_whole()
        else:
            await self._beyond_the_mark()

    async def check(self) -> int:
        """Whether every column can be read; the number of months that the table holds."""
        found, _ = await self.run.persist(lambda: self._listed(None))
        await self.run.persist(lambda: self._fingerprint(max(found, default=Month(2000, 1)), None))
        return len(found)

    async def _months_whole(self) -> None:
        found, without = await self.run.persist(lambda: self._listed(None))
        known = self.run.pulls.items()
        for month in self._due(found, known):
            item = f"{self.name}/{month}"
            before = known.get(item)
            if month not in found and not self.feed.allow_emptied:
                self.run.refuse(item, refused(
                    "EMPTIED",
                    f"{month} was delivered before and now has no row in the table.",
                    "Nothing was changed. If it is meant, set `allow_emptied: true` for one pull; else ask the other side.",
                ))  # fmt: skip
                continue
            await self._one(item, month, None, before)
        self._tell_without_month(without)

    async def _beyond_the_mark(self) -> None:
        """Read the span between the last mark and the newest one that has settled. The span is written down before its
        first month is read and done with when its last one is in the ledger.
        """
        pulls = self.run.pulls
        known = pulls.item(self.name)
        low = known.cursor if known is not None else None
        if known is not None and known.state == UNDER_WAY and known.tag:
            high: str | None = known.tag
        else:
            high = await self.run.persist(lambda: self._high(low))
        if high is None:
            return
        span = Span(low, high)
        pulls.note(self.name, state=UNDER_WAY, tag=high, cursor=low)
        found, without = await self.run.persist(lambda: self._listed(span))
        items = pulls.items()
        whole = True
        for month in sorted(month for month in found if self.feed.wants(month)):
            item = f"{self.name}/{month}/{hashlib.sha256(high.encode()).hexdigest()[:12]}"
            if item not in items or items[item].state != DONE:
                whole &= await self._one(item, month, span, items.get(item))
        if whole:
            pulls.note(self.name, state=DONE, tag="", cursor=high)
        self._tell_without_month(without)

    async def _one(self, item: str, month: Month, span: Span | None, before: PullItem | None) -> bool:
        """One month; whether it needs no other try."""
        try:
            await self.run.persist(lambda: self._month(item, month, span, before))
        except Refusal as refusal:
            self.run.refuse(item, refusal)
            return False
        except SourceUnavailable as failure:
            self.run.unavailable(failure)
            return False
        return True

    async def _month(self, item: str, month: Month, span: Span | None, before: PullItem | None) -> None:
        side, name, pulls = self.run.side, self.run.connection.connection, self.run.pulls
        async with snapshot(self.connection, side.secrets) as line:
            count, digest, sums = await self._fingerprint_in(line, month, span)
            print_ = hashlib.sha256(repr((count, digest, sorted(sums.items()))).encode()).hexdigest()
            if before is not None and before.state == DONE and before.tag == print_:
                return
            pulls.begin(item, print_)
            data = side.fresh_staging(name, item) / DATA_NAME
            with RowFile(data, self.adapter) as file:
                await self._copy(line, month, span, file)
                file.keep()
        if file.rows != count:
            raise refused("ROWCOUNT", f"{file.rows} rows came, the snapshot counts {count}.", "Pull again.")
        made = describe(
            side, data, self.adapter, month, connection=name, rows=count,
            mode="full" if span is None else "supplement", control_sums=sums,
        )  # fmt: skip
        if made:
            self.run.land(item)
        else:
            pulls.note(item, state=DONE)

    async def _copy(self, line: Line, month: Month, span: Span | None, file: RowFile) -> None:
        statement, values = self.query.rows(month, span)
        async with line.cursor(name="gscene_pull") as cursor:
            await cursor.execute(statement, values)
            while batch := await cursor.fetchmany(self.connection.batch_rows):
                before = file.size
                file.write(batch)
                self.run.meter(file.size - before)

    async def _listed(self, span: Span | None) -> tuple[set[Month], int]:
        """Months in the table (or the span), and rows that belong to none."""
        async with snapshot(self.connection, self.run.side.secrets) as line:
            told = await rows(line, *self.query.months(span))
        read = [(self.query.month_of(text), count) for text, count in told]
        return {month for month, _ in read if month is not None}, sum(n for month, n in read if month is None)

    async def _high(self, low: str | None) -> str | None:
        async with snapshot(self.connection, self.run.side.secrets) as line:
            return (await rows(line, *self.query.high(low)))[0][0]

    async def _fingerprint(self, month: Month, span: Span | None) -> int:
        async with snapshot(self.connection, self.run.side.secrets) as line:
            return (await self._fingerprint_in(line, month, span))[0]

    async def _fingerprint_in(
        self, line: Line, month: Month, span: Span | None
    ) -> tuple[int, str, dict[str, str]]:
        count, digest, *sums = (await rows(line, *self.query.fingerprint(month, span)))[0]
        # Trailing zeros of numeric's scale aren't part of the amount.
        plain = [format(Decimal(total).normalize(), "f") for total in sums]
        return count, digest, dict(zip(self.feed.control_sums, plain, strict=True))

    def _due(self, found: set[Month], known: dict[str, PullItem]) -> list[Month]:
        """Months to compare: those in the table, and those that were delivered before and have gone from it."""
        prefix = f"{self.name}/"
        gone = {Month.parse(item[len(prefix) :]) for item in known if item.startswith(prefix)}
        newest = max(found | gone, default=None)
        back = self.feed.recent_months
        return [
            month
            for month in sorted(found | gone)
            if self.feed.wants(month) and (back is None or newest is None or month > newest.plus(-back))
        ]

    def _tell_without_month(self, count: int) -> None:
        if count:
            column = self.feed.month.column
            raise refused(
                "PERIOD",
                f"{count} rows of {self.feed.table} have no month in `{column}` and belong to no delivery.",
                "All other rows were read. Have the other side fill the column, or correct `month.form`.",
            )
