"""The obvious way: one SQL GROUP BY over the raw rows, in DuckDB, generated from the same catalogue.

Formulas that plain SQL aggregates can't say (longest_gap, longest_run) and facts of kinds that it doesn't know are left out: the
baseline does a little less work, and the table says of how many features.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from core.months import Month, knowledge_cutoff
from core.table_schema import ColumnType, TableSchema
from core.table_store import TableStore
from features.catalogue import Feature, FeatureSet
from features.fact_definition import Comparison, FactDefinition, Measure
from features.parameters import load_parameters

#: Formulas that the baselines say.
SPOKEN = frozenset(
    "sum mean min max std cv slope last records positive positive_share any_positive since_positive since_record change "
    "ratio_previous year_on_year share_of".split()
)
#: Aggregations of a month that they say.
MONTHLY = frozenset({"count", "sum", "max", "min", "distinct"})


def spoken(feature_set: FeatureSet, feature: Feature) -> bool:
    """Whether the baselines can say a feature."""
    measures = (feature_set.facts[facts].measures[measure] for facts, measure in feature.sides)
    one_source = len({facts for facts, _ in feature.sides}) == 1
    plain = one_source and feature.per is None
    return feature.formula in SPOKEN and plain and all(each.agg in MONTHLY for each in measures)


def query(
    store: TableStore,
    feature_set: FeatureSet,
    schemas: dict[str, TableSchema],
    as_of: Month,
    *,
    versions: bool,
    names: set[str] | None = None,
) -> str:
    """SQL for the features of one as-of month. With `versions` it picks the latest version of each business key known at the
    cutoff; without, it takes every row as it is (cheaper, and right only where nothing was ever corrected)."""
    first = as_of.plus(1 - feature_set.months_back)
    parts, joins, columns = [], [], []
    for name, facts in feature_set.facts.items():
        features = [f for f in feature_set.features if f.facts == name and spoken(feature_set, f)]
        features = [f for f in features if names is None or f.name in names]
        files = store.files(facts.raw_table, [str(first.plus(i)) for i in range(feature_set.months_back)])
        if not features or not files:
            continue
        used = {measure for f in features for _, measure in f.sides}
        parts.append(_monthly(name, facts, schemas[facts.table], files, as_of, versions, used))
        parts.append(_windows(name, features))
        joins.append(f"{name}_features")
        columns += [f.name for f in features]
    body = joins[0] + "".join(f" FULL JOIN {other} USING (subject_no)" for other in joins[1:])
    return f"WITH {', '.join(parts)} SELECT subject_no, {', '.join(columns)} FROM {body}"


def run(sql: str, threads: int) -> pd.DataFrame:
    """Execute in a fresh in-memory DuckDB, which goes to disk rather than beyond 12 GB."""
    import duckdb

    connection = duckdb.connect(config={"threads": threads, "memory_limit": "12GB"})
    connection.execute("SET enable_progress_bar = false")
    return connection.execute(sql).df()


def _monthly(
    name: str,
    facts: FactDefinition,
    schema: TableSchema,
    files: list[Path],
    as_of: Month,
    versions: bool,
    used: set[str],
) -> str:
    measures = ", ".join(
        f"{_measure(facts, schema, spec)} AS {measure}"
        for measure, spec in facts.measures.items()
        if measure in used
    )
    listed = ", ".join(f"'{path}'" for path in files)
    source = f"read_parquet([{listed}], hive_partitioning = true, hive_types_autocast = false)"
    if versions:
        key = ", ".join("subject_no" if column == "subject_id" else column for column in schema.business_key)
        cutoff = knowledge_cutoff(as_of).isoformat()
        source = (
            f"(SELECT * FROM {source} WHERE received_at <= TIMESTAMPTZ '{cutoff}' QUALIFY row_number() OVER "
            f"(PARTITION BY {key} ORDER BY received_at DESC, revision DESC, row_no DESC) = 1)"
        )
    age = f"{as_of.index} - (12 * CAST(period[1:4] AS INTEGER) + CAST(period[6:7] AS INTEGER) - 1)"
    return (
        f"{name}_months AS (SELECT subject_no, {age} AS k, {measures} FROM {source} GROUP BY subject_no, k)"
    )


def _measure(facts: FactDefinition, schema: TableSchema, measure: Measure) -> str:
    conditions = [_condition(facts, name, test) for name, test in measure.where.items()]
    where = f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else ""
    column = _column(facts, measure.column) if measure.column else "*"
    amount = measure.column in {c.name for c in schema.columns if c.type is ColumnType.MONEY}
    column = f"CAST({column} AS DOUBLE)" if amount else column
    spelled = {
        "count": f"count(*){where}",
        "sum": f"coalesce(sum({column}){where}, 0)",
        "max": f"max({column}){where}",
        "min": f"min({column}){where}",
        "identity": f"min({column}){where}",
        "distinct": f"count(DISTINCT {column}){where}",
    }
    return spelled[measure.agg]


def _column(facts: FactDefinition, name: str) -> str:
    derived = facts.derive.get(name)
    return f"date_diff('day', {derived.days_from}, {derived.to})" if derived is not None else name


def _condition(facts: FactDefinition, name: str, test: object) -> str:
    column = _column(facts, name)
    if isinstance(test, Comparison):
        if test.missing is not None:
            return f"{column} IS {'' if test.missing else 'NOT '}NULL"
        operator, bound = next(
            (operator, bound)
            for operator, bound in ((">", test.gt), (">=", test.ge), ("<", test.lt), ("<=", test.le))
            if bound is not None
        )
        return f"{column} {operator} {bound}"
    if isinstance(test, bool):
        return column if test else f"NOT {column}"
    values = [test] if isinstance(test, str) else list(test)  # type: ignore[call-overload]
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _windows(name: str, features: list[Feature]) -> str:
    columns = ", ".join(f"{_feature(feature)} AS {feature.name}" for feature in features)
    return f"{name}_features AS (SELECT subject_no, {columns} FROM {name}_months GROUP BY subject_no)"


def _feature(f: Feature) -> str:
    m, inside = f.measure, f"FILTER (WHERE k < {f.window})"
    before = f"FILTER (WHERE k >= {f.window} AND k < {2 * f.window})"
    year_before = f"FILTER (WHERE k >= 12 AND k < {12 + f.window})"
    there = f"FILTER (WHERE {m} > 0 AND k < {f.window})"
    here = f"FILTER (WHERE {m} IS NOT NULL AND k < {f.window})"
    total, mean, n = f"sum({m}) {inside}", f"avg({m}) {inside}", f"count({m}) {inside}"
    deviation = f"CASE WHEN {n} > 1 THEN stddev_pop({m}) {inside} END"
    spelled = {
        "sum": total,
        "mean": mean,
        "min": f"min({m}) {inside}",
        "max": f"max({m}) {inside}",
        "std": deviation,
        "cv": f"{deviation} / nullif(abs({mean}), 0)",
        "slope": f"CASE WHEN {n} > 2 THEN regr_slope({m}, -k) {inside} / nullif(abs({mean}), 0) END",
        "last": f"arg_min({m}, k) {here}",
        "records": f"coalesce({n}, 0)",
        "positive": f"CASE WHEN {n} > 0 THEN count(*) {there} END",
        "positive_share": f"count(*) {there} / nullif({n}, 0)",
        "any_positive": f"CASE WHEN {n} > 0 THEN (count(*) {there} > 0)::INTEGER END",
        "since_positive": f"min(k) {there}",
        "since_record": f"min(k) {here}",
        "change": f"CASE WHEN {n} > 1 THEN (arg_min({m}, k) {here} - arg_max({m}, k) {here})"
        f" / nullif(abs(arg_max({m}, k) {here}), 0) END",
        "ratio_previous": f"{total} / nullif(sum({m}) {before}, 0)",
        "year_on_year": f"{total} / nullif(sum({m}) {year_before}, 0)",
        "last_of_peak": f"arg_min({m}, k) {here} / nullif(max({m}) {inside}, 0)",
        "level_change": f"CASE WHEN {n} > 1 THEN arg_min({m}, k) {here} - arg_max({m}, k) {here} END",
        "peak_share": f"max({m}) {inside} / nullif({total}, 0)",
        "share_of": f"{total} / nullif(sum({f.over}) {inside}, 0)",
    }
    # Amounts are decimal yuan here, fen in our facts: the scale that turns fen into yuan has nothing to do.
    # Figures change by the as-of month; the baseline is asked for one, and the first is the one that holds.
    figure = "" if f.per is None else f" / {load_parameters()[f.per].values[0].value}"
    return spelled[f.formula] + figure
