"""Stability and movement of grades against hand-worked numbers and scipy; chance levels by simulation."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from models.validation.grade_movement import (
    concentration,
    concentration_p,
    herfindahl,
    migration,
    migration_matrix,
    mobility,
)
from models.validation.scored_sample import ScoredSample
from models.validation.stability import (
    feature_psi,
    gini_over_vintages,
    rank_between_vintages,
    score_psi,
    stability_findings,
)
from tests.models.validation.worlds import VINTAGES, calibrated, panel, scored


def test_the_score_psi_by_hand() -> None:
    """Ten values of 900 rows: the first two share a bin. Now 2,600 rows there and 800 in each of the other eight, of 9,000.

    (26/90 - 18/90) ln(26/18) + 8 (8/90 - 9/90) ln(8/9).
    """
    reference = np.repeat(np.arange(10) / 10 + 0.05, 900)
    now = np.repeat(np.arange(10) / 10 + 0.05, [1800] + [800] * 9)
    expected = 8 / 90 * np.log(26 / 18) - 8 * 1 / 90 * np.log(8 / 9)
    found = score_psi(reference, now)
    assert found.value == pytest.approx(expected)
    assert found.verdict == "pass"
    shifted = np.repeat(np.arange(10) / 10 + 0.05, [4500] + [500] * 9)
    assert score_psi(reference, shifted).verdict == "fail"


def test_few_rows_do_not_accuse() -> None:
    """Without drift 0.1 is passed in most samples of 50 rows; the limit that knows of size keeps 1 %."""
    loud = alarms = 0
    for seed in range(300):
        draw = np.random.default_rng(seed)
        found = score_psi(draw.random(50), draw.random(50))
        assert found.value is not None
        loud += found.value > 0.1
        alarms += found.verdict != "pass"
    assert loud / 300 > 0.6
    assert alarms / 300 <= 0.03


def test_the_feature_that_moved_is_named() -> None:
    draw = np.random.default_rng(1)
    then, now = draw.normal(size=(5_000, 3)), draw.normal(size=(5_000, 3))
    names = ("a", "b", "c")
    assert feature_psi(then, now, names).verdict == "pass"
    now[:, 1] += 1.0
    now[:2_000, 2] = np.nan
    found = feature_psi(then, now, names)
    assert (found.about, found.verdict) == ("c", "fail")
    assert [row[0] for row in found.details[0].rows] == ["c", "b", "a"]
    assert found.details[0].rows[0][-1] == pytest.approx(0.4)


def test_the_home_credit_metric_by_hand() -> None:
    """Ginis 0.6, 0.5, 0.5, 0.4 over four months: slope -0.06, residuals 0.01, -0.03, 0.03, -0.01 (sd sqrt(0.0005))."""
    found = gini_over_vintages(with_ginis([0.6, 0.5, 0.5, 0.4]))
    slope, metric = found
    assert slope.value == pytest.approx(-0.06)
    assert metric.value == pytest.approx(0.5 + 88 * -0.06 / (52 / 12) - 0.5 * np.sqrt(0.0005))
    # se = sqrt(0.002 / 2 / 5); Student's t with 2 degrees of freedom at 95 %: 4.302653
    reach = 4.302653 * np.sqrt(0.002 / 2 / 5)
    assert slope.interval is not None and slope.interval.high == pytest.approx(-0.06 + reach, abs=1e-6)
    assert slope.verdict == "unproven"
    falling = gini_over_vintages(with_ginis([0.7, 0.6, 0.5, 0.4]))[0]
    assert falling.verdict == "fail"
    assert gini_over_vintages(with_ginis([0.7, 0.6]))[0].verdict == "unmeasured"


def with_ginis(ginis: list[float]) -> ScoredSample:
    """Vintages of one event among 20 rows whose rank gives each Gini: it beats 10 (1 + Gini) of the 20 others."""
    pd, y, months = [], [], []
    for number, gini in enumerate(ginis):
        beaten = round(10 * (1 + gini))
        pd += [*(np.arange(1, 21) / 30), (beaten + 0.5) / 30]
        y += [0] * 20 + [1]
        months += [f"2026-0{number + 1}"] * 21
    return scored(np.array(pd), np.array(y), np.array(months), np.tile(np.arange(21), len(ginis)))


def test_ranks_between_months_equal_scipy() -> None:
    sample, _ = panel(500)
    found = rank_between_vintages(sample)
    pairs = [sample.pd[sample.vintage == month] for month in VINTAGES]
    told = [spearmanr(a, b).statistic for a, b in ((pairs[0], pairs[1]), (pairs[1], pairs[2]))]
    assert [row[-1] for row in found.details[0].rows] == pytest.approx(told)
    assert found.value == pytest.approx(min(told)) and found.verdict == "pass"
    draw = np.random.default_rng(0)
    order = draw.permutation(len(sample))
    mixed = ScoredSample(
        sample.pd[order], sample.outcome, sample.vintage, sample.subject_no, sample.grade[order]
    )
    assert rank_between_vintages(mixed).verdict == "fail"
    assert rank_between_vintages(calibrated(20)).verdict == "unmeasured"
    apart = scored(np.full(4, 0.1), [0, 1, 0, 1], np.array(["2026-01"] * 2 + ["2026-02"] * 2), np.arange(4))
    assert rank_between_vintages(apart).verdict == "unmeasured"


def test_mobility_by_hand() -> None:
    """Of grade 1 8 of 10 stay, of grade 2 half, of grade 3 all, nobody was in grade 4: (3 - 2.3) / 2."""
    before = np.repeat([1, 2, 3], [10, 10, 5])
    after = np.array([1] * 8 + [2] * 2 + [2] * 5 + [4] * 5 + [3] * 5)
    counts = migration_matrix(before, after, 4)
    assert counts.tolist() == [[8, 2, 0, 0], [0, 5, 0, 5], [0, 0, 5, 0], [0, 0, 0, 0]]
    assert mobility(counts) == pytest.approx(0.35)
    assert mobility(np.diag([3, 0])) is None


def test_migration_follows_subjects_not_places() -> None:
    months = np.repeat(["2026-01", "2026-02"], 4)
    who = np.array([1, 2, 3, 4, 4, 3, 2, 1])
    grade = np.array([1, 2, 3, 4, 4, 3, 2, 3])
    sample = ScoredSample(np.full(8, 0.1), np.zeros(8, int), months, who, grade, 4)
    moves, jumps = migration(sample)
    assert moves.value == pytest.approx(1 / 3)
    assert jumps.value == pytest.approx(0.25)
    assert migration(calibrated(10))[0].verdict == "unmeasured"


def test_concentration_by_hand() -> None:
    """All in one of ten: 1. Even: 0. Half and half of four: 1 + ln(1/2) / ln 4 = 1/2."""
    assert herfindahl(np.eye(10)[0]) == pytest.approx(1.0)
    assert herfindahl(np.full(10, 0.1)) == pytest.approx(0.0, abs=1e-12)
    assert herfindahl(np.array([0.5, 0.5, 0.0, 0.0])) == pytest.approx(0.5)
    # c = sqrt(4 * 4 * 1/16) = 1 against c0 = 0: sqrt(3) / sqrt(1.5) = sqrt 2; 1 - Phi(sqrt 2) = 0.0786496
    p = concentration_p(np.array([0.5, 0.5, 0.0, 0.0]), np.full(4, 0.25))
    assert p == pytest.approx(0.0786496, abs=1e-7)
    assert concentration_p(np.full(4, 0.25), np.full(4, 0.25)) is None


def crowding(share: float) -> ScoredSample:
    """1,000 subjects even over ten grades, and a month later with `share` of them in grade 5 and the others even."""
    months = np.repeat(["2026-01", "2026-02"], 1_000)
    even = np.tile(np.arange(1, 11), 100)
    rest = np.array([1, 2, 3, 4, 6, 7, 8, 9, 10])[np.arange(1_000) % 9]
    later = np.where(np.arange(1_000) < 1_000 * share, 5, rest)
    who = np.tile(np.arange(1_000), 2)
    return ScoredSample(np.full(2_000, 0.1), np.zeros(2_000, int), months, who, np.append(even, later))


def test_grades_that_crowd_are_told() -> None:
    """40 % in one of ten grades: c = 1, p = 1 - Phi(3 / sqrt(1.5)) = 0.0072. 95 %: the level fails, the test has no power."""
    level, change = concentration(crowding(0.4))
    assert level.verdict == "pass" and change.verdict == "warn"
    assert change.p_value == pytest.approx(0.0072, abs=2e-4)
    level, change = concentration(crowding(0.95))
    assert level.verdict == "fail" and change.verdict == "pass"


def test_without_a_reference_nothing_is_said_of_drift() -> None:
    sample, features = panel(100)
    names = {each.name for each in stability_findings(sample)}
    assert "stability.score_psi" not in names
    drift = stability_findings(sample, sample, features.matrix, features.matrix, features.names)
    assert {"stability.score_psi", "stability.feature_psi"} <= {each.name for each in drift}
