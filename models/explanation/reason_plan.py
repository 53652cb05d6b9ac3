"""Which features of a model may be told as reasons, and under which code; the rest is withheld, with its cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.definition_file import Bilingual, Definition, load_definition
from features.catalogue import FeatureSet
from features.feature_entry import FairnessClass
from models.explanation.phrases import PhraseBook, absence_code

FILE = Path(__file__).parent / "not_for_reasons.yaml"

#: Formulas that count records and are therefore never missing: they say nothing about whether a source knows the subject.
_NEVER_MISSING = frozenset({"records", "any_positive"})

UNKNOWN = Bilingual(zh="特征目录中没有该特征", en="not in the catalogue")
NO_PHRASE = Bilingual(zh="没有对应的说明语句", en="no sentence for its phrase")


class NotForReasons(Definition):
    """The file: fairness classes and phrase keys that are never told, with why."""

    version: Annotated[int, Field(ge=1)]
    fairness: list[FairnessClass]
    phrases: dict[str, Bilingual]


@cache
def not_for_reasons(path: Path = FILE) -> NotForReasons:
    """The rules; a Refusal names file and line."""
    return load_definition(path, NotForReasons)


@dataclass(frozen=True)
class ReasonPlan:
    """For the columns of one model, in order: `code` told for a known value ("" = withheld) and `absent` for a missing one ("" =
    not told). `sources`: facts -> columns that are missing exactly where the source knows nothing. `withheld`: feature -> why."""

    code: tuple[str, ...]
    absent: tuple[str, ...]
    sources: dict[str, tuple[int, ...]]
    withheld: dict[str, Bilingual]

    @property
    def codes(self) -> list[str]:
        """Every code that may be told, in order."""
        return sorted({code for code in (*self.code, *self.absent) if code})


def plan_reasons(
    names: Sequence[str], feature_set: FeatureSet, book: PhraseBook, rules: NotForReasons | None = None
) -> ReasonPlan:
    """The plan for a model's features; what a bank may not tell is decided here once, not subject by subject."""
    rules = rules or not_for_reasons()
    known = {feature.name: feature for feature in feature_set.features}
    code, absent, withheld = [], [], {}
    sources: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        feature = known.get(name)
        why: Bilingual | None = None
        if feature is None:
            why = UNKNOWN
        elif feature.fairness in rules.fairness:
            why = feature.fairness_why
        elif feature.phrase in rules.phrases:
            why = rules.phrases[feature.phrase]
        elif feature.phrase not in book.phrases:
            why = NO_PHRASE
        if feature is not None and feature.formula not in _NEVER_MISSING and feature.over is None:
            sources.setdefault(feature.facts, []).append(place)
        if why is not None or feature is None:
            withheld[name] = why or UNKNOWN
            code.append("")
            absent.append("")
            continue
        code.append(feature.phrase)
        told = (
            feature.facts in book.absences and feature.formula not in _NEVER_MISSING and feature.over is None
        )
        absent.append(absence_code(feature.facts) if told else "")
    return ReasonPlan(
        tuple(code), tuple(absent), {facts: tuple(places) for facts, places in sources.items()}, withheld
    )
