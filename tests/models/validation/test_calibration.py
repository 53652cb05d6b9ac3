"""Calibration against hand-worked and published numbers, riskval and scikit-learn; sizes of the tests by simulation."""

import numpy as np
import pytest
import riskval
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from sklearn.metrics import brier_score_loss

from models.points import probability
from models.validation.calibration import (
    brier,
    calibration_findings,
    cox,
    expected_calibration_error,
    expected_observed,
    hosmer_lemeshow,
    ratio_interval,
    spiegelhalter,
)
from models.validation.finding import Finding
from models.validation.scored_sample import ScoredSample, log_odds_of
from tests.models.validation.worlds import calibrated, panel, scored


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {each.name.partition(".")[2]: each for each in findings}


def test_hosmer_lemeshow_by_hand() -> None:
    """Three groups of 100 at 10, 20 and 30 % with 12, 18 and 36 events: 4/9 + 4/16 + 36/21."""
    pd = np.repeat([0.1, 0.2, 0.3], 100)
    y = np.concatenate([np.arange(100) < hits for hits in (12, 18, 36)])
    found = hosmer_lemeshow(scored(pd, y), groups=3)
    assert found.value == pytest.approx(4 / 9 + 4 / 16 + 36 / 21)
    assert found.p_value == pytest.approx(chi2.sf(4 / 9 + 4 / 16 + 36 / 21, 3))
    inside = hosmer_lemeshow(scored(pd, y), groups=3, in_sample=True)
    assert inside.p_value == pytest.approx(chi2.sf(4 / 9 + 4 / 16 + 36 / 21, 1))


@given(seed=st.integers(0, 200))
def test_tests_equal_riskval(seed: int) -> None:
    sample = calibrated(400, seed)
    ours = hosmer_lemeshow(sample)
    theirs = riskval.hosmer_lemeshow(sample.outcome, sample.pd, n_bins=10, df=10)
    assert ours.value == pytest.approx(theirs.statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    z = riskval.spiegelhalter_z(sample.outcome, sample.pd)
    assert spiegelhalter(sample).value == pytest.approx(z.statistic)
    assert spiegelhalter(sample).p_value == pytest.approx(z.pvalue)
    joint = riskval.cox_calibration_test(sample.outcome, sample.pd)
    found = by_name(cox(sample))
    assert found["cox_slope"].value == pytest.approx(joint.detail["slope"], rel=1e-6)
    assert found["cox_joint"].value == pytest.approx(joint.statistic, rel=1e-5, abs=1e-7)
    assert found["cox_joint"].p_value == pytest.approx(joint.pvalue, rel=1e-5)


def test_spiegelhalter_by_hand() -> None:
    """One event at 20 %: (0.8 * 0.6) / sqrt(0.16 * 0.36) = 2."""
    assert spiegelhalter(scored(np.array([0.2]), [1])).value == pytest.approx(2.0)


def test_out_of_sample_the_degrees_are_the_groups() -> None:
    """Of a right model the test rejects 5 % with G degrees; with G - 2 it rejects about twice as often."""
    right = wrong = 0
    for seed in range(400):
        found = hosmer_lemeshow(calibrated(1_000, seed, spread=0.7, centre=-1.5))
        assert found.value is not None and found.p_value is not None
        right += found.p_value < 0.05
        wrong += chi2.sf(found.value, 8) < 0.05
    assert 0.025 < right / 400 < 0.08
    assert wrong / 400 > 0.08


@given(seed=st.integers(0, 200))
def test_the_parts_of_the_brier_score_add_up(seed: int) -> None:
    sample = calibrated(300, seed)
    found = by_name(brier(sample))
    assert found["brier"].value == pytest.approx(brier_score_loss(sample.outcome, sample.pd))
    parts = {str(name): float(value or 0) for name, value in found["brier"].details[0].rows}  # type: ignore[arg-type]
    whole = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
    assert whole + parts["within_variance"] - parts["within_covariance"] == pytest.approx(
        found["brier"].value
    )


def test_brier_by_hand_and_the_skill_of_the_base_rate() -> None:
    # Two groups at 0.2 and 0.6; rates 0 and 1; base 1/2: reliability (0.04 + 0.16) / 2, resolution 1/4, uncertainty 1/4.
    sample = scored(np.array([0.2, 0.2, 0.6, 0.6]), [0, 0, 1, 1])
    rows = dict(by_name(brier(sample))["brier"].details[0].rows)  # type: ignore[arg-type]
    assert rows["reliability"] == pytest.approx(0.1)
    assert (rows["resolution"], rows["uncertainty"]) == pytest.approx((0.25, 0.25))
    flat = scored(np.full(50, 0.02), np.arange(50) < 1)
    found = by_name(brier(flat))
    assert found["brier"].value == pytest.approx(0.0196)
    assert found["brier_skill"].value == pytest.approx(0.0)


def test_a_stretched_score_has_half_the_slope_and_fails() -> None:
    sample = calibrated(8_000, seed=3)
    stretched = scored(probability(2.0 * log_odds_of(sample.pd) + 2.5), sample.outcome)
    found = by_name(cox(stretched))
    assert found["cox_slope"].value == pytest.approx(0.5 * (by_name(cox(sample))["cox_slope"].value or 0))
    assert found["cox_slope"].verdict == "fail"
    assert by_name(cox(sample))["cox_slope"].verdict == "pass"


def test_a_slope_that_differs_by_nothing_material_passes() -> None:
    """200,000 rows prove a slope of 0.96; the band says that it doesn't matter, the joint test only warns."""
    sample = calibrated(200_000, seed=5)
    bent = scored(probability(log_odds_of(sample.pd) / 0.96), sample.outcome)
    found = by_name(cox(bent))
    interval = found["cox_slope"].interval
    assert interval is not None and interval.high < 1.0
    assert found["cox_slope"].verdict == "pass"
    assert found["cox_joint"].verdict == "warn"


def test_observed_over_expected_by_hand() -> None:
    pd, y = np.full(400, 0.1), np.arange(400) < 60
    found = expected_observed(scored(pd, y))
    assert found.value == pytest.approx(1.5)
    # Residuals y - 1.5 pd = y - 0.15: sum of squares 60 * 0.7225 + 340 * 0.0225 = 51; error sqrt(51 * 400/399) / 40 / 1.5.
    error = np.sqrt(51 * 400 / 399) / 40 / 1.5
    assert found.interval is not None
    assert found.interval.low == pytest.approx(1.5 * np.exp(-1.959964 * error), rel=1e-6)
    assert found.verdict == "warn"


def test_vintages_of_a_subject_do_not_narrow_an_interval() -> None:
    one = calibrated(500, seed=7)
    who = np.tile(np.arange(500), 3)
    three = ScoredSample(
        np.tile(one.pd, 3), np.tile(one.outcome, 3), np.repeat(["2026-01", "2026-02", "2026-03"], 500), who,
        np.tile(one.grade, 3),
    )  # fmt: skip
    a, b = ratio_interval(one), ratio_interval(three)
    assert (a.low, a.high) == pytest.approx((b.low, b.high), rel=1e-9)
    slope_a, slope_b = (by_name(cox(each))["cox_slope"].interval for each in (one, three))
    assert slope_a is not None and slope_b is not None
    assert (slope_a.low, slope_a.high) == pytest.approx((slope_b.low, slope_b.high), rel=1e-7)
    # What takes rows as independent sees one vintage only.
    assert {
        each.n for each in calibration_findings(three) if "hosmer" in each.name or "spiegel" in each.name
    } == {500}


def test_the_robust_error_equals_the_usual_one_where_the_model_is_right() -> None:
    sample = calibrated(20_000, seed=9)
    ours = by_name(cox(sample))["cox_slope"].interval
    theirs = riskval.cox_calibration_test(sample.outcome, sample.pd).detail["se_slope"]
    assert ours is not None
    assert (ours.high - ours.low) / 2 / 1.959964 == pytest.approx(theirs, rel=0.03)


def test_the_calibration_error_by_hand_and_its_chance() -> None:
    pd = np.repeat([0.1, 0.3], 50)
    y = np.concatenate([np.arange(50) < 10, np.arange(50) < 12])
    assert expected_calibration_error(scored(pd, y)).value == pytest.approx(0.5 * 0.1 + 0.5 * 0.06)
    alarms = sum(expected_calibration_error(calibrated(500, seed)).verdict != "pass" for seed in range(200))
    assert alarms / 200 < 0.1  # an error of 0.01 would be passed in nearly every one of them
    wrong = scored(np.clip(calibrated(5_000, 1).pd * 2, 0, 0.99), calibrated(5_000, 1).outcome)
    assert expected_calibration_error(wrong).verdict == "fail"


def test_what_cannot_be_fitted_is_unmeasured() -> None:
    apart = scored(np.array([0.1, 0.2, 0.8, 0.9]), [0, 0, 1, 1])
    assert {each.verdict for each in cox(apart)} == {"unmeasured"}
    assert {each.verdict for each in calibration_findings(scored(np.full(9, 0.1), np.zeros(9)))} == {
        "unmeasured"
    }
    assert hosmer_lemeshow(scored(np.full(9, 0.1), np.arange(9) < 2)).verdict == "unmeasured"


def test_the_newest_vintage_with_both_outcomes_stands_for_independent_rows() -> None:
    sample, _ = panel(200)
    last = sample.vintage_no == 2
    hopeless = ScoredSample(
        sample.pd, np.where(last, 0, sample.outcome), sample.vintage, sample.subject_no, sample.grade
    )
    assert set(sample.independent().vintage) == {"2026-03"}
    assert set(hopeless.independent().vintage) == {"2026-02"}
