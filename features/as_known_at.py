"""Features of a month as they were known at any moment: before a restatement, after it, today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from core.clock import Clock
from core.errors import GsceneError
from core.months import CHINA_TIME, Month
from core.state import StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from features.as_of import features_at
from features.catalogue import FeatureSet
from features.consent_mask import stored_mask
from features.entitlement import Entitlements
from features.feature_store import facts_in_step
from sources.versions import ledger_deliveries


@dataclass(frozen=True)
class KnownThen:
    """Accepted deliveries of the months that the features look back on: all, those known at the moment, the latest of these;
    `withdrawn`: received by then and taken back by then."""

    at: datetime
    deliveries: int
    known: int
    latest: datetime | None
    withdrawn: int

    def line(self) -> str:
        """One line of English for whoever reads the values."""
        latest = "" if self.latest is None else f", the latest received {_china(self.latest)}"
        gone = f", {self.withdrawn} withdrawn by then" if self.withdrawn else ""
        later = self.deliveries - self.known - self.withdrawn
        told = f"{self.known} of {self.deliveries} deliveries{latest}{gone}; {later} came later"
        return f"as known at {_china(self.at)} (China): {told}"


def known_then(state: StateDatabase, feature_set: FeatureSet, as_of: Month, at: datetime) -> KnownThen:
    """What the ledger says of the deliveries behind a month's features at a moment (aware)."""
    found = {}
    for definition in feature_set.facts.values():
        first = as_of.plus(1 - feature_set.months_back - definition.look_back)
        for number, entry in ledger_deliveries(state, definition.raw_table).items():
            if entry.accepted and first <= Month.parse(entry.period) <= as_of:
                found[number] = entry
    known = [entry for entry in found.values() if entry.known_at(at)]
    gone = sum(1 for entry in found.values() if entry.received_at <= at and not entry.known_at(at))
    return KnownThen(
        at, len(found), len(known), max((entry.received_at for entry in known), default=None), gone
    )


def write_as_known(
    store: TableStore,
    state: StateDatabase,
    clock: Clock,
    feature_set: FeatureSet,
    as_of: Month,
    at: datetime,
    entitlements: Entitlements,
    file: Path,
) -> tuple[int, KnownThen]:
    """Write `file` (.csv or .parquet): one row per subject with its pseudonym and the features of `as_of` as known at `at`; an
    empty cell is missing. The file is for its owner alone. Returns the rows and what was known.

    Consents are those of the month and of now: whoever withdrew isn't in it. GsceneError for a moment that lies ahead and for
    another kind of file; GateRefused where facts lag behind the raw months.
    """
    if at > clock.now():
        raise GsceneError(
            f"{_china(at)} lies ahead: what will be known then isn't known yet.",
            "Give a moment that has passed.",
        )
    if file.suffix not in (".csv", ".parquet"):
        raise GsceneError(
            f"{file.name} is neither .csv nor .parquet.", "Give a file name that ends in one of them."
        )
    facts_in_step(store, state, feature_set, as_of)
    mask = stored_mask(feature_set, entitlements.for_use(as_of), as_of, at)
    registry = SubjectRegistry(store, feature_set.subject)
    schema = pa.schema([("subject_id", pa.string()), *((name, pa.float64()) for name in feature_set.names)])
    told = known_then(state, feature_set, as_of, at)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Under another name until it is whole: an interrupted run leaves no half of a file that looks like all of it.
    unfinished, rows = file.with_name(f".{file.name}.part"), 0
    try:
        unfinished.touch(mode=0o600)
        is_csv = file.suffix == ".csv"
        with (
            pacsv.CSVWriter(unfinished, schema) if is_csv else pq.ParquetWriter(unfinished, schema) as writer
        ):
            for piece in _pieces(store, feature_set, as_of, at, {as_of: mask}, registry, schema):
                writer.write_table(piece)
                rows += piece.num_rows
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows, told


def _pieces(store, feature_set, as_of, at, masks, registry, schema) -> Iterator[pa.Table]:  # type: ignore[no-untyped-def]
    for _, chunk in features_at(store, feature_set, [as_of], consents=masks, known_at=at):
        columns = [chunk.column(name) for name in feature_set.names]
        cells = [pc.if_else(pc.is_nan(column), None, column) for column in columns]
        yield pa.table([registry.subject_ids(chunk.column("subject_no").to_numpy()), *cells], schema=schema)


def _china(moment: datetime) -> str:
    return moment.astimezone(CHINA_TIME).strftime("%Y-%m-%d %H:%M:%S")
