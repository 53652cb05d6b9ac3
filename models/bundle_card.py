"""The card of a bundle (model.json): written from a training record, read back strictly.

Scoring needs the typed part; everything else about the training stands in `record` for reviewers and
auditors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.definition_file import Bilingual
from core.errors import Refusal
from core.purpose import Purpose
from core.subject import SubjectKind
from models.calibration import Calibration
from models.candidates import CandidateKind
from models.grades import GradeScale
from models.points import ANCHOR_ODDS, ANCHOR_POINTS, POINTS_TO_DOUBLE_ODDS
from models.training_record import TrainingRecord

FORMAT = "gscene-model/1"

Finite = Annotated[float, Field(allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CardFeature(_Strict):
    """One feature in the model's column order."""

    name: str = Field(pattern=r"^[A-Za-z0-9_]{1,200}$")
    sign: Literal[-1, 0, 1]
    phrase: str
    low: Finite
    high: Finite


class _CardCalibration(_Strict):
    kind: Literal["platt", "isotonic"]
    slope: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    intercept: Finite
    knots_in: list[Finite]
    knots_out: list[Finite]
    shift: Finite
    central_tendency: Annotated[float, Field(gt=0.0, lt=1.0)]
    rows: int = Field(ge=0)
    events: int = Field(ge=0)

    @model_validator(mode="after")
    def _never_turns_round(self) -> _CardCalibration:
        rising = all(a < b for a, b in zip(self.knots_in, self.knots_in[1:], strict=False))
        monotone = all(a <= b for a, b in zip(self.knots_out, self.knots_out[1:], strict=False))
        matched = len(self.knots_in) == len(self.knots_out) and (
            bool(self.knots_in) == (self.kind == "isotonic")
        )
        if not (rising and monotone and matched):
            raise ValueError("the calibration isn't monotone")
        return self


class _CardPoints(_Strict):
    anchor_points: Finite
    anchor_odds: Finite
    points_to_double_odds: Finite


class BundleCard(_Strict):
    """What scoring and review need of a model."""

    format: Literal["gscene-model/1"]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: dict[str, str]
    subject: SubjectKind = Field(strict=False)
    purpose: Purpose = Field(strict=False)
    training_month: str = Field(pattern=r"^\d{4}-\d{2}$")
    feature_set: str
    feature_set_sha256: str
    definition_sha256: Sha256
    features: list[CardFeature] = Field(min_length=1)
    ships: CandidateKind = Field(strict=False)
    event_is_wanted: bool
    calibrations: dict[Literal["scorecard", "lightgbm"], _CardCalibration]
    grade_bounds: list[Finite] = Field(min_length=1)
    points: _CardPoints
    input_tables: dict[str, int]
    parts: dict[str, Sha256]
    record: dict[str, Any]
    notice: dict[str, str] | None = None

    @model_validator(mode="after")
    def _whole(self) -> BundleCard:
        if len({feature.name for feature in self.features}) != len(self.features):
            raise ValueError("a feature is named twice")
        if any(a >= b for a, b in zip(self.grade_bounds, self.grade_bounds[1:], strict=False)):
            raise ValueError("grade bounds must rise")
        if self.ships.value not in self.calibrations:
            raise ValueError("the candidate that ships has no calibration")
        if self.points.model_dump() != _POINTS:
            raise ValueError("the points scale is another one")
        return self

    @property
    def calibration(self) -> Calibration:
        """Calibration of the candidate that ships."""
        plain = self.calibrations[self.ships.value].model_dump()
        return Calibration(
            **{**plain, "knots_in": tuple(plain["knots_in"]), "knots_out": tuple(plain["knots_out"])}
        )

    @property
    def scale(self) -> GradeScale:
        """The grades."""
        return GradeScale(tuple(self.grade_bounds), self.event_is_wanted)

    @property
    def notice_texts(self) -> Bilingual | None:
        """What the card says of its own standing."""
        return None if self.notice is None else Bilingual.model_validate(self.notice)


_POINTS = {
    "anchor_points": ANCHOR_POINTS,
    "anchor_odds": ANCHOR_ODDS,
    "points_to_double_odds": POINTS_TO_DOUBLE_ODDS,
}


def card_of(record: TrainingRecord, parts: dict[str, str], notice: Bilingual | None = None) -> dict[str, Any]:
    """The card of a training as plain data; `parts` are the sha256 of the other files."""
    definition, plain = record.definition, record.plain()
    return {
        "format": FORMAT,
        "name": definition.name,
        "title": definition.title.model_dump(),
        "subject": str(definition.subject),
        "purpose": str(definition.purpose),
        "training_month": record.inputs.training_month,
        "feature_set": definition.feature_set,
        "feature_set_sha256": record.inputs.feature_set_sha256,
        "definition_sha256": definition.sha256,
        "features": [
            {key: entry[key] for key in ("name", "sign", "phrase", "low", "high")}
            for entry in plain["features"]
        ],
        "ships": str(record.ships),
        "event_is_wanted": definition.event_is_wanted,
        "calibrations": {kind: entry["calibration"] for kind, entry in plain["candidates"].items()},
        "grade_bounds": list(record.scale.bounds),
        "points": _POINTS,
        "input_tables": record.inputs.tables,
        "parts": parts,
        "record": plain,
        **({} if notice is None else {"notice": notice.model_dump()}),
    }


def parse_card(data: bytes, file: Path) -> BundleCard:
    """Read a card strictly: unknown entries, wrong types, NaN and anything inconsistent are a Refusal
    REFUSED/MODEL.
    """
    try:
        plain = json.loads(data.decode("utf-8"), parse_constant=_no_constants)
        return BundleCard.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        what = f"the card is not well formed at {'.'.join(str(part) for part in first['loc']) or 'the top'}: {first['msg']}"
    except (ValueError, RecursionError) as error:
        what = f"the card is not JSON: {type(error).__name__}"
    raise Refusal(
        "REFUSED/MODEL", what + ".", file=str(file), remedy="Fetch the bundle from where it was signed off."
    )


def _no_constants(_text: str) -> float:
    raise ValueError("NaN and Infinity are not JSON")
