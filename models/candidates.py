"""The two candidates of every training: a scorecard and LightGBM, fitted on the same rows and scored on the
same others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from models.binning import FeatureBins
from models.definition import ModelDefinition
from models.lightgbm_model import BoosterScore, FittedBooster, fit_booster
from models.scorecard import Scorecard, bin_features, fit_scorecard


class CandidateKind(StrEnum):
    """Which of the two."""

    SCORECARD = "scorecard"
    LIGHTGBM = "lightgbm"


@dataclass(frozen=True)
class FittedPair:
    """Both candidates fitted on the same rows; `names` is the column order of both."""

    names: tuple[str, ...]
    scorecard: Scorecard
    booster: FittedBooster

    def log_odds(self, matrix: np.ndarray, threads: int) -> dict[CandidateKind, np.ndarray]:
        """Raw event log-odds (n,) of both on an (n, p) matrix."""
        return {
            CandidateKind.SCORECARD: self.scorecard.log_odds(matrix, self.names),
            CandidateKind.LIGHTGBM: BoosterScore(self.booster.text, self.names).log_odds(matrix, threads),
        }


def fit_pair(
    definition: ModelDefinition,
    matrix: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    signs: dict[str, int],
    *,
    threads: int,
    seed: int,
    rounds: int | None = None,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
) -> FittedPair:
    """Fit both on decided rows (`target` 0/1). Binning and selection happen in here, so a fold never sees the
    rows it is judged on.
    """
    bins = bin_features(matrix, target, names, signs, definition.scorecard)
    scorecard = fit_scorecard(matrix, target, names, signs, definition.scorecard, bins)
    booster = fit_booster(
        matrix,
        target,
        names,
        signs,
        definition.lightgbm,
        offered=_strongest(bins, definition.lightgbm.max_features),
        threads=threads,
        seed=seed,
        rounds=rounds,
        validation=validation,
    )
    return FittedPair(tuple(names), scorecard, booster)


def _strongest(bins: Sequence[FeatureBins], most: int | None) -> set[str]:
    """Names of the features of the highest information value; of equals the first by name."""
    ranked = sorted(bins, key=lambda entry: (-entry.iv, entry.name))
    return {entry.name for entry in ranked[:most]}
