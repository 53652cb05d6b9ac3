"""Folding, as-of features, a training panel and the whole monthly run beside DuckDB, Polars and pandas over the same raw rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import duckdb_baseline, pandas_baseline, polars_baseline
from benchmarks.duckdb_baseline import spoken
from benchmarks.measure import Cost, measure
from benchmarks.world import TABLES, arrival, make_world
from core.months import Month
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.contract import load_contracts
from expectations.validate import validate_partition
from features.as_of import features_at
from features.catalogue import FeatureSet, load_catalogue
from features.fact_definition import FactDefinition, load_all_facts
from features.feature_store import write_features
from features.fold import coded_columns, fold_month
from sources.versions import KnownDelivery, Resolver

FIRST = Month(2024, 11)
MONTHS = 24
AS_OF = FIRST.plus(MONTHS - 1)
#: As-of months of a training panel.
PANEL = 12


#: Stages of ours, in the order of the table.
OURS = {
    "read": f"decode the needed raw columns of all {MONTHS} months once",
    "decode": "decode the needed raw columns of one month once",
    "fold_one": "fold one delivered month (read, resolve versions, fold, write)",
    "fold_all": f"fold all {MONTHS} months, once in the life of the data",
    "as_of": "features of one as-of month from folded months, with writing Parquet",
    "as_of_unwritten": "the same without writing",
    "panel": f"training panel of {PANEL} as-of months from folded months, without writing",
    "monthly": "the whole monthly run: fold, validate, features, score, store",
}
#: The obvious ways.
OTHERS = {
    "duckdb": "one DuckDB GROUP BY, latest version known at the cutoff",
    "duckdb_plain": "one DuckDB GROUP BY, every row as it is (other values)",
    "polars": "Polars streaming, latest version known at the cutoff",
    "pandas": "pandas, latest version known at the cutoff",
}


@dataclass(frozen=True)
class Result:
    """Costs of the stages by name and the largest relative difference of each other way from our values."""

    residents: int
    rows: int
    features: int
    compared: int
    costs: dict[str, Cost]
    differences: dict[str, float]


def run(root: Path, residents: int, others: Sequence[str], say: Callable[[str], None]) -> Result:
    """Make a world of `residents` x 24 months below `root` and measure; AssertionError where values differ."""
    stages: dict[str, tuple[Any, ...]] = {
        "read": (_decode, root, MONTHS),
        "decode": (_decode, root, 1),
        "fold_all": (_fold, root, 0, MONTHS),
        "fold_one": (_fold, root, MONTHS - 1, MONTHS),
        "as_of_unwritten": (_panel, root, 1),
        "as_of": (_features, root),
        "panel": (_panel, root, PANEL),
        "monthly": (monthly_run, root),
        **{name: (_other, root, name) for name in others},
    }
    say(f"{residents:,} residents: making the world")
    measure(make_world, root, residents, FIRST, MONTHS)
    measure(prepare_model, root)
    costs: dict[str, Cost] = {}
    for name, (work, *arguments) in stages.items():
        costs[name] = measure(work, *arguments)
        say(f"{residents:,} residents, {name}: {costs[name].cpu:.1f} CPU s, {costs[name].peak_mb:.0f} MB")
    check_incremental(root)
    feature_set, _ = definitions()
    return Result(
        residents=residents,
        rows=_rows(root),
        features=len(feature_set.features),
        compared=len(_comparable(feature_set)),
        costs=costs,
        differences={name: _difference(root, name) for name in others if name != "duckdb_plain"},
    )


def definitions() -> tuple[FeatureSet, dict[str, TableSchema]]:
    """The shipped resident features that stand on the world's tables, with the schemas of their contracts."""
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    shipped = load_catalogue(load_all_facts(schemas), schemas)["resident_monthly"]
    facts = {name: definition for name, definition in shipped.facts.items() if name in TABLES}
    features = tuple(f for f in shipped.features if {facts for facts, _ in f.sides} <= set(facts))
    return FeatureSet(shipped.name, shipped.subject, shipped.title, features, facts), schemas


def _comparable(feature_set: FeatureSet) -> list[str]:
    return [f.name for f in feature_set.features if spoken(feature_set, f)]


def ledger_of(month: Month) -> dict[int, KnownDelivery]:
    """The month's two deliveries."""
    return {
        2 * month.index + revision: KnownDelivery(
            2 * month.index + revision, "bench", str(month), revision, revision == 1, arrival(month, revision)
        )
        for revision in (1, 2)
    }


def _decode(root: Path, months: int) -> None:
    """Decode once the raw columns that folding needs, of the last `months`."""
    feature_set, _ = definitions()
    store = TableStore(root)
    for definition in feature_set.facts.values():
        for position in range(months):
            for path in store.files(definition.raw_table, [str(AS_OF.plus(-position))]):
                pq.ParquetFile(path).read(columns=["subject_no", *definition.source_columns])


def _fold(root: Path, first: int, end: int) -> None:
    feature_set, schemas = definitions()
    store = TableStore(root)
    for position in range(first, end):
        for definition in feature_set.facts.values():
            facts = folded(store, definition, schemas, FIRST.plus(position))
            store.replace(definition.fact_table, str(FIRST.plus(position)), facts)


def folded(
    store: TableStore, definition: FactDefinition, schemas: dict[str, TableSchema], month: Month
) -> pa.Table:
    """One month of one source, folded from its raw rows."""
    schema = schemas[definition.table]
    wanted = {*definition.source_columns, *schema.business_key} - {"subject_id", "period"}
    envelope = ["received_at", "delivery_no", "revision", "row_no"]
    raw = store.read(
        definition.raw_table,
        [str(month)],
        columns=["subject_no", *sorted(wanted), *envelope],
        encoded=coded_columns(definition, schema),
    )
    return fold_month(raw, definition, schema, Resolver(schema, ledger_of(month), vouched=True), month)


def check_incremental(root: Path) -> None:
    """AssertionError unless folding a month before and after its correction leaves, bit for bit, what folding it once does."""
    feature_set, schemas = definitions()
    store, again = TableStore(root), TableStore(root / "again")
    for definition in feature_set.facts.values():
        rows = store.read(definition.raw_table, [str(AS_OF)]).drop_columns(["period"])
        corrected = pc.equal(rows.column("revision"), 2)
        for part in (rows.filter(pc.invert(corrected)), rows.filter(corrected)):
            again.append(definition.raw_table, str(AS_OF), part.combine_chunks())
            kept = folded(again, definition, schemas, AS_OF)
        # pandas takes a missing value for equal to a missing one.
        if not kept.to_pandas().equals(folded(store, definition, schemas, AS_OF).to_pandas()):
            raise AssertionError(
                f"{definition.facts}: folded in two steps is another table than folded in one"
            )


def prepare_model(root: Path) -> None:
    """A LightGBM model of 300 trees for the monthly run to score with, from made-up outcomes."""
    import lightgbm as lgb

    feature_set, _ = definitions()
    random = np.random.default_rng(2)
    x = random.normal(size=(20_000, len(feature_set.features)))
    y = (x[:, :5].sum(axis=1) + random.normal(size=len(x)) > 3).astype(int)
    settings = {"objective": "binary", "num_leaves": 31, "num_threads": 2, "verbose": -1, "seed": 1}
    lgb.train(settings, lgb.Dataset(x, y), 300).save_model(str(root / "model.txt"))


def monthly_run(root: Path) -> None:
    """What a month costs once the earlier ones are folded: fold and judge the delivered month, features, scores, store both."""
    import lightgbm as lgb

    feature_set, _ = definitions()
    store = TableStore(root)
    _fold(root, MONTHS - 1, MONTHS)
    contracts = load_contracts()
    for definition in feature_set.facts.values():
        validate_partition(store, contracts[definition.table], definition.raw_table, str(AS_OF))
    write_features(store, feature_set, AS_OF)
    booster = lgb.Booster(model_file=str(root / "model.txt"))
    scored: list[pa.Table] = []
    for path in store.files(feature_set.table, [str(AS_OF)]):
        for batch in pq.ParquetFile(path).iter_batches(1 << 16):
            matrix = np.column_stack([batch.column(name).to_numpy() for name in feature_set.names])
            pd_12m = np.asarray(booster.predict(matrix, num_threads=2))
            scored.append(pa.table({"subject_no": batch.column("subject_no"), "pd": pd_12m}))
    store.replace("scores/bench", str(AS_OF), pa.concat_tables(scored).combine_chunks())


def _panel(root: Path, months: int) -> None:
    """Features of the last months in one pass, let go as they come."""
    feature_set, _ = definitions()
    wanted = [AS_OF.plus(-position) for position in range(months)]
    for _ in features_at(TableStore(root), feature_set, wanted):
        pass


def _features(root: Path) -> None:
    feature_set, _ = definitions()
    store = TableStore(root)
    write_features(store, feature_set, AS_OF)


def _other(root: Path, name: str) -> None:
    _values(root, name)


def _values(root: Path, name: str) -> pd.DataFrame:
    """What another way makes of the raw rows, indexed by subject_no."""
    feature_set, schemas = definitions()
    store = TableStore(root)
    if name == "polars":
        return polars_baseline.run(store, feature_set, schemas, AS_OF)
    if name == "pandas":
        return pandas_baseline.run(store, feature_set, schemas, AS_OF)
    sql = duckdb_baseline.query(store, feature_set, schemas, AS_OF, versions=name == "duckdb")
    return duckdb_baseline.run(sql, threads=2).set_index("subject_no").sort_index()


def _difference(root: Path, name: str) -> float:
    """Largest relative difference between our stored features and another way's, over all cells; missing cells must agree."""
    feature_set, _ = definitions()
    names = _comparable(feature_set)
    theirs = _values(root, name)[names].astype(float)
    ours = TableStore(root).read(feature_set.table, [str(AS_OF)], columns=["subject_no", *names])
    ours = ours.to_pandas().set_index("subject_no").sort_index()[names]
    counted = [f.name for f in feature_set.features if f.formula == "records" and f.name in names]
    theirs[counted] = theirs[counted].fillna(0.0)
    pd.testing.assert_index_equal(ours.index, theirs.index, check_names=False, exact=False)
    a, b = ours.to_numpy(), theirs.to_numpy()
    if not (np.isnan(a) == np.isnan(b)).all():
        column = names[int((np.isnan(a) != np.isnan(b)).any(axis=0).argmax())]
        raise AssertionError(f"missing cells of {column} differ between the engine and {name}")
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
