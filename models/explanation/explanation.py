"""What drives the scores of one trained model, as plain data without a row of anybody; it stands in the training record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.explanation.reference import Reference


@dataclass(frozen=True)
class FeatureImportance:
    """One used feature. `gain_share`: of LightGBM's gain (0 for the scorecard); `contribution`: mean absolute contribution in
    log-odds; `auc_drop`: mean loss of AUC when its values are shuffled among the judged rows, None where that wasn't measured."""

    name: str
    gain_share: float
    contribution: float
    auc_drop: float | None


@dataclass(frozen=True)
class Profile:
    """PD as one feature moves over `grid` and all else stays: mean over the explained rows (partial dependence, PDP), and the
    10 % and 90 % quantile of the rows' own curves (ICE) at each point. `missing`: the same three with the value missing."""

    name: str
    sign: int
    grid: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    missing: tuple[float, float, float]


@dataclass(frozen=True)
class ConstraintCheck:
    """Steps of the score over one feature with a declared sign: how many were tried on how many rows, how many go against the
    sign, and the largest of those in log-odds. `every_step`: no step of the model's function was left out."""

    name: str
    sign: int
    moves: int
    against: int
    largest_against: float
    every_step: bool


@dataclass(frozen=True)
class Interaction:
    """Friedman's H of two features: share (as a root) of their joint effect that isn't the sum of the two single ones."""

    first: str
    second: str
    h: float


@dataclass(frozen=True)
class Explanation:
    """`rows` explained rows of the training side; `judged_rows` that AUC drops stand on, of the set `judged_on`.

    All tuples are in falling order of importance; features that the model doesn't use are left out everywhere but in the
    reference.
    """

    ships: str
    reference: Reference
    rows: int
    judged_on: str
    judged_rows: int
    importance: tuple[FeatureImportance, ...]
    profiles: tuple[Profile, ...]
    constraints: tuple[ConstraintCheck, ...]
    interactions: tuple[Interaction, ...]

    @property
    def against(self) -> int:
        """Steps against a declared sign."""
        return sum(check.against for check in self.constraints)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Explanation:
        """Back from JSON."""
        reference = plain["reference"]
        return cls(
            ships=plain["ships"],
            reference=Reference(
                tuple((name, value) for name, value in reference["values"]), reference["rows"]
            ),
            rows=plain["rows"],
            judged_on=plain["judged_on"],
            judged_rows=plain["judged_rows"],
            importance=tuple(FeatureImportance(**each) for each in plain["importance"]),
            profiles=tuple(_profile(each) for each in plain["profiles"]),
            constraints=tuple(ConstraintCheck(**each) for each in plain["constraints"]),
            interactions=tuple(Interaction(**each) for each in plain["interactions"]),
        )


def _profile(plain: Mapping[str, Any]) -> Profile:
    grid, mean, low, high = (tuple(plain[key]) for key in ("grid", "mean", "low", "high"))
    missing = plain["missing"]
    return Profile(plain["name"], plain["sign"], grid, mean, low, high, (missing[0], missing[1], missing[2]))
