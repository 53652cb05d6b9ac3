"""Findings on a training: its judged rows as a scored sample, its kept bundle as the scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from models.artefact import Bundle, load_bundle, write_bundle
from models.points import probability
from models.sample import Sample
from models.scoring import score
from models.training import JudgedRows
from models.training_record import TrainingRecord
from models.validation.finding import Finding
from models.validation.scored_sample import ScoredSample
from models.validation.stress import StressedFeatures
from models.validation.validate import DevelopmentSide, Evidence, ServedScores, validate


@dataclass(frozen=True)
class Surroundings:
    """What a training doesn't know of itself: segments and groups of its judged rows, and what its features are made of.

    `segments` and `groups`: kind -> (n,) codes by row of the judged sample. `sources`: source -> features. `earlier`: months
    back -> (n, p) features of the same subjects.
    """

    segments: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    money: Sequence[str] = ()
    earlier: Mapping[int, np.ndarray] = field(default_factory=dict)
    worst_grade: int | None = None


def validate_training(
    record: TrainingRecord, judged: JudgedRows, around: Surroundings | None = None, threads: int = 1
) -> list[Finding]:
    """Findings on the rows with a decided outcome.

    Stress and the sweep are tried on the bundle as it is kept and loaded, not on the objects that training left in memory. Out of
    time the bundle must serve the validated score exactly; after cross-validation it has seen every row, so there
    the two aren't compared.
    """
    around = around or Surroundings()
    clear = judged.sample.decided
    if not clear.any():
        return validate(_scored(record, judged.sample.take(clear), np.empty(0), {}))
    rows = judged.sample.take(clear)
    segments = {kind: codes[clear] for kind, codes in around.segments.items()}
    sample = _scored(record, rows, judged.calibrated[clear], segments)
    signs = {feature.name: feature.sign for feature in record.features}
    features = StressedFeatures(
        rows.matrix,
        record.names,
        around.sources,
        signs,
        around.money,
        {months: before[clear] for months, before in around.earlier.items()},
    )
    with TemporaryDirectory() as folder:
        bundle = load_bundle(Path(folder), write_bundle(record, Path(folder)))
        out_of_time = judged.development is not None
        evidence = Evidence(
            scorer=lambda matrix: probability(bundle.calibrated(matrix, threads)),
            features=features,
            development=_development(record, judged),
            served=_served(bundle, rows, threads) if out_of_time else None,
            groups={name: codes[clear] for name, codes in around.groups.items()},
            worst_grade=around.worst_grade,
            batches={kind: segments[kind] for kind in ("platform", "branch") if kind in segments},
            seed=record.definition.seed,
            in_sample=not out_of_time,
        )
        return validate(sample, evidence)


def _scored(
    record: TrainingRecord, rows: Sample, calibrated: np.ndarray, segments: Mapping[str, np.ndarray]
) -> ScoredSample:
    return ScoredSample(
        pd=probability(calibrated),
        outcome=(rows.target == 1).astype(np.int8),
        vintage=rows.as_of,
        subject_no=rows.subject_no,
        grade=record.scale.of(calibrated),
        grades=record.scale.count,
        segments=segments,
    )


def _development(record: TrainingRecord, judged: JudgedRows) -> DevelopmentSide | None:
    if judged.development is None or judged.out_of_fold is None:
        return None
    return DevelopmentSide(
        _scored(record, judged.development, judged.out_of_fold, {}), judged.development.matrix
    )


def _served(bundle: Bundle, rows: Sample, threads: int) -> ServedScores:
    scored = score(bundle, rows.features.assign(subject_no=rows.subject_no), threads=threads)
    return ServedScores(scored["pd"].to_numpy(), scored["grade"].to_numpy())
