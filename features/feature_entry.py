"""How a feature is written down: one entry of a YAML file of the catalogue, before its windows are written out.

A file may give `defaults` that stand in each of its entries unless the entry says otherwise; nothing else is silent.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from core.definition_file import Bilingual, Definition
from core.purpose import Purpose
from core.subject import SubjectKind
from features.windows import EXTRA_MONTHS, OF_TWO, Formula

#: `none`: no concern. `review`: may stand in for a protected attribute, a reviewer decides at each model.
#: `excluded_from_reasons`: may be used, but is nothing that a refused applicant could act on, so it is never told as a reason.
FairnessClass = Literal["none", "review", "excluded_from_reasons"]

#: Years after its end at which an adverse event must no longer count (domain rule L9).
ADVERSE_YEARS = 5


class FeatureEntry(Definition):
    """One entry of a feature set; `{w}` in name and texts stands for each window in months.

    `ageing`: years after which an adverse event no longer counts, at most five; `none` where nothing behind it is adverse.
    `fairness_why` says why a feature isn't of the class `none`. `per` names a figure of `features/parameters.yaml` that an
    amount is divided by.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_{}]*$")
    facts: str
    measure: str
    formula: Formula
    windows: list[int] = Field(min_length=1)
    over: str | None = None
    over_facts: str | None = None
    per: str | None = None
    unit: str
    purposes: list[Purpose] = Field(min_length=1)
    risk: Literal[-1, 0, 1]
    fairness: FairnessClass
    fairness_why: Bilingual | None = None
    ageing: Literal["none", 1, 2, 3, 4, 5]
    missing: Bilingual
    zh: str
    en: str
    phrase: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")

    @model_validator(mode="after")
    def _complete(self) -> FeatureEntry:
        if (self.formula in OF_TWO) != (self.over is not None):
            raise ValueError(f"{', '.join(sorted(OF_TWO))} need `over`, and only they take it")
        if len(self.windows) > 1 and "{w}" not in self.name:
            raise ValueError("a name for several windows needs {w}")
        if any(w < 1 or w > 60 for w in self.windows):
            raise ValueError("windows are 1 to 60 months")
        if (self.fairness == "none") != (self.fairness_why is None):
            raise ValueError(
                "fairness_why says why a feature is for review or kept out of reasons, and only then"
            )
        return self

    @property
    def years(self) -> int | None:
        """Years of ageing; None where nothing is adverse."""
        return None if self.ageing == "none" else self.ageing

    def months_back(self, window: int) -> int:
        """Months of facts that the formula looks at, the as-of month included."""
        extra = EXTRA_MONTHS.get(self.formula)
        return window + (extra(window) if extra is not None else 0)


class FeatureFile(Definition):
    """One YAML file of the catalogue. Files that name the same set are one set; `section` is the file's own heading."""

    feature_set: str
    subject: SubjectKind
    title: Bilingual
    section: Bilingual | None = None
    defaults: dict[str, Any] = {}
    features: list[FeatureEntry]

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, file: Any) -> Any:
        if not isinstance(file, dict) or not isinstance(file.get("defaults"), dict):
            return file
        entries = file.get("features")
        if not isinstance(entries, list):
            return file
        merged = [file["defaults"] | entry if isinstance(entry, dict) else entry for entry in entries]
        return file | {"features": merged}
