"""The consent register and the suppression register of one subject kind, as they were known at a moment.

An entry is sent again when it changes: a withdrawal is a new version of the same consent in a later month. So all months are
read together and versions are told apart by the rule that holds for every table (`sources.versions`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.derivation import Partition
from core.months import CHINA_TIME, Month
from core.purpose import strength
from core.state import StateDatabase
from core.subject import SubjectKind
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.receipts import require_receipts
from sources.versions import resolver

CONSENTS, SUPPRESSIONS = "consent_register", "suppression"

#: The day of a date that isn't there.
NO_DAY = np.datetime64("NaT", "D")

#: Days of keeping where a register says nothing of it.
FOR_EVER = np.timedelta64(365_000, "D")


@dataclass(frozen=True)
class Consents:
    """Consents as known at a moment, one place per consent in every array; days are datetime64[D], NaT = none.

    `strength`: `core.purpose.strength` of the kind. `sources`: index into `source_sets`, which holds the families of tables that
    a consent names (None: the register says nothing of families, so it holds for every table). `data_from`, `data_to`: the first
    and last day that records may be about; `retention_days` (timedelta64[D]): how long they may be kept; `once`: given for one
    fetch.
    """

    subject_no: np.ndarray
    consent_id: np.ndarray
    purpose: np.ndarray
    kind: np.ndarray
    strength: np.ndarray
    granted: np.ndarray
    valid_to: np.ndarray
    withdrawn: np.ndarray
    data_from: np.ndarray
    data_to: np.ndarray
    retention_days: np.ndarray
    once: np.ndarray
    sources: np.ndarray
    source_sets: tuple[frozenset[str] | None, ...]

    def __len__(self) -> int:
        return len(self.subject_no)

    def take(self, places: np.ndarray) -> Consents:
        """The consents chosen by a boolean mask."""
        chosen = {name: value[places] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return Consents(**chosen, source_sets=self.source_sets)


@dataclass(frozen=True)
class Registers:
    """Both registers. `consents` is None where no register was ever delivered. `suppressions`: subject_no, scope, reason,
    from_date, to_date. `used`: the partitions that were read."""

    consents: Consents | None
    suppressions: pd.DataFrame
    used: tuple[Partition, ...] = field(default=())


def read_registers(
    store: TableStore,
    state: StateDatabase,
    schemas: Mapping[str, TableSchema],
    kind: SubjectKind,
    cutoff: datetime,
    until: Month | None = None,
) -> Registers:
    """Both registers as known at `cutoff` (aware), months after `until` left aside.

    GateRefused where no passing receipt vouches for a month of either.
    """
    used: list[Partition] = []

    def rows(name: str) -> pa.Table | None:
        table = f"raw/{kind}/{name}"
        months = [month for month in store.partitions(table) if until is None or month <= str(until)]
        if name not in schemas or not months:
            return None
        require_receipts(state, store, table, months)
        used.extend((table, month) for month in months)
        return resolver(schemas[name], state, table)(store.read(table, months), cutoff)

    consents, suppressions = rows(CONSENTS), rows(SUPPRESSIONS)
    return Registers(
        None if consents is None else consents_of(consents), suppressions_of(suppressions), tuple(used)
    )


def consents_of(rows: pa.Table) -> Consents:
    """Consents from canonical rows whose versions are resolved. Of rows that share a consent number (a register that numbers
    its versions) the highest version stands."""
    if "version_no" in rows.column_names and rows.num_rows:
        order = np.lexsort((rows.column("version_no").to_numpy(), _codes(rows.column("consent_id"))))
        ids = _codes(rows.column("consent_id"))[order]
        rows = rows.take(pa.array(np.sort(order[np.r_[ids[1:] != ids[:-1], True]])))
    order = np.argsort(_texts(rows.column("consent_id")), kind="stable")
    rows = rows.take(pa.array(order))
    sources, source_sets = _source_sets(rows)
    kinds = _texts(rows.column("kind"))
    return Consents(
        subject_no=rows.column("subject_no").to_numpy().astype(np.int64),
        consent_id=_texts(rows.column("consent_id")),
        purpose=_texts(rows.column("purpose")),
        kind=kinds,
        strength=np.array([strength(kind) for kind in kinds], dtype=np.int8),
        granted=days_of(rows.column("granted_at")),
        valid_to=days_of(rows.column("valid_to")),
        withdrawn=days_of(rows.column("withdrawn_at")),
        data_from=_days_if_there(rows, "data_from"),
        data_to=_days_if_there(rows, "data_to"),
        retention_days=_retention(rows),
        once=_once(rows),
        sources=sources,
        source_sets=source_sets,
    )


def suppressions_of(rows: pa.Table | None) -> pd.DataFrame:
    """Suppressions from canonical rows whose versions are resolved; days as datetime64[D]-exact datetime64[s]."""
    if rows is None:
        rows = pa.table({name: pa.array([], pa.string()) for name in ("scope", "reason")}).append_column(
            "subject_no", pa.array([], pa.int32())
        )
        for name in ("from_date", "to_date"):
            rows = rows.append_column(name, pa.array([], pa.date32()))
    return pd.DataFrame(
        {
            "subject_no": rows.column("subject_no").to_numpy().astype(np.int64),
            "scope": _texts(rows.column("scope")),
            "reason": _texts(rows.column("reason")),
            "from_date": days_of(rows.column("from_date")),
            "to_date": days_of(rows.column("to_date")),
        }
    )


def _days_if_there(rows: pa.Table, name: str) -> np.ndarray:
    if name not in rows.column_names:
        return np.full(rows.num_rows, NO_DAY)
    return days_of(rows.column(name))


def _retention(rows: pa.Table) -> np.ndarray:
    if "retention_days" not in rows.column_names:
        return np.full(rows.num_rows, FOR_EVER)
    days = rows.column("retention_days").cast(pa.int64())
    return pc.fill_null(days, FOR_EVER.astype(int)).to_numpy().astype("timedelta64[D]")


def _once(rows: pa.Table) -> np.ndarray:
    if "fetch" not in rows.column_names:
        return np.zeros(rows.num_rows, dtype=bool)
    return pc.fill_null(pc.equal(rows.column("fetch"), "once"), False).to_numpy()


def days_of(column: pa.ChunkedArray) -> np.ndarray:
    """datetime64[D] of a column of dates or of moments; the day of a moment is the Chinese one."""
    missing = column.is_null().to_numpy()
    if pa.types.is_timestamp(column.type):
        offset = CHINA_TIME.utcoffset(None)
        moments = pc.fill_null(column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()), 0).to_numpy()
        days = (moments.astype("datetime64[us]") + np.timedelta64(offset)).astype("datetime64[D]")
    else:
        days = pc.fill_null(column.cast(pa.int32()), 0).to_numpy().astype("datetime64[D]")
    return np.where(missing, NO_DAY, days)


def _source_sets(rows: pa.Table) -> tuple[np.ndarray, tuple[frozenset[str] | None, ...]]:
    """The families that each consent names, a JSON list of texts; every different list is read once. Rows that came before the
    register had the column have nothing in it."""
    if "source_codes" not in rows.column_names:
        return np.zeros(rows.num_rows, dtype=np.int64), (None,)
    coded = pc.fill_null(rows.column("source_codes"), "null").combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    return coded.indices.to_numpy().astype(np.int64), tuple(map(families_named, coded.dictionary.to_pylist()))


def families_named(text: str) -> frozenset[str] | None:
    """What one text of the column names. Only `null` is taken for "every table": neither an empty list nor what can't be read."""
    try:
        named = json.loads(text)
    except json.JSONDecodeError:
        return frozenset()
    if named is None:
        return None
    return frozenset(map(str, named)) if isinstance(named, list) else frozenset()


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False).astype(object)


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    return np.unique(_texts(column).astype(str), return_inverse=True)[1]
