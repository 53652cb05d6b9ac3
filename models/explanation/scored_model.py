"""One candidate as explanation sees it: raw log-odds, probability, and what each feature adds to a row's log-odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.artefact import Bundle
from models.calibration import Calibration
from models.candidates import CandidateKind
from models.explanation.tree_contributions import ContributionTrees, contribution_trees
from models.fast_trees import FastTrees, fast_trees
from models.lightgbm_model import BoosterScore
from models.points import probability
from models.scorecard import Scorecard
from models.training_record import TrainingRecord


@dataclass(frozen=True)
class ScoredModel:
    """The candidate that ships. `fast` scores, and `trees` explain, in LightGBM's place where they can."""

    names: list[str]
    ships: CandidateKind
    scorecard: Scorecard
    booster: BoosterScore
    calibration: Calibration
    fast: FastTrees | None = None
    trees: ContributionTrees | None = None

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> ScoredModel:
        """A verified bundle; scores are those of `bundle`, to the bit."""
        return cls(
            bundle.names, bundle.card.ships, bundle.scorecard, bundle.booster, bundle.card.calibration, bundle.fast,
            contribution_trees(bundle.booster.text) if bundle.card.ships is CandidateKind.LIGHTGBM else None,
        )  # fmt: skip

    @classmethod
    def of_record(cls, record: TrainingRecord) -> ScoredModel:
        """A training that has no bundle yet."""
        trees = record.ships is CandidateKind.LIGHTGBM
        return cls(
            record.names, record.ships, record.scorecard, BoosterScore(record.booster.text, record.names),
            record.candidates[record.ships].calibration, fast_trees(record.booster.text) if trees else None,
            contribution_trees(record.booster.text) if trees else None,
        )  # fmt: skip

    def log_odds(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Event log-odds (n,) before calibration, which never turns two rows round."""
        if self.ships is CandidateKind.SCORECARD:
            return self.scorecard.log_odds(matrix, self.names)
        trees = self.booster if self.fast is None else self.fast
        return trees.log_odds(matrix, threads)

    def calibrated(self, raw: np.ndarray) -> np.ndarray:
        """Calibrated log-odds of raw ones."""
        return self.calibration.apply(raw)

    def probability(self, raw: np.ndarray) -> np.ndarray:
        """Probability of the event of raw log-odds."""
        return probability(self.calibration.apply(raw))

    def contributions(self, matrix: np.ndarray, reference: np.ndarray, threads: int = 1) -> np.ndarray:
        """(n, p): what each feature adds to a row's raw log-odds.

        Trees: Shapley values against the mean over the training rows, as LightGBM's `pred_contrib` gives them (Lundberg et al.,
        Nature Machine Intelligence 2 (2020) 56-67). Scorecard: points below those of `reference` (p,), in log-odds.
        """
        if self.ships is CandidateKind.SCORECARD:
            return self._scorecard_contributions(matrix, reference)
        if self.trees is not None:
            return self.trees.contributions(matrix, threads)
        told = self.booster.booster.predict(
            np.ascontiguousarray(matrix), pred_contrib=True, num_threads=threads
        )
        return np.asarray(told, dtype=np.float64)[:, :-1]

    def cuts(self, place: int) -> np.ndarray:
        """Rising values of a column between which the score doesn't change with it; empty where they aren't known."""
        if self.ships is CandidateKind.SCORECARD:
            edges = {bins.name: bins.edges for bins in self.scorecard.bins}
            return np.array(edges.get(self.names[place], ()), dtype=np.float64)
        if self.trees is None:
            return np.empty(0)
        of_feature = self.trees.feature == place
        ends = np.concatenate([self.trees.low[of_feature], self.trees.high[of_feature]])
        # A cut at the largest float parts known values from missing ones: no value steps over it.
        return np.unique(ends[np.abs(ends) < np.finfo(np.float64).max])

    def _scorecard_contributions(self, matrix: np.ndarray, reference: np.ndarray) -> np.ndarray:
        told, places = np.zeros(matrix.shape), {name: place for place, name in enumerate(self.names)}
        for coefficient, bins in zip(self.scorecard.coefficients, self.scorecard.bins, strict=True):
            place = places[bins.name]
            at_reference = bins.transform(reference[place : place + 1])[0]
            told[:, place] = coefficient * (at_reference - bins.transform(matrix[:, place]))
        return told
