"""Selection: how unlike those without an outcome are to those whose outcomes the model learns from.

Only approved accounts have outcomes, yet everybody entitled is scored. Where the two populations don't overlap, a score is an
extrapolation and no test on outcomes can see its error; this is measured and told, never corrected silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.definition import LightgbmParameters
from models.discrimination import auc_interval
from models.lightgbm_model import BoosterScore, fit_booster
from models.sample import subject_share
from models.screening.stability import ALPHA, bin_counts, bin_edges, stability

#: Rows of each population looked at, spread evenly: an AUC is then known to 0.003.
ROWS = 20_000

#: Rows of each population below which no classifier is trained.
LEAST_ROWS = 50

#: A row is outside the support where its domain score exceeds this quantile of the labelled rows: 1 % of them lie there too.
SUPPORT = 0.99

FOLDS = 3

DOMAIN = LightgbmParameters(
    rounds=60, learning_rate=0.1, num_leaves=8, min_data_in_leaf=20, lambda_l2=10.0, feature_fraction=0.7,
    bagging_fraction=0.8, bagging_freq=1,
)  # fmt: skip


@dataclass(frozen=True)
class FeatureOverlap:
    """One feature: PSI with the limit that chance seldom passes, standardised difference of means, missing shares, share of those
    without an outcome beyond the labelled range (0.1 % to 99.9 % quantile)."""

    name: str
    psi: float
    psi_limit: float
    difference: float | None
    missing_labelled: float
    missing_unlabelled: float
    outside: float


@dataclass(frozen=True)
class Overlap:
    """Rows with and without an outcome, features by falling PSI, and how well a classifier tells the two apart (0.5: not at all).

    `outside_support`: share of rows without an outcome whose domain score hardly any labelled row reaches; about 1 % where the
    populations are alike. None where there are too few rows.
    """

    labelled: int
    unlabelled: int
    features: tuple[FeatureOverlap, ...]
    domain_auc: float | None
    domain_low: float | None
    domain_high: float | None
    outside_support: float | None


def overlap(
    labelled: np.ndarray,
    unlabelled: np.ndarray,
    names: Sequence[str],
    subjects: tuple[np.ndarray, np.ndarray],
    seed: int,
    threads: int = 1,
    *,
    unlabelled_rows: int | None = None,
) -> Overlap:
    """From features (n, p) of rows with an outcome and (m, p) of those without; `subjects` are the numbers (n,), (m,).
    `unlabelled_rows`: how many they are where only some were handed over.

    PSI as in `models.screening.stability` (Bonferroni over features); standardised difference (m1 - m0) / sqrt((v1 + v0) / 2)
    (Austin, Statistics in Medicine 28 (2009) 3083-3107); domain classifier out of fold by subject (Ben-David et al., Machine
    Learning 79 (2010) 151-175) with DeLong's interval.
    """
    one, other = spread(len(labelled)), spread(len(unlabelled))
    x, z = labelled[one], unlabelled[other]
    features = sorted(
        (_feature(name, x[:, i], z[:, i], len(names)) for i, name in enumerate(names)),
        key=lambda each: (-each.psi, each.name),
    )
    told: tuple[float | None, ...] = (None, None, None, None)
    if min(len(x), len(z)) >= LEAST_ROWS:
        told = _domain(x, z, names, (subjects[0][one], subjects[1][other]), seed, threads)
    others = len(unlabelled) if unlabelled_rows is None else unlabelled_rows
    return Overlap(len(labelled), others, tuple(features), *told)


def _feature(name: str, x: np.ndarray, z: np.ndarray, features: int) -> FeatureOverlap:
    edges = bin_edges(x)
    found = stability(bin_counts(x, edges), bin_counts(z, edges), ALPHA / max(features, 1))
    known, others = x[np.isfinite(x)], z[np.isfinite(z)]
    difference, outside = None, 0.0
    if len(known) > 1 and len(others) > 1:
        pooled = float(np.sqrt((known.var(ddof=1) + others.var(ddof=1)) / 2.0))
        difference = float(others.mean() - known.mean()) / pooled if pooled > 0.0 else None
    if len(known) and len(others):
        low, high = np.quantile(known, [0.001, 0.999])
        outside = float(((others < low) | (others > high)).sum() / len(z))
    return FeatureOverlap(
        name, found.psi, found.limit, difference, 1.0 - len(known) / len(x), 1.0 - len(others) / len(z), outside
    )  # fmt: skip


def _domain(
    x: np.ndarray,
    z: np.ndarray,
    names: Sequence[str],
    subjects: tuple[np.ndarray, np.ndarray],
    seed: int,
    threads: int,
) -> tuple[float, float, float, float]:
    """AUC with its interval, and the share of `z` outside the support of `x`, all out of fold."""
    matrix = np.concatenate([x, z])
    target = np.repeat(np.array([0, 1], dtype=np.int8), [len(x), len(z)])
    fold = (subject_share(np.concatenate(subjects), f"domain/{seed}") * FOLDS).astype(int)
    score = np.zeros(len(target))
    for number in range(FOLDS):
        fit, test = fold != number, fold == number
        if not test.any() or target[fit].min() == target[fit].max():
            continue
        fitted = fit_booster(matrix[fit], target[fit], names, {}, DOMAIN, threads=threads, seed=seed)
        score[test] = BoosterScore(fitted.text, names).log_odds(matrix[test], threads)
    found = auc_interval(target, score, confidence=0.95)
    limit = float(np.quantile(score[target == 0], SUPPORT))
    return found.auc, found.low, found.high, float((score[target == 1] > limit).mean())


def spread(rows: int) -> np.ndarray:
    """Positions of at most ROWS rows, evenly over all."""
    return np.unique(np.linspace(0, rows - 1, min(rows, ROWS)).astype(np.int64)) if rows else np.empty(0, int)
