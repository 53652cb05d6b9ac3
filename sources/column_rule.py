"""How one canonical column is read: the `columns` and `working` entries of an adapter."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from core.definition_file import Definition
from core.table_schema import ColumnType
from sources.code_map import Reference
from sources.derived_columns import Derivation
from sources.units import UNITS
from sources.written_dates import DateForm

#: Steps of normalising text, applied in the order given. `drop_hyphens` is for organisation codes written `74218321-3`;
#: `org_code_of_uscc` takes characters 9 to 17 of an 18-character social credit code and leaves other texts as they are.
Step = Literal["nfkc", "strip", "lower", "upper", "drop_hyphens", "drop_blanks", "org_code_of_uscc"]


class Split(Definition):
    """Cells that hold several codes, `10201、10202`. `quarantine` holds such a row back; `explode` makes a row of each code,
    which is allowed only where no amount or quantity would be counted twice.
    """

    by: str = Field(min_length=1)
    rule: Literal["quarantine", "explode"] = "quarantine"


class Reading(Definition):
    """What `columns` and `working` entries have in common: where a value comes from and how its text is read."""

    source_column: str | None = Field(default=None, alias="from")
    constant: bool | int | str | None = None
    derive: Derivation | None = None
    parse: tuple[str, ...] = ()
    codes: dict[str, bool | str] = {}
    code_map: tuple[Reference, ...] = ()
    on_unknown: Literal["refuse", "quarantine"] | None = None
    split: Split | None = None
    unit: str | None = None
    thousands: Literal[",", "，", "'", " "] | None = None
    normalise: tuple[Step, ...] = ()
    nulls: tuple[str, ...] = ()
    open_end: bool = False
    where: dict[str, tuple[str, ...]] = {}

    @field_validator("code_map", mode="before")
    @classmethod
    def _one_or_several(cls, told: object) -> object:
        return (told,) if isinstance(told, str) else told

    @field_validator("unit")
    @classmethod
    def _a_unit(cls, unit: str | None) -> str | None:
        if unit is not None and unit not in UNITS:
            raise ValueError(f"a unit is one of {', '.join(sorted(UNITS))}")
        return unit

    @model_validator(mode="after")
    def _one_origin(self) -> Reading:
        if sum(origin is not None for origin in (self.source_column, self.constant, self.derive)) != 1:
            raise ValueError("give either `from` or `constant` or `derive`")
        for form in self.parse:
            DateForm.of(form)
        if len(self.where) > 1:
            raise ValueError("`where` looks at one source column")
        return self

    @property
    def has_codes(self) -> bool:
        """Whether its texts are looked up."""
        return bool(self.codes or self.code_map)


class ColumnRule(Reading):
    """One canonical column; its type is the contract's."""


class WorkingColumn(Reading):
    """A value that only other columns are derived from; it is read like a canonical column of this type, and may be missing."""

    type: ColumnType
