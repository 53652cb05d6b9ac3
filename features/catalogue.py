"""The catalogue: every feature by name, with its formula, window, unit, purposes, sign, missing-value meaning and phrase.

A feature set is one YAML file in `features/catalogue/`. Adding a feature is one entry and no Python. On load each
entry is checked against the facts and contracts it stands on: a feature can't claim a purpose that one of its source
columns doesn't allow.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.purpose import Purpose
from core.subject import SubjectKind
from core.table_schema import TableSchema
from features.fact_definition import FactDefinition
from features.windows import EXTRA_MONTHS, PRESENCE, Formula

FOLDER = Path(__file__).parent / "catalogue"

#: Attributes that no feature may stand on (domain rules: sex, ethnicity, religion, health, whereabouts, household registration).
PROTECTED = (
    "sex",
    "gender",
    "ethnic",
    "religion",
    "health",
    "disab",
    "hukou",
    "birth",
    "marital",
    "location",
)


class FeatureEntry(Definition):
    """One entry of a feature set; `{w}` in name and texts stands for each window in months."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_{}]*$")
    facts: str
    measure: str
    formula: Formula
    windows: list[int] = Field(min_length=1)
    over: str | None = None
    over_facts: str | None = None
    unit: str
    purposes: list[Purpose] = Field(min_length=1)
    risk: Literal[-1, 0, 1]
    missing: Bilingual
    zh: str
    en: str
    phrase: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")

    @model_validator(mode="after")
    def _complete(self) -> FeatureEntry:
        if (self.formula == "share_of") != (self.over is not None):
            raise ValueError("share_of needs `over`, and only share_of takes it")
        if len(self.windows) > 1 and "{w}" not in self.name:
            raise ValueError("a name for several windows needs {w}")
        if any(w < 1 or w > 60 for w in self.windows):
            raise ValueError("windows are 1 to 60 months")
        return self


class FeatureFile(Definition):
    """One YAML file of the catalogue."""

    feature_set: str
    subject: SubjectKind
    title: Bilingual
    features: list[FeatureEntry]


@dataclass(frozen=True)
class Feature:
    """One feature, windows written out. `scale` turns fen into yuan where the measure is an amount."""

    name: str
    facts: str
    measure: str
    formula: str
    window: int
    over: str | None
    over_facts: str
    unit: str
    purposes: frozenset[Purpose]
    risk: int
    missing: Bilingual
    title: Bilingual
    phrase: str
    scale: float

    @property
    def sides(self) -> tuple[tuple[str, str], ...]:
        """The one or two (facts, measure) that it looks at."""
        own = (self.facts, self.measure)
        return (own,) if self.over is None else (own, (self.over_facts, self.over))

    @property
    def months_back(self) -> int:
        """Months of facts that the formula looks at, the as-of month included."""
        extra = EXTRA_MONTHS.get(self.formula)
        return self.window + (extra(self.window) if extra is not None else 0)


@dataclass(frozen=True)
class FeatureSet:
    """A loaded feature set with the fact definitions it stands on."""

    name: str
    subject: SubjectKind
    title: Bilingual
    features: tuple[Feature, ...]
    facts: dict[str, FactDefinition]

    @property
    def table(self) -> str:
        """Table-store name of the features."""
        return f"features/{self.subject}/{self.name}"

    @property
    def names(self) -> list[str]:
        """Feature names in column order."""
        return [feature.name for feature in self.features]

    @property
    def months_back(self) -> int:
        """The longest look-back of any feature."""
        return max(feature.months_back for feature in self.features)

    @property
    def signs(self) -> dict[str, int]:
        """Risk direction by feature: +1 raises PD, -1 lowers it, 0 no constraint."""
        return {feature.name: feature.risk for feature in self.features}

    def for_purpose(self, purpose: Purpose) -> list[str]:
        """Names of the features that may serve this purpose."""
        return [feature.name for feature in self.features if purpose in feature.purposes]

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that decides a value: features and fact definitions."""
        body = {
            "features": [
                [
                    f.name,
                    f.facts,
                    f.measure,
                    f.formula,
                    f.window,
                    f.over,
                    f.over_facts,
                    f.scale,
                ]
                for f in self.features
            ],
            "facts": {
                name: definition.model_dump(mode="json") for name, definition in sorted(self.facts.items())
            },
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def load_feature_set(
    path: Path,
    facts: dict[tuple[SubjectKind, str], FactDefinition],
    schemas: dict[str, TableSchema],
) -> FeatureSet:
    """Read one feature set; a wrong name, purpose or protected column is a Refusal with file and line."""
    file = load_definition(path, FeatureFile)
    features: list[Feature] = []
    used: dict[str, FactDefinition] = {}
    for position, entry in enumerate(file.features):
        for name in {entry.facts, entry.over_facts or entry.facts}:
            if (file.subject, name) not in facts:
                raise _refuse(path, position, f"there are no facts {name} for {file.subject}")
            used[name] = facts[file.subject, name]
        features += _expand(path, position, entry, used, schemas)
    names = [feature.name for feature in features]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise _refuse(path, 0, f"the names {', '.join(sorted(twice))} are given twice")
    return FeatureSet(file.feature_set, file.subject, file.title, tuple(features), used)


def load_catalogue(
    facts: dict[tuple[SubjectKind, str], FactDefinition],
    schemas: dict[str, TableSchema],
    folder: Path = FOLDER,
) -> dict[str, FeatureSet]:
    """All feature sets by name."""
    sets = [load_feature_set(path, facts, schemas) for path in sorted(folder.glob("*.yaml"))]
    return {feature_set.name: feature_set for feature_set in sets}


def _expand(
    path: Path,
    position: int,
    entry: FeatureEntry,
    facts: dict[str, FactDefinition],
    schemas: dict[str, TableSchema],
) -> list[Feature]:
    over_facts = entry.over_facts or entry.facts
    sides = [(entry.facts, entry.measure)] + ([(over_facts, entry.over)] if entry.over is not None else [])
    purposes = frozenset(entry.purposes)
    for name, measure in sides:
        definition = facts[name]
        if measure not in definition.measures:
            raise _refuse(
                path,
                position,
                f"{entry.name}: the facts {name} have no measure {measure}",
            )
        if entry.formula in PRESENCE and definition.measures[measure].agg != "count":
            raise _refuse(path, position, f"{entry.name}: {entry.formula} takes a count of records")
        columns = definition.columns_of(measure)
        protected = [column for column in columns if any(word in column for word in PROTECTED)]
        if protected:
            raise _refuse(
                path,
                position,
                f"{entry.name} stands on the protected column {protected[0]}",
            )
        forbidden = purposes - definition.purposes_of(measure, schemas[definition.table])
        if forbidden:
            words = ", ".join(sorted(forbidden))
            raise _refuse(
                path,
                position,
                f"{entry.name} claims the purpose {words}, which its source columns don't allow",
            )
    scale = _scale(
        entry,
        [facts[name].is_money(measure, schemas[facts[name].table]) for name, measure in sides],
    )
    return [
        Feature(
            name=entry.name.replace("{w}", str(window)),
            facts=entry.facts,
            measure=entry.measure,
            formula=entry.formula,
            window=window,
            over=entry.over,
            over_facts=over_facts,
            unit=entry.unit,
            purposes=purposes,
            risk=entry.risk,
            missing=entry.missing,
            title=Bilingual(
                zh=entry.zh.replace("{w}", str(window)),
                en=entry.en.replace("{w}", str(window)),
            ),
            phrase=entry.phrase,
            scale=scale,
        )
        for window in entry.windows
    ]


#: Formulas whose result has no unit of money even when the measure has.
_DIMENSIONLESS = {
    "cv", "slope", "records", "positive", "positive_share", "any_positive", "longest_gap", "longest_run",
    "since_positive", "since_record", "change", "ratio_previous", "year_on_year",
    "best_quarter_share", "seasonal_strength",
}  # fmt: skip


def _scale(entry: FeatureEntry, money: list[bool]) -> float:
    """Facts keep amounts in fen, features give yuan: 0.01 for an amount, 100 for something per amount, else 1."""
    if entry.formula in _DIMENSIONLESS:
        return 1.0
    if entry.formula == "share_of":
        return (0.01 if money[0] else 1.0) / (0.01 if money[1] else 1.0)
    return 0.01 if money[0] else 1.0


def _refuse(path: Path, position: int, message: str) -> Refusal:
    return Refusal(
        CODE,
        message + ".",
        file=str(path),
        line=line_of(path, "features", position),
        remedy="Correct the entry, or ask the owner of the contract to allow it.",
    )
