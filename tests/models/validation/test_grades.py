"""Grade tests: published numbers, riskval as oracle, and many tests at once."""

import numpy as np
import pytest
import riskval
from hypothesis import given
from hypothesis import strategies as st

from models.validation.grades import (
    binomial,
    grade_findings,
    grade_order,
    grade_tests,
    holm,
    jeffreys,
    traffic_light,
)
from models.validation.scored_sample import ScoredSample
from tests.models.validation.worlds import calibrated


@given(rows=st.integers(1, 5_000), share=st.floats(0, 1), pd=st.floats(0.0005, 0.6))
def test_grade_tests_equal_riskval(rows: int, share: float, pd: float) -> None:
    hits = round(rows * share * 0.3)
    args = (np.array([hits]), np.array([rows]), np.array([pd]))
    assert jeffreys(*args)[0] == pytest.approx(riskval.jeffreys_test(rows, hits, pd).pvalue, rel=1e-9)
    assert binomial(*args)[0] == pytest.approx(riskval.binomial_test(rows, hits, pd).pvalue, rel=1e-9)
    # Jeffreys' p lies between P(X > hits) and P(X >= hits).
    assert binomial(np.array([hits + 1]), *args[1:])[0] <= jeffreys(*args)[0] <= binomial(*args)[0] + 1e-12


def test_without_defaults_only_jeffreys_knows_how_many_rows_there_were() -> None:
    """0.477, 0.955 and 1.000 for 0 of 20, 200 and 20,000 at 1 %: the documented example of riskval 0.1.1."""
    rows, none, pd = np.array([20, 200, 20_000]), np.zeros(3), np.full(3, 0.01)
    assert jeffreys(none, rows, pd) == pytest.approx([0.477, 0.955, 1.0], abs=5e-4)
    assert binomial(none, rows, pd).tolist() == [1.0, 1.0, 1.0]


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]


def test_traffic_lights() -> None:
    assert [traffic_light(p) for p in (0.05, 0.049, 0.01, 0.0099)] == ["green", "yellow", "yellow", "red"]


def test_a_right_scale_seldom_warns_and_an_understated_grade_fails() -> None:
    verdicts = [grade_tests(calibrated(2_000, seed, spread=1.2)).verdict for seed in range(100)]
    assert sum(verdict != "pass" for verdict in verdicts) <= 10
    right = calibrated(6_000, seed=1, spread=1.2)
    low = ScoredSample(
        np.where(right.grade == 8, right.pd / 2, right.pd),
        right.outcome,
        right.vintage,
        right.subject_no,
        right.grade,
    )
    found = grade_tests(low)
    assert found.verdict == "fail"
    lights = {row[0]: row[-1] for row in found.details[0].rows}
    assert lights[8] == "red"
    assert "40%" in found.note.en if found.note is not None and len(lights) == 10 else True


def test_grades_turned_round_are_found_and_luck_is_not() -> None:
    right = calibrated(6_000, seed=2, spread=1.2)
    assert grade_order(right).verdict == "pass"
    swapped = right.grade.copy()
    swapped[right.grade == 9], swapped[right.grade == 4] = 4, 9
    # The pd goes with the grade's label, the outcomes don't.
    means = {grade: right.pd[right.grade == grade].mean() for grade in np.unique(right.grade)}
    pd = np.array([means[grade] for grade in swapped])
    turned = ScoredSample(pd, right.outcome, right.vintage, right.subject_no, swapped)
    assert grade_order(turned).verdict == "fail"


def test_one_grade_or_no_rows_is_unmeasured() -> None:
    empty = ScoredSample(*(np.empty(0),) * 2, np.empty(0, dtype=str), np.empty(0), np.empty(0, dtype=int))
    assert grade_tests(empty).verdict == "unmeasured"
    one = calibrated(50).take(np.flatnonzero(calibrated(50).grade == 6))
    assert grade_order(one).verdict == "unmeasured"
    assert len(grade_findings(calibrated(100))) == 2
