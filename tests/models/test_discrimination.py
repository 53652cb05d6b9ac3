"""Discrimination against published and hand-worked numbers and the slow definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.discrimination import (
    auc,
    auc_difference,
    auc_interval,
    discrimination,
    kolmogorov_smirnov,
    roc_points,
)


def hanley() -> tuple[np.ndarray, np.ndarray]:
    """Ratings 1-5 of 109 CT images by one reader (Hanley and McNeil, Radiology 143 (1982) 29-36, table I)."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    score = np.concatenate([np.repeat(np.arange(1, 6), normal), np.repeat(np.arange(1, 6), abnormal)]).astype(
        float
    )
    return np.repeat([0, 1], [58, 51]), score


def test_delong_on_the_published_example() -> None:
    """AUC 0.8932, standard error 0.0307, 95 % interval 0.83295-0.95339: Stata's manual, entry roctab, on these data."""
    estimate = auc_interval(*hanley())
    assert estimate.auc == pytest.approx(0.8932, abs=5e-5)
    assert estimate.standard_error == pytest.approx(0.0307, abs=5e-5)
    assert estimate.low == pytest.approx(0.83295, abs=5e-6)
    assert estimate.high == pytest.approx(0.95339, abs=5e-6)


def test_delong_by_hand() -> None:
    # Events 3, 1; others 2, 0. Placements of events: 1, 1/2; of others: 1/2, 1. Variance 1/8 each over 2: se = sqrt(1/8).
    estimate = auc_interval(np.array([1, 1, 0, 0]), np.array([3.0, 1.0, 2.0, 0.0]))
    assert estimate.auc == 0.75
    assert estimate.standard_error == pytest.approx(np.sqrt(0.125 / 2 + 0.125 / 2))


@given(seed=st.integers(0, 10_000))
def test_delong_equals_its_definition(seed: int) -> None:
    draw = np.random.default_rng(seed)
    target = np.append(draw.integers(0, 2, 30), [0, 0, 1, 1])
    a, b = draw.integers(0, 6, (2, 34)).astype(float)

    def kernel(score: np.ndarray) -> np.ndarray:
        events, others = score[target == 1], score[target == 0]
        return (events[:, None] > others) + 0.5 * (events[:, None] == others)

    ka, kb = kernel(a), kernel(b)
    m, n = ka.shape
    variance = ka.mean(1).var(ddof=1) / m + ka.mean(0).var(ddof=1) / n
    assert auc(target, a) == pytest.approx(ka.mean())
    assert auc_interval(target, a).standard_error == pytest.approx(np.sqrt(variance))
    both = auc_difference(target, a, b)
    apart = (ka - kb).mean(1).var(ddof=1) / m + (ka - kb).mean(0).var(ddof=1) / n
    assert both.difference == pytest.approx(ka.mean() - kb.mean())
    assert both.standard_error == pytest.approx(np.sqrt(apart))


def test_measures_by_hand() -> None:
    target = np.array([1, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    score = np.arange(10, 0, -1).astype(float)
    found = discrimination(target, score)
    assert found is not None
    assert found.auc.auc == pytest.approx(15 / 16)
    assert found.gini == pytest.approx(14 / 16)
    assert found.ks == pytest.approx(1 - 1 / 8)
    assert (found.top_decile_rate, found.top_decile_capture) == (1.0, 0.5)
    assert kolmogorov_smirnov(target, -score) == pytest.approx(7 / 8)
    assert discrimination(np.zeros(5, dtype=int), np.arange(5.0)) is None


def test_the_roc_curve_holds_the_auc() -> None:
    target, score = hanley()
    false_rate, true_rate = roc_points(target, score)
    assert (false_rate[0], true_rate[0], false_rate[-1], true_rate[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true_rate, false_rate) == pytest.approx(auc(target, score))


def test_a_difference_of_repeated_rows_is_no_surer_than_of_one_each() -> None:
    """Three vintages with the same rows say no more than one; DeLong's own interval would shrink by sqrt(3)."""
    draw = np.random.default_rng(5)
    target = (draw.random(300) < 0.2).astype(np.int8)
    first, second = target + draw.normal(size=300), target * 0.7 + draw.normal(size=300)
    once = auc_difference(target, first, second, cluster=np.arange(300))
    thrice = auc_difference(
        *(np.tile(x, 3) for x in (target, first, second)), cluster=np.tile(np.arange(300), 3)
    )
    naive = auc_difference(*(np.tile(x, 3) for x in (target, first, second)))
    plain = auc_difference(target, first, second)
    assert thrice.difference == pytest.approx(once.difference)
    assert thrice.standard_error == pytest.approx(once.standard_error, rel=1e-9)
    assert once.standard_error == pytest.approx(plain.standard_error, rel=1e-9)
    assert naive.standard_error < 0.6 * thrice.standard_error
