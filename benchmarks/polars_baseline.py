"""The same GROUP BY written with Polars expressions and run on its streaming engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.duckdb_baseline import spoken
from core.months import Month, knowledge_cutoff
from core.table_schema import ColumnType, TableSchema
from core.table_store import TableStore
from features.catalogue import Feature, FeatureSet
from features.fact_definition import Comparison, FactDefinition, Measure


def run(
    store: TableStore, feature_set: FeatureSet, schemas: dict[str, TableSchema], as_of: Month
) -> pd.DataFrame:
    """Features of one as-of month from raw rows, latest version known at the cutoff, indexed by subject_no."""
    first = as_of.plus(1 - feature_set.months_back)
    months = [str(first.plus(position)) for position in range(feature_set.months_back)]
    made: Any = None
    for name, facts in feature_set.facts.items():
        features = [f for f in feature_set.features if f.facts == name and spoken(feature_set, f)]
        files = store.files(facts.raw_table, months)
        if features and files:
            rows = _months(facts, schemas[facts.table], files, as_of)
            # Months that nothing is said of in a subject's window are no rows: windows are told by age.
            one = rows.group_by("subject_no").agg([_feature(f).alias(f.name) for f in features])
            made = one if made is None else made.join(one, on="subject_no", how="full", coalesce=True)
    return made.collect(engine="streaming").to_pandas().set_index("subject_no").sort_index()


def _months(facts: FactDefinition, schema: TableSchema, files: list[Path], as_of: Month) -> Any:
    import polars as pl

    rows = pl.scan_parquet([str(path) for path in files], hive_partitioning=True, try_parse_hive_dates=False)
    key = ["subject_no" if column == "subject_id" else column for column in schema.business_key]
    rows = rows.filter(pl.col("received_at") <= knowledge_cutoff(as_of))
    # Of a business key's rows the one that came last; they lie in the order in which they came, so nothing need be sorted.
    rows = rows.unique(subset=key, keep="last", maintain_order=True)
    year, month = pl.col("period").str.slice(0, 4), pl.col("period").str.slice(5, 2)
    age = as_of.index - (12 * year.cast(pl.Int32) + month.cast(pl.Int32) - 1)
    money = {column.name for column in schema.columns if column.type is ColumnType.MONEY}
    measures = [_measure(facts, spec, money).alias(measure) for measure, spec in facts.measures.items()]
    return rows.with_columns(age.alias("k")).group_by("subject_no", "k").agg(measures)


def _measure(facts: FactDefinition, spec: Measure, money: set[str]) -> Any:
    import polars as pl

    condition = pl.lit(True)
    for name, test in spec.where.items():
        condition = condition & _condition(_column(facts, name), test)
    condition = condition.fill_null(False)
    if spec.agg == "count" or spec.column is None:
        # Of a literal there would be one in a group, however many rows it has.
        return condition.sum() if spec.where else pl.len()
    column = _column(facts, spec.column)
    column = (column.cast(pl.Float64) if spec.column in money else column).filter(condition)
    made = {"sum": column.sum, "max": column.max, "min": column.min, "distinct": column.drop_nulls().n_unique}
    return made[spec.agg]() if spec.agg in made else pl.lit(None)


def _column(facts: FactDefinition, name: str) -> Any:
    import polars as pl

    derived = facts.derive.get(name)
    if derived is None:
        return pl.col(name)
    return (pl.col(derived.to) - pl.col(derived.days_from)).dt.total_days()


def _condition(column: Any, test: object) -> Any:
    if isinstance(test, Comparison):
        if test.missing is not None:
            return column.is_null() if test.missing else column.is_not_null()
        tests = ((column.gt, test.gt), (column.ge, test.ge), (column.lt, test.lt), (column.le, test.le))
        return next(compare(bound) for compare, bound in tests if bound is not None)
    if isinstance(test, bool):
        return column if test else ~column
    return column.is_in([test] if isinstance(test, str) else list(test))  # type: ignore[call-overload]


def _feature(f: Feature) -> Any:
    import polars as pl

    k = pl.col("k")
    w = f.window

    def within(low: int, high: int, name: str = f.measure) -> Any:
        return pl.col(name).filter((k >= low) & (k < high))

    own = within(0, w)
    total, n, mean = own.sum(), own.count(), own.mean()
    positive = (own > 0).sum()
    here = pl.col(f.measure).is_not_null() & (k < w)
    newest = pl.col(f.measure).filter(here).sort_by(k.filter(here)).first()
    oldest = pl.col(f.measure).filter(here).sort_by(k.filter(here)).last()
    deviation = pl.when(n > 1).then(own.std(ddof=0))
    x = (-k).filter(here).cast(pl.Float64)
    slope = ((x - x.mean()) * (pl.col(f.measure).filter(here) - mean)).sum() / ((x - x.mean()) ** 2).sum()

    def over(value: Any, by: Any) -> Any:
        return pl.when(by != 0).then(value / by)

    some = pl.when(n > 0)
    spelled = {
        "sum": lambda: some.then(total),
        "mean": lambda: mean,
        "min": lambda: own.min(),
        "max": lambda: own.max(),
        "std": lambda: deviation,
        "cv": lambda: over(deviation, mean.abs()),
        "slope": lambda: pl.when(n > 2).then(over(slope, mean.abs())),
        "last": lambda: newest,
        "records": lambda: n,
        "positive": lambda: some.then(positive),
        "positive_share": lambda: some.then(positive / n),
        "any_positive": lambda: some.then((positive > 0).cast(pl.Int32)),
        "since_positive": lambda: k.filter((pl.col(f.measure) > 0) & (k < w)).min(),
        "since_record": lambda: k.filter(here).min(),
        "change": lambda: pl.when(n > 1).then(over(newest - oldest, oldest.abs())),
        "ratio_previous": lambda: some.then(over(total, within(w, 2 * w).sum())),
        "year_on_year": lambda: some.then(over(total, within(12, 12 + w).sum())),
        "share_of": lambda: some.then(over(total, within(0, w, f.over or "").sum())),
    }
    return spelled[f.formula]()
