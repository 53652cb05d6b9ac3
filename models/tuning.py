"""Search of LightGBM's parameters with Optuna, inside the training side and in the order of time.

Every trial learns from the earlier vintages of some subjects and is judged by log-loss on the later vintages of the others, over
a few folds of subjects. The binned Dataset of a fold is built once and shared by all trials. The search begins with the
parameters of the definition and leaves them only for a gain of more than one standard error (clustered by subject): of twenty
trials on a few dozen bads one looks better by luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.progress import Progress, SilentProgress
from models.candidates import offered_features
from models.definition import WHOLE, LightgbmParameters, ModelDefinition, TimeSplit
from models.discrimination import auc
from models.lightgbm_model import SharedDatasets
from models.points import probability
from models.sample import Sample, subject_share
from models.selection import distinct

#: The parameters win a draw: a trial must be better than they by so many standard errors.
STANDARD_ERRORS = 1.0


@dataclass(frozen=True)
class Trial:
    """One trial: parameters tried, mean log-loss and AUC on the later vintages, and the mean number of rounds."""

    number: int
    parameters: dict[str, float]
    log_loss: float
    auc: float
    rounds: float


@dataclass(frozen=True)
class Tuning:
    """The search. `chosen` is the number of the trial whose parameters are used: 0 are those of the definition.

    `gain`: by how much the best trial's mean log-loss is lower than theirs, with its standard error.
    """

    trials: tuple[Trial, ...]
    chosen: int
    rows: int
    events: int
    gain: float
    gain_error: float

    def parameters(self, declared: LightgbmParameters) -> LightgbmParameters:
        """What LightGBM is trained with."""
        return declared.model_copy(update=_typed(self.trials[self.chosen].parameters))


def tune(
    definition: ModelDefinition,
    training: Sample,
    signs: dict[str, int],
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> Tuning | None:
    """Search on the training side alone; the same arguments give the same trials. None where the definition asks for no
    search, or no fold has both outcomes on both sides.
    """
    rules = definition.tuning
    if rules is None or not isinstance(definition.split, TimeSplit):
        return None
    folds = _folds(definition, training, signs, threads)
    if not folds:
        return None
    events = distinct(training.target == 1, training.subject_no)
    number = rules.trials if events >= rules.small_events else rules.small_trials
    trials: list[Trial] = []
    losses: list[np.ndarray] = []
    declared: dict[str, float] = {
        str(name): float(min(max(getattr(definition.lightgbm, name), reach.low), reach.high))
        for name, reach in rules.space.items()
    }
    target = np.concatenate([fold.target for fold in folds])
    with (progress or SilentProgress()).stage("tuning", number) as stage:

        def objective(asked: Any) -> float:
            tried: dict[str, float] = {
                str(name): float(
                    asked.suggest_int(name, int(reach.low), int(reach.high), log=reach.log)
                    if name in WHOLE
                    else asked.suggest_float(name, reach.low, reach.high, log=reach.log)
                )
                for name, reach in sorted(rules.space.items())
            }
            parameters = definition.lightgbm.model_copy(update=_typed(tried))
            results = [fold.data.try_out(parameters, definition.seed) for fold in folds]
            odds = np.concatenate([result[0] for result in results])
            loss = _log_loss(odds, target)
            losses.append(loss)
            mean_auc = float(np.mean([auc(f.target, r[0]) for f, r in zip(folds, results, strict=True)]))
            rounds = float(np.mean([result[1] for result in results]))
            trials.append(Trial(len(trials), tried, float(loss.mean()), mean_auc, rounds))
            stage.advance()
            return trials[-1].log_loss

        _search(objective, declared, number, rules.seed)
    best = min(range(len(trials)), key=lambda place: (trials[place].log_loss, place))
    subjects = np.concatenate([fold.subject_no for fold in folds])
    gain, error = _gain(losses[0] - losses[best], subjects)
    chosen = best if gain > STANDARD_ERRORS * error else 0
    return Tuning(tuple(trials), chosen, len(target), int(target.sum()), gain, error)


@dataclass(frozen=True)
class _Fold:
    """Binned earlier and later rows of a fold, and the later rows' outcomes and subjects."""

    data: SharedDatasets
    target: np.ndarray
    subject_no: np.ndarray


def _folds(
    definition: ModelDefinition, training: Sample, signs: dict[str, int], threads: int
) -> Sequence[_Fold]:
    """Selection is made anew on each fold's earlier rows, as it is wherever a model is fitted."""
    assert definition.tuning is not None
    number = definition.tuning.folds
    decided, matrix, target = training.decided, training.matrix, training.target
    months = np.unique(training.as_of)
    later = training.as_of >= months[len(months) * 2 // 3]
    place = (subject_share(training.subject_no, definition.name + "/tuning") * number).astype(int)
    folds: list[_Fold] = []
    for each in range(number):
        earlier = decided & (place != each) & (~later if len(months) > 1 else True)
        judged = decided & (place == each) & later
        if any(len(np.unique(target[rows])) < 2 for rows in (earlier, judged)):
            continue
        offered = offered_features(
            definition, matrix[earlier], target[earlier], training.names, signs,
            subject_no=training.subject_no[earlier], as_of=training.as_of[earlier],
        )  # fmt: skip
        data = SharedDatasets(
            (matrix[earlier], target[earlier]), (matrix[judged], target[judged]), training.names, signs,
            definition.lightgbm, offered=offered, threads=threads,
        )  # fmt: skip
        folds.append(_Fold(data, target[judged], training.subject_no[judged]))
    return folds


def _search(objective: Any, declared: dict[str, float], number: int, seed: int) -> None:
    """One trial after the other with a seeded sampler, the definition's own parameters first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    study.enqueue_trial(_typed(declared))
    study.optimize(objective, n_trials=number, n_jobs=1)


def _typed(parameters: dict[str, float]) -> dict[str, float | int]:
    return {name: int(value) if name in WHOLE else value for name, value in parameters.items()}


def _log_loss(odds: np.ndarray, target: np.ndarray) -> np.ndarray:
    chance = np.clip(probability(odds), 1e-9, 1.0 - 1e-9)
    return -np.where(target == 1, np.log(chance), np.log1p(-chance))


def _gain(difference: np.ndarray, subject_no: np.ndarray) -> tuple[float, float]:
    """Mean of differences (n,) and its standard error, with the rows of a subject summed first."""
    _, place = np.unique(subject_no, return_inverse=True)
    mean = float(difference.mean())
    sums = np.bincount(place, difference - mean)
    return mean, float(np.sqrt((sums**2).sum())) / len(difference)
