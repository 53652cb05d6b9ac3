"""Scored samples with a known truth that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.points import probability
from models.validation.scored_sample import ScoredSample
from models.validation.stress import StressedFeatures

VINTAGES = ("2026-01", "2026-02", "2026-03")

#: Log-odds between grades 1 … 10.
BOUNDS = np.array([-5.0, -4.5, -4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0])

NAMES = ("tax_late", "tax_sales", "si_months", "power_bill", "noise")
SIGNS = {"tax_late": 1, "tax_sales": -1, "si_months": -1}
WEIGHTS = np.array([0.9, -0.7, -0.5, 0.3, 0.0])


def grade_of(pd: np.ndarray) -> np.ndarray:
    """Grade 1 (best) … 10 of a probability."""
    return (np.searchsorted(BOUNDS, np.log(pd) - np.log1p(-pd)) + 1).astype(np.int8)


def scored(
    pd: np.ndarray,
    outcome: np.ndarray,
    vintage: np.ndarray | None = None,
    subject_no: np.ndarray | None = None,
    segments: Mapping[str, np.ndarray] | None = None,
) -> ScoredSample:
    """One vintage, one row a subject, unless told otherwise."""
    n = len(pd)
    return ScoredSample(
        np.asarray(pd, dtype=np.float64),
        np.asarray(outcome, dtype=np.int8),
        np.full(n, VINTAGES[-1]) if vintage is None else vintage,
        np.arange(n) if subject_no is None else subject_no,
        grade_of(np.clip(np.asarray(pd, dtype=np.float64), 1e-6, 1 - 1e-6)),
        10,
        segments or {},
    )


def calibrated(n: int, seed: int = 0, spread: float = 1.0, centre: float = -2.5) -> ScoredSample:
    """Scores that are the true probabilities."""
    draw = np.random.default_rng(seed)
    pd = probability(centre + spread * draw.normal(size=n))
    return scored(pd, draw.random(n) < pd)


def scorer(matrix: np.ndarray) -> np.ndarray:
    """The model of `panel`: logistic in the five features, a missing one at its mean of 0."""
    return probability(np.nan_to_num(matrix) @ WEIGHTS - 2.5)


def panel(subjects: int = 2_000, seed: int = 0) -> tuple[ScoredSample, StressedFeatures]:
    """The same subjects in three vintages, features that move a little, and scores that are true."""
    draw = np.random.default_rng(seed)
    own = draw.normal(size=(subjects, len(NAMES)))
    matrix = np.concatenate([own + 0.2 * draw.normal(size=own.shape) for _ in VINTAGES])
    matrix[draw.random(matrix.shape) < 0.05] = np.nan
    pd = scorer(matrix)
    region = np.tile(draw.choice(["5301", "5325"], subjects), len(VINTAGES))
    sample = scored(
        pd,
        draw.random(len(pd)) < pd,
        np.repeat(VINTAGES, subjects),
        np.tile(np.arange(subjects), len(VINTAGES)),
        {"region": region},
    )
    late = np.full_like(matrix, np.nan)
    late[subjects:] = matrix[:-subjects]
    features = StressedFeatures(
        matrix,
        NAMES,
        {"tax": NAMES[:2], "social_insurance": NAMES[2:3], "power": NAMES[3:4]},
        SIGNS,
        ("tax_sales", "power_bill"),
        {1: late},
    )
    return sample, features
