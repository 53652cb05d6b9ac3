"""Stress and sensitivity on scorers whose weaknesses are planted."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.points import probability
from models.validation.sensitivity import monotonicity, sensitivity_findings, tornado
from models.validation.stress import (
    StressedFeatures,
    dropped_source,
    late_source,
    missing_source,
    stress_findings,
    unit_error,
)
from tests.models.validation.worlds import SIGNS, panel, scorer


def test_the_missing_source_costs_what_scikit_learn_says() -> None:
    sample, features = panel(1_000)
    found = missing_source(scorer, features, sample.outcome, sample.pd)
    without = features.matrix.copy()
    without[:, :2] = np.nan
    loss = roc_auc_score(sample.outcome, sample.pd) - roc_auc_score(sample.outcome, scorer(without))
    assert (found.about, found.value) == ("tax", pytest.approx(loss))
    rows = {row[0]: row for row in found.details[0].rows}
    assert rows["tax"][3] == pytest.approx(scorer(without).mean() / sample.pd.mean())
    assert set(rows) == {"tax", "social_insurance", "power"}


def test_a_source_that_is_not_used_costs_nothing() -> None:
    sample, features = panel(500)
    idle = StressedFeatures(features.matrix, features.names, {"idle": ("noise",)})
    for found in (
        missing_source(scorer, idle, sample.outcome, sample.pd),
        dropped_source(scorer, idle, sample.outcome, sample.pd),
    ):
        assert found.value == 0.0 and found.verdict == "pass"


def test_a_late_source_is_tried_on_rows_that_have_earlier_values() -> None:
    sample, features = panel(1_000)
    (found,) = late_source(scorer, features, sample.outcome, sample.pd)
    assert found.n == 2_000 and found.value is not None and 0.0 < found.value < 0.05
    frozen = StressedFeatures(features.matrix, features.names, features.sources, earlier={3: features.matrix})
    (same,) = late_source(scorer, frozen, sample.outcome, sample.pd)
    assert same.value == 0.0 and same.about.startswith("3 m")
    nothing = StressedFeatures(
        features.matrix, features.names, features.sources, earlier={1: np.full_like(features.matrix, np.nan)}
    )
    assert late_source(scorer, nothing, sample.outcome, sample.pd)[0].verdict == "unmeasured"


def test_a_silent_unit_error_is_judged_and_a_loud_one_is_told() -> None:
    sample, features = panel(2_000)

    def saturating(matrix: np.ndarray) -> np.ndarray:
        """Sales count only up to 1: a hundredfold changes the rank of many but not how many lie where."""
        sales = np.clip(np.nan_to_num(matrix[:, 1]), -1.0, 1.0)
        return probability(np.nan_to_num(matrix[:, 0]) - sales - 2.5)

    pd = saturating(features.matrix)
    found = unit_error(saturating, features, sample.outcome, pd)
    rows = {row[0]: row for row in found.details[0].rows}
    assert found.about in rows and rows[found.about][-1] == "silent"
    assert rows["tax_sales x100"][-1] == "silent" or found.note is not None
    assert found.value == max(row[2] for row in rows.values() if row[-1] == "silent")
    # One feature at a time: the second is tried with the first as it was.
    thousandfold = features.matrix.copy()
    thousandfold[:, 3] *= 10_000
    one = roc_auc_score(sample.outcome, sample.pd) - roc_auc_score(sample.outcome, scorer(thousandfold))
    loud = unit_error(scorer, features, sample.outcome, sample.pd)
    assert {row[0]: row for row in loud.details[0].rows}["power_bill x10000"][2] == pytest.approx(one)
    assert {row[0]: row for row in loud.details[0].rows}["tax_sales x10000"][-1] == "alarm"
    assert unit_error(scorer, StressedFeatures(features.matrix, features.names), sample.outcome, pd).verdict == (
        "unmeasured"
    )  # fmt: skip


def test_the_sweep_finds_a_feature_that_turns_round() -> None:
    _, features = panel(500)
    assert monotonicity(scorer, features).verdict == "pass"
    assert monotonicity(scorer, features).value == 0.0

    def bent(matrix: np.ndarray) -> np.ndarray:
        late = np.nan_to_num(matrix[:, 0])
        return probability(np.where(late > 1.5, -late, late) - 2.0)

    found = monotonicity(bent, features)
    assert found.verdict == "fail" and found.about == "tax_late"
    turned = StressedFeatures(features.matrix, features.names, signs={name: -SIGNS[name] for name in SIGNS})
    assert monotonicity(scorer, turned).value == 1.0
    assert monotonicity(scorer, StressedFeatures(features.matrix, features.names)).verdict == "unmeasured"


def test_the_tornado_by_hand() -> None:
    """pd = x0 / 10 + x1 / 20 with both features 0 … 1: swings 0.9 / 10 and 0.9 / 20, shares 2/3 and 1/3."""
    grid = np.linspace(0, 1, 101)
    features = StressedFeatures(
        np.column_stack([grid, grid[::-1], np.full(101, np.nan)]),
        ("a", "b", "empty"),
        {"first": ("a",), "second": ("b", "empty")},
    )
    one, source = tornado(lambda m: m[:, 0] / 10 + m[:, 1] / 20, features)
    assert (one.about, one.value) == ("a", pytest.approx(2 / 3))
    assert [row[-1] for row in one.details[0].rows] == pytest.approx([0.09, 0.045])
    assert (source.about, source.value, source.verdict) == ("first", pytest.approx(2 / 3), "warn")
    still = tornado(lambda m: np.full(len(m), 0.1), features)
    assert {each.verdict for each in still} == {"unmeasured"}


def test_the_scorer_never_sees_changed_features_afterwards() -> None:
    sample, features = panel(300)
    before = features.matrix.copy()
    stress_findings(scorer, features, sample.outcome, sample.pd)
    sensitivity_findings(scorer, features)
    assert np.array_equal(features.matrix, before, equal_nan=True)
