"""The same features the way an analyst writes them in pandas: rows to months, months to windows, each with groupby."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

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
    months = [first.plus(position) for position in range(feature_set.months_back)]
    made = []
    for name, facts in feature_set.facts.items():
        features = [f for f in feature_set.features if f.facts == name and spoken(feature_set, f)]
        if features:
            held = pd.concat(
                [
                    _month(facts, schemas[facts.table], store.files(facts.raw_table, [str(m)]), m, as_of)
                    for m in months
                ]
            )
            made.append(_windows(held, features))
    return pd.concat(made, axis=1).sort_index()


def _month(
    facts: FactDefinition, schema: TableSchema, files: list[Path], month: Month, as_of: Month
) -> pd.DataFrame:
    key = [
        "subject_no" if column == "subject_id" else column
        for column in schema.business_key
        if column != "period"
    ]
    wanted = sorted(
        {*facts.source_columns, *key, "received_at", "revision", "row_no", "subject_no"} - {"period"}
    )
    rows = pd.concat([pq.ParquetFile(path).read(columns=wanted).to_pandas() for path in files])
    rows = rows[rows["received_at"] <= knowledge_cutoff(as_of)]
    rows = rows.sort_values(["received_at", "revision", "row_no"]).drop_duplicates(key, keep="last")
    for column in schema.columns:
        if column.type is ColumnType.MONEY and column.name in rows:
            rows[column.name] = rows[column.name].astype(float)
    grouped: dict[str, pd.Series] = {}
    for measure, spec in facts.measures.items():
        grouped[measure] = _measure(facts, spec, rows)
    held = pd.DataFrame(grouped)
    held["k"] = as_of.index - month.index
    return held.reset_index()


def _measure(facts: FactDefinition, spec: Measure, rows: pd.DataFrame) -> pd.Series:
    hit = np.ones(len(rows), dtype=bool)
    for name, test in spec.where.items():
        hit &= _condition(_column(facts, name, rows), test)
    subjects = rows["subject_no"]
    if spec.agg == "count" or spec.column is None:
        return pd.Series(hit, index=subjects).groupby(level=0).sum()
    values = pd.Series(_column(facts, spec.column, rows).to_numpy(), index=subjects).where(hit)
    by = values.groupby(level=0)
    made = {"sum": by.sum, "max": by.max, "min": by.min, "distinct": by.nunique}
    return made[spec.agg]() if spec.agg in made else by.first()


def _column(facts: FactDefinition, name: str, rows: pd.DataFrame) -> pd.Series:
    derived = facts.derive.get(name)
    if derived is None:
        return rows[name]
    return (pd.to_datetime(rows[derived.to]) - pd.to_datetime(rows[derived.days_from])).dt.days


def _condition(column: pd.Series, test: object) -> np.ndarray:
    if isinstance(test, Comparison):
        if test.missing is not None:
            return (column.isna() if test.missing else column.notna()).to_numpy()
        tests = ((column.gt, test.gt), (column.ge, test.ge), (column.lt, test.lt), (column.le, test.le))
        return next(compare(bound) for compare, bound in tests if bound is not None).to_numpy(dtype=bool)
    if isinstance(test, bool):
        return (column.fillna(not test).astype(bool) == test).to_numpy()
    return column.isin([test] if isinstance(test, str) else list(test)).to_numpy()  # type: ignore[call-overload]


def _windows(held: pd.DataFrame, features: list[Feature]) -> pd.DataFrame:
    held = held.sort_values(["subject_no", "k"])
    frames: dict[tuple[int, int], object] = {}

    def grouped(low: int, high: int) -> object:
        if (low, high) not in frames:
            frames[low, high] = held[(held["k"] >= low) & (held["k"] < high)].groupby("subject_no")
        return frames[low, high]

    subjects = np.sort(held["subject_no"].unique())
    return pd.DataFrame({f.name: _feature(f, grouped) for f in features}, index=subjects)


def _feature(f: Feature, grouped) -> pd.Series:
    w, m = f.window, f.measure
    window = grouped(0, w)
    own = window[m]
    n = own.count()

    def some(made: pd.Series) -> pd.Series:
        return made.where(n > 0)

    def over(value: pd.Series, by: pd.Series) -> pd.Series:
        return value / by.where(by != 0)

    def positive() -> pd.Series:
        return (window.obj[m] > 0).groupby(window.obj["subject_no"]).sum()

    def slope() -> pd.Series:
        rows = window.obj[["subject_no", "k", m]].dropna()
        x, y = -rows["k"].astype(float), rows[m].astype(float)
        by = rows["subject_no"]
        dx = x - x.groupby(by).transform("mean")
        return (
            (dx * (y - y.groupby(by).transform("mean"))).groupby(by).sum() / (dx**2).groupby(by).sum()
        ).where(n > 2)

    def since(rows: pd.DataFrame) -> pd.Series:
        return rows.groupby("subject_no")["k"].min()

    spelled = {
        "sum": lambda: some(own.sum()),
        "mean": own.mean,
        "min": own.min,
        "max": own.max,
        "std": lambda: own.std(ddof=0).where(n > 1),
        "cv": lambda: over(own.std(ddof=0).where(n > 1), own.mean().abs()),
        "slope": lambda: over(slope(), own.mean().abs()),
        "last": own.first,
        "records": lambda: n,
        "positive": lambda: some(positive()),
        "positive_share": lambda: some(positive() / n),
        "any_positive": lambda: some((positive() > 0).astype(float)),
        "since_positive": lambda: since(window.obj[window.obj[m] > 0]),
        "since_record": lambda: since(window.obj[window.obj[m].notna()]),
        "change": lambda: over(own.first() - own.last(), own.last().abs()).where(n > 1),
        "ratio_previous": lambda: some(over(own.sum(), grouped(w, 2 * w)[m].sum())),
        "year_on_year": lambda: some(over(own.sum(), grouped(12, 12 + w)[m].sum())),
        "share_of": lambda: some(over(own.sum(), window[f.over].sum())),
    }
    return spelled[f.formula]()
