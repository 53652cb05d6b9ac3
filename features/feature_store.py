"""Keep features of as-of months in the store, made only from facts that are in step with the raw months."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from core.clock import Clock
from core.derivation import Partition, record_derivation, require_fresh
from core.months import CUTOFF_DAYS, Month
from core.state import StateDatabase
from core.table_store import RowStream, TableStore
from features.as_of import feature_schema, features_at
from features.catalogue import FeatureSet
from features.fact_store import recipe_hash
from sources.versions import accepted_by_period


@dataclass(frozen=True)
class FeaturesBuilt:
    """One as-of month: rows, features, and the share of cells that are missing."""

    rows: int
    features: int
    missing_share: float


def build_features(
    store: TableStore,
    state: StateDatabase,
    clock: Clock,
    feature_set: FeatureSet,
    as_of: Month,
    cutoff_days: int,
) -> FeaturesBuilt:
    """Compute and store one as-of month; GateRefused when facts lag behind the raw months they stand on."""
    inputs = _facts_in_step(store, state, feature_set, as_of)
    rows, missing = write_features(store, feature_set, as_of, cutoff_days)
    record_derivation(state, store, clock, (feature_set.table, str(as_of)), inputs, feature_set.sha256)
    cells = rows * len(feature_set.features)
    return FeaturesBuilt(rows, len(feature_set.features), missing / cells if cells else 0.0)


def write_features(
    store: TableStore, feature_set: FeatureSet, as_of: Month, cutoff_days: int = CUTOFF_DAYS
) -> tuple[int, int]:
    """Compute one as-of month chunk by chunk into its partition; returns rows and missing cells."""
    missing = 0

    def chunks() -> Iterator[pa.Table]:
        nonlocal missing
        for _, table in features_at(store, feature_set, [as_of], cutoff_days=cutoff_days):
            missing += sum(int(np.isnan(table.column(name).to_numpy()).sum()) for name in feature_set.names)
            yield table

    rows = RowStream(feature_schema(feature_set), chunks())
    store.replace(feature_set.table, str(as_of), rows)
    return rows.num_rows, missing


def read_features(store: TableStore, feature_set: FeatureSet, as_of: Sequence[Month]) -> pd.DataFrame:
    """Stored features of several as-of months, indexed by subject_no and as_of ("2025-10"), float64, NaN = missing."""
    frame = store.read(feature_set.table, [str(month) for month in as_of]).to_pandas()
    return frame.rename(columns={"period": "as_of"}).set_index(["subject_no", "as_of"]).sort_index()


def _facts_in_step(
    store: TableStore, state: StateDatabase, feature_set: FeatureSet, as_of: Month
) -> list[Partition]:
    """Fact partitions within the look-back; GateRefused for one that isn't folded from the raw month as it is now."""
    first = as_of.plus(1 - feature_set.months_back)
    used: list[Partition] = []
    for definition in feature_set.facts.values():
        accepted = accepted_by_period(state, definition.raw_table)
        for period in store.partitions(definition.raw_table):
            if first <= Month.parse(period) <= as_of:
                made = (definition.fact_table, period)
                require_fresh(
                    state,
                    store,
                    made,
                    [(definition.raw_table, period)],
                    recipe_hash(definition, accepted.get(period, [])),
                )
                used.append(made)
    return used
