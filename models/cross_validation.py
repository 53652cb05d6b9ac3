"""Repeated stratified cross-validation of both candidates, for samples too small to set anything aside.

One split of 60 firms says little: the same model reaches an AUC of 0.75 or 0.95 by the luck of the draw. So
every number is a mean over repeats, with its spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.progress import Progress, SilentProgress
from models.candidates import CandidateKind, fit_pair
from models.definition import ModelDefinition, RepeatedSplit
from models.discrimination import AucDifference, auc
from models.sample import Sample


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and the 5 % and 95 % points of a number over repeats."""

    mean: float
    sd: float
    p05: float
    p95: float


@dataclass(frozen=True)
class CrossValidation:
    """`log_odds[kind]` is (repeats, n): each row of the sample scored once a repeat by a model that didn't
    see its subject.

    `aucs[kind]` has one AUC a repeat, `fold_differences` LightGBM minus scorecard in each fold that holds
    both classes.
    """

    log_odds: dict[CandidateKind, np.ndarray]
    aucs: dict[CandidateKind, np.ndarray]
    fold_differences: np.ndarray
    folds: int

    def spread(self, kind: CandidateKind) -> Spread:
        """Spread of the AUC over repeats."""
        return spread_of(self.aucs[kind])

    def difference(self, confidence: float) -> AucDifference:
        """LightGBM's AUC minus the scorecard's with the corrected resampled t interval.

        Folds share training rows, so the plain variance of a mean is far too small. Nadeau and Bengio
        (Machine Learning 52 (2003) 239-281) use (1/J + test/train) * variance over the J folds; for repeated
        k-fold see Bouckaert and Frank (2004).
        """
        from scipy.stats import t

        values = self.fold_differences
        if len(values) < 2:
            return AucDifference(0.0, float("inf"), float("-inf"), float("inf"), confidence)
        error = float(np.sqrt((1.0 / len(values) + 1.0 / (self.folds - 1)) * values.var(ddof=1)))
        reach = float(t.ppf(0.5 + confidence / 2.0, len(values) - 1)) * error
        mean = float(values.mean())
        return AucDifference(mean, error, mean - reach, mean + reach, confidence)


def repeated_cross_validation(
    definition: ModelDefinition,
    sample: Sample,
    signs: dict[str, int],
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> CrossValidation:
    """Cross-validate both candidates as the definition's split says; all fitting, binning and selection
    inside each fold.
    """
    split = definition.split
    if not isinstance(split, RepeatedSplit):
        raise TypeError("repeated_cross_validation needs a split of kind repeated_cv")
    matrix, target, decided = sample.matrix, sample.target, sample.decided
    scores = {kind: np.zeros((split.repeats, len(sample))) for kind in CandidateKind}
    differences: list[float] = []
    with (progress or SilentProgress()).stage("cross-validation", split.repeats) as stage:
        for repeat in range(split.repeats):
            fold = stratified_folds(sample, split.folds, definition.seed, repeat)
            for number in range(split.folds):
                fit, test = decided & (fold != number), fold == number
                pair = fit_pair(
                    definition,
                    matrix[fit],
                    target[fit],
                    sample.names,
                    signs,
                    threads=threads,
                    seed=definition.seed + repeat,
                    subject_no=sample.subject_no[fit],
                    as_of=sample.as_of[fit],
                )
                for kind, values in pair.log_odds(matrix[test], threads).items():
                    scores[kind][repeat, test] = values
                judged = test & decided
                if 0 < target[judged].sum() < judged.sum():
                    both = [auc(target[judged], scores[kind][repeat, judged]) for kind in CandidateKind]
                    differences.append(both[1] - both[0])
            stage.advance()
    aucs = {
        kind: np.array([auc(target[decided], values[decided]) for values in scores[kind]])
        for kind in CandidateKind
    }
    return CrossValidation(scores, aucs, np.array(differences), split.folds)


def stratified_folds(sample: Sample, folds: int, seed: int, repeat: int) -> np.ndarray:
    """Fold (n,) of every row: all rows of a subject in one fold, subjects with an event spread evenly over
    the folds.
    """
    subjects, inverse = np.unique(sample.subject_no, return_inverse=True)
    worst = np.full(len(subjects), -1)
    np.maximum.at(worst, inverse, sample.target)
    draw = np.random.default_rng([seed, repeat])
    fold = np.zeros(len(subjects), dtype=np.int64)
    start = 0
    for kind in (1, 0, -1):
        members = draw.permutation(np.flatnonzero(worst == kind))
        # The next class goes on where this one stopped, so that folds differ by one subject at most.
        fold[members] = (np.arange(len(members)) + start) % folds
        start += len(members)
    return np.asarray(fold[inverse])


def spread_of(values: np.ndarray) -> Spread:
    """Spread of values over repeats."""
    sd = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    low, high = np.quantile(values, [0.05, 0.95])
    return Spread(float(values.mean()), sd, float(low), float(high))
