"""Adapter entries about whole rows: whose they are, which are left out, what was done to them, what must hold within them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from core.definition_file import Definition
from sources.code_map import Reference
from sources.column_rule import Step
from sources.hold_reasons import BY_WORD, Reason
from sources.written_dates import DateForm

ReasonWord = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Key(Definition):
    """Where the subject comes from. With `pseudonymise` the source sends its own code, which is replaced on
    entry.

    `code_space` names whose codes they are, when several sources of one provider share them; by default the
    source's own. `form`: what such codes look like, where a mixture would make two subjects of one (18-character credit
    codes beside 9-character organisation codes). `key_ver`: the key that every pseudonym must have been made with.
    `missing`: what becomes of a row without any code, such as a register that holds names only.
    """

    source_column: str = Field(alias="from")
    normalise: tuple[Step, ...] = ()
    pseudonymise: bool = False
    code_space: str | None = None
    form: Literal["uscc", "org_code"] | None = None
    key_ver: Annotated[str, Field(pattern=r"^k[0-9]+$")] | None = None
    missing: Literal["refuse", "quarantine", "leave_out"] | None = None

    @model_validator(mode="after")
    def _form_of_codes(self) -> Key:
        if self.form is not None and not self.pseudonymise:
            raise ValueError(
                "`form` is about codes that are pseudonymised on entry; pseudonyms have one form"
            )
        if self.key_ver is not None and self.pseudonymise:
            raise ValueError("`key_ver` is about pseudonyms that the source made")
        return self


class LeaveOut(Definition):
    """Rows left out, counted under `reason`, where the stripped cell of the source column `column` is one of
    `equals`, or isn't one of `other_than`.
    """

    reason: ReasonWord
    column: str
    equals: tuple[str, ...] = ()
    other_than: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_rule(self) -> LeaveOut:
        if bool(self.equals) == bool(self.other_than):
            raise ValueError("give either `equals` or `other_than`")
        return self


class WrittenMoment(Definition):
    """A source column that orders versions of a row: when the source last changed it."""

    source_column: str = Field(alias="from")
    parse: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("parse")
    @classmethod
    def _forms(cls, parse: tuple[str, ...]) -> tuple[str, ...]:
        for form in parse:
            DateForm.of(form)
        return parse


class Duplicates(Definition):
    """Rows of one delivery that tell the same again. `exact`: repeated whole; all but the first are left out under this
    reason. `latest_by`: of rows with one business key the last changed counts, the others are left out under `superseded`.
    """

    exact: ReasonWord | None = None
    latest_by: WrittenMoment | None = None
    superseded: ReasonWord = "superseded"

    @model_validator(mode="after")
    def _something(self) -> Duplicates:
        if self.exact is None and self.latest_by is None:
            raise ValueError("give `exact`, `latest_by` or both")
        return self


class Operation(Definition):
    """The flag by which a source says what it did to a row. A deleted row withdraws its business key from the moment of this
    delivery on; it needs nothing but the key. `missing`: what a row without a flag is (none: such rows are unknown codes).
    """

    source_column: str = Field(alias="from")
    codes: dict[str, Literal["insert", "update", "delete"]] = {}
    code_map: Reference | None = None
    missing: Literal["insert", "update"] | None = None

    @model_validator(mode="after")
    def _codes(self) -> Operation:
        if bool(self.codes) == (self.code_map is not None):
            raise ValueError("give either `codes` or `code_map`")
        return self


class Covers(Definition):
    """Source columns with the first and the last day that a row is about: from the first of a month to the last of one, over
    as many months as `months` allows. An amount of a quarter or since January isn't a month's.
    """

    first: str
    last: str
    parse: Annotated[tuple[str, ...], Field(min_length=1)]
    months: Annotated[tuple[Annotated[int, Field(ge=1, le=12)], ...], Field(min_length=1)] = (1,)


class Check(Definition):
    """What must hold between the values of one row; rows with a missing value pass.

    `ratio: [a, b]` lies between `minimum` and `maximum`; or `difference: [later, earlier]` is the column `equals` to within
    `within` (in the columns' unit).
    """

    ratio: tuple[str, str] | None = None
    minimum: float | None = None
    maximum: float | None = None
    difference: tuple[str, str] | None = None
    equals: str | None = None
    within: float = 0.0

    @model_validator(mode="after")
    def _one_kind(self) -> Check:
        if (self.ratio is None) == (self.difference is None):
            raise ValueError("give either `ratio` or `difference`")
        if self.ratio is not None and self.minimum is None and self.maximum is None:
            raise ValueError("a ratio needs a minimum or a maximum")
        if self.difference is not None and self.equals is None:
            raise ValueError("a difference needs the column that it `equals`")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it looks at; the first is the one that a finding names."""
        if self.ratio is not None:
            return self.ratio
        assert self.difference is not None and self.equals is not None
        return (self.equals, *self.difference)


class Quarantine(Definition):
    """Reasons under which single rows are held back instead of the delivery being refused; above the share `at_most` of the
    delivered rows it is refused whole all the same.
    """

    hold: tuple[str, ...] = ()
    at_most: float = Field(default=0.05, ge=0, le=1)

    @field_validator("hold")
    @classmethod
    def _reasons(cls, hold: tuple[str, ...]) -> tuple[str, ...]:
        strange = [word for word in hold if word not in BY_WORD or BY_WORD[word] is Reason.HELD_WITH_GROUP]
        if strange:
            known = sorted(set(BY_WORD) - {Reason.HELD_WITH_GROUP.word})
            raise ValueError(f"reasons to hold rows back are {', '.join(known)}; not {', '.join(strange)}")
        return hold
