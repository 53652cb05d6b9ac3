"""Spark and the local engine agree on the same folded months, every formula, missing values alike."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.months import Month
from features.as_of import feature_table
from features.spark_formulas import expression
from features.spark_session import SparkPlace, open_session
from features.window_kernels import KERNELS
from features.window_kernels_of_two import KERNELS_OF_TWO
from features.windows import EXTRA_MONTHS, FORMULAS, OF_TWO
from tests.features.test_two_clocks import (
    FACTS,
    FEATURES,
    FIRST,
    MONTHS,
    Delivered,
    Row,
    feature,
    numbered,
    world,
)

pytestmark = [pytest.mark.java, pytest.mark.slow]

pytest.importorskip("pyspark", reason="needs the extra spark: pip install 'gscene[spark]'")
if shutil.which("java") is None:
    if os.environ.get("CI"):
        raise RuntimeError("CI must have Java 17: apt-get install openjdk-17-jre-headless")
    pytest.skip("needs Java 17", allow_module_level=True)

SUBJECTS = 40


def _every_formula() -> tuple:  # type: ignore[type-arg]
    alone = [name for name in FORMULAS if name not in OF_TWO]
    # The year-on-year window would look back further than this world lives.
    windows = {name: (2, 6) if name not in EXTRA_MONTHS else (2, 3) for name in alone}
    made = [feature("amt", name, w) for name in alone for w in windows[name]]
    made += [
        feature("late", name, 6) for name in ("positive", "longest_gap", "longest_run", "since_positive")
    ]
    made += [feature("late", name, 6, over="bills") for name in sorted(OF_TWO)]
    return (*made, feature("amt", "months_below", 3, over="largest"), feature("largest", "last", 6))


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:  # type: ignore[type-arg]
    session = open_session(SparkPlace("local[2]", "1g", tmp_path_factory.mktemp("spark")))
    yield session
    session.stop()


def _world(seed: int) -> list[Delivered]:
    random = np.random.default_rng(seed)
    made = []
    for month in range(MONTHS):
        for _ in range(random.integers(0, 4)):
            accounts = random.permutation(SUBJECTS)[: random.integers(0, SUBJECTS)]
            rows = tuple(
                Row(
                    int(a if random.random() < 0.9 else random.integers(SUBJECTS)),
                    int(a),
                    int(fen),
                    bool(late),
                )
                for a, fen, late in zip(
                    accounts,
                    random.choice([0, 100, -250, 4999], len(accounts)),
                    random.random(len(accounts)) < 0.4,
                    strict=True,
                )
            )
            mode = str(random.choice(["full", "supplement"]))
            made.append(Delivered(month, 1, mode, int(random.integers(1, 150)), rows))
    return numbered(made)


@pytest.mark.parametrize("absent", ["unknown", "zero"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_engines_agree(spark, tmp_path: Path, seed: int, absent: str) -> None:  # type: ignore[no-untyped-def]
    from features.spark_engine import spark_features

    facts = FACTS.model_copy(update={"absent": absent})
    features = dataclasses.replace(FEATURES, features=_every_formula(), facts={"bill": facts})
    store = world(str(tmp_path), _world(seed))
    for as_of in (FIRST.plus(1), FIRST.plus(MONTHS - 1)):
        ours = feature_table(store, features, as_of).to_pandas().set_index("subject_no").sort_index()
        theirs = spark_features(spark, store, features, as_of).toPandas().set_index("subject_no").sort_index()
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, check_index_type=False, rtol=1e-9)
    assert len(ours) > 5, "the last month knows of most subjects"


def test_a_population_without_facts_gives_no_rows(spark, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from features.spark_engine import spark_features

    store = world(str(tmp_path), [])
    assert spark_features(spark, store, FEATURES, Month(2026, 3)).count() == 0


def test_formulas_agree_over_years_of_months(spark) -> None:  # type: ignore[no-untyped-def]
    """Every formula over 26 months, so that those that look a year back have months to look at."""
    random, months, subjects = np.random.default_rng(5), 26, 60
    x, y = (np.round(random.gamma(2.0, 3.0, (subjects, months)) - 1.0, 1) for _ in range(2))
    for side in (x, y):
        side[random.random(side.shape) < 0.2] = 0.0
        side[random.random(side.shape) < 0.25] = np.nan
    x[:3], y[:3] = np.nan, 4.0
    rows = [
        (n, *([None if np.isnan(v) else float(v) for v in side[n]] for side in (x, y)))
        for n in range(subjects)
    ]
    frame = spark.createDataFrame(rows, "n int, x array<double>, y array<double>")
    spelled = [f"{expression(name, ['x', 'y'], months)} AS {name}" for name in FORMULAS]
    theirs = frame.selectExpr("n", *spelled).toPandas().set_index("n").sort_index()
    for name in FORMULAS:
        ours = KERNELS_OF_TWO[name](x.T.copy(), y.T.copy()) if name in OF_TWO else KERNELS[name](x.T.copy())
        found = theirs[name].to_numpy(dtype=float, na_value=np.nan)
        np.testing.assert_allclose(found, ours, rtol=1e-9, equal_nan=True, err_msg=name)
        told = ours[np.isfinite(ours)]
        assert len(told) > 40 and (len(np.unique(told)) > 1 or name == "any_positive"), "values to compare"
