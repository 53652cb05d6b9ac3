"""A decision policy: cut-offs, vetoes and money, as one YAML file that is never edited once it was proposed."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.purpose import Purpose
from features.catalogue import FeatureSet
from models.decision.outcome import Outcome
from models.definition import ModelDefinition

SHIPPED = Path(__file__).parent / "policies"

#: Points of the 1,001 bins.
Points = Annotated[int, Field(ge=0, le=1_000)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class CutOffs(Definition):
    """Approved from `approve_from` points on, declined below `decline_below`, looked at by people between the two."""

    approve_from: Points
    decline_below: Points

    @model_validator(mode="after")
    def _in_order(self) -> CutOffs:
        if self.decline_below > self.approve_from:
            raise ValueError("decline_below must not lie above approve_from")
        return self


class Economics(Definition):
    """CNY and shares per approved account over the model's performance window; see `models.decision.what_if` for the formula.

    `margin_rate`: interest and fees less funding, as a share of the exposure, earned on an account that stays good.
    """

    exposure_amt: Amount
    margin_rate: Share
    lgd: Share
    cost_amt: Amount


class Veto(Definition):
    """A rule beside the score on one feature: it fires where `at_least` <= value <= `at_most` (either may be left out), or where
    the value is missing and `missing` is true. A missing value fires nothing else."""

    rule: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    feature: str
    at_least: float | None = None
    at_most: float | None = None
    missing: bool = False
    outcome: Outcome
    text: Bilingual

    @model_validator(mode="after")
    def _conditioned(self) -> Veto:
        if self.at_least is None and self.at_most is None and not self.missing:
            raise ValueError("give at_least, at_most or missing: true")
        if self.outcome is Outcome.APPROVE:
            raise ValueError("a veto declines or refers; it never approves")
        return self


class DecisionPolicy(Definition):
    """What `<version>.yaml` of a policy holds. In force from `effective_from` until `effective_to` (that day not included), or
    until a later version begins."""

    policy: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    version: Annotated[int, Field(ge=1)]
    model: str
    title: Bilingual
    owner: Bilingual
    effective_from: date
    effective_to: date | None = None
    cut_offs: CutOffs
    economics: Economics
    vetoes: tuple[Veto, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> DecisionPolicy:
        if self.effective_to is not None and self.effective_to <= self.effective_from:
            raise ValueError("effective_to must be later than effective_from")
        if len({veto.rule for veto in self.vetoes}) != len(self.vetoes):
            raise ValueError("a rule is named twice")
        return self

    @cached_property
    def sha256(self) -> str:
        """Hash of every entry, whatever the layout of the file."""
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()

    @property
    def name(self) -> str:
        """Name and version as people and files say it."""
        return f"{self.policy}/{self.version}"


def load_decision_policy(path: Path) -> DecisionPolicy:
    """Read one file; Refusal with file and line."""
    return load_definition(path, DecisionPolicy)


def check_policy(
    policy: DecisionPolicy, path: Path, definition: ModelDefinition, feature_set: FeatureSet
) -> None:
    """Refusal where the policy doesn't fit the model: another purpose than risk, or a veto on a feature that the purpose may not
    see or that may stand in for a protected attribute."""
    if definition.purpose is not Purpose.RISK:
        raise _refuse(path, f"{definition.name} serves {definition.purpose}, not risk", "model")
    known = {feature.name: feature for feature in feature_set.features}
    for place, veto in enumerate(policy.vetoes):
        feature = known.get(veto.feature)
        if feature is None or Purpose.RISK not in feature.purposes:
            why = "isn't a feature of the model's set that risk may use"
        elif feature.fairness == "review":
            why = "may stand in for a protected attribute"
        else:
            continue
        raise _refuse(path, f"{veto.rule}: {veto.feature} {why}", "vetoes", place)


def _refuse(path: Path, what: str, *place: str | int) -> Refusal:
    return Refusal(
        CODE, f"{what}.", file=str(path), line=line_of(path, *place), remedy="Correct the policy; gscene features lists features."
    )  # fmt: skip
