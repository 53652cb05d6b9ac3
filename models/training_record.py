"""What a training leaves behind: everything needed to score, to review and to audit it, as plain data and no
rows of anybody.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from models.calibration import Calibration
from models.candidates import CandidateKind
from models.choice import Choice
from models.cross_validation import Spread
from models.definition import ModelDefinition
from models.discrimination import Discrimination
from models.explanation.explanation import Explanation
from models.grades import GradeScale
from models.lightgbm_model import FittedBooster
from models.sampling.sample_report import SampleReport
from models.scorecard import Scorecard
from models.selection import Selection
from models.tuning import Tuning
from models.validation.finding import Finding
from models.validation.summary import headline


@dataclass(frozen=True)
class TrainingInputs:
    """Where the sample came from. `tables`: table name -> version read. `training_month`: the month as of
    which it was known.
    """

    training_month: str
    tables: dict[str, int]
    feature_set_sha256: str = ""


@dataclass(frozen=True)
class CandidateRecord:
    """One candidate: its calibration, what it reached on each set of rows, and its spread over repeats
    (repeated_cv only).
    """

    kind: CandidateKind
    calibration: Calibration
    performance: dict[str, Discrimination | None]
    spread: Spread | None
    roc: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class FeatureRecord:
    """One feature: sign, information value, share of missing values, share of LightGBM's gain, and use in the
    scorecard.

    `low` and `high` are rounded 1 % and 99 % quantiles; golden rows are drawn between them.
    """

    name: str
    sign: int
    phrase: str
    iv: float
    missing_share: float
    gain_share: float
    in_scorecard: bool
    low: float
    high: float


@dataclass(frozen=True)
class GradeRecord:
    """One grade on the judged rows: predicted mean probability, observed rate with its 90 % Wilson interval."""

    grade: int
    rows: int
    events: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Search:
    """How features and parameters were chosen; None where the definition leaves nothing to choose."""

    selection: Selection | None
    tuning: Tuning | None


@dataclass(frozen=True)
class TrainingRecord:
    """One complete training. `judged_on` names the performance entry that the choice and the grade table
    stand on.
    """

    definition: ModelDefinition
    inputs: TrainingInputs
    features: tuple[FeatureRecord, ...]
    scorecard: Scorecard
    booster: FittedBooster
    candidates: dict[CandidateKind, CandidateRecord]
    choice: Choice
    scale: GradeScale
    grades: tuple[GradeRecord, ...]
    judged_on: str
    score_bands: tuple[tuple[float, int, int], ...]
    steps: dict[str, int]
    lightgbm_settings: dict[str, Any]
    libraries: dict[str, str]
    #: What validation found; not part of the bundle, so that a changed limit doesn't make another model.
    findings: tuple[Finding, ...] = ()
    #: What the sample was made of and whom it leaves out.
    sample: SampleReport | None = None
    #: What drives the scores, and the reference that reasons are told against.
    explanation: Explanation | None = None
    search: Search | None = None

    @property
    def ships(self) -> CandidateKind:
        """The candidate that scores."""
        return self.choice.ships

    @property
    def names(self) -> list[str]:
        """Feature names in column order."""
        return [feature.name for feature in self.features]

    def metrics(self) -> dict[str, float]:
        """Numbers for the ledger: `<candidate>.<rows>.<measure>`, and the difference that decided."""
        found: dict[str, float] = {}
        for kind, candidate in self.candidates.items():
            for rows, measured in candidate.performance.items():
                if measured is not None:
                    found |= {
                        f"{kind}.{rows}.auc": measured.auc.auc,
                        f"{kind}.{rows}.auc_low": measured.auc.low,
                        f"{kind}.{rows}.auc_high": measured.auc.high,
                        f"{kind}.{rows}.gini": measured.gini,
                        f"{kind}.{rows}.ks": measured.ks,
                        f"{kind}.{rows}.top_decile_rate": measured.top_decile_rate,
                    }
            if candidate.spread is not None:
                found |= {
                    f"{kind}.repeats.auc_{key}": value for key, value in asdict(candidate.spread).items()
                }
        for key in ("difference", "low", "high"):
            value = getattr(self.choice, key)
            if value is not None:
                found[f"lightgbm_minus_scorecard.{key}"] = value
        return found | headline(self.findings)

    def plain(self) -> dict[str, Any]:
        """The record without the models themselves, ready for JSON."""
        shown = {name: getattr(self, name) for name in ("inputs", "choice", "scale")}
        return {
            "definition": self.definition.model_dump(mode="json"),
            "definition_sha256": self.definition.sha256,
            **{name: asdict(value) for name, value in shown.items()},
            "features": [asdict(feature) for feature in self.features],
            "candidates": {str(kind): asdict(candidate) for kind, candidate in self.candidates.items()},
            "grades": [asdict(grade) for grade in self.grades],
            "judged_on": self.judged_on,
            "score_bands": [list(band) for band in self.score_bands],
            "steps": self.steps,
            "lightgbm_settings": self.lightgbm_settings,
            "lightgbm_rounds": self.booster.rounds,
            "libraries": self.libraries,
            "sample": None if self.sample is None else self.sample.plain(),
            **({} if self.explanation is None else {"explanation": self.explanation.plain()}),
            "search": None if self.search is None else asdict(self.search),
        }
