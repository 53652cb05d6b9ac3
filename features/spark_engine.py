"""The same catalogue as one Spark plan: features of an as-of month, for a population that one machine can't hold.

Reads the same folded months as `features.as_of` and gives the same values, but with arithmetic of its own (Spark SQL over
arrays of months), so that one engine checks the other. A subject's months are gathered in one shuffle; sources are joined by
subject.
Needs a session of `features.spark_session`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.months import CUTOFF_DAYS, Month, knowledge_cutoff, month_range
from core.table_store import TableStore
from features.catalogue import Feature, FeatureSet
from features.fact_definition import FactDefinition
from features.monthly_facts import MonthlyFacts, moment
from features.spark_formulas import expression

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def spark_features(
    spark: SparkSession,
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    cutoff_days: int = CUTOFF_DAYS,
    told_of: bool = False,
) -> DataFrame:
    """subject_no int and one double per feature (NaN = missing); rows and values as `features.as_of.features_at` gives them.

    With `told_of` a boolean column per facts (see `told_column`) says whether the source told anything of the subject.
    """
    sources = list(feature_set.facts) if told_of else []
    months = month_range(as_of.plus(1 - feature_set.months_back), as_of)
    gathered: DataFrame | None = None
    for definition in feature_set.facts.values():
        source = _gather(spark, store, definition, months, as_of, cutoff_days)
        if source is not None:
            gathered = source if gathered is None else gathered.join(source, "subject_no", "full_outer")
    if gathered is None:
        return spark.createDataFrame(
            [],
            ", ".join(
                [
                    "subject_no int",
                    *(f"{name} double" for name in feature_set.names),
                    *(f"`{told_column(name)}` boolean" for name in sources),
                ]
            ),
        )
    arrays = gathered.selectExpr(
        "subject_no",
        *(
            f"{_months_of(store, feature_set, key, back, as_of, cutoff_days, gathered.columns)} AS {_name(*key)}"
            for key, back in _looked_at(feature_set).items()
        ),
        *(
            f"{f'{name} IS NOT NULL' if name in gathered.columns else 'false'} AS `{told_column(name)}`"
            for name in sources
        ),
    )
    return arrays.selectExpr(
        "subject_no",
        *(_feature(feature, as_of, cutoff_days) for feature in feature_set.features),
        *(f"`{told_column(name)}`" for name in sources),
    )


def told_column(facts: str) -> str:
    """Name of the column that says whether a source told anything of a subject."""
    return f"told.{facts}"


def _gather(
    spark: SparkSession,
    store: TableStore,
    definition: FactDefinition,
    months: list[Month],
    as_of: Month,
    cutoff_days: int,
) -> DataFrame | None:
    """One row per subject: a map from a month's age to its measures as known at the cutoff; None where nothing was delivered."""
    files = [str(path) for path in store.files(definition.fact_table, [str(month) for month in months])]
    if not files:
        return None
    cutoff = knowledge_cutoff(as_of, cutoff_days).strftime("%Y-%m-%d %H:%M:%S.%f")
    measures = ", ".join(definition.measures)
    age = f"{as_of.index} - (int(substr(period, 1, 4)) * 12 + int(substr(period, 6, 2)) - 1)"
    rows = (
        spark.read.option("basePath", str(store.root / definition.fact_table))
        .schema(_schema(definition))
        .parquet(*files)
        .where(f"known_at <= timestamp'{cutoff}'")
        .selectExpr(
            "subject_no", f"struct(known_at, {age} AS age, struct({measures}) AS measures) AS version"
        )
    )
    versions = "array_sort(collect_list(version))"
    entries = f"transform({versions}, v -> struct(v.age, v.measures))"
    return rows.groupBy("subject_no").agg(_expr(f"map_from_entries({entries})").alias(definition.facts))


def _expr(text: str):  # type: ignore[no-untyped-def]
    from pyspark.sql.functions import expr

    return expr(text)


def _schema(definition: FactDefinition) -> str:
    """The fact files' columns, `period` taken from the path."""
    columns = ["subject_no int", "known_at timestamp", *(f"{name} double" for name in definition.measures)]
    return ", ".join([*columns, "period string"])


def _looked_at(feature_set: FeatureSet) -> dict[tuple[str, str], int]:
    """Months back by (facts, measure)."""
    found: dict[tuple[str, str], int] = {}
    for feature in feature_set.features:
        for key in feature.sides:
            found[key] = max(found.get(key, 0), feature.months_back)
    return found


def _name(facts: str, measure: str) -> str:
    return f"`{facts}.{measure}`"


def _months_of(
    store: TableStore,
    feature_set: FeatureSet,
    key: tuple[str, str],
    back: int,
    as_of: Month,
    cutoff_days: int,
    there: list[str],
) -> str:
    """SQL of a measure's months as array<double>, oldest first, null = no record (0 where the source lists events only)."""
    facts, measure = key
    ages = f"sequence({back - 1}, 0, -1)"
    if facts not in there:
        return f"transform({ages}, a -> CAST(NULL AS DOUBLE))"
    value = f"nanvl(try_element_at({facts}, a).{measure}, CAST(NULL AS DOUBLE))"
    definition = feature_set.facts[facts]
    if definition.absent == "zero":
        zero = _delivered_ages(store, definition, back, as_of, cutoff_days)
        listed = f"a IN ({', '.join(map(str, zero))})" if zero else "false"
        value = f"coalesce({value}, IF({listed}, 0D, NULL))"
    return f"transform({ages}, a -> {value})"


def _delivered_ages(
    store: TableStore, definition: FactDefinition, back: int, as_of: Month, cutoff_days: int
) -> list[int]:
    """Ages of the months of which anything had come by the cutoff."""
    cutoff = moment(knowledge_cutoff(as_of, cutoff_days))
    months = [as_of.plus(-age) for age in range(back)]
    facts = MonthlyFacts(store, definition.fact_table, months)
    return [
        as_of.index - month.index
        for month in months
        if month in facts.months and bool(np.less_equal(facts.first_known(month), cutoff))
    ]


def _feature(feature: Feature, as_of: Month, cutoff_days: int) -> str:
    """SQL of one feature: NaN = missing."""
    windows = [
        f"slice({_name(*key)}, -{feature.months_back}, {feature.months_back})" for key in feature.sides
    ]
    value = expression(feature.formula, windows, feature.months_back)
    scale = feature.scale_at(as_of, moment(knowledge_cutoff(as_of, cutoff_days)))
    # No figure was public yet: missing, as one engine says NaN and the other would have to spell it.
    scaled = f"({value}) * {scale!r}D" if scale == scale else "CAST(NULL AS DOUBLE)"
    return f"coalesce({scaled}, double('NaN')) AS {feature.name}"
