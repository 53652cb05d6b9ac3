"""Keep features of as-of months in the store, made only from facts that are in step with the raw months."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from core.clock import Clock
from core.derivation import Partition, record_derivation
from core.months import CUTOFF_DAYS, Month
from core.purpose import Purpose
from core.state import StateDatabase
from core.table_store import RowStream, TableStore
from expectations.contract import Contract
from features.as_of import feature_schema, features_at
from features.catalogue import FeatureSet
from features.consent_mask import ConsentMask, purpose_mask, stored_mask
from features.entitlement import ENTITLED, Entitlement, Entitlements, demand_of
from features.fact_store import require_in_step
from features.ineligible import NO_ROW, Ineligible, keep
from sources.versions import accepted_by_period


@dataclass(frozen=True)
class FeaturesBuilt:
    """One as-of month: rows, features, the share of cells that are missing, and who was left out for want of consent."""

    rows: int
    features: int
    missing_share: float
    ineligible: Ineligible


@dataclass(frozen=True)
class UsableFeatures:
    """Features that may be used for one purpose now: `frame` is indexed by subject_no and as_of ("2025-10"), float64, NaN =
    missing or not allowed. `ineligible` counts rows whose source may not be used, and rows left out whole under source ""."""

    frame: pd.DataFrame
    ineligible: Ineligible


def build_features(
    store: TableStore,
    state: StateDatabase,
    clock: Clock,
    feature_set: FeatureSet,
    as_of: Month,
    entitlements: Entitlements,
) -> FeaturesBuilt:
    """Compute and store one as-of month, as consents known at its cutoff allow; GateRefused when facts lag behind the raw months
    they stand on or a register isn't vouched for."""
    inputs = facts_in_step(store, state, feature_set, as_of)
    entitlement = entitlements.as_known_then(as_of)
    ineligible = Ineligible()
    mask = stored_mask(feature_set, entitlement)
    rows, missing = write_features(store, feature_set, as_of, entitlements.cutoff_days, mask, ineligible)
    inputs += entitlement.registers.used
    recipe = feature_recipe(feature_set, entitlements.contracts)
    record_derivation(state, store, clock, (feature_set.table, str(as_of)), inputs, recipe)
    with state.session() as session:
        keep(session, feature_set.table, str(as_of), ineligible)
    cells = rows * len(feature_set.features)
    share = missing / cells if cells else 0.0
    return FeaturesBuilt(rows, len(feature_set.features), share, ineligible)


def write_features(
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Month,
    cutoff_days: int = CUTOFF_DAYS,
    consents: ConsentMask | None = None,
    ineligible: Ineligible | None = None,
) -> tuple[int, int]:
    """Compute one as-of month chunk by chunk into its partition; returns rows and missing cells."""
    missing = 0
    masks = None if consents is None else {as_of: consents}

    def chunks() -> Iterator[pa.Table]:
        nonlocal missing
        made = features_at(
            store, feature_set, [as_of], cutoff_days=cutoff_days, consents=masks, ineligible=ineligible
        )
        for _, table in made:
            missing += sum(int(np.isnan(table.column(name).to_numpy()).sum()) for name in feature_set.names)
            yield table

    rows = RowStream(feature_schema(feature_set), chunks())
    store.replace(feature_set.table, str(as_of), rows)
    return rows.num_rows, missing


def feature_recipe(feature_set: FeatureSet, contracts: Mapping[str, Contract]) -> str:
    """Hash of what decides a stored feature: the set, and the consent that the contracts behind it demand."""
    tables = sorted({definition.table for definition in feature_set.facts.values()})
    demands = [(demand_of(contracts[table]), demand_of(contracts[table], presence=True)) for table in tables]
    return hashlib.sha256(f"{feature_set.sha256}\n{demands}".encode()).hexdigest()


def usable_features(
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Sequence[Month],
    purpose: Purpose,
    use: Entitlement,
) -> UsableFeatures:
    """Stored features of several as-of months for one purpose, as far as `use` (`Entitlements.for_use`) allows.

    Columns are those of the purpose. Cells of sources that may not be used are missing; a subject none of whose sources may be
    used, or of whom nothing is left when those that may not are gone, has no row.
    """
    mask = purpose_mask(feature_set, use, [purpose])
    names = [feature.name for feature in mask.features]
    stored = store.read(feature_set.table, [str(month) for month in as_of], ["subject_no", *names, "period"])
    frame = stored.to_pandas().rename(columns={"period": "as_of"})
    numbers = frame["subject_no"].to_numpy(dtype=np.int64)
    ineligible = Ineligible()
    best = np.full(len(numbers), ENTITLED, dtype=np.int8)
    some = np.zeros(len(numbers), dtype=bool)
    for asked, facts, reasons in mask.questions():
        ineligible.add(asked, facts, reasons[numbers])
        some |= reasons[numbers] == ENTITLED
        best = np.maximum(best, reasons[numbers])
    for feature in mask.features:
        allowed = mask.cells(feature, numbers)
        if not allowed.all():
            frame[feature.name] = frame[feature.name].where(allowed)
        some |= allowed
    some &= (best == ENTITLED) | frame[names].notna().any(axis=1).to_numpy()
    ineligible.add(purpose, NO_ROW, best[~some])
    ineligible.without_any = int((~some).sum())
    usable = frame[some].set_index(["subject_no", "as_of"]).sort_index()
    return UsableFeatures(usable, ineligible)


def facts_in_step(
    store: TableStore, state: StateDatabase, feature_set: FeatureSet, as_of: Month
) -> list[Partition]:
    """Fact partitions within the look-back; GateRefused for one that isn't folded from the raw month as it is now."""
    first = as_of.plus(1 - feature_set.months_back)
    used: list[Partition] = []
    for definition in feature_set.facts.values():
        accepted = accepted_by_period(state, definition.raw_table)
        for period in store.partitions(definition.raw_table):
            if first <= Month.parse(period) <= as_of:
                used.append(require_in_step(store, state, definition, Month.parse(period), accepted))
    return used
