"""Monthly fold and as-of features beside one DuckDB GROUP BY over the raw rows: the same data, the same values, one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import duckdb_baseline
from benchmarks.measure import Cost, measure
from benchmarks.world import TABLES, make_world
from core.months import Month
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.contract import load_contracts
from features.catalogue import FeatureSet, load_catalogue
from features.fact_definition import load_all_facts
from features.feature_store import write_features
from features.fold import coded_columns, fold_month
from sources.versions import KnownDelivery, Resolver

FIRST = Month(2024, 11)
MONTHS = 24
AS_OF = FIRST.plus(MONTHS - 1)


@dataclass(frozen=True)
class Result:
    """Costs of each stage and whether the values agreed."""

    residents: int
    rows: int
    features: int
    world: Cost
    decode: Cost
    fold_all: Cost
    fold_one: Cost
    as_of: Cost
    duckdb: Cost
    duckdb_versions: Cost
    largest_difference: float


def run(root: Path, residents: int) -> Result:
    """Make a world of `residents` x 24 months below `root` and measure; AssertionError where values differ."""
    world = measure(make_world, root, residents, FIRST, MONTHS)
    decode = measure(_decode, root)
    fold_all = measure(_fold, root, 0, MONTHS)
    fold_one = measure(_fold, root, MONTHS - 1, MONTHS)
    as_of = measure(_features, root)
    plain = measure(_duckdb, root, False)
    versions = measure(_duckdb, root, True)
    feature_set, _ = definitions()
    return Result(
        residents=residents,
        rows=_rows(root),
        features=len(_comparable(feature_set)),
        world=world,
        decode=decode,
        fold_all=fold_all,
        fold_one=fold_one,
        as_of=as_of,
        duckdb=plain,
        duckdb_versions=versions,
        largest_difference=_difference(root),
    )


def definitions() -> tuple[FeatureSet, dict[str, TableSchema]]:
    """The shipped resident features that stand on the world's tables, with the schemas of their contracts."""
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    shipped = load_catalogue(load_all_facts(schemas), schemas)["resident_monthly"]
    features = tuple(
        feature for feature in shipped.features if {feature.facts, feature.over_facts} <= set(TABLES)
    )
    facts = {name: definition for name, definition in shipped.facts.items() if name in TABLES}
    return FeatureSet(shipped.name, shipped.subject, shipped.title, features, facts), schemas


def _comparable(feature_set: FeatureSet) -> list[str]:
    return [f.name for f in feature_set.features if duckdb_baseline.comparable(f)]


def _ledger(month: Month) -> dict[int, KnownDelivery]:
    from benchmarks.world import arrival

    return {
        2 * month.index + revision: KnownDelivery(
            2 * month.index + revision, "bench", str(month), revision, revision == 1, arrival(month, revision)
        )
        for revision in (1, 2)
    }


def _decode(root: Path) -> None:
    """Decode once the raw columns of one month that folding needs."""
    feature_set, _ = definitions()
    store = TableStore(root)
    for definition in feature_set.facts.values():
        for path in store.files(definition.raw_table, [str(AS_OF)]):
            pq.ParquetFile(path).read(columns=["subject_no", *definition.source_columns])


def _fold(root: Path, first: int, end: int) -> None:
    feature_set, schemas = definitions()
    store = TableStore(root)
    for position in range(first, end):
        month = FIRST.plus(position)
        ledger = _ledger(month)
        for definition in feature_set.facts.values():
            schema = schemas[definition.table]
            wanted = {*definition.source_columns, *schema.business_key} - {"subject_id", "period"}
            envelope = ["received_at", "delivery_no", "revision", "row_no"]
            raw = store.read(
                definition.raw_table,
                [str(month)],
                columns=["subject_no", *sorted(wanted), *envelope],
                encoded=coded_columns(definition, schema),
            )
            facts = fold_month(raw, definition, schema, Resolver(schema, ledger, vouched=True), month)
            store.replace(definition.fact_table, str(month), facts)


def _features(root: Path) -> None:
    feature_set, _ = definitions()
    store = TableStore(root)
    write_features(store, feature_set, AS_OF)


def _duckdb(root: Path, versions: bool) -> None:
    feature_set, schemas = definitions()
    sql = duckdb_baseline.query(TableStore(root), feature_set, schemas, AS_OF, versions=versions)
    duckdb_baseline.run(sql, threads=2)


def _difference(root: Path) -> float:
    """Largest relative difference between our stored features and the baseline's, over all cells; missing cells must agree."""
    feature_set, schemas = definitions()
    store = TableStore(root)
    names = _comparable(feature_set)
    sql = duckdb_baseline.query(store, feature_set, schemas, AS_OF, versions=True)
    theirs = duckdb_baseline.run(sql, threads=2).set_index("subject_no").sort_index()[names].astype(float)
    ours = store.read(feature_set.table, [str(AS_OF)]).to_pandas().set_index("subject_no").sort_index()[names]
    counted = [f.name for f in feature_set.features if f.formula == "records" and f.name in names]
    theirs[counted] = theirs[counted].fillna(0.0)
    pd.testing.assert_index_equal(ours.index, theirs.index, check_names=False, exact=False)
    a, b = ours.to_numpy(), theirs.to_numpy()
    if not (np.isnan(a) == np.isnan(b)).all():
        raise AssertionError("missing cells differ between the engine and the baseline")
    scale = np.maximum(np.abs(b), 1.0)
    return float(np.nanmax(np.abs(a - b) / scale))


def _rows(root: Path) -> int:
    store = TableStore(root)
    feature_set, _ = definitions()
    return sum(
        int(pc.sum(pc.count(store.read(d.raw_table, [month], columns=["subject_no"]).column(0))).as_py())
        for d in feature_set.facts.values()
        for month in store.partitions(d.raw_table)
    )
