"""One entry for a whole validation: a scored sample in, the list of findings in the order of the report out.

Pure and deterministic: the same arguments give the same findings; no file, no clock, no row of anybody in the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from core.definition_file import Bilingual
from models.validation.calibration import calibration_findings
from models.validation.declared import declared, unmeasured
from models.validation.discrimination import discrimination_findings
from models.validation.fairness import fairness_findings
from models.validation.finding import Finding
from models.validation.grade_movement import movement_findings
from models.validation.grades import grade_findings
from models.validation.leakage import leakage_findings, served_parity
from models.validation.scored_sample import ScoredSample
from models.validation.segments import segment_findings
from models.validation.sensitivity import sensitivity_findings
from models.validation.stability import stability_findings
from models.validation.stress import Scorer, StressedFeatures, stress_findings

#: Rows on which a stress is tried; its AUC losses are then known to about 0.005 at a bad rate of 5 %.
STRESS_ROWS = 20_000

NO_VAULT = Bilingual(
    zh="评价保险库中没有合法的群体属性，未做公平性检验。",
    en="The evaluation vault holds no lawful group attribute: fairness wasn't tested.",
)


@dataclass(frozen=True)
class DevelopmentSide:
    """What the score was on the development side: out-of-fold scores, and features of the same columns (m, p)."""

    scores: ScoredSample
    matrix: np.ndarray | None = None


@dataclass(frozen=True)
class ServedScores:
    """The kept bundle's pd and grade (n,) on the rows of the sample."""

    pd: np.ndarray
    grade: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """Everything beside the scored sample; what is None or empty isn't tested.

    `groups`: attribute of the evaluation vault -> (n,) codes. `worst_grade`: the worst grade approved. `reference_pd`: (n,) pd by
    a score whose labels are trusted. `batches`: kind -> (n,) where outcomes came from. `in_sample`: calibration was fitted on
    these very rows, as where cross-validation is all there is.
    """

    scorer: Scorer | None = None
    features: StressedFeatures | None = None
    development: DevelopmentSide | None = None
    served: ServedScores | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    worst_grade: int | None = None
    reference_pd: np.ndarray | None = None
    batches: Mapping[str, np.ndarray] = field(default_factory=dict)
    seed: int = 0
    in_sample: bool = False


def validate(sample: ScoredSample, evidence: Evidence | None = None) -> list[Finding]:
    """Every finding that can be had of an out-of-time sample, in the order of `statistics.yaml`."""
    told = evidence or Evidence()
    found = [
        *discrimination_findings(sample, _scores(told)),
        *calibration_findings(sample, in_sample=told.in_sample),
        *grade_findings(sample),
        *_stability(sample, told),
        *movement_findings(sample),
        *segment_findings(sample),
        *_stress(sample, told),
        *_leakage(sample, told),
        *_fairness(sample, told),
    ]
    order = {name: place for place, name in enumerate(declared().by_name)}
    return sorted(found, key=lambda each: order[each.name])


def _scores(told: Evidence) -> ScoredSample | None:
    return None if told.development is None else told.development.scores


def _stability(sample: ScoredSample, told: Evidence) -> list[Finding]:
    features, development = told.features, told.development
    return stability_findings(
        sample,
        _scores(told),
        None if features is None else features.matrix,
        None if development is None else development.matrix,
        () if features is None else features.names,
    )


def _stress(sample: ScoredSample, told: Evidence) -> list[Finding]:
    """Stress and sensitivity, on at most STRESS_ROWS rows spread evenly over the sample."""
    if told.scorer is None or told.features is None:
        return []
    rows = np.unique(np.linspace(0, len(sample) - 1, min(len(sample), STRESS_ROWS)).astype(int))
    features = told.features
    fewer = StressedFeatures(
        features.matrix[rows],
        features.names,
        features.sources,
        features.signs,
        features.money,
        {months: before[rows] for months, before in features.earlier.items()},
    )
    return [
        *stress_findings(told.scorer, fewer, sample.outcome[rows], told.scorer(fewer.matrix), told.seed),
        *sensitivity_findings(told.scorer, fewer),
    ]


def _leakage(sample: ScoredSample, told: Evidence) -> list[Finding]:
    features = told.features
    found = leakage_findings(
        sample,
        None if features is None else features.matrix,
        () if features is None else features.names,
        told.reference_pd,
        {"vintage": sample.vintage, **told.batches},
    )
    if told.served is not None:
        found.append(served_parity(sample.pd, told.served.pd, sample.grade, told.served.grade))
    return found


def _fairness(sample: ScoredSample, told: Evidence) -> list[Finding]:
    if not told.groups:
        return [unmeasured("fairness.approval_ratio", NO_VAULT, len(sample), sample.events)]
    worst_grade = told.worst_grade if told.worst_grade is not None else (sample.grades + 1) // 2
    matrix = None if told.features is None else told.features.matrix
    names = () if told.features is None else told.features.names
    return [
        found
        for attribute, group in told.groups.items()
        for found in fairness_findings(sample, group, attribute, worst_grade, matrix, names)
    ]
