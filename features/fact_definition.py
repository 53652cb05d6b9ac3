"""What one source's rows of a month are folded into: a few fixed-width measures per subject.

Definitions are YAML files in `features/facts/<subject>/`; they name columns of the contract and are checked against it on load.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.purpose import Purpose
from core.subject import SubjectKind
from core.table_schema import ColumnType, TableSchema
from features.derived_columns import PERIOD_END, Derived

FOLDER = Path(__file__).parent / "facts"

#: A column of a contract: whose table, which table, which column.
ContractColumn = tuple[SubjectKind, str, str]

Aggregation = Literal[
    "count", "sum", "max", "min", "distinct", "top_share", "hhi", "max_gap", "code_rank", "identity",
    "first_seen", "returning", "returning_sum", "lapsed",
]  # fmt: skip

#: Aggregations that compare the month with the months before it.
LOOKING_BACK = frozenset({"first_seen", "returning", "returning_sum", "lapsed"})

#: Aggregations that need a column to work on.
_NEEDS_COLUMN = {
    "sum",
    "max",
    "min",
    "distinct",
    "top_share",
    "hhi",
    "max_gap",
    "code_rank",
    "identity",
    *LOOKING_BACK,
}


class Comparison(Definition):
    """A test of one column: exactly one of the entries."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    missing: bool | None = None
    among: list[float] | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Comparison:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of gt, ge, lt, le, missing, among")
        return self


Condition = Annotated[bool | str | list[str] | Comparison, Field(union_mode="left_to_right")]


class Adverse(Definition):
    """How an adverse event grows old (domain rule L9): it counts in a month while its end, or where none is told its date, lies
    less than so many months back; 1 = in that month itself. Where neither is known it is still going on and counts.

    The catalogue refuses a feature whose window could carry it beyond the feature's `ageing`.
    """

    end: str | None = None
    date: str | None = None
    months: int = Field(ge=1, le=60)
    own_month: bool = False

    @model_validator(mode="before")
    @classmethod
    def _in_its_own_month(cls, given: Any) -> Any:
        return {"months": 1, "own_month": True} if given == "month" else given

    @property
    def columns(self) -> set[str]:
        """The columns of its dates."""
        return {name for name in (self.end, self.date) if name is not None}

    @model_validator(mode="after")
    def _dated(self) -> Adverse:
        if not self.columns and not self.own_month:
            raise ValueError("name the column of the event's end, of its date, or both")
        return self


class Measure(Definition):
    """One number per subject and month.

    `count`: rows that meet `where`; `sum`: of `column` over them (0 when none does); `max`, `min`: missing when none does;
    `distinct`: different values of `column`; `top_share`: share of the `top` largest values of `column` in the sum of `by`;
    `hhi`: Herfindahl index of the same shares; `max_gap`: longest stretch of days between two dates in `column`;
    `code_rank`: position (0, 1, ...) of the code among `ranks`, the worst of the month. Ranks run
    from best to worst. `identity`: the pseudonym in `column` as a number (`features.identity_number`), the least
    of the month's, which stays the same while that one stays; missing where there is none.

    `adverse`: `month` where the row tells of something bad in its own month (a balance in arrears, a bill paid late), or the
    dates by which an event grows old.

    A sum counts rows that meet `minus` with the opposite sign (sales less purchases).

    Values of `column` against the `back` months before: `first_seen` counts those of the month that none of these months had,
    `returning` the others, `returning_sum` adds up `by` over the rows of the others, `lapsed` counts values of the month `back`
    months ago that no month since has had, this one included. Missing unless something of each of these months had been
    delivered.
    """

    agg: Aggregation
    column: str | None = None
    where: dict[str, Condition] = {}
    minus: dict[str, Condition] = {}
    back: int = Field(default=0, ge=0, le=24)
    by: str | None = None
    top: int = 5
    ranks: list[str] = []
    unit: str = ""
    adverse: Adverse | None = None

    @model_validator(mode="after")
    def _complete(self) -> Measure:
        if self.agg in _NEEDS_COLUMN and self.column is None:
            raise ValueError(f"{self.agg} needs a column")
        if self.agg in ("top_share", "hhi", "returning_sum") and self.by is None:
            raise ValueError(f"{self.agg} needs `by`, the amount that is added up")
        if self.minus and self.agg != "sum":
            raise ValueError("only a sum takes `minus`")
        if (self.agg in LOOKING_BACK) != (self.back > 0):
            raise ValueError(f"{', '.join(sorted(LOOKING_BACK))} need `back`, and only they take it")
        if self.agg == "code_rank" and not self.ranks:
            raise ValueError("code_rank needs `ranks`, the codes from best to worst")
        return self

    @property
    def months_counted(self) -> int | None:
        """Months that an adverse event counts for after its end, the month itself included; None where nothing is adverse."""
        return None if self.adverse is None else self.adverse.months


class FactDefinition(Definition):
    """One YAML file: the measures of one source table.

    `absent` says what a month without any row of a subject means: `unknown` (the source doesn't cover the subject) or `zero`
    (the source lists events only: no row, no event).
    """

    facts: str
    subject: SubjectKind
    table: str
    title: Bilingual
    absent: Literal["unknown", "zero"] = "unknown"
    derive: dict[str, Derived] = {}
    measures: dict[str, Measure]

    @property
    def raw_table(self) -> str:
        """Table-store name of the source rows."""
        return f"raw/{self.subject}/{self.table}"

    @property
    def fact_table(self) -> str:
        """Table-store name of the folded rows."""
        return f"facts/{self.subject}/{self.facts}"

    @cached_property
    def source_columns(self) -> tuple[str, ...]:
        """Contract columns that any measure needs, in a fixed order."""
        return tuple(sorted({column for name in self.measures for column in self.columns_of(name)}))

    @property
    def upstream(self) -> tuple[FactDefinition, ...]:
        """Facts that these are joined from (`features.linked_facts`); none where they are folded from raw rows."""
        return ()

    @property
    def tables(self) -> tuple[tuple[SubjectKind, str], ...]:
        """Every table that the facts stand on, with whose rows it holds."""
        return ((self.subject, self.table),)

    @cached_property
    def look_back(self) -> int:
        """Months before a month whose rows its facts need: a restated month re-folds so many months after it, too."""
        return max(measure.back for measure in self.measures.values())

    def back_of(self, measure: str) -> int:
        """Months before a month that one measure of it is compared with."""
        return self.measures[measure].back

    def contract_columns(self, measure: str) -> list[ContractColumn]:
        """Every contract column behind one measure, sorted."""
        return sorted((self.subject, self.table, column) for column in self.columns_of(measure))

    def columns_of(self, measure: str) -> set[str]:
        """Contract columns behind one measure, derived columns traced back to their dates."""
        spec = self.measures[measure]
        ageing = spec.adverse.columns if spec.adverse is not None else set()
        read = (spec.column, spec.by, *spec.where, *spec.minus, *ageing)
        named = {name for name in read if name is not None}
        traced: set[str] = set()
        for name in named:
            derived = self.derive.get(name)
            traced |= set(derived.sources) if derived is not None else {name}
        return traced - {PERIOD_END}

    def is_money(self, measure: str, schemas: Mapping[str, TableSchema]) -> bool:
        """Whether the measure is an amount (kept in fen, given to features in yuan)."""
        spec = self.measures[measure]
        amount = {"sum": spec.column, "max": spec.column, "min": spec.column, "returning_sum": spec.by}.get(
            spec.agg
        )
        if amount is None or amount in self.derive:
            return False
        return schemas[self.table].column(amount).type is ColumnType.MONEY

    def purposes_of(self, measure: str, schemas: Mapping[str, TableSchema]) -> frozenset[Purpose]:
        """Purposes that every column behind the measure allows, of whichever table."""
        allowed = frozenset(Purpose)
        for _, table, column in self.contract_columns(measure):
            allowed &= frozenset(schemas[table].column(column).purposes)
        return allowed


def load_facts(path: Path, schema: TableSchema) -> FactDefinition:
    """Read one definition and check every column it names against the contract's schema."""
    definition = load_definition(path, FactDefinition)
    known = {column.name for column in schema.columns}
    for name, derived in definition.derive.items():
        for column, kinds in derived.sources.items():
            if column not in known or schema.column(column).type not in kinds:
                raise _refuse(
                    path,
                    f"derive.{name} needs {' or '.join(kinds)} columns; {column} isn't one",
                    "derive",
                    name,
                )
    looking = {name for name, measure in definition.measures.items() if measure.agg in LOOKING_BACK}
    if looking and len(looking) < len(definition.measures):
        raise _refuse(
            path, "measures that look back stand in facts of their own, which re-fold more months", "measures"
        )
    for name, measure in definition.measures.items():
        if measure.agg == "identity" and measure.column in known:
            if schema.column(measure.column).type is not ColumnType.SUBJECT:
                raise _refuse(
                    path, f"measure {name} needs a pseudonym; {measure.column} isn't one", "measures", name
                )
        for column in measure.adverse.columns if measure.adverse is not None else ():
            if column in known and schema.column(column).type is not ColumnType.DATE:
                raise _refuse(
                    path, f"measure {name} grows old by {column}, which isn't a date", "measures", name
                )
        for column in definition.columns_of(name):
            if column not in known:
                raise _refuse(
                    path,
                    f"measure {name} names the column {column}, unknown to {schema.table}",
                    "measures",
                    name,
                )
    return definition


def load_all_facts(
    schemas: dict[str, TableSchema], folder: Path = FOLDER
) -> dict[tuple[SubjectKind, str], FactDefinition]:
    """All definitions below `folder` by (subject, facts name), those that are joined from others behind these; `schemas` by table
    name."""
    # Here, as linked facts are a kind of the facts defined above.
    from features.linked_facts import is_linked, load_linked

    found: dict[tuple[SubjectKind, str], FactDefinition] = {}
    for path in sorted(folder.glob("*/*.yaml"), key=lambda each: (is_linked(each), each)):
        if is_linked(path):
            definition: FactDefinition = load_linked(path, found)
        else:
            table = load_definition(path, FactDefinition).table
            if table not in schemas:
                raise _refuse(path, f"there is no contract for the table {table}", "table")
            definition = load_facts(path, schemas[table])
        if path.stem != definition.facts or path.parent.name != definition.subject:
            raise _refuse(
                path,
                "the file's place and name must be <subject>/<facts>.yaml",
                "facts",
            )
        found[definition.subject, definition.facts] = definition
    return found


def _refuse(path: Path, message: str, *place: str | int) -> Refusal:
    return Refusal(
        CODE,
        message + ".",
        file=str(path),
        line=line_of(path, *place),
        remedy="Use a column of the contract.",
    )
