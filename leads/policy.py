"""A lead policy: the numbers and rules that the business owns, as a YAML file that a person can read, sign and change.

One file per product in `leads/policies/`. A policy is hashed; every list names the hash it was made under.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import GsceneError, Refusal
from core.subject import SubjectKind

FOLDER = Path(__file__).parent / "policies"

#: Letters of bands, best first; four falling thresholds part five bands.
BANDS = "ABCDE"

Channel = Literal["bank_crm", "app_push", "branch_visit", "sms"]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Thresholds = Annotated[list[float], Field(min_length=len(BANDS) - 1, max_length=len(BANDS) - 1)]


class ValueNumbers(Definition):
    """CNY per lead, over the horizon that `horizon_months` states; see `leads.value` for the formula."""

    horizon_months: Annotated[int, Field(ge=1, le=60)]
    margin_amt: Amount
    contact_cost_amt: Amount
    exposure_amt: Amount
    lgd: Share
    portfolio_pd: Share


class RiskGate(Definition):
    """Grades 1 (best) to 10; worse than `worst_grade` is left out."""

    worst_grade: Annotated[int, Field(ge=1, le=10)]


class Contact(Definition):
    """How subjects may be approached and how often."""

    channels: Annotated[list[Channel], Field(min_length=1)]
    cool_off_days: Annotated[int, Field(ge=0)]
    lead_valid_days: Annotated[int, Field(ge=1, le=365)]


class Holdout(Definition):
    """Shares held out at random; a campaign without a holdout can't be evaluated, so neither may be 0."""

    campaign_share: Annotated[float, Field(gt=0, le=0.5)]
    global_share: Annotated[float, Field(gt=0, le=0.5)]


class NonPersonalised(Definition):
    """The arm for those who refuse marketing by automated decision: the same offer, in an order drawn at random."""

    leads_per_branch: Annotated[int, Field(ge=1)]


class BandThresholds(Definition):
    """Lower limits of bands A to D; what lies below the last is E."""

    propensity: Thresholds
    expected_value: Thresholds

    @field_validator("propensity", "expected_value")
    @classmethod
    def _falling(cls, limits: list[float]) -> list[float]:
        if any(a <= b for a, b in pairwise(limits)):
            raise ValueError("thresholds must fall from A to D")
        return limits


class LeadPolicy(Definition):
    """What `leads/policies/<policy>.yaml` holds. `basis`: what the acquisition score estimates.

    `consent_basis`: `register` lists only subjects with a consent in the register; `ask_first` is for feeds without a register,
    under the subject's own query authorisation: every row says so, and nothing is offered before consent is given. Whoever has
    withdrawn is on no list under either. A consent as strong as the weakest of `consent_kinds` will do. `non_personalised`:
    without it those who refuse marketing by automated decision aren't approached at all.
    """

    policy: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    version: Annotated[int, Field(ge=1)]
    title: Bilingual
    owner: Bilingual
    subject: SubjectKind
    product_cd: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    holder_products: Annotated[list[str], Field(min_length=1)]
    effective_from: date
    effective_to: date | None
    basis: Literal["propensity", "uplift"]
    consent_basis: Literal["register", "ask_first"] = "register"
    value: ValueNumbers
    minimum_value_amt: float | None
    risk_gate: RiskGate | None
    consent_kinds: Annotated[list[Literal["general", "separate", "written"]], Field(min_length=1)]
    contact: Contact
    holdout: Holdout
    leads_per_branch: Annotated[int, Field(ge=0)]
    non_personalised: NonPersonalised | None = None
    bands: BandThresholds

    @model_validator(mode="after")
    def _in_order(self) -> LeadPolicy:
        if self.effective_to is not None and self.effective_to <= self.effective_from:
            raise ValueError("effective_to must be later than effective_from")
        return self

    @cached_property
    def sha256(self) -> str:
        """Hash of every entry, whatever the layout of the file."""
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()

    def in_force(self, on: date) -> bool:
        """Whether effective_from <= `on` < effective_to."""
        return self.effective_from <= on and (self.effective_to is None or on < self.effective_to)


def load_policy(name: str, folder: Path = FOLDER) -> LeadPolicy:
    """Read `<folder>/<name>.yaml`; Refusal with file and line for a wrong entry or a name unlike the file's."""
    path = folder / f"{name}.yaml"
    policy = load_definition(path, LeadPolicy)
    if policy.policy != name:
        raise Refusal(
            CODE,
            f"policy {policy.policy} lies in a file of another name.",
            file=str(path),
            line=line_of(path, "policy"),
            remedy="Give file and policy the same name.",
        )
    return policy


def load_policies(folder: Path = FOLDER) -> dict[str, LeadPolicy]:
    """All policies by name."""
    return {path.stem: load_policy(path.stem, folder) for path in sorted(folder.glob("*.yaml"))}


def policy_in_force(name: str, on: date, folder: Path = FOLDER) -> LeadPolicy:
    """The policy `name`; GsceneError when it isn't in force on that day."""
    policy = load_policy(name, folder)
    if not policy.in_force(on):
        raise GsceneError(
            f"policy {name} version {policy.version} isn't in force on {on}.",
            "Ask its owner for a version with other effective dates.",
        )
    return policy
