"""Several as-of months in one reading of the facts: what a catch-up or a training panel asks for.

Months that lie close together look back on the same facts, so these are read and decoded once for all of them. Every month is
stored as it would be by itself, to the bit, one after the other when all are computed: until then their chunks lie in files
without a name, which are gone with the process, however it ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import IO

import pyarrow as pa
import pyarrow.ipc as ipc

from core.clock import Clock
from core.months import Month
from core.progress import Progress
from core.state import StateDatabase
from core.table_store import TableStore
from features.as_of import feature_schema, features_at
from features.catalogue import FeatureSet
from features.engine import FeatureEngine, LocalEngine
from features.entitlement import Entitlements
from features.feature_store import (
    AskedMonth,
    FeaturesBuilt,
    ask,
    build_features,
    record_month,
    write_chunks,
)

#: Months in one pass. Each keeps in memory what every subject's consents allow, 90 MB at 1.8 million subjects, and its chunks on
#: disk.
PANEL_MONTHS = 6


def build_panel(
    store: TableStore,
    state: StateDatabase,
    clock: Clock,
    feature_set: FeatureSet,
    months: Sequence[Month],
    entitlements: Entitlements,
    engine: FeatureEngine,
    progress: Progress,
) -> Iterator[tuple[Month, FeaturesBuilt]]:
    """Compute and store as-of months, ascending, and yield each when it is stored; as `build_features` for each, and as gated.

    A gate that is shut for one month of a pass refuses before any of the pass is computed. Spark plans month by month.
    """
    ordered = sorted(set(months))
    for start in range(0, len(ordered), PANEL_MONTHS):
        together = ordered[start : start + PANEL_MONTHS]
        if len(together) == 1 or not isinstance(engine, LocalEngine):
            for month in together:
                yield month, build_features(store, state, clock, feature_set, month, entitlements, engine)
            continue
        asked = {month: ask(store, state, feature_set, month, entitlements) for month in together}
        with ExitStack() as held:
            spools = {month: held.enter_context(tempfile.TemporaryFile(dir=store.root)) for month in together}
            _compute(store, feature_set, asked, entitlements.cutoff_days, engine, spools, progress)
            for month in together:
                written = write_chunks(store, feature_set, month, _chunks(spools[month]), engine.name)
                yield month, record_month(store, state, clock, asked[month], written, entitlements.contracts)


def _compute(
    store: TableStore,
    feature_set: FeatureSet,
    asked: dict[Month, AskedMonth],
    cutoff_days: int,
    engine: LocalEngine,
    spools: Mapping[Month, IO[bytes]],
    progress: Progress,
) -> None:
    """One pass over the facts: the chunks of each month into its file."""
    made = features_at(
        store,
        feature_set,
        list(asked),
        cutoff_days=cutoff_days,
        chunk=engine.chunk,
        consents={month: each.mask for month, each in asked.items()},
        ineligible={month: each.ineligible for month, each in asked.items()},
    )
    options = ipc.IpcWriteOptions(compression="lz4")
    schema = feature_schema(feature_set)
    title = f"{feature_set.table} as of {min(asked)} to {max(asked)}"
    with ExitStack() as opened, progress.stage(title) as stage:
        writers = {
            month: opened.enter_context(ipc.new_file(pa.PythonFile(file, "w"), schema, options=options))
            for month, file in spools.items()
        }
        for month, chunk in made:
            writers[month].write_table(chunk.combine_chunks())
            stage.advance(note=str(month))


def _chunks(spool: IO[bytes]) -> Iterator[pa.Table]:
    """The chunks of a file in their order."""
    spool.seek(0)
    reader = ipc.open_file(pa.PythonFile(spool, "r"))
    for number in range(reader.num_record_batches):
        yield pa.Table.from_batches([reader.get_batch(number)])
