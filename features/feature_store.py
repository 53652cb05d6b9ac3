"""Keep features of as-of months in the store, made only from facts that are in step with the raw months."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import select

from core.clock import Clock
from core.derivation import Partition, record_derivation
from core.months import CUTOFF_DAYS, Month
from core.purpose import Purpose
from core.state import Derivation, StateDatabase
from core.table_store import RowStream, TableStore
from expectations.contract import Contract
from features.as_of import feature_schema
from features.catalogue import FeatureSet
from features.consent_mask import ConsentMask, purpose_mask, stored_mask
from features.engine import LOCAL, FeatureEngine
from features.entitlement import ENTITLED, PREDICATES, Entitlement, Entitlements, demand_of
from features.fact_store import months_in_step
from features.ineligible import NO_ROW, Ineligible, keep
from features.use_mask import UseMask


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
    engine: FeatureEngine = LOCAL,
) -> FeaturesBuilt:
    """Compute and store one as-of month, as consents known at its cutoff allow; GateRefused when facts lag behind the raw months
    they stand on or a register isn't vouched for."""
    asked = ask(store, state, feature_set, as_of, entitlements)
    written = write_features(
        store, feature_set, as_of, entitlements.cutoff_days, asked.mask, asked.ineligible, engine
    )
    return record_month(store, state, clock, asked, written, entitlements.contracts)


@dataclass(frozen=True)
class AskedMonth:
    """One as-of month before it is computed: the fact partitions it stands on, who may be told of, and a count of who may not."""

    inputs: list[Partition]
    mask: ConsentMask
    ineligible: Ineligible


def ask(
    store: TableStore, state: StateDatabase, feature_set: FeatureSet, as_of: Month, entitlements: Entitlements
) -> AskedMonth:
    """Open the gates of one as-of month; GateRefused where one is shut."""
    inputs = facts_in_step(store, state, feature_set, as_of)
    mask = stored_mask(feature_set, entitlements.as_known_then(as_of), as_of)
    return AskedMonth(inputs, mask, Ineligible())


def record_month(
    store: TableStore,
    state: StateDatabase,
    clock: Clock,
    asked: AskedMonth,
    written: tuple[int, int],
    contracts: Mapping[str, Contract],
) -> FeaturesBuilt:
    """Remember what a stored month was made from and who was left out; `written`: its rows and missing cells."""
    feature_set, period = asked.mask.feature_set, str(asked.mask.as_of)
    inputs = [*asked.inputs, *asked.mask.entitlement.registers_used]
    recipe = feature_recipe(feature_set, contracts)
    record_derivation(state, store, clock, (feature_set.table, period), inputs, recipe)
    with state.session() as session:
        keep(session, feature_set.table, period, asked.ineligible)
    rows, missing = written
    cells = rows * len(feature_set.features)
    share = missing / cells if cells else 0.0
    return FeaturesBuilt(rows, len(feature_set.features), share, asked.ineligible)


def write_features(
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Month,
    cutoff_days: int = CUTOFF_DAYS,
    consents: ConsentMask | None = None,
    ineligible: Ineligible | None = None,
    engine: FeatureEngine = LOCAL,
) -> tuple[int, int]:
    """Compute one as-of month chunk by chunk into its partition; returns rows and missing cells."""
    chunks = engine.chunks(store, feature_set, as_of, cutoff_days, consents, ineligible)
    return write_chunks(store, feature_set, as_of, chunks, engine.name)


def write_chunks(
    store: TableStore, feature_set: FeatureSet, as_of: Month, made: Iterable[pa.Table], engine: str
) -> tuple[int, int]:
    """Store chunks, in the order of their subjects, as one month; returns rows and missing cells."""
    missing = 0

    def chunks() -> Iterator[pa.Table]:
        nonlocal missing
        for table in made:
            missing += sum(int(np.isnan(table.column(name).to_numpy()).sum()) for name in feature_set.names)
            yield table

    rows = RowStream(feature_schema(feature_set), chunks())
    store.replace(feature_set.table, str(as_of), rows, metadata={"engine": engine})
    return rows.num_rows, missing


def feature_recipe(feature_set: FeatureSet, contracts: Mapping[str, Contract]) -> str:
    """Hash of what decides a stored feature: the set, the consent that the contracts behind it demand, and the conditions that a
    consent must stand."""
    tables = sorted({table for definition in feature_set.facts.values() for _, table in definition.tables})
    demands = [(demand_of(contracts[table]), demand_of(contracts[table], presence=True)) for table in tables]
    conditions = [predicate.reason for predicate in PREDICATES]
    return hashlib.sha256(f"{feature_set.sha256}\n{demands}\n{conditions}".encode()).hexdigest()


def outdated_months(
    store: TableStore, state: StateDatabase, feature_set: FeatureSet, contracts: Mapping[str, Contract]
) -> list[Month]:
    """As-of months that were made once and by another recipe than today's - another catalogue, consent demanded otherwise - or
    are
    gone from the table since, ascending."""
    recipe = feature_recipe(feature_set, contracts)
    there = set(store.partitions(feature_set.table))
    with state.session() as session:
        made = session.execute(
            select(Derivation.partition, Derivation.recipe_hash).where(Derivation.table == feature_set.table)
        ).all()
    return [Month.parse(month) for month, known in sorted(made) if known != recipe or month not in there]


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
    masks = [purpose_mask(feature_set, use, month, [purpose]) for month in as_of]
    names = [feature.name for feature in masks[-1].features]
    stored = store.read(feature_set.table, [str(month) for month in as_of], ["subject_no", *names, "period"])
    frame = stored.to_pandas().rename(columns={"period": "as_of"})
    ineligible = Ineligible()
    if not any(mask.limited for mask in masks):
        return UsableFeatures(_allowed(frame, masks[-1], purpose, ineligible), ineligible)
    pieces = [_allowed(frame[frame["as_of"] == str(mask.as_of)], mask, purpose, ineligible) for mask in masks]
    return UsableFeatures(pd.concat(pieces).sort_index(), ineligible)


def _allowed(
    frame: pd.DataFrame, mask: ConsentMask, purpose: Purpose, ineligible: Ineligible
) -> pd.DataFrame:
    """Rows and cells of `frame` (subject_no, as_of, features; changed in place) that a mask leaves, indexed by subject_no and
    as_of; the rest is counted."""
    numbers = frame["subject_no"].to_numpy(dtype=np.int64)
    best = np.full(len(numbers), ENTITLED, dtype=np.int8)
    for asked, facts, reasons in mask.questions():
        ineligible.add(asked, facts, reasons[numbers])
        best = np.maximum(best, reasons[numbers])
    some = UseMask.of(mask).blank(frame, numbers)
    ineligible.add(purpose, NO_ROW, best[~some])
    ineligible.without_any += int((~some).sum())
    return frame[some].set_index(["subject_no", "as_of"]).sort_index()


def facts_in_step(
    store: TableStore, state: StateDatabase, feature_set: FeatureSet, as_of: Month
) -> list[Partition]:
    """Fact partitions within the look-back; GateRefused for one that isn't folded from the raw month as it is now."""
    first = as_of.plus(1 - feature_set.months_back)
    used: list[Partition] = []
    for definition in feature_set.facts.values():
        for behind in definition.upstream:
            months_in_step(store, state, behind, first.plus(-definition.look_back), as_of)
        used += months_in_step(store, state, definition, first, as_of)
    return used
