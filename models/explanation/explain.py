"""Global explanation of a training: importance, profiles, constraints, interactions, on bounded samples drawn without chance."""

from __future__ import annotations

import numpy as np

from models.discrimination import auc
from models.explanation.explanation import Explanation, FeatureImportance
from models.explanation.profiles import check_constraints, interactions, profile
from models.explanation.reference import Reference, reference_of
from models.explanation.scored_model import ScoredModel
from models.sample import Sample
from models.training import JudgedRows
from models.training_record import TrainingRecord

#: Rows of the training side that contributions and profiles stand on, and judged rows that are shuffled. A mean over 1,000 rows
#: is known to 3 % of its spread; more would cost training time and show the same picture.
ROWS, JUDGED_ROWS = 1_000, 5_000

#: Times that each feature is shuffled, and features that are: those of the largest contributions, as the others show nothing.
SHUFFLES, SHUFFLED = 3, 40

#: Features with a profile, and those whose pairs are looked at.
PROFILES, PAIRED = 12, 6

#: With fewer rows a band of individual curves would be a few persons'.
LEAST_ROWS = 50


def explain(record: TrainingRecord, judged: JudgedRows, threads: int = 1) -> Explanation:
    """The explanation of the candidate that ships; the same training gives the same, whatever `threads`.

    Contributions, profiles and the reference stand on the training side, AUC drops on the judged rows (out of time where there
    are any; after cross-validation both are the one sample, which the final model has seen).
    """
    model = ScoredModel.of_record(record)
    training = judged.sample if judged.development is None else judged.development
    training = training.take(training.decided)
    matrix = _some(training, ROWS).matrix
    reference = reference_of(training.matrix, record.names)
    used = _used(record)
    importance = _importance(record, model, matrix, reference, judged.sample, used, threads)
    names = [each.name for each in importance]
    places = {name: place for place, name in enumerate(record.names)}
    signs = {feature.name: feature.sign for feature in record.features}
    enough = len(matrix) >= LEAST_ROWS
    return Explanation(
        ships=str(record.ships),
        reference=reference,
        rows=len(matrix),
        judged_on=record.judged_on,
        judged_rows=min(JUDGED_ROWS, int(judged.sample.decided.sum())),
        importance=tuple(importance),
        profiles=tuple(profile(model, matrix, name, places[name], signs[name], threads) for name in names[:PROFILES])
        if enough
        else (),
        constraints=tuple(
            check_constraints(model, matrix, [(name, places[name], signs[name]) for name in names if signs[name]], threads)
        ),
        interactions=tuple(interactions(model, matrix, [(name, places[name]) for name in names[:PAIRED]], threads))
        if enough
        else (),
    )  # fmt: skip


def _used(record: TrainingRecord) -> list[str]:
    in_card = set(record.scorecard.names)
    return [
        f.name
        for f in record.features
        if (f.name in in_card if str(record.ships) == "scorecard" else f.gain_share > 0.0)
    ]


def _importance(
    record: TrainingRecord,
    model: ScoredModel,
    matrix: np.ndarray,
    reference: Reference,
    judged: Sample,
    used: list[str],
    threads: int,
) -> list[FeatureImportance]:
    """Used features by falling mean absolute contribution, equals by name."""
    mean = np.zeros(len(record.names))
    if len(matrix):
        mean = np.abs(model.contributions(matrix, reference.vector(record.names), threads)).mean(axis=0)
    gains = {f.name: f.gain_share if str(record.ships) == "lightgbm" else 0.0 for f in record.features}
    size = dict(zip(record.names, mean.tolist(), strict=True))
    largest = sorted(used, key=lambda name: (-size[name], name))[:SHUFFLED]
    drops = _auc_drops(record, model, judged, largest, threads)
    found = [FeatureImportance(name, gains[name], size[name], drops.get(name)) for name in used]
    return sorted(found, key=lambda each: (-each.contribution, each.name))


def _auc_drops(
    record: TrainingRecord, model: ScoredModel, judged: Sample, used: list[str], threads: int
) -> dict[str, float]:
    """Breiman's permutation importance (Machine Learning 45 (2001) 5-32) as loss of AUC."""
    rows = _some(judged.take(judged.decided), JUDGED_ROWS)
    if not rows.events or rows.events == len(rows):
        return {}
    matrix, target = rows.matrix.copy(), rows.target
    whole = auc(target, model.log_odds(matrix, threads))
    draw, drops = np.random.default_rng(record.definition.seed), {}
    orders = [draw.permutation(len(matrix)) for _ in range(SHUFFLES)]
    for place, name in enumerate(record.names):
        if name not in used:
            continue
        own = matrix[:, place].copy()
        found = []
        for order in orders:
            matrix[:, place] = own[order]
            found.append(whole - auc(target, model.log_odds(matrix, threads)))
        matrix[:, place] = own
        drops[name] = float(np.mean(found))
    return drops


def _some(sample: Sample, most: int) -> Sample:
    """At most `most` rows, evenly over subjects and months in their order."""
    if len(sample) <= most:
        return sample
    return sample.take(np.linspace(0, len(sample) - 1, most).astype(np.int64))
