"""What the bank knew at a cutoff: the one rule by which rows of several deliveries become one set of rows.

Of the deliveries received by the cutoff, with feed = (source, period):

1. A full delivery is the whole feed: rows of lower revisions of the same feed are gone, in whatever order
   they came.
2. Of rows with the same business key the latest counts: latest received, then highest revision, delivery,
   row. A revision that comes after a higher one of its feed counts as received with that one, so the higher
   wins.
3. A table without a business key keeps every row that rule 1 leaves.
4. A row with a negative number withdraws its business key: where it is the latest, the key isn't known. `as_known` never
   gives such a row.
5. A delivery that was withdrawn isn't known from that moment on; rules 1 to 4 then hold as if it had never come.

Rules 1 and 2 look at each feed by its source, which the ledger knows: two sources may fill the same table and
month (invoices issued and received) without replacing each other. Both rules use nothing received later, so
that adding, correcting or deleting anything later never changes what was known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from sqlalchemy import select

from core.errors import GsceneError
from core.row_keys import packed_keys, repeated
from core.state import Delivery, StateDatabase
from core.table_schema import TableSchema
from sources.ledger import ACCEPTED, FOLDERS


@dataclass(frozen=True)
class KnownDelivery:
    """What the ledger says of one delivery. Rows of one that isn't accepted are not known yet."""

    delivery_no: int
    source: str
    period: str
    revision: int
    full: bool
    received_at: datetime
    accepted: bool = True
    withdrawn_at: datetime | None = None

    def known_at(self, cutoff: datetime) -> bool:
        """Whether its rows were known at a moment: accepted (as the ledger is now), received by then, not withdrawn by then."""
        standing = self.withdrawn_at is None or self.withdrawn_at > cutoff
        return self.accepted and self.received_at <= cutoff and standing


def lane_of_folder(folder: str) -> str:
    """The ledger's lane of a table-store folder: `raw` holds what is live, `trial` what a platform on trial sends."""
    return next(lane for lane, name in FOLDERS.items() if name == folder)


def ledger_deliveries(
    state: StateDatabase, raw_table: str, period: str | None = None
) -> dict[int, KnownDelivery]:
    """Deliveries of `raw/<owner>/<table>` (or `trial/…`) by number, of one month or all."""
    folder, subject, table = raw_table.split("/")
    query = select(Delivery).where(
        Delivery.lane == lane_of_folder(folder), Delivery.subject == subject, Delivery.table == table
    )
    if period is not None:
        query = query.where(Delivery.period == period)
    with state.session() as session:
        return {
            entry.delivery_no: KnownDelivery(
                entry.delivery_no,
                entry.source,
                entry.period,
                entry.revision,
                entry.mode == "full",
                entry.received_at,
                entry.state == ACCEPTED,
                entry.withdrawn_at,
            )
            for entry in session.scalars(query)
        }


@dataclass(frozen=True)
class Resolver:
    """The rule with one table's schema and ledger filled in: (raw rows, cutoff) -> the rows as known then.

    `vouched`: a receipt says that the rows keep their contract, so that keys needn't be compared within one delivery.
    """

    schema: TableSchema
    deliveries: Mapping[int, KnownDelivery]
    vouched: bool = False

    def __call__(self, table: pa.Table, cutoff: datetime) -> pa.Table:
        """`as_known`."""
        return as_known(table, self.schema, cutoff, self.deliveries, self.vouched)

    @property
    def replacements(self) -> list[datetime]:
        """Moments at which rows went, sorted: a full delivery replaced earlier ones (one without rows empties its month), or
        a delivery was withdrawn."""
        moments = {entry.received_at for entry in self.deliveries.values()}
        moments |= {
            entry.withdrawn_at for entry in self.deliveries.values() if entry.withdrawn_at is not None
        }
        return sorted(moment for moment in moments if self.replaces(moment))

    def replaces(self, moment: datetime) -> bool:
        """Whether rows that had come before went at this moment."""
        return any(
            entry.accepted
            and (
                entry.withdrawn_at == moment
                or (entry.full and entry.received_at == moment and self._came_before(entry))
            )
            for entry in self.deliveries.values()
        )

    def _came_before(self, full: KnownDelivery) -> bool:
        return any(
            (other.source, other.period) == (full.source, full.period)
            and other.received_at < full.received_at
            for other in self.deliveries.values()
        )


def resolver(
    schema: TableSchema,
    state: StateDatabase,
    raw_table: str,
    period: str | None = None,
    vouched: bool = False,
) -> Resolver:
    """The rule for one raw table, with the ledger of one month or of all."""
    return Resolver(schema, ledger_deliveries(state, raw_table, period), vouched)


def accepted_by_period(state: StateDatabase, raw_table: str) -> dict[str, list[int]]:
    """Numbers of the accepted deliveries of a raw table by period, ascending: what its rows may be known from. A withdrawn
    one stands there a second time, negative, because what is known changes by it too."""
    found: dict[str, list[int]] = {}
    for entry in ledger_deliveries(state, raw_table).values():
        if entry.accepted:
            found.setdefault(entry.period, []).append(entry.delivery_no)
            if entry.withdrawn_at is not None:
                found[entry.period].append(-entry.delivery_no)
    return {period: sorted(numbers) for period, numbers in found.items()}


def as_known(
    table: pa.Table,
    schema: TableSchema,
    cutoff: datetime,
    deliveries: Mapping[int, KnownDelivery],
    vouched: bool = False,
) -> pa.Table:
    """Rows of `table` (raw canonical rows of one subject kind, any months) as known at `cutoff` (aware),
    order kept.

    `table` has delivery_no, row_no and the business key; other columns may be left out, and `period` too
    where only one month was read. GsceneError where a row's delivery isn't in `deliveries`.
    """
    numbers = table.column("delivery_no").to_numpy()
    present = np.unique(numbers)
    unknown = [int(number) for number in present if int(number) not in deliveries]
    if unknown:
        raise GsceneError(
            f"rows of {schema.table} come from delivery {unknown[0]}, which the ledger doesn't know.",
            "Open the state database that belongs to this lake.",
        )
    known = [entry for entry in deliveries.values() if entry.known_at(cutoff)]
    standing = _standing(known)
    rank_of = {entry.delivery_no: rank for rank, entry in enumerate(sorted(standing, key=_latest_of(known)))}
    ranks = np.array([rank_of.get(int(number), -1) for number in present], dtype=np.int64)
    rank = ranks[np.searchsorted(present, numbers)]
    rows = np.flatnonzero(rank >= 0)
    alone = vouched and schema.unique_per_delivery and len(standing) == 1
    if schema.business_key and len(rows):
        if not alone:
            rows = _latest(table, _key_columns(table, schema), rank, rows)
        rows = rows[table.column("row_no").to_numpy()[rows] >= 0]
    if len(rows) == table.num_rows:
        return table
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return table.slice(int(rows[0]), len(rows))
    return table.take(pa.array(rows))


def _standing(known: Iterable[KnownDelivery]) -> list[KnownDelivery]:
    """Deliveries that no full one of a higher revision of their feed has replaced."""
    whole: dict[tuple[str, str], int] = {}
    known = list(known)
    for entry in known:
        if entry.full:
            feed = (entry.source, entry.period)
            whole[feed] = max(whole.get(feed, entry.revision), entry.revision)
    return [
        entry for entry in known if entry.revision >= whole.get((entry.source, entry.period), entry.revision)
    ]


def _latest_of(known: list[KnownDelivery]) -> Callable[[KnownDelivery], tuple[datetime, int, int]]:
    """Sort key: later means it wins. A late lower revision takes the time of the first higher one of its
    feed.
    """

    def latest(entry: KnownDelivery) -> tuple[datetime, int, int]:
        feed = (entry.source, entry.period)
        counted = min(
            other.received_at
            for other in known
            if (other.source, other.period) == feed and other.revision >= entry.revision
        )
        return counted, entry.revision, entry.delivery_no

    return latest


def _key_columns(table: pa.Table, schema: TableSchema) -> list[str]:
    names = ["subject_no" if name == "subject_id" else name for name in schema.business_key]
    return [name for name in names if name != "period" or "period" in table.column_names]


def _latest(table: pa.Table, key: list[str], rank: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Of rows with the same key the one with the greatest (rank, row_no); positions ascending."""
    chosen = table.select(key) if len(rows) == table.num_rows else table.select(key).take(pa.array(rows))
    keys = packed_keys(chosen.columns)
    several = repeated(keys)
    if not len(several):
        return rows
    # One number that orders the versions: rank first, row_no within it.
    version = rank[rows] << 32 | np.abs(table.column("row_no").to_numpy()[rows].astype(np.int64))
    order = several[np.lexsort((version[several], keys[several]))]
    superseded = order[:-1][keys[order[1:]] == keys[order[:-1]]]
    return np.delete(rows, superseded)
