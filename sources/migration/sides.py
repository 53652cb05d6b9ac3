"""Both sides of one migrated table as the bank knows them at one moment, in one numbering of subjects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select

from core.months import CHINA_AHEAD_US
from core.state import Delivery, Quarantined, StateDatabase
from core.table_schema import ColumnType, TableSchema
from core.table_store import TableStore
from sources.hold_reasons import Reason
from sources.migration.definition import MigratedTable
from sources.migration.links import UNLINKED, SubjectLinks
from sources.migration.matching import RowPairs, pair_rows
from sources.versions import KnownDelivery, as_known, ledger_deliveries

#: Region of rows that tell none.
ALL_REGIONS = "all"

#: Why rows are held back for their codes.
_UNMAPPED = [reason.word for reason in (Reason.UNKNOWN_CODE, Reason.SEVERAL_CODES, Reason.RETIRED_CODE)]

_DAY_US = 86_400_000_000

#: Digits of a county code; platforms send up to twelve.
_REGION_DIGITS = 6


@dataclass(frozen=True)
class SideRows:
    """One side of one table. `rows`: canonical columns of the months compared, as known, with subject_no (live numbers, UNLINKED
    where there is none), period and region. `own_subject`: the side's own number of each row's subject. `fed`: columns that its
    adapters fill. `first_months`: first period by region over all months. `days_late`, `restated`: of each record of the months,
    days from period end to first receipt, and whether it came again with other content. `unmapped`: codes held back, by column.
    """

    rows: pa.Table
    own_subject: np.ndarray
    fed: frozenset[str]
    first_months: dict[str, str]
    days_late: np.ndarray
    restated: np.ndarray
    unmapped: dict[str, int]


@dataclass(frozen=True)
class TableSides:
    """Both sides of a table. `linked`: subjects of both are numbered alike. `key`: columns that name a row on both sides."""

    table: MigratedTable
    schema: TableSchema
    old: SideRows
    new: SideRows
    linked: bool
    key: tuple[str, ...]

    @property
    def row_verifiable(self) -> bool:
        """Whether a row of one side can be found on the other."""
        return self.linked and bool(self.key)

    @cached_property
    def pairs(self) -> RowPairs:
        """Rows of linked subjects that are the same record."""
        names = ["subject_no" if name == "subject_id" else name for name in self.key]
        linked = np.flatnonzero(self.new.rows.column("subject_no").to_numpy() != UNLINKED)
        found = pair_rows(self.old.rows, self.new.rows.take(pa.array(linked)), names)
        return RowPairs(found.old, linked[found.new], found.ambiguous)

    def compared(self, *kinds: ColumnType) -> list[str]:
        """Columns of these types that both sides feed, without keys."""
        both = self.old.fed & self.new.fed
        named = set(self.key) | {"subject_id", "period"}
        return [
            c.name for c in self.schema.columns if c.type in kinds and c.name in both and c.name not in named
        ]

    def paired(self, name: str) -> tuple[pa.Array, pa.Array]:
        """Cells of a column on both sides of every pair."""
        return (
            _plain(self.old.rows.column(name).take(pa.array(self.pairs.old))),
            _plain(self.new.rows.column(name).take(pa.array(self.pairs.new))),
        )


@dataclass(frozen=True)
class SideReader:
    """Reads one side, from `raw/` or `trial/`. `live_numbers`: live number by the lane's own number (None: they are equal).
    `canonical`: canonical column by source column. `links` turns pseudonyms in other columns (an employer, an account) into those
    of the old side."""

    store: TableStore
    state: StateDatabase
    folder: str
    sources: Collection[str]
    live_numbers: np.ndarray | None
    links: SubjectLinks | None
    canonical: Mapping[str, str]

    def read(
        self,
        table: MigratedTable,
        schema: TableSchema,
        fed: frozenset[str],
        months: Sequence[str],
        at: datetime,
    ) -> SideRows:
        """The side as known at `at`."""
        name = f"{self.folder}/{table.subject}/{table.table}"
        ledger = {
            number: entry
            for number, entry in ledger_deliveries(self.state, name).items()
            if entry.source in self.sources
        }
        versions = self._versions(name, schema, ledger, months)
        rows = as_known(versions, schema, at, ledger)
        own = rows.column("subject_no").to_numpy().astype(np.int64)
        late, restated = _receipts(versions, schema, at)
        return SideRows(
            rows=self._in_live_terms(rows, own, table, schema),
            own_subject=own,
            fed=fed,
            first_months=self._first_months(name, table, schema, ledger, at),
            days_late=late,
            restated=restated,
            unmapped=self._unmapped(table, months),
        )

    def _versions(
        self, name: str, schema: TableSchema, ledger: dict[int, KnownDelivery], months: Sequence[str]
    ) -> pa.Table:
        if not self.store.exists(name):
            return pa.schema([*schema.arrow_with_envelope(), pa.field("period", pa.string())]).empty_table()
        rows = self.store.read(name, list(months))
        ours = pc.is_in(rows.column("delivery_no"), pa.array(sorted(ledger), pa.int32()))
        return rows.filter(ours).combine_chunks()

    def _in_live_terms(
        self, rows: pa.Table, own: np.ndarray, table: MigratedTable, schema: TableSchema
    ) -> pa.Table:
        if self.live_numbers is not None:
            numbers = np.append(self.live_numbers, np.int32(UNLINKED))[own]
            place = rows.column_names.index("subject_no")
            rows = rows.set_column(place, "subject_no", pa.array(numbers.astype(np.int32)))
        if self.links is not None:
            for column in schema.columns:
                if column.data_class == "pseudonym" and column.name != "subject_id":
                    # What the crosswalk doesn't know stays as sent: account numbers may be the same on both sides.
                    ids = pc.coalesce(self.links.old_ids(rows.column(column.name)), rows.column(column.name))
                    rows = rows.set_column(rows.column_names.index(column.name), column.name, ids)
        return rows.append_column("region", _regions(rows, table))

    def _first_months(
        self,
        name: str,
        table: MigratedTable,
        schema: TableSchema,
        ledger: dict[int, KnownDelivery],
        at: datetime,
    ) -> dict[str, str]:
        first: dict[str, str] = {}
        for month in self.store.partitions(name):
            known = as_known(self._versions(name, schema, ledger, [month]), schema, at, ledger)
            for region in pc.unique(_regions(known, table)).to_pylist():
                first.setdefault(region, month)
        return first

    def _unmapped(self, table: MigratedTable, months: Sequence[str]) -> dict[str, int]:
        """Rows held back for a code that the adapter doesn't know, by canonical column."""
        held = func.sum(Quarantined.rows - Quarantined.released)
        query = (
            select(Quarantined.column, held)
            .join(Delivery, Delivery.delivery_no == Quarantined.delivery_no)
            .where(Delivery.source.in_(list(self.sources)), Delivery.subject == str(table.subject))
            .where(Delivery.table == table.table, Delivery.period.in_(list(months)))
            .where(Quarantined.reason.in_(_UNMAPPED))
            .group_by(Quarantined.column)
        )
        found: dict[str, int] = {}
        with self.state.session() as session:
            for column, rows in session.execute(query):
                name = self.canonical.get(column, column)
                found[name] = found.get(name, 0) + int(rows or 0)
        return {name: rows for name, rows in found.items() if rows}


def _regions(rows: pa.Table, table: MigratedTable) -> pa.Array:
    if table.region is None:
        return pa.repeat(pa.scalar(ALL_REGIONS), rows.num_rows)
    told = pc.utf8_slice_codeunits(rows.column(table.region).cast(pa.string()), 0, _REGION_DIGITS)
    return _plain(pc.fill_null(told, "none"))


def _receipts(versions: pa.Table, schema: TableSchema, at: datetime) -> tuple[np.ndarray, np.ndarray]:
    """Of each record: days from the end of its month to its first receipt, float64; and whether a later version says
    something else."""
    known = versions.filter(
        pc.less_equal(versions.column("received_at"), pa.scalar(at, pa.timestamp("us", tz="UTC")))
    )
    if not known.num_rows:
        return np.empty(0), np.empty(0, dtype=bool)
    names = ["subject_no" if name == "subject_id" else name for name in schema.business_key]
    key = [*dict.fromkeys([*(names or ["delivery_no", "row_no"]), "period"])]
    records = known.select([*dict.fromkeys([*key, "received_at"])]).group_by(key)
    found = records.aggregate([("received_at", "min"), ("received_at", "count_distinct")])
    months = found.column("period").to_numpy(zero_copy_only=False).astype("datetime64[M]")
    received = found.column("received_at_min").cast(pa.int64()).to_numpy() + CHINA_AHEAD_US
    month_end = (months + 1).astype("datetime64[us]").astype(np.int64)
    again = found.column("received_at_count_distinct").to_numpy() > 1
    restated = np.zeros(len(again), dtype=bool)
    if again.any():
        several = found.filter(pa.array(again)).select(key)
        restated[again] = _says_otherwise(known, several, key, schema)
    return (received - month_end) / _DAY_US, restated


def _says_otherwise(known: pa.Table, records: pa.Table, key: list[str], schema: TableSchema) -> np.ndarray:
    """bool per record: whether its versions differ in any business column."""
    frame = known.select([*dict.fromkeys([*key, *schema.arrow().names])]).to_pandas(date_as_object=False)
    contents = frame.drop_duplicates().groupby(key, dropna=False).size().rename("contents").reset_index()
    wanted = records.to_pandas(date_as_object=False)
    return np.asarray(wanted.merge(contents, on=key, how="left")["contents"].to_numpy() > 1)


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
