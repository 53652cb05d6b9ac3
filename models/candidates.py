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
from models.selection import Selection, select_features


class CandidateKind(StrEnum):
    """Which of the two."""

    SCORECARD = "scorecard"
    LIGHTGBM = "lightgbm"


@dataclass(frozen=True)
class FittedPair:
    """Both candidates fitted on the same rows; `names` is the column order of both, `selection` what both could use."""

    names: tuple[str, ...]
    scorecard: Scorecard
    booster: FittedBooster
    selection: Selection | None = None

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
    watch: np.ndarray | None = None,
    subject_no: np.ndarray | None = None,
    as_of: np.ndarray | None = None,
) -> FittedPair:
    """Fit both on decided rows (`target` 0/1). Binning and selection happen in here, so a fold never sees the
    rows it is judged on.

    `watch` (n,) masks rows that find the number of rounds for LightGBM: it learns from the others until these no longer gain,
    then from all rows with that many rounds. `rounds` overrides it. `subject_no` and `as_of` (n,) are for the selection.
    """
    allowed, selection = _allowed(definition, matrix, target, names, signs, subject_no, as_of)
    scorecard = fit_scorecard(matrix, target, names, signs, definition.scorecard, allowed)
    offered = _strongest(allowed, definition.lightgbm.max_features)
    parameters = definition.lightgbm
    if rounds is None and watch is not None and watch.any() and parameters.early_stopping_rounds is not None:
        rounds = fit_booster(
            matrix[~watch], target[~watch], names, signs, parameters,
            offered=offered, threads=threads, seed=seed, validation=(matrix[watch], target[watch]),
        ).rounds  # fmt: skip
    booster = fit_booster(
        matrix, target, names, signs, parameters, offered=offered, threads=threads, seed=seed, rounds=rounds
    )
    return FittedPair(tuple(names), scorecard, booster, selection)


def offered_features(
    definition: ModelDefinition,
    matrix: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    signs: dict[str, int],
    *,
    subject_no: np.ndarray | None = None,
    as_of: np.ndarray | None = None,
) -> set[str]:
    """Names of the features that LightGBM may split on when it learns from these rows, as in `fit_pair`."""
    allowed, _ = _allowed(definition, matrix, target, names, signs, subject_no, as_of)
    return _strongest(allowed, definition.lightgbm.max_features)


def _allowed(
    definition: ModelDefinition,
    matrix: np.ndarray,
    target: np.ndarray,
    names: Sequence[str],
    signs: dict[str, int],
    subject_no: np.ndarray | None,
    as_of: np.ndarray | None,
) -> tuple[list[FeatureBins], Selection | None]:
    """Bins of the features that these rows let both candidates use: all where the definition selects none."""
    bins = bin_features(matrix, target, names, signs, definition.scorecard)
    if definition.selection is None:
        return bins, None
    selection = select_features(
        bins, matrix, target, definition.selection, subject_no=subject_no, as_of=as_of
    )
    kept = set(selection.kept)
    return [entry for entry in bins if entry.name in kept], selection


def _strongest(bins: Sequence[FeatureBins], most: int | None) -> set[str]:
    """Names of the features of the highest information value; of equals the first by name."""
    ranked = sorted(bins, key=lambda entry: (-entry.iv, entry.name))
    return {entry.name for entry in ranked[:most]}
