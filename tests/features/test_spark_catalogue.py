"""Every feature of every set of the catalogue, whatever is added to it: Spark and the local engine agree on made-up facts."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.months import Month, knowledge_cutoff, month_range
from core.table_store import TableStore
from expectations.contract import load_contracts
from features.as_of import feature_table
from features.catalogue import FeatureSet, load_catalogue
from features.fact_definition import load_all_facts
from features.feature_store import write_features
from features.fold import fact_schema
from features.spark_chunks import SparkEngine
from features.spark_engine import spark_features
from features.spark_session import SparkPlace, open_session
from tests.features.spark_parity import apart

pytestmark = [pytest.mark.java, pytest.mark.slow]

pytest.importorskip("pyspark", reason="needs the extra spark: pip install 'gscene[spark]'")
if shutil.which("java") is None:
    if os.environ.get("CI"):
        raise RuntimeError("CI must have Java 17: apt-get install openjdk-17-jre-headless")
    pytest.skip("needs Java 17", allow_module_level=True)

AS_OF = Month(2026, 5)
SUBJECTS = 60
SCHEMAS = {name: contract.schema() for name, contract in load_contracts().items()}
CATALOGUE = load_catalogue(load_all_facts(SCHEMAS), SCHEMAS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkPlace]:
    place = SparkPlace("local[2]", "1g", tmp_path_factory.mktemp("spark"))
    yield place
    open_session(place).stop()


def made_up_facts(folder: Path, feature_set: FeatureSet) -> TableStore:
    """Every source of the set: months with gaps, zeros, negative amounts, missing measures, late months and corrections."""
    store, random = TableStore(folder), np.random.default_rng(11)
    for definition in feature_set.facts.values():
        for month in month_range(AS_OF.plus(1 - feature_set.months_back), AS_OF):
            known = pd.Timestamp(knowledge_cutoff(month))
            # First deliveries, corrections of some, and what was known only after the cutoff of the as-of month.
            blocks = [
                (0.8, known),
                (0.2, known + pd.Timedelta(days=40)),
                (0.1, known + pd.Timedelta(days=900)),
            ]
            pieces = []
            for share, at in blocks:
                numbers = np.flatnonzero(random.random(SUBJECTS) < share).astype(np.int32)
                values = {
                    name: np.where(
                        random.random(len(numbers)) < 0.1,
                        np.nan,
                        random.choice([0, 0, 1, 2, 17, -3, 250_000], len(numbers)) * 1.0,
                    )
                    for name in definition.measures
                }
                times = pa.array([at.to_pydatetime()] * len(numbers), pa.timestamp("us", tz="UTC"))
                pieces.append(
                    pa.table(
                        {"subject_no": numbers, "known_at": times, **values}, schema=fact_schema(definition)
                    )
                )
            store.replace(definition.fact_table, str(month), pa.concat_tables(pieces))
    return store


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_feature_of_the_catalogue_is_the_same_on_spark(
    place: SparkPlace, name: str, tmp_path: Path
) -> None:
    feature_set = CATALOGUE[name]
    store = made_up_facts(tmp_path, feature_set)
    ours = feature_table(store, feature_set, AS_OF).to_pandas().set_index("subject_no")
    theirs = spark_features(open_session(place), store, feature_set, AS_OF).toPandas()
    assert apart(ours, theirs.set_index("subject_no").sort_index()) == []
    told_apart = ours.nunique() > 1
    assert told_apart.mean() > 0.9, f"says nothing about {list(told_apart[~told_apart].index)}"


def test_a_wrong_twin_is_named(place: SparkPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from features import spark_formulas

    feature_set = CATALOGUE["resident_monthly"]
    chosen = [
        f for wanted in ("mean", "sum") for f in [f for f in feature_set.features if f.formula == wanted][:2]
    ]
    assert {f.formula for f in chosen} == {"mean", "sum"}
    small = dataclasses.replace(feature_set, features=tuple(chosen))
    store = made_up_facts(tmp_path, small)
    ours = feature_table(store, small, AS_OF).to_pandas().set_index("subject_no")
    wrong = spark_formulas._FORMULAS | {"mean": lambda x, _: f"({spark_formulas._mean(x)} * 1.00000001D)"}
    monkeypatch.setattr(spark_formulas, "_FORMULAS", wrong)
    theirs = (
        spark_features(open_session(place), store, small, AS_OF)
        .toPandas()
        .set_index("subject_no")
        .sort_index()
    )
    assert apart(ours, theirs) == [f.name for f in chosen if f.formula == "mean"]


def test_a_month_made_by_spark_is_stored_in_order_and_chunk_by_chunk_and_the_same_again(
    place: SparkPlace, tmp_path: Path
) -> None:
    feature_set = CATALOGUE["resident_monthly"]
    small = dataclasses.replace(feature_set, features=feature_set.features[:3])
    store = made_up_facts(tmp_path, small)
    made = list(SparkEngine(place, chunk=16).chunks(store, small, AS_OF, 5, None, None))
    assert len(made) == 4 and all(len(piece) <= 16 for piece in made)
    assert pa.concat_tables(made).column("subject_no").to_pylist() == list(range(SUBJECTS))
    assert write_features(store, small, AS_OF) == write_features(
        store, small, AS_OF, engine=SparkEngine(place)
    )
    version = store.version(small.table)
    write_features(store, small, AS_OF, engine=SparkEngine(place))
    assert store.version(small.table) == version
    assert not list(place.scratch.glob("features-*")), "scratch files of features are gone"
