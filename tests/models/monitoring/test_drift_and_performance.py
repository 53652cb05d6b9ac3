"""PSI, expected performance and backtests on made-up numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.discrimination import auc
from models.monitoring.backtest import Realised, backtest, rate_interval, realised
from models.monitoring.drift import (
    feature_drift,
    feature_reference,
    grade_moves,
    grade_shares,
    score_drift,
    source_drift,
    without_source,
)
from models.monitoring.early_performance import expected_auc, expected_performance
from models.monitoring.measure import Measure

VALUES = st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))
PDS = arrays(np.float64, st.integers(2, 25), elements=st.floats(0.001, 0.999))


def by_name(told: list[Measure]) -> dict[str, Measure]:
    return {each.measure: each for each in reversed(told)}


@given(arrays(np.float64, st.integers(1, 80), elements=VALUES))
def test_the_same_values_have_no_drift(values: np.ndarray) -> None:
    told = score_drift("psi", values, np.random.default_rng(0).permutation(values))
    assert told.value == 0.0
    moved, *features = feature_drift(feature_reference(values[:, None], ["a"], {}), values[:, None])
    assert moved.value == 0.0 and features[0].value == 0.0


@pytest.mark.parametrize("rows", [50, 400, 3000])
def test_samples_of_one_distribution_pass_the_limit_of_chance_as_seldom_as_declared(rows: int) -> None:
    """1 % declared: of 1,000 pairs 23 or more would come by luck in fewer than 1 of 1,000 runs; the seed is fixed. At 50 rows the
    chi-square is rough, so twice the rate is allowed there; the usual 0.1 alone alarms in most of them."""
    draw, alarms, naive = np.random.default_rng(5), 0, 0
    for _ in range(1000):
        told = score_drift("psi", draw.normal(size=rows), draw.normal(size=rows))
        assert told.value is not None and told.chance is not None
        alarms, naive = alarms + (told.value > told.chance), naive + (told.value > 0.1)
    assert alarms <= (40 if rows == 50 else 23)
    assert rows != 50 or naive > 500


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.5, 2.0), st.sampled_from([-1.0, 1.0]))
def test_a_planted_shift_passes_chance_and_is_material(seed: int, shift: float, side: float) -> None:
    draw = np.random.default_rng(seed)
    told = score_drift("psi", draw.normal(size=1500), draw.normal(size=1500) + side * shift)
    assert told.value is not None and told.chance is not None and told.value > max(told.chance, 0.1)


def test_the_feature_that_moved_is_named_and_a_missing_source_is_found() -> None:
    draw = np.random.default_rng(1)
    then, now = draw.normal(size=(2000, 3)), draw.normal(size=(2000, 3))
    now[:, 1] += 1.0
    now[:500, 2] = np.nan
    sources = {"tax": ["a", "b"], "power": ["c"]}
    moved, first, *_ = feature_drift(feature_reference(then, ["a", "b", "c"], sources), now)
    assert moved.events == 2 and moved.value == pytest.approx(2 / 3) and first.about in ("b", "c")
    without = without_source(now, ["a", "b", "c"], sources)
    assert without == {"power": 0.25, "tax": 0.0}
    rise, *_ = source_drift(without_source(then, ["a", "b", "c"], sources), without, 2000)
    assert (rise.measure, rise.about, rise.value) == ("source_missing_rise", "power", 0.25)


def test_grades_move_from_month_to_month_over_subjects_in_both() -> None:
    before = pd.DataFrame({"subject_no": [1, 2, 3, 4], "grade": [1, 2, 3, 1]})
    after = pd.DataFrame({"subject_no": [2, 1, 3, 9], "grade": [2, 3, 2, 1]})
    told = grade_moves(before, after, 3)
    named = by_name(told)
    assert named["grade_jumps"].value == pytest.approx(1 / 3) and named["grade_jumps"].n == 3
    assert named["grade_worse"].value == 0.0
    moves = {each.about: each.events for each in told if each.measure == "grade_moves"}
    assert moves == {"1>3": 1, "2>2": 1, "3>2": 1}
    shares = grade_shares(np.array([1, 1, 3]), 3)
    assert [each.events for each in shares] == [2, 0, 1]


@given(PDS)
def test_expected_auc_is_the_ratio_of_expected_pairs(p: np.ndarray) -> None:
    right = pairs = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            if i != j:
                weight = p[i] * (1 - p[j])
                pairs += weight
                right += weight * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    assert expected_auc(p) == pytest.approx(right / pairs, abs=1e-9)


def test_what_calibrated_scores_promise_comes_true_and_lies_in_the_interval() -> None:
    draw = np.random.default_rng(3)
    p = 1.0 / (1.0 + np.exp(2.0 - 1.2 * draw.normal(size=4000)))
    told = by_name(expected_performance(p, p))
    assert told["expected_auc_fall"].value == pytest.approx(0.0)
    inside = 0
    for _ in range(60):
        y = (draw.random(len(p)) < p).astype(np.int8)
        realised_auc = auc(y, p)
        assert realised_auc == pytest.approx(told["expected_auc"].value, abs=0.05)
        inside += told["expected_auc"].low <= realised_auc <= told["expected_auc"].high  # type: ignore[operator]
    assert inside >= 52
    assert told["expected_rate"].value == pytest.approx(p.mean())
    narrow = by_name(expected_performance(np.full(500, 0.1) + draw.random(500) * 1e-3, p))
    assert narrow["expected_auc_fall"].value > 0.2  # type: ignore[operator]


def scores_of(pd_: list[float], grade: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"subject_no": range(len(pd_)), "pd": pd_, "grade": grade})


def test_immature_excluded_and_unknown_outcomes_are_never_good() -> None:
    scores = scores_of([0.1] * 6, [1] * 6)
    outcomes = pd.DataFrame(
        {"subject_no": range(5), "outcome": ["good", "bad", "immature", "excluded", "indeterminate"]}
    )
    one = realised("2025-06", scores, outcomes)
    assert one.event.tolist() == [0, 1, -1]
    assert one.left_out == {"no outcome": 1, "immature": 1, "excluded": 1}
    told = by_name(backtest(one, None))
    assert (told["vintage_observed"].n, told["vintage_observed"].events) == (3, 1)
    nothing = realised("2025-06", scores, outcomes.assign(outcome="immature"))
    assert by_name(backtest(nothing, 0.8))["vintage_observed"].value is None


def vintage(true_rate_over_pd: float, rows: int = 6000, seed: int = 2) -> Realised:
    draw = np.random.default_rng(seed)
    grade = draw.integers(1, 6, rows)
    pd_ = 0.01 * grade**1.3
    event = (draw.random(rows) < np.minimum(pd_ * true_rate_over_pd, 1.0)).astype(np.int8)
    return Realised("2025-06", pd_, grade, event, {})


def test_a_vintage_that_came_true_is_calm_and_one_twice_as_bad_is_not() -> None:
    right, wrong = (by_name(backtest(vintage(ratio), 0.6)) for ratio in (1.0, 2.0))
    assert right["vintage_oe"].low < 1.0 < right["vintage_oe"].high  # type: ignore[operator]
    assert right["vintage_understated"].value > 0.05 and right["vintage_grades_understated"].value > 0.05  # type: ignore[operator]
    assert wrong["vintage_oe"].low > 1.5 and wrong["vintage_understated"].value < 1e-6  # type: ignore[operator]
    assert wrong["vintage_grades_understated"].value < 0.01  # type: ignore[operator]
    assert by_name(backtest(vintage(1.0), 0.95))["vintage_auc_fall"].value > 0.2  # type: ignore[operator]


def test_the_interval_of_a_rate_is_jeffreys() -> None:
    """Golden: 1 of 10 and 0 of 10, R's qbeta(c(.025, .975), 1.5, 9.5) and qbeta(.975, .5, 10.5)."""
    assert rate_interval(1, 10) == pytest.approx((0.011011, 0.381315), abs=1e-5)
    assert rate_interval(0, 10) == pytest.approx((0.0, 0.217196), abs=1e-5)
