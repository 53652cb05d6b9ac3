"""Calibration meets the central tendency and keeps the order; grades are monotone bands of points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import fit_calibration
from models.definition import GradeParameters
from models.grades import grade_scale
from models.points import log_odds, points_of, probability


def world(rows: int, seed: int = 0, slope: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Raw scores that are too bold by 1 / slope."""
    draw = np.random.default_rng(seed)
    raw = draw.normal(-2.0, 1.5, rows)
    return raw, (draw.random(rows) < probability(slope * raw - 0.5)).astype(np.int8)


@pytest.mark.parametrize("rows", [300, 20_000])
@pytest.mark.parametrize("tendency", [None, 0.02, 0.25])
def test_the_mean_is_the_central_tendency(rows: int, tendency: float | None) -> None:
    raw, y = world(rows)
    calibration = fit_calibration(raw, y, central_tendency=tendency)
    assert calibration.kind == ("platt" if rows == 300 else "isotonic")
    mean = probability(calibration.apply(raw)).mean()
    assert mean == pytest.approx(y.mean() if tendency is None else tendency, abs=1e-6)


def test_platt_finds_the_slope_that_made_the_data() -> None:
    raw, y = world(3_500, slope=0.5)
    calibration = fit_calibration(raw, y)
    assert calibration.kind == "platt"
    assert calibration.slope == pytest.approx(0.5, abs=0.1)


def test_isotonic_agrees_with_the_truth_by_band() -> None:
    raw, y = world(60_000)
    p = probability(fit_calibration(raw, y).apply(raw))
    bands = np.digitize(raw, np.quantile(raw, np.arange(0.1, 1.0, 0.1)))
    for band in range(10):
        assert p[bands == band].mean() == pytest.approx(y[bands == band].mean(), abs=0.004)


def test_weights_count_repeated_scores_of_a_subject_once() -> None:
    raw, y = world(200)
    once = fit_calibration(raw, y)
    often = fit_calibration(np.tile(raw, 5), np.tile(y, 5), np.full(1000, 0.2))
    assert often.slope == pytest.approx(once.slope, abs=1e-9)
    assert often.shift == pytest.approx(once.shift, abs=1e-9)
    assert (often.rows, often.events) == (once.rows, once.events)


@given(seed=st.integers(0, 10_000), worthless=st.booleans())
def test_calibration_never_turns_two_rows_round(seed: int, worthless: bool) -> None:
    draw = np.random.default_rng(seed)
    raw, y = world(80, seed)
    if worthless:
        y = (raw < np.median(raw)).astype(np.int8)  # the score is upside down
    y[:2] = [0, 1]
    calibration = fit_calibration(raw, y)
    ordered = calibration.apply(np.sort(draw.normal(0, 10, 50)))
    assert (np.diff(ordered) >= 0).all()
    assert np.isfinite(ordered).all()


def test_a_constant_score_gives_everybody_the_central_tendency() -> None:
    calibration = fit_calibration(np.full(50, -1.0), np.array([1, 0, 0, 0, 0] * 10))
    assert probability(calibration.apply(np.full(3, -1.0))) == pytest.approx([0.2] * 3, abs=1e-9)


@given(tendency=st.floats(0.001, 0.6), step=st.floats(5.0, 30.0))
def test_grades_are_monotone_bands_of_equal_points(tendency: float, step: float) -> None:
    scale = grade_scale(GradeParameters(count=10, step_points=step), tendency)
    upper = scale.upper_probabilities()
    assert len(upper) == 10
    assert all(a < b for a, b in zip(upper, upper[1:], strict=False))
    assert np.diff(points_of(np.array(scale.bounds))) == pytest.approx([-step] * 8)
    assert upper[4] == pytest.approx(tendency)
    odds = log_odds(np.linspace(0.0005, 0.999, 200))
    assert (np.diff(scale.of(odds)) >= 0).all()
    assert set(scale.of(np.array([-50.0, 50.0]))) == {1, 10}


def test_grade_1_is_the_likeliest_response_of_an_acquisition_model() -> None:
    scale = grade_scale(GradeParameters(), 0.02, event_is_wanted=True)
    assert scale.of(log_odds(np.array([0.5, 0.0001]))).tolist() == [1, 10]
