"""Points: log-odds on the scale that the trade reads. 600 points stand for odds of 30 good to 1 bad; 20
points double the odds.

points = 600 + 20 / ln 2 * (ln(good:bad odds) - ln 30); N. Siddiqi, Intelligent Credit Scoring (2nd ed.,
2017), ch. 10.
"""

from __future__ import annotations

import numpy as np

ANCHOR_POINTS = 600.0
ANCHOR_ODDS = 30.0
POINTS_TO_DOUBLE_ODDS = 20.0

#: Points per unit of natural log-odds.
FACTOR = POINTS_TO_DOUBLE_ODDS / float(np.log(2.0))


def points_of(log_odds: np.ndarray, event_is_wanted: bool = False) -> np.ndarray:
    """Points (float64) of event log-odds: fewer for a likelier default, more for a likelier response."""
    safe_odds = log_odds if event_is_wanted else -log_odds
    return ANCHOR_POINTS + FACTOR * (safe_odds - np.log(ANCHOR_ODDS))


def log_odds(probability: np.ndarray | float) -> np.ndarray:
    """Natural log-odds of a probability in (0, 1)."""
    p = np.asarray(probability, dtype=np.float64)
    return np.asarray(np.log(p) - np.log1p(-p))


def probability(odds: np.ndarray) -> np.ndarray:
    """Probability of natural log-odds; stable for both signs."""
    z = np.ascontiguousarray(odds, dtype=np.float64)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0.0, 1.0 / (1.0 + small), small / (1.0 + small))
