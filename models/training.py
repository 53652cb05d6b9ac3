"""Training: a definition and a sample in, a complete record out. Pure: no file, no clock, no ledger."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from core.errors import TooFewOutcomes
from core.progress import Progress, SilentProgress
from models.calibration import fit_calibration
from models.candidates import CandidateKind, FittedPair, fit_pair
from models.choice import choose
from models.cross_validation import Spread, repeated_cross_validation, stratified_folds
from models.definition import LightgbmParameters, ModelDefinition, TimeSplit
from models.discrimination import AucDifference, Discrimination, auc_difference, discrimination
from models.grades import grade_scale
from models.judged_tables import grade_table, roc_vertices, score_bands
from models.lightgbm_model import booster_settings
from models.points import points_of
from models.sample import Sample, split_by_time
from models.scorecard import bin_features
from models.training_record import CandidateRecord, FeatureRecord, Search, TrainingInputs, TrainingRecord
from models.tuning import Tuning, tune
from models.vintages import VintagePlan

_LIBRARIES = ("lightgbm", "scikit-learn", "numpy", "scipy", "pandas", "optuna")


@dataclass(frozen=True)
class JudgedRows:
    """Rows that the shipping candidate was judged on, for validation; never kept.

    `calibrated` (n,): its calibrated log-odds by models that hadn't seen the row's subject. `development` with `out_of_fold`
    (m,): the training side and the same score there; None where one sample is both sides (repeated cross-validation).
    """

    sample: Sample
    calibrated: np.ndarray
    development: Sample | None
    out_of_fold: np.ndarray | None


@dataclass(frozen=True)
class _Evidence:
    """What one path of training found out, ready to be calibrated and judged.

    `unseen` holds raw log-odds from models that hadn't seen the row's subject, with `target` and `weights`:
    calibration stands on them. `judged` and `judged_target` are the rows on which the candidates are
    compared.
    """

    pair: FittedPair
    fitted_on: Sample
    unseen: dict[CandidateKind, np.ndarray]
    target: np.ndarray
    weights: np.ndarray | None
    judged: dict[CandidateKind, np.ndarray]
    judged_target: np.ndarray
    judged_on: str
    judged_sample: Sample
    development: tuple[Sample, dict[CandidateKind, np.ndarray]] | None
    performance: dict[CandidateKind, dict[str, Discrimination | None]]
    spread: dict[CandidateKind, Spread]
    difference: AucDifference | None
    method: str
    steps: dict[str, int]
    #: The parameters that LightGBM was trained with, and the search that found them.
    parameters: LightgbmParameters
    tuning: Tuning | None = None


def train(
    definition: ModelDefinition,
    sample: Sample,
    signs: dict[str, int],
    inputs: TrainingInputs,
    *,
    plan: VintagePlan | None = None,
    phrases: dict[str, str] | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> TrainingRecord:
    """The record of `train_judged` alone."""
    return train_judged(
        definition, sample, signs, inputs, plan=plan, phrases=phrases, threads=threads, progress=progress
    )[0]


def train_judged(
    definition: ModelDefinition,
    sample: Sample,
    signs: dict[str, int],
    inputs: TrainingInputs,
    *,
    plan: VintagePlan | None = None,
    phrases: dict[str, str] | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> tuple[TrainingRecord, JudgedRows]:
    """Fit, calibrate and compare both candidates; the same arguments give the same record to the byte.

    `signs`: feature -> +1 (raises the PD), -1, 0; they say nothing of responses, so a model of the purpose
    marketing ignores them. `plan` is needed for a split by time. Raises GsceneError with fewer than
    `min_bads` events to learn from.
    """
    progress = progress or SilentProgress()
    signs = {name: 0 if definition.event_is_wanted else signs.get(name, 0) for name in sample.names}
    if isinstance(definition.split, TimeSplit):
        if plan is None:
            raise TypeError("a split by time needs a plan of vintages")
        evidence = _by_time(definition, definition.split, sample, signs, plan, threads, progress)
    else:
        evidence = _by_repeats(definition, sample, signs, threads, progress)
    choice = choose(evidence.difference, definition.challenge, evidence.method)
    candidates = {kind: _candidate(definition, evidence, kind) for kind in CandidateKind}
    shipping = candidates[choice.ships].calibration
    scale = grade_scale(definition.grades, shipping.central_tendency, definition.event_is_wanted)
    calibrated = shipping.apply(evidence.judged[choice.ships])
    events = (evidence.judged_target == 1).astype(np.int8)
    record = TrainingRecord(
        definition=definition,
        inputs=inputs,
        features=_features(definition, evidence, signs, phrases or {}),
        scorecard=evidence.pair.scorecard,
        booster=evidence.pair.booster,
        candidates=candidates,
        choice=choice,
        scale=scale,
        grades=grade_table(scale, calibrated, events),
        judged_on=evidence.judged_on,
        score_bands=score_bands(points_of(calibrated, definition.event_is_wanted), events),
        steps=sample.steps | evidence.steps,
        lightgbm_settings={
            key: value
            for key, value in booster_settings(evidence.parameters, [], 0, definition.seed).items()
            if key not in ("num_threads", "monotone_constraints")
        },
        search=Search(evidence.pair.selection, evidence.tuning),
        libraries=library_versions(),
    )
    development, raw = evidence.development or (None, {})
    seen = None if development is None else shipping.apply(raw[choice.ships])
    return record, JudgedRows(evidence.judged_sample, calibrated, development, seen)


def library_versions() -> dict[str, str]:
    """Versions of everything that decides the bytes of a training."""
    return {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}


def _by_time(
    definition: ModelDefinition,
    split: TimeSplit,
    sample: Sample,
    signs: dict[str, int],
    plan: VintagePlan,
    threads: int,
    progress: Progress,
) -> _Evidence:
    """Folds of subjects inside the training side give rounds and calibration; the out-of-time side judges."""
    sides = split_by_time(sample, plan, split.holdout_share, definition.name)
    training, later = sides.training, sides.out_of_time
    _enough(definition, training)
    matrix, target, decided = training.matrix, training.target, training.decided
    tuning = tune(definition, training, signs, threads=threads, progress=progress)
    if tuning is not None:
        definition = definition.model_copy(update={"lightgbm": tuning.parameters(definition.lightgbm)})
    # Events are spread evenly over the folds: where chance gives a fold more of them, the others' base rate is lower, and scores
    # pooled over folds rank its events below the rest.
    fold = stratified_folds(training, split.folds, definition.seed, 0)
    # Early stopping looks at the last third of the vintages, of a fold of the subjects that it learns from: never at those that
    # the fold is judged and calibrated on.
    late = training.as_of >= str(plan.training[len(plan.training) * 2 // 3])
    unseen = {kind: np.full(len(training), np.nan) for kind in CandidateKind}
    rounds: list[int] = []
    # One fold is estimate enough where each of them has tens of thousands of rows.
    folds = split.folds if len(training) <= split.max_fold_rows else 1
    with progress.stage("folds and final fit", folds + 1) as stage:
        for number in range(folds):
            fit, test = decided & (fold != number), fold == number
            watch = late & (fold == (number + 1) % split.folds)
            if not _both(target[fit]) or not test.any():
                continue
            pair = fit_pair(
                definition,
                matrix[fit],
                target[fit],
                training.names,
                signs,
                threads=threads,
                seed=definition.seed,
                watch=watch[fit] if _both(target[fit & watch]) and _both(target[fit & ~watch]) else None,
                subject_no=training.subject_no[fit],
                as_of=training.as_of[fit],
            )
            rounds.append(pair.booster.rounds)
            for kind, values in pair.log_odds(matrix[test], threads).items():
                unseen[kind][test] = values
            stage.advance()
        final = fit_pair(
            definition,
            matrix[decided],
            target[decided],
            training.names,
            signs,
            threads=threads,
            seed=definition.seed,
            rounds=int(np.median(rounds)) if rounds else None,
            subject_no=training.subject_no[decided],
            as_of=training.as_of[decided],
        )
        stage.advance()
    scored = ~np.isnan(unseen[CandidateKind.SCORECARD])
    judged = (
        final.log_odds(later.matrix, threads) if len(later) else {kind: np.empty(0) for kind in CandidateKind}
    )
    clear = later.decided
    comparable = _both(later.target[clear])
    difference = auc_difference(
        later.target[clear],
        judged[CandidateKind.LIGHTGBM][clear],
        judged[CandidateKind.SCORECARD][clear],
        definition.challenge.confidence,
        later.subject_no[clear],
    )if comparable else None  # fmt: skip
    known = scored & decided
    return _Evidence(
        pair=final,
        fitted_on=training.take(decided),
        unseen={kind: values[scored] for kind, values in unseen.items()},
        target=(target[scored] == 1).astype(np.int8),
        weights=None,
        judged=judged,
        judged_target=later.target,
        judged_on="out_of_time",
        judged_sample=later,
        development=(training.take(known), {kind: values[known] for kind, values in unseen.items()}),
        performance={
            kind: {
                "out_of_fold": discrimination(
                    target[known], unseen[kind][known], cluster=training.subject_no[known]
                ),
                "out_of_time": discrimination(
                    later.target[clear], judged[kind][clear], cluster=later.subject_no[clear]
                )
                if comparable
                else None,
            }
            for kind in CandidateKind
        },
        spread={},
        difference=difference,
        method="paired DeLong difference, clustered by subject, on out-of-time rows of held-out subjects",
        steps={f"split: {step}": count for step, count in sides.steps.items()},
        parameters=definition.lightgbm,
        tuning=tuning,
    )


def _by_repeats(
    definition: ModelDefinition, sample: Sample, signs: dict[str, int], threads: int, progress: Progress
) -> _Evidence:
    """Repeated cross-validation judges and calibrates; the final fit uses every decided row."""
    _enough(definition, sample)
    target, decided = sample.target, sample.decided
    validation = repeated_cross_validation(definition, sample, signs, threads=threads, progress=progress)
    with progress.stage("final fit", 1) as stage:
        final = fit_pair(
            definition,
            sample.matrix[decided],
            target[decided],
            sample.names,
            signs,
            threads=threads,
            seed=definition.seed,
            subject_no=sample.subject_no[decided],
            as_of=sample.as_of[decided],
        )
        stage.advance()
    repeats = len(validation.aucs[CandidateKind.SCORECARD])
    mean = {kind: values.mean(axis=0) for kind, values in validation.log_odds.items()}
    return _Evidence(
        pair=final,
        fitted_on=sample.take(decided),
        unseen={kind: values.ravel() for kind, values in validation.log_odds.items()},
        target=np.tile((target == 1).astype(np.int8), repeats),
        weights=np.full(len(sample) * repeats, 1.0 / repeats),
        judged=mean,
        judged_target=target,
        judged_on="cross_validation",
        judged_sample=sample,
        development=None,
        performance={
            kind: {"cross_validation": discrimination(target[decided], mean[kind][decided])}
            for kind in CandidateKind
        },
        spread={kind: validation.spread(kind) for kind in CandidateKind},
        difference=validation.difference(definition.challenge.confidence),
        method="corrected resampled t interval over the folds of repeated cross-validation",
        steps={"split: folds": validation.folds, "split: repeats": repeats},
        parameters=definition.lightgbm,
    )


def _enough(definition: ModelDefinition, sample: Sample) -> None:
    if sample.events < definition.min_bads or not _both(sample.target[sample.decided]):
        raise TooFewOutcomes(
            f"{definition.name}: {sample.events} events to learn from, at least {definition.min_bads} are needed, and "
            "rows of both outcomes.",
            "Add vintages to the definition, bring more months of data, or wait for outcomes to mature.",
        )


def _both(target: np.ndarray) -> bool:
    return bool((target == 1).any() and (target == 0).any())


def _candidate(definition: ModelDefinition, evidence: _Evidence, kind: CandidateKind) -> CandidateRecord:
    calibration = fit_calibration(
        evidence.unseen[kind], evidence.target, evidence.weights, definition.central_tendency
    )
    clear = evidence.judged_target >= 0
    return CandidateRecord(
        kind=kind,
        calibration=calibration,
        performance=evidence.performance[kind],
        spread=evidence.spread.get(kind),
        roc=roc_vertices(evidence.judged_target[clear], evidence.judged[kind][clear]),
    )


def _features(
    definition: ModelDefinition, evidence: _Evidence, signs: dict[str, int], phrases: dict[str, str]
) -> tuple[FeatureRecord, ...]:
    fitted = evidence.fitted_on
    matrix = fitted.matrix
    bins = bin_features(matrix, fitted.target, fitted.names, signs, definition.scorecard)
    gain = np.array(evidence.pair.booster.gain)
    share = gain / gain.sum() if gain.sum() > 0 else gain
    used = set(evidence.pair.scorecard.names)
    return tuple(
        FeatureRecord(
            name=entry.name,
            sign=entry.sign,
            phrase=phrases.get(entry.name, ""),
            iv=entry.iv,
            missing_share=float(np.isnan(matrix[:, place]).mean()),
            gain_share=float(share[place]),
            in_scorecard=entry.name in used,
            low=entry.low,
            high=entry.high,
        )
        for place, entry in enumerate(bins)
    )
