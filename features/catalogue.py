"""The catalogue: every feature by name, with its formula, window, unit, purposes, sign, missing-value meaning and phrase.

A feature set is one YAML file `features/catalogue/<set>.yaml`, or several in a folder `<set>/`. Adding a feature is one entry
(`features.feature_entry`) and no Python. On load each entry is checked against the facts and contracts it stands on: a feature
can't claim a purpose that one of its source columns doesn't allow, nor carry an adverse event beyond its ageing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from core.definition_file import CODE, Bilingual, line_of, load_definition
from core.errors import Refusal
from core.months import CHINA_AHEAD_US, Month
from core.purpose import Purpose
from core.subject import SubjectKind
from core.table_schema import TableSchema
from features.fact_definition import FactDefinition
from features.feature_entry import ADVERSE_YEARS, FeatureEntry, FeatureFile
from features.parameters import load_parameters
from features.windows import DIMENSIONLESS, EXTRA_MONTHS, OF_IDENTITY, PRESENCE

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


@dataclass(frozen=True)
class Feature:
    """One feature, windows written out. `scale` turns fen into yuan where the measure is an amount, `per` names a figure that it
    is divided by as of each month (`scale_at`); `entry` is what was written
    down, `section` the heading of its file."""

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
    fairness: str = "none"
    fairness_why: Bilingual | None = None
    ageing: int | None = None
    section: Bilingual | None = None
    entry: FeatureEntry | None = None
    per: str | None = None

    @property
    def sides(self) -> tuple[tuple[str, str], ...]:
        """The one or two (facts, measure) that it looks at."""
        own = (self.facts, self.measure)
        return (own,) if self.over is None else (own, (self.over_facts, self.over))

    def scale_at(self, as_of: Month, known: np.datetime64) -> float:
        """`scale`, divided by the figure that the feature is held against as it holds in the as-of month and was public at the
        moment `known` (UTC); NaN where none was."""
        if self.per is None:
            return self.scale
        day = (known + np.timedelta64(CHINA_AHEAD_US, "us")).astype("datetime64[D]").astype(date)
        figure = load_parameters()[self.per].value_at(as_of, day)
        return self.scale / figure if figure is not None else float("nan")

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

    def months_read(self, feature: Feature) -> int:
        """Months of raw rows that a feature rests on, the as-of month included: those of its facts, and those that the first of
        them is compared with."""
        backs = (self.facts[facts].back_of(measure) for facts, measure in feature.sides)
        return feature.months_back + max(backs)

    def for_purpose(self, purpose: Purpose) -> list[str]:
        """Names of the features that may serve this purpose."""
        return [feature.name for feature in self.features if purpose in feature.purposes]

    def source_columns(self, feature: Feature) -> list[str]:
        """The contract columns that a feature stands on, `<table>.<column>`."""
        found = {
            f"{table}.{column}"
            for facts, measure in feature.sides
            for _, table, column in self.facts[facts].contract_columns(measure)
        }
        return sorted(found)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that decides a value: features, fact definitions and figures that features are held against."""
        body: dict[str, Any] = {
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
        held_against = sorted({f.per for f in self.features if f.per is not None})
        if held_against:
            figures = load_parameters()
            body["figures"] = {name: figures[name].model_dump(mode="json") for name in held_against}
            body["per"] = {f.name: f.per for f in self.features if f.per is not None}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def load_feature_set(
    path: Path,
    facts: dict[tuple[SubjectKind, str], FactDefinition],
    schemas: dict[str, TableSchema],
) -> FeatureSet:
    """Read one file as a feature set; a wrong name, purpose or protected column is a Refusal with file and line."""
    return _one_set([path], facts, schemas)


def load_catalogue(
    facts: dict[tuple[SubjectKind, str], FactDefinition],
    schemas: dict[str, TableSchema],
    folder: Path = FOLDER,
) -> dict[str, FeatureSet]:
    """All feature sets by name, in the order of their files."""
    paths: dict[str, list[Path]] = {}
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")]):
        paths.setdefault(path.stem if path.parent == folder else path.parent.name, []).append(path)
    sets = {name: _one_set(files, facts, schemas) for name, files in paths.items()}
    for name, feature_set in sets.items():
        if feature_set.name != name:
            raise Refusal(
                CODE, f"this is the place of the feature set {name}, the file names {feature_set.name}.",
                file=str(paths[name][0]), line=line_of(paths[name][0], "feature_set"),
                remedy="Put a set into <set>.yaml or into files of a folder <set>/.",
            )  # fmt: skip
    return sets


def _one_set(
    paths: list[Path],
    facts: dict[tuple[SubjectKind, str], FactDefinition],
    schemas: dict[str, TableSchema],
) -> FeatureSet:
    features: list[Feature] = []
    used: dict[str, FactDefinition] = {}
    heading: FeatureFile | None = None
    for path in paths:
        file = load_definition(path, FeatureFile)
        heading = heading or file
        if (file.feature_set, file.subject, file.title) != (
            heading.feature_set,
            heading.subject,
            heading.title,
        ):
            raise Refusal(
                CODE, f"names another set, subject or title than {paths[0].name} of the same folder.",
                file=str(path), line=line_of(path, "feature_set"), remedy="Give all files of a set the same three.",
            )  # fmt: skip
        for position, entry in enumerate(file.features):
            for name in {entry.facts, entry.over_facts or entry.facts}:
                if (file.subject, name) not in facts:
                    raise _refuse(path, position, f"there are no facts {name} for {file.subject}")
                used[name] = facts[file.subject, name]
            _check(path, position, entry, used, schemas)
            made = _expand(entry, used, schemas, file.section)
            names = [feature.name for feature in (*features, *made)]
            twice = next((each.name for each in made if names.count(each.name) > 1), None)
            if twice is not None:
                raise _refuse(path, position, f"the name {twice} is given twice")
            features += made
    assert heading is not None, "a set has a file"
    return FeatureSet(heading.feature_set, heading.subject, heading.title, tuple(features), used)


def _sides(entry: FeatureEntry) -> list[tuple[str, str]]:
    """The one or two (facts, measure) behind an entry."""
    own = [(entry.facts, entry.measure)]
    return own if entry.over is None else [*own, (entry.over_facts or entry.facts, entry.over)]


def _check(
    path: Path,
    position: int,
    entry: FeatureEntry,
    facts: dict[str, FactDefinition],
    schemas: dict[str, TableSchema],
) -> None:
    """Refuse an entry that its facts and contracts don't bear."""
    for name, measure in _sides(entry):
        definition = facts[name]
        if measure not in definition.measures:
            raise _refuse(path, position, f"{entry.name}: the facts {name} have no measure {measure}")
        if entry.formula in PRESENCE and definition.measures[measure].agg != "count":
            raise _refuse(path, position, f"{entry.name}: {entry.formula} takes a count of records")
        if (entry.formula in OF_IDENTITY) != (definition.measures[measure].agg == "identity"):
            raise _refuse(
                path,
                position,
                f"{entry.name}: {', '.join(sorted(OF_IDENTITY))} take an identity, and only they",
            )
        columns = [column for _, _, column in definition.contract_columns(measure)]
        protected = [column for column in columns if any(word in column for word in PROTECTED)]
        if protected:
            raise _refuse(path, position, f"{entry.name} stands on the protected column {protected[0]}")
        forbidden = set(entry.purposes) - definition.purposes_of(measure, schemas)
        if forbidden:
            words = ", ".join(sorted(forbidden))
            raise _refuse(
                path,
                position,
                f"{entry.name} claims the purpose {words}, which its source columns don't allow",
            )
    if entry.per is not None:
        _check_per(
            path,
            position,
            entry,
            facts[entry.facts].is_money(entry.measure, schemas),
        )
    _check_ageing(path, position, entry, facts)


def _check_per(path: Path, position: int, entry: FeatureEntry, money: bool) -> None:
    """Only an amount can be held against a figure, and only against one that there is."""
    if entry.per not in load_parameters():
        raise _refuse(path, position, f"{entry.name}: there is no parameter {entry.per}")
    if not money or entry.over is not None or entry.formula in DIMENSIONLESS:
        raise _refuse(
            path, position, f"{entry.name}: `per` divides an amount, which {entry.formula} doesn't give"
        )


def _check_ageing(path: Path, position: int, entry: FeatureEntry, facts: dict[str, FactDefinition]) -> None:
    """An adverse event must have left every window by the time that it is `ageing` years over (domain rule L9)."""
    counted = [facts[name].measures[measure].months_counted for name, measure in _sides(entry)]
    adverse = max((months for months in counted if months is not None), default=None)
    if (adverse is None) != (entry.years is None):
        told = f"stands on an adverse event: `ageing` says after how many years it no longer counts, at most {ADVERSE_YEARS}"
        if adverse is None:
            told = "names an `ageing`, but nothing in its facts is marked `adverse`"
        raise _refuse(path, position, f"{entry.name} {told}")
    if adverse is None or entry.years is None:
        return
    longest = max(entry.months_back(window) for window in entry.windows)
    if adverse + longest - 1 > 12 * entry.years:
        raise _refuse(
            path, position,
            f"{entry.name} looks back {longest} months at events that count {adverse} months: "
            f"they would still count {adverse + longest - 1} months after their end, more than {entry.years} years",
        )  # fmt: skip


def _expand(
    entry: FeatureEntry,
    facts: dict[str, FactDefinition],
    schemas: dict[str, TableSchema],
    section: Bilingual | None,
) -> list[Feature]:
    scale = _scale(entry, [facts[name].is_money(measure, schemas) for name, measure in _sides(entry)])
    return [
        Feature(
            name=entry.name.replace("{w}", str(window)),
            facts=entry.facts,
            measure=entry.measure,
            formula=entry.formula,
            window=window,
            over=entry.over,
            over_facts=entry.over_facts or entry.facts,
            unit=entry.unit,
            purposes=frozenset(entry.purposes),
            risk=entry.risk,
            missing=entry.missing,
            title=Bilingual(zh=entry.zh.replace("{w}", str(window)), en=entry.en.replace("{w}", str(window))),
            phrase=entry.phrase,
            scale=scale,
            fairness=entry.fairness,
            fairness_why=entry.fairness_why,
            ageing=entry.years,
            section=section,
            entry=entry,
            per=entry.per,
        )
        for window in entry.windows
    ]


def _scale(entry: FeatureEntry, money: list[bool]) -> float:
    """Facts keep amounts in fen, features give yuan: 0.01 for an amount, 100 for something per amount, else 1."""
    if entry.formula in DIMENSIONLESS:
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
