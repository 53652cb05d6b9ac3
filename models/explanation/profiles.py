"""How the score moves as features do: partial dependence with bands, every step against a declared sign, interactions of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from models.explanation.explanation import ConstraintCheck, Interaction, Profile
from models.explanation.scored_model import ScoredModel

#: Points of a profile: quantiles of the feature, rounded so that no point is one subject's value.
_QUANTILES = np.linspace(0.01, 0.99, 13)
_DIGITS = 3

#: Quantiles of individual curves that bound the band.
_BAND = (0.1, 0.9)

#: Rows moved over every step of the function, steps of one feature at most, and rows of the H statistic (squared in its cost).
_CHECKED_ROWS, _MOST_STEPS, _PAIR_ROWS = 100, 120, 60

#: Differences of log-odds below it are rounding.
_ROUNDING = 1e-9


def profile(
    model: ScoredModel, matrix: np.ndarray, name: str, place: int, sign: int, threads: int
) -> Profile:
    """Partial dependence (Friedman, Annals of Statistics 29 (2001) 1189-1232) in PD, with the band that holds 80 % of the
    individual curves (Goldstein et al., J. Computational and Graphical Statistics 24 (2015) 44-65).
    """
    known = matrix[~np.isnan(matrix[:, place]), place]
    levels = (
        np.unique([float(f"{v:.{_DIGITS}g}") for v in np.quantile(known, _QUANTILES)])
        if len(known)
        else np.empty(0)
    )
    told = [_at(model, matrix, place, level, threads) for level in (*levels, np.nan)]
    return Profile(
        name,
        sign,
        tuple(levels.tolist()),
        tuple(each[0] for each in told[:-1]),
        tuple(each[1] for each in told[:-1]),
        tuple(each[2] for each in told[:-1]),
        told[-1],
    )


def _at(
    model: ScoredModel, matrix: np.ndarray, place: int, level: float, threads: int
) -> tuple[float, float, float]:
    moved = matrix.copy()
    moved[:, place] = level
    pd = model.probability(model.log_odds(moved, threads))
    low, high = np.quantile(pd, _BAND)
    return float(pd.mean()), float(low), float(high)


def check_constraints(
    model: ScoredModel, matrix: np.ndarray, signed: Sequence[tuple[str, int, int]], threads: int
) -> Iterator[ConstraintCheck]:
    """Each feature with a declared sign is moved over the model's own cuts.

    Between two cuts the function is flat, so that where all of them are visited no step is missed for these rows. Why beside the
    sweep of validation over five quantiles: a step between two quantiles is seen here. A missing value has no order.
    """
    rows = (
        matrix[np.linspace(0, len(matrix) - 1, min(len(matrix), _CHECKED_ROWS)).astype(int)]
        if len(matrix)
        else matrix
    )
    for name, place, sign in signed:
        cuts = model.cuts(place)
        every = len(cuts) <= _MOST_STEPS
        if not every:
            cuts = cuts[np.linspace(0, len(cuts) - 1, _MOST_STEPS).astype(int)]
        if not len(cuts) or not len(rows):
            yield ConstraintCheck(name, sign, 0, 0, 0.0, every)
            continue
        levels = np.append(cuts, np.nextafter(cuts[-1], np.inf))
        moved = np.repeat(rows, len(levels), axis=0)
        moved[:, place] = np.tile(levels, len(rows))
        steps = np.diff(model.log_odds(moved, threads).reshape(len(rows), len(levels)), axis=1) * sign
        against = steps < -_ROUNDING
        yield ConstraintCheck(
            name, sign, int(steps.size), int(against.sum()), float(-steps[against].min()) if against.any() else 0.0, every
        )  # fmt: skip


def interactions(
    model: ScoredModel, matrix: np.ndarray, features: Sequence[tuple[str, int]], threads: int
) -> list[Interaction]:
    """Friedman's H for every pair, strongest first: H^2 = sum (F_jk - F_j - F_k)^2 / sum F_jk^2 over centred partial dependences
    of raw log-odds (Friedman and Popescu, Annals of Applied Statistics 2 (2008) 916-954, eq. 44). Zero for a scorecard.
    """
    rows = matrix[np.linspace(0, len(matrix) - 1, min(len(matrix), _PAIR_ROWS)).astype(int)]
    single = {place: _dependence(model, rows, (place,), threads) for _, place in features}
    found = []
    for (first, j), (second, k) in combinations(features, 2):
        both = _dependence(model, rows, (j, k), threads)
        size = float((both**2).sum())
        rest = float(((both - single[j] - single[k]) ** 2).sum())
        found.append(Interaction(first, second, float(np.sqrt(rest / size)) if size > _ROUNDING else 0.0))
    return sorted(found, key=lambda each: (-round(each.h, 9), each.first, each.second))


def _dependence(model: ScoredModel, rows: np.ndarray, places: tuple[int, ...], threads: int) -> np.ndarray:
    """Centred partial dependence (n,) of the features at `places`, at each row's own values of them."""
    n = len(rows)
    moved = np.tile(rows, (n, 1))
    for place in places:
        moved[:, place] = np.repeat(rows[:, place], n)
    mean = model.log_odds(moved, threads).reshape(n, n).mean(axis=1)
    return np.asarray(mean - mean.mean())
