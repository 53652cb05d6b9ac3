"""Facts of one subject that are another's: the employer's arrears in the months of its staff.

One of the subject's own facts names the other (`through`: the employer of a person's insurance month), `of` are the other's
facts, and `carry` says which of their measures are carried over. Both were folded before; what is carried is joined month by
month, each as known then (`features.linked_fold`).

A month without the other in it has no row, so `absent` is always `unknown`; where the other's facts list events only, no event is
a 0 that is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from pydantic import Field

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.subject import SubjectKind
from core.table_schema import TableSchema
from features.fact_definition import ContractColumn, FactDefinition, Measure


class Through(Definition):
    """Who the other is: the identity `measure` of the subject's own `facts` names a `subject`."""

    facts: str
    measure: str
    subject: SubjectKind


class Carried(Definition):
    """One measure of the other's facts; with `against` as a ratio to the same one's value so many months before, which is missing
    where there was none or nothing."""

    measure: str
    against: int = Field(default=0, ge=0, le=24)


class LinkedFile(Definition):
    """One YAML file of linked facts."""

    facts: str
    subject: SubjectKind
    title: Bilingual
    through: Through
    of: str
    carry: dict[str, Carried] = Field(min_length=1)


class LinkedFacts(FactDefinition):
    """Linked facts with the two definitions that they are joined from. `table`, `derive` and `measures` are the other's."""

    through: Through
    carry: dict[str, Carried]
    link: FactDefinition
    other: FactDefinition

    @property
    def upstream(self) -> tuple[FactDefinition, ...]:
        """The facts that name the other, and the other's."""
        return self.link, self.other

    @property
    def raw_table(self) -> str:
        """Table-store name of the rows that the carried measures are folded from."""
        return self.other.raw_table

    @property
    def tables(self) -> tuple[tuple[SubjectKind, str], ...]:
        """The table that names the other, and the other's."""
        return *self.link.tables, *self.other.tables

    @cached_property
    def look_back(self) -> int:
        """Months before a month whose facts of the other it needs."""
        return max(carried.against for carried in self.carry.values())

    def back_of(self, measure: str) -> int:
        """Months before a month that one measure of it is compared with."""
        carried = self.carry[measure]
        return carried.against + self.other.back_of(carried.measure)

    def contract_columns(self, measure: str) -> list[ContractColumn]:
        """Those behind the link and those behind the measure."""
        own = self.link.contract_columns(self.through.measure)
        return sorted({*own, *self.other.contract_columns(self.carry[measure].measure)})

    def is_money(self, measure: str, schemas: Mapping[str, TableSchema]) -> bool:
        """Whether the measure is an amount; a ratio of amounts is none."""
        carried = self.carry[measure]
        return not carried.against and self.other.is_money(carried.measure, schemas)


def is_linked(path: Path) -> bool:
    """Whether a file of facts is one of linked facts."""
    return "\nthrough:" in path.read_text(encoding="utf-8", errors="replace")


def load_linked(path: Path, known: Mapping[tuple[SubjectKind, str], FactDefinition]) -> LinkedFacts:
    """Read one file and check it against the facts that it joins; `known` are all that are folded from rows."""
    file = load_definition(path, LinkedFile)
    through = file.through
    link, other = known.get((file.subject, through.facts)), known.get((through.subject, file.of))
    if link is None:
        raise _refuse(path, f"there are no facts {through.facts} for {file.subject}", "through", "facts")
    if other is None:
        raise _refuse(path, f"there are no facts {file.of} for {through.subject}", "of")
    named = link.measures.get(through.measure)
    if named is None or named.agg != "identity":
        raise _refuse(
            path,
            f"{through.facts}.{through.measure} isn't an identity, so it names nobody",
            "through",
            "measure",
        )
    for name, carried in file.carry.items():
        told = other.measures.get(carried.measure)
        if told is None or told.agg == "identity":
            raise _refuse(
                path, f"{name}: the facts {file.of} have no measure {carried.measure} that could be carried", "carry", name
            )  # fmt: skip
        if told.adverse is not None and carried.against:
            raise _refuse(
                path,
                f"{name}: an adverse event grows old, so it isn't held against an older month",
                "carry",
                name,
            )
    return LinkedFacts(
        facts=file.facts, subject=file.subject, table=other.table, title=file.title, derive=other.derive,
        measures={name: _measure(other, carried) for name, carried in file.carry.items()},
        through=through, carry=file.carry, link=link, other=other,
    )  # fmt: skip


def _measure(other: FactDefinition, carried: Carried) -> Measure:
    """The other's measure as the subject has it."""
    told = other.measures[carried.measure]
    return told.model_copy(update={"unit": "ratio"}) if carried.against else told


def _refuse(path: Path, message: str, *place: str | int) -> Refusal:
    return Refusal(
        CODE, message + ".", file=str(path), line=line_of(path, *place),
        remedy="Name facts and measures of features/facts/.",
    )  # fmt: skip
