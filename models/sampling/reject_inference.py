"""Reject inference: guessed outcomes for rows that have none, as weighted rows to fit on. Never used outside its benchmark.

Every method assumes something that accepted rows can't confirm, so none of them touches a model that scores:
`models.sampling.masked_benchmark` says on known outcomes whether one of them would have helped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Bands of scores in which parcelling and reweighting count rows.
BANDS = 10

#: How much likelier the event is thought to be among rejected rows than among accepted ones of the same score.
PRUDENCE = 1.25


@dataclass(frozen=True)
class WeightedRows:
    """Positions into (accepted rows, then rejected rows), targets 0/1 and weights, all (k,)."""

    rows: np.ndarray
    target: np.ndarray
    weight: np.ndarray


#: (pd of accepted rows, their target, pd of rejected rows, random numbers) -> rows to fit on.
Method = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], WeightedRows]


def accepts_only(
    accepted: np.ndarray, target: np.ndarray, rejected: np.ndarray, draw: np.random.Generator
) -> WeightedRows:
    """No inference: what every method is measured against."""
    return WeightedRows(np.arange(len(accepted)), target, np.ones(len(accepted)))


def parcelling(
    accepted: np.ndarray, target: np.ndarray, rejected: np.ndarray, draw: np.random.Generator
) -> WeightedRows:
    """Each rejected row gets an outcome drawn with the event rate of accepted rows in its score band, times PRUDENCE.

    Siddiqi (2017), ch. 9; Crook and Banasik, J. Banking and Finance 28 (2004) 857-874 on how seldom it helps.
    """
    edges = _edges(accepted, rejected)
    band, other = np.digitize(accepted, edges), np.digitize(rejected, edges)
    rows = np.bincount(band, minlength=BANDS)
    hits = np.bincount(band, target, minlength=BANDS)
    told = np.bincount(other, rejected, minlength=BANDS) / np.maximum(np.bincount(other, minlength=BANDS), 1)
    # A band without accepted rows has no rate of its own: the score's mean stands in.
    rate = np.minimum(PRUDENCE * np.where(rows > 0, hits / np.maximum(rows, 1), told), 1.0)
    guessed = (draw.random(len(rejected)) < rate[other]).astype(np.int8)
    size = len(accepted) + len(rejected)
    return WeightedRows(np.arange(size), np.concatenate([target, guessed]), np.ones(size))


def fuzzy(
    accepted: np.ndarray, target: np.ndarray, rejected: np.ndarray, draw: np.random.Generator
) -> WeightedRows:
    """Each rejected row stands twice: as an event with weight PRUDENCE * pd (at most 1), as none with the rest.

    Siddiqi (2017), ch. 9 (fuzzy augmentation); without the draw of parcelling, so it gives the same rows each time.
    """
    bad = np.minimum(PRUDENCE * rejected, 1.0)
    own, places = np.arange(len(accepted)), len(accepted) + np.arange(len(rejected))
    return WeightedRows(
        np.concatenate([own, places, places]),
        np.concatenate([target, np.ones(len(rejected), np.int8), np.zeros(len(rejected), np.int8)]),
        np.concatenate([np.ones(len(accepted)), bad, 1.0 - bad]),
    )


def reweighting(
    accepted: np.ndarray, target: np.ndarray, rejected: np.ndarray, draw: np.random.Generator
) -> WeightedRows:
    """Accepted rows alone, each weighted with (accepted + rejected) / accepted of its score band, at most tenfold.

    Augmentation of Hsia, J. Bank Research 8 (1978); right only where outcomes don't depend on acceptance given the score.
    """
    edges = _edges(accepted, rejected)
    band = np.digitize(accepted, edges)
    inside = np.bincount(band, minlength=BANDS).astype(np.float64)
    outside = np.bincount(np.digitize(rejected, edges), minlength=BANDS)
    weight = np.minimum((inside + outside) / np.maximum(inside, 1.0), 10.0)[band]
    return WeightedRows(np.arange(len(accepted)), target, weight)


METHODS: dict[str, Method] = {"parcelling": parcelling, "fuzzy": fuzzy, "reweighting": reweighting}


def _edges(accepted: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """Inner edges of bands of equal size over both."""
    return np.quantile(np.concatenate([accepted, rejected]), np.arange(1, BANDS) / BANDS)
