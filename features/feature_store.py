"""Keep features of as-of months in the store, made only from facts that are in step with the raw months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from core.clock import Clock
from core.derivation import Partition, record_derivation, require_fresh
from core.months import Month
from core.state import StateDatabase
from core.table_store import TableStore
from features.as_of import feature_table
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
    table = feature_table(store, feature_set, as_of, cutoff_days=cutoff_days)
    store.replace(feature_set.table, str(as_of), table)
    record_derivation(state, store, clock, (feature_set.table, str(as_of)), inputs, feature_set.sha256)
    cells = table.num_rows * len(feature_set.features)
    missing = sum(table.column(name).null_count for name in feature_set.names)
    return FeaturesBuilt(table.num_rows, len(feature_set.features), missing / cells if cells else 0.0)


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
