"""Model definitions: one YAML file in `models/definitions/` says what a model predicts, from what, and how it
is trained.

Nothing about a model is decided anywhere else; the hash of the definition travels with every bundle.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.purpose import Purpose
from core.subject import SubjectKind
from models.label_definition import (
    LABEL_FOLDER,
    AccountDpdLabel,
    BankOutcomeLabel,
    CampaignResponseLabel,
    Label,
    StatedOutcomeLabel,
    find_label,
    load_label_file,
)

__all__ = [
    "FOLDER",
    "AccountDpdLabel",
    "BankOutcomeLabel",
    "CampaignResponseLabel",
    "ChallengeRule",
    "GradeParameters",
    "Label",
    "LightgbmParameters",
    "ModelDefinition",
    "RepeatedSplit",
    "ScorecardParameters",
    "Split",
    "StatedOutcomeLabel",
    "TimeSplit",
    "load_model_definition",
    "load_model_definitions",
]

FOLDER = Path(__file__).parent / "definitions"


class TimeSplit(Definition):
    """Train on earlier vintages, judge on later ones and on other subjects.

    `holdout_share` 0 sets no subjects apart: only for samples in which no subject has rows on both sides.
    """

    kind: Literal["by_time"]
    training_vintages: int = Field(ge=1, le=48)
    spacing_months: int = Field(default=1, ge=1, le=12)
    out_of_time_vintages: int = Field(default=3, ge=1, le=12)
    gap_months: int = Field(default=1, ge=1, le=24)
    holdout_share: float = Field(default=0.3, ge=0.0, lt=0.9)
    folds: int = Field(default=5, ge=2, le=10)
    max_fold_rows: int = Field(default=200_000, ge=1_000)


class RepeatedSplit(Definition):
    """Repeated stratified cross-validation, for samples too small to set anything aside."""

    kind: Literal["repeated_cv"]
    folds: int = Field(default=5, ge=2, le=20)
    repeats: int = Field(default=20, ge=1, le=200)


Split = Annotated[TimeSplit | RepeatedSplit, Field(discriminator="kind")]


class LightgbmParameters(Definition):
    """What LightGBM is given; threads and seed are passed at the call.

    `max_features`: it may split on so many only, those of the highest information value on the rows that it learns from. Among
    hundreds of features some fit a few dozen bads by chance.
    """

    max_features: int | None = Field(default=None, ge=1)
    rounds: int = Field(ge=1, le=5_000)
    early_stopping_rounds: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(gt=0.0, le=1.0)
    num_leaves: int = Field(ge=2, le=1_024)
    max_depth: int = Field(default=-1, ge=-1, le=64)
    min_data_in_leaf: int = Field(ge=1)
    min_sum_hessian_in_leaf: float = Field(default=1e-3, ge=0.0)
    lambda_l2: float = Field(default=0.0, ge=0.0)
    min_gain_to_split: float = Field(default=0.0, ge=0.0)
    feature_fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    bagging_fraction: float = Field(default=1.0, gt=0.0, le=1.0)
    bagging_freq: int = Field(default=0, ge=0)
    max_bin: int = Field(default=255, ge=2, le=1_024)
    extra_trees: bool = False
    path_smooth: float = Field(default=0.0, ge=0.0)


class ScorecardParameters(Definition):
    """How features are binned and chosen for the scorecard; `prior_rows` shrinks each bin towards the base
    rate.
    """

    max_features: int = Field(ge=1, le=60)
    max_bins: int = Field(ge=2, le=50)
    min_bin_share: float = Field(default=0.05, gt=0.0, le=0.5)
    prior_rows: float = Field(default=1.0, ge=0.0)
    min_iv: float = Field(default=0.02, ge=0.0)
    max_correlation: float = Field(default=0.7, gt=0.0, le=1.0)
    inverse_penalty: float = Field(default=1.0, gt=0.0)


class SelectionParameters(Definition):
    """Which features both candidates may use (`models.selection`), decided on the rows that each fit learns from.

    `events_per_feature`: distinct subjects with the event for each feature. With fewer than `signs_below_events` of them only
    features whose direction the catalogue declares are trusted.
    """

    max_p_value: float = Field(default=0.05, gt=0.0, le=1.0)
    events_per_feature: float = Field(default=5.0, gt=0.0)
    least_features: int = Field(default=4, ge=1)
    max_features: int = Field(default=60, ge=1)
    max_correlation: float = Field(default=0.8, gt=0.0, le=1.0)
    signs_below_events: int = Field(default=0, ge=0)


class SearchRange(Definition):
    """Between which values a parameter is searched, both included; `log`: evenly by its logarithm."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> SearchRange:
        if self.low >= self.high or (self.log and self.low <= 0.0):
            raise ValueError("low must lie below high, and above 0 where log is true")
        return self


TunedParameter = Literal[
    "learning_rate", "num_leaves", "min_data_in_leaf", "lambda_l2", "min_gain_to_split", "feature_fraction",
    "bagging_fraction", "path_smooth",
]  # fmt: skip
#: Those of them that are whole numbers.
WHOLE = frozenset({"num_leaves", "min_data_in_leaf"})


class TuningParameters(Definition):
    """How LightGBM's parameters are searched inside the training side (`models.tuning`); never on out-of-time rows.

    With fewer than `small_events` distinct subjects with the event there are only `small_trials`: the difference between two
    trials is then mostly luck. No time limit: it would make the result depend on the machine.
    """

    trials: int = Field(ge=2, le=500)
    small_trials: int = Field(default=6, ge=2, le=500)
    small_events: int = Field(default=200, ge=0)
    timeout: None = None
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    folds: int = Field(default=3, ge=2, le=10)
    space: dict[TunedParameter, SearchRange] = Field(min_length=1)


class GradeParameters(Definition):
    """Grades lie `step_points` points apart around the central tendency."""

    count: int = Field(default=10, ge=2, le=30)
    step_points: float = Field(default=12.0, gt=0.0)


class ChallengeRule(Definition):
    """LightGBM ships only when its AUC is better by `margin` and the interval of the difference lies above
    zero.
    """

    margin: float = Field(default=0.01, ge=0.0)
    confidence: float = Field(default=0.9, gt=0.0, lt=1.0)


class ModelDefinition(Definition):
    """One model: subject, purpose, features, label, split and how both candidates are fitted."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Bilingual
    subject: SubjectKind
    purpose: Literal[Purpose.RISK, Purpose.MARKETING]
    feature_set: str
    label: Label
    split: Split
    lightgbm: LightgbmParameters
    scorecard: ScorecardParameters
    selection: SelectionParameters | None = None
    tuning: TuningParameters | None = None
    grades: GradeParameters = GradeParameters()
    challenge: ChallengeRule = ChallengeRule()
    central_tendency: float | None = Field(default=None, gt=0.0, lt=1.0)
    min_bads: int = Field(ge=2)
    seed: int = Field(default=20_260_101, ge=0, le=2**31 - 1)
    known_limits: list[Bilingual] = []

    @field_validator("label", mode="before")
    @classmethod
    def _named_label(cls, value: Any, info: ValidationInfo) -> Any:
        """`resident_default@1` is looked up in the folder of label definitions (`context["labels"]`)."""
        if not isinstance(value, str):
            return value
        return find_label(value, (info.context or {}).get("labels", LABEL_FOLDER))

    @model_validator(mode="after")
    def _consistent(self) -> ModelDefinition:
        if self.event_is_wanted != (self.purpose is Purpose.MARKETING):
            raise ValueError(
                "a campaign_response label is for the purpose marketing, every other label for the purpose risk"
            )
        return self

    @property
    def event_is_wanted(self) -> bool:
        """True where the predicted event is a response, not a default: the best grade then has the highest
        probability.
        """
        if isinstance(self.label, StatedOutcomeLabel):
            return self.label.wanted
        return isinstance(self.label, CampaignResponseLabel)

    @property
    def sha256(self) -> str:
        """Hash of the whole definition."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def load_model_definition(path: Path, labels: Path = LABEL_FOLDER) -> ModelDefinition:
    """Read one definition; the file is named after the model, its label stands in a file of `labels` that is for its subject.

    Raises Refusal with file and line.
    """
    definition = load_definition(path, ModelDefinition, labels=labels)
    if definition.name != path.stem:
        raise _refuse(
            path,
            "name",
            f"the model {definition.name} stands in a file of another name.",
            f"Rename the file to {definition.name}.yaml or correct the name.",
        )
    if not definition.label.name:
        raise _refuse(
            path,
            "label",
            "the label stands inside the model definition.",
            f"Name a label of {labels.name}/ with its version, such as resident_default@1.",
        )
    subjects = load_label_file(labels / f"{definition.label.name}.yaml").subjects
    if definition.subject not in subjects:
        raise _refuse(
            path,
            "label",
            f"the label {definition.label.code} isn't for the subject {definition.subject}.",
            "Choose a label of this subject, or add the subject to the label's file.",
        )
    return definition


def load_model_definitions(folder: Path = FOLDER) -> dict[str, ModelDefinition]:
    """All definitions by model name."""
    definitions = [load_model_definition(path) for path in sorted(folder.glob("*.yaml"))]
    return {definition.name: definition for definition in definitions}


def _refuse(path: Path, place: str, message: str, remedy: str) -> Refusal:
    return Refusal(CODE, message, file=str(path), line=line_of(path, place), remedy=remedy)
