"""Label definitions: what counts as the predicted event, versioned, one YAML file a label in `models/label_definitions/`.

A model definition names label and version (`label: resident_default@1`); a version that has been used is never changed, a new one
is put below it. Fields that decide who is good, bad, indeterminate or excluded stand in the file and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.subject import SubjectKind

LABEL_FOLDER = Path(__file__).parent / "label_definitions"

FiveClass = Literal["normal", "special_mention", "substandard", "doubtful", "loss"]

#: Why an account isn't looked at: closed by the as-of month; written off or in a bad class by then; late at it; too young.
Exclusion = Literal["closed", "lost_before", "late_at_as_of", "too_young"]


class _Label(Definition):
    """What every version of a label has: its name ("" where it stands inside a model definition) and since when it holds."""

    name: str = Field(default="", pattern=r"^([a-z][a-z0-9_]*)?$")
    version: int = Field(ge=1)
    effective_from: str | None = Field(default=None, pattern=r"^\d{4}-(0[1-9]|1[0-2])$")

    @property
    def sha256(self) -> str:
        """Hash of everything that decides an outcome."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    @property
    def code(self) -> str:
        """`resident_default@1`, as model definitions name it; only the version where the label has no file."""
        return f"{self.name}@{self.version}"


class AccountDpdLabel(_Label):
    """Outcome from the bank's account months (`models.labels.account_outcomes`). Days past due, months.

    Bad: `bad_dpd` days past due, written off, or a class of `bad_classes` within `window_months` after the as-of month.
    Indeterminate: `indeterminate_dpd` to `bad_dpd` - 1 days. `immature`: a subject whose window isn't known whole is never good.
    """

    kind: Literal["account_dpd"]
    bad_dpd: Literal[60, 90]
    bad_classes: list[FiveClass] = []
    indeterminate_dpd: int = Field(default=30, ge=1)
    window_months: int = Field(default=12, ge=1, le=36)
    min_months_on_book: int = Field(default=3, ge=0)
    excluded: list[Exclusion] = ["closed", "lost_before", "late_at_as_of", "too_young"]
    immature: Literal["never_good"] = "never_good"

    @model_validator(mode="after")
    def _ordered(self) -> AccountDpdLabel:
        if self.indeterminate_dpd >= self.bad_dpd:
            raise ValueError("indeterminate_dpd must lie below bad_dpd")
        if not {"closed", "lost_before"} <= set(self.excluded):
            raise ValueError("closed and lost_before must be excluded: what became of them is known already")
        return self


class BankOutcomeLabel(_Label):
    """Outcome as the bank states it for a month, good or bad; no window of our own."""

    kind: Literal["bank_outcome"]


class CampaignResponseLabel(_Label):
    """Response of treated subjects within `response_days` of their assignment; the event is something wanted."""

    kind: Literal["campaign_response"]
    response_days: int = Field(default=60, ge=1, le=180)
    events: list[Literal["apply", "open", "drawdown"]] = Field(default=["open", "drawdown"], min_length=1)


class StatedOutcomeLabel(_Label):
    """Outcome as a column of a labelled table states it (`gscene train --table`); never of a home folder's models.

    `wanted`: the event is something wished for, such as a response.
    """

    kind: Literal["stated_outcome"]
    column: str
    wanted: bool = False


Label = Annotated[
    AccountDpdLabel | BankOutcomeLabel | CampaignResponseLabel | StatedOutcomeLabel,
    Field(discriminator="kind"),
]


class LabelFile(Definition):
    """One file: versions rise by one, each holds from a later month than the one before."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Bilingual
    subjects: list[SubjectKind] = Field(min_length=1)
    versions: list[Label] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> LabelFile:
        if [label.version for label in self.versions] != list(range(1, len(self.versions) + 1)):
            raise ValueError("versions must be 1, 2, 3 … in order")
        months = [label.effective_from for label in self.versions]
        if None in months:
            raise ValueError("every version needs effective_from")
        if any(a >= b for a, b in zip(months, months[1:], strict=False)):  # type: ignore[operator]
            raise ValueError("each version must be effective from a later month than the one before")
        if any(label.name not in ("", self.name) for label in self.versions):
            raise ValueError("a version bears the name of its file")
        if any(label.kind == "stated_outcome" for label in self.versions):
            raise ValueError("stated_outcome is for labelled tables only")
        return self


def load_label_file(path: Path) -> LabelFile:
    """Read one file, which is named after the label. Raises Refusal with file and line."""
    found = load_definition(path, LabelFile)
    if found.name != path.stem:
        raise Refusal(
            CODE,
            f"the label {found.name} stands in a file of another name.",
            file=str(path),
            line=line_of(path, "name"),
            remedy=f"Rename the file to {found.name}.yaml or correct the name.",
        )
    return found


def find_label(code: str, folder: Path = LABEL_FOLDER) -> Label:
    """The label behind `name@version`; ValueError tells what there is where it isn't, Refusal what is wrong in its file."""
    name, _, version = code.partition("@")
    if not version.isdigit() or not name.isidentifier():
        raise ValueError("a label is named name@version, such as resident_default@1")
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.yaml")))
        raise ValueError(f"there is no label of this name; there are {known}")
    versions = load_label_file(path).versions
    if not 1 <= int(version) <= len(versions):
        raise ValueError(f"{name} has the versions 1 to {len(versions)}")
    return versions[int(version) - 1].model_copy(update={"name": name})
