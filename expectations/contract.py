"""Contracts: what a table promises, column by column. One file a table in `expectations/contracts/`, in the Open Data Contract
Standard (`expectations.odcs`), shared by both subject kinds where they have the same form.

A contract is versioned: `expectations.contract_changes` says what a change breaks and which version it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.forbidden_columns import forbidden
from core.purpose import ConsentKind, Purpose, strength
from core.subject import SHARED, SubjectKind, TableOwner
from core.table_schema import Column, ColumnType, TableSchema
from expectations.domains import Domain
from expectations.odcs import (
    MONTH_FORMAT,
    SUBJECT_PATTERN,
    Carried,
    ContractFile,
    DictionaryNote,
    Property,
    ServiceLevel,
)

FOLDER = Path(__file__).parent / "contracts"

_RANGED = (ColumnType.MONEY, ColumnType.INT, ColumnType.LONG, ColumnType.FLOAT)

#: ODCS (logical type, physical type) of our column types; codes, subjects and months are told apart by what else the column has.
TYPES: dict[tuple[str, str], ColumnType] = {
    ("string", "string"): ColumnType.STRING,
    ("number", "decimal(18,2)"): ColumnType.MONEY,
    ("number", "float64"): ColumnType.FLOAT,
    ("integer", "int32"): ColumnType.INT,
    ("integer", "int64"): ColumnType.LONG,
    ("boolean", "boolean"): ColumnType.BOOL,
    ("date", "date"): ColumnType.DATE,
    ("date", "string"): ColumnType.MONTH,
    ("timestamp", "timestamp(us, UTC)"): ColumnType.TIME,
}


DataClass = Literal["general", "quasi_id", "sensitive", "pseudonym"]


class ContractColumn(Definition):
    """One column. `unit` is CNY for amounts, days, months, kWh|m3 and so on; `minimum` and `maximum` are in that unit. `pattern`:
    the form that every text has, from `^` to `$`.

    `code_titles`: what each of `codes` means, in their order. `rule`: what holds for the values, told in words; `standard`: the
    norm they follow; `refers_to`: the `table.column` they are found in.
    """

    type: ColumnType
    title: Bilingual
    nullable: bool = False
    codes: tuple[str, ...] = ()
    code_titles: tuple[Bilingual, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    unit: str = ""
    data_class: DataClass = "general"
    purposes: tuple[Purpose, ...] = ()
    rule: Bilingual | None = None
    standard: str = ""
    refers_to: str = ""
    examples: tuple[str | int | float | bool, ...] = ()
    dictionary: DictionaryNote = DictionaryNote()

    @model_validator(mode="after")
    def _fits_its_type(self) -> ContractColumn:
        if (self.type is ColumnType.CODE) != bool(self.codes):
            raise ValueError("a code column has codes, other columns have none")
        if len(set(self.codes)) != len(self.codes):
            raise ValueError("a code stands twice")
        if self.type not in _RANGED and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"a {self.type} column has no minimum or maximum")
        if self.pattern and self.type is not ColumnType.STRING:
            raise ValueError(f"a {self.type} column has no pattern of its own")
        if self.pattern and not _is_form(self.pattern):
            raise ValueError("a pattern is a regular expression from ^ to $ with groups written (?:…)")
        if self.type is ColumnType.MONEY and self.unit != "CNY":
            raise ValueError("amounts are kept in CNY: write the unit CNY")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the minimum is above the maximum")
        if not self.purposes:
            raise ValueError("a column serves at least one purpose")
        return self


def _is_form(pattern: str) -> bool:
    try:
        groups = re.compile(pattern).groups
    except re.error:
        return False
    # Great Expectations warns of groups that nobody extracts.
    return pattern.startswith("^") and pattern.endswith("$") and not groups


class Lateness(Definition):
    """Days from the end of the period until half and until 95 % of the rows have come."""

    median_days: int = Field(ge=0)
    p95_days: int = Field(ge=0)


class Contract(Definition):
    """One table. `unique_per_delivery`: a delivery holds each business key once.

    `legal_channel` is the ground on which a platform may give the data to a bank, `consent_kind` what the subject must have given
    for it (none: the bank's own records). `consent_basis` says where the consent is recorded: in the consent register, or
    `at_query`, with the provider, where the subject authorises each query and the feed has no register. `presence_consent_kind`
    suffices to derive that a record exists, no more. `delivered` false: made here and handed out, never taken in.
    `carried_elsewhere`: columns of the data dictionary that this table keeps in another way.
    """

    table: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    status: Literal["draft", "active", "deprecated", "retired"] = "active"
    domain: Domain
    keeper: Literal["data-engineering", "risk", "marketing", "data-protection"]
    title: Bilingual
    grain: Bilingual
    note: Bilingual | None = None
    subjects: tuple[SubjectKind, ...]
    delivered: bool = True
    business_key: tuple[str, ...] = ()
    unique_per_delivery: bool = True
    cadence: Literal["daily", "weekly", "monthly", "quarterly", "annual", "event", "batch"]
    cadence_note: Bilingual | None = None
    lateness: Lateness
    restated_percent: float = Field(default=0, ge=0, le=100)
    legal_channel: Literal[
        "subject_authorised_query",
        "licensed_credit_bureau",
        "authorised_public_data_operation",
        "credit_platform",
        "payment_service_byproduct",
        "bank_own",
    ]
    consent_kind: ConsentKind
    consent_basis: Literal["register", "at_query"] = "register"
    presence_consent_kind: ConsentKind | None = None
    carried_elsewhere: dict[str, Carried] = {}
    columns: dict[str, ContractColumn]

    @model_validator(mode="after")
    def _whole(self) -> Contract:
        if self.delivered:
            self._has_subject_and_period()
        elif self.subjects:
            raise ValueError("a table that is made here has no subjects of its own: write `subjects: []`")
        weaker = self.presence_consent_kind
        if weaker is not None and strength(weaker) >= strength(self.consent_kind):
            raise ValueError("presence_consent_kind must be weaker than consent_kind, else leave it out")
        absent = [name for name in self.business_key if name not in self.columns]
        optional = [name for name in self.business_key if not absent and self.columns[name].nullable]
        if absent or optional:
            raise ValueError(
                f"the business key needs columns that are always there: {', '.join(absent + optional)}"
            )
        return self

    def _has_subject_and_period(self) -> None:
        subject, period = self.columns.get("subject_id"), self.columns.get("period")
        if period is None or period.type is not ColumnType.MONTH or period.nullable:
            raise ValueError("every delivered table has the column period, a month that is always there")
        if self.subjects and (subject is None or subject.type is not ColumnType.SUBJECT or subject.nullable):
            raise ValueError(
                "a table about subjects has the column subject_id, a subject that is always there"
            )
        if not self.subjects and subject is not None:
            raise ValueError("a table with `subjects: []` has no column subject_id")

    @property
    def purposes(self) -> frozenset[Purpose]:
        """Purposes that at least one column may serve."""
        return frozenset(purpose for column in self.columns.values() for purpose in column.purposes)

    @property
    def owners(self) -> tuple[TableOwner, ...]:
        """Whose raw rows there are: the subject kinds; `shared` where rows are about nobody; none where nothing is delivered."""
        if not self.delivered:
            return ()
        return self.subjects or (SHARED,)

    def raw_table(self, owner: TableOwner) -> str:
        """Table-store name of the rows of one subject kind, or of the shared ones."""
        return f"raw/{owner}/{self.table}"

    def schema(self) -> TableSchema:  # type: ignore[override]
        """The part that intake, storage and features share."""
        return self._schema

    @cached_property
    def _schema(self) -> TableSchema:
        columns = tuple(
            Column(
                name=name,
                type=column.type,
                nullable=column.nullable,
                codes=column.codes,
                minimum=column.minimum,
                maximum=column.maximum,
                pattern=column.pattern,
                unit=column.unit,
                data_class=column.data_class,
                purposes=column.purposes,
            )
            for name, column in self.columns.items()
        )
        return TableSchema(self.table, columns, self.business_key, self.unique_per_delivery)


def load_contract(path: Path) -> Contract:
    """Read one contract; a Refusal names file, line and remedy."""
    file = load_definition(path, ContractFile)
    for place, message, remedy in _mistakes(file, path.stem):
        raise Refusal(CODE, f"{message}.", file=str(path), line=line_of(path, *place), remedy=remedy)
    try:
        return Contract.model_validate(_content(file))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        named = ".".join(str(part) for part in first["loc"]) or "the table"
        raise Refusal(
            CODE,
            f"{named}: {first['msg']}.",
            file=str(path),
            line=line_of(path, *_place(first["loc"])),
            remedy="Correct the entry; docs/contracts.md says what a contract holds.",
        ) from None


def load_contracts(folder: Path = FOLDER) -> dict[str, Contract]:
    """All contracts of `folder` by table."""
    return {contract.table: contract for contract in map(load_contract, sorted(folder.glob("*.yaml")))}


Place = tuple[str | int, ...]
_TABLE: Place = ("schema", 0)


def _mistakes(file: ContractFile, stem: str) -> Iterator[tuple[Place, str, str]]:
    """What a file says wrongly beyond its form: (place, message, remedy)."""
    table, rename = file.tables[0], "Name the file, the contract and its table alike."
    if file.name != stem:
        yield ("name",), f"the contract is called {file.name}, its file {stem}", rename
    if table.name != file.name or file.id != f"gscene.{file.name}":
        yield (*_TABLE, "name"), f"the table or the id isn't that of the contract {file.name}", rename
    names = [column.name for column in table.properties]
    for column in table.properties:
        place = (*_TABLE, "properties", column.name)
        what = forbidden(column.name)
        if what is not None:
            yield (
                place,
                f"the column {column.name} may not exist: it would hold {what.en} ({what.zh})",
                "Leave it out of the contract and of what the source sends; core/forbidden_columns.yaml has the list.",
            )
        if names.count(column.name) > 1:
            yield place, f"the column {column.name} stands twice", "Keep one of the two."
        if (column.name == "period") != column.partitioned:
            yield (
                place,
                "rows are kept by `period`: it alone is partitioned",
                "Write `partitioned: true` there.",
            )
        if _type_of(column) is None:
            told = ", ".join(f"{logical} as {physical}" for logical, physical in TYPES)
            yield (
                (*place, "physicalType"),
                "these logical and physical types don't go together",
                f"Use one of: {told}.",
            )
    positions = sorted(column.primaryKeyPosition or 0 for column in table.properties if column.primaryKey)
    if positions != list(range(1, len(positions) + 1)):
        yield (*_TABLE, "properties"), "the key's columns aren't numbered 1, 2, 3", "Mend primaryKeyPosition."
    if sorted(level.id for level in file.slaProperties) != [
        "cadence", "lateness_p50", "lateness_p95", "restated_share",
    ]:  # fmt: skip
        yield (
            ("slaProperties",),
            "cadence, lateness_p50, lateness_p95 and restated_share stand once each",
            "Add them.",
        )


def _type_of(column: Property) -> ColumnType | None:
    kind = TYPES.get((column.logicalType, column.physicalType))
    if kind is ColumnType.MONTH and column.logicalTypeOptions.format != MONTH_FORMAT:
        return None
    if kind is ColumnType.STRING and column.logicalTypeOptions.pattern == SUBJECT_PATTERN:
        return ColumnType.SUBJECT
    return ColumnType.CODE if kind is ColumnType.STRING and column.enum else kind


def _content(file: ContractFile) -> dict[str, Any]:
    """The entries of `Contract`, from those of the file."""
    table = file.tables[0]
    custom, levels, note = table.custom, {level.id: level for level in file.slaProperties}, file.description
    key = sorted((c for c in table.properties if c.primaryKey), key=lambda c: c.primaryKeyPosition or 0)
    return {
        "table": file.name,
        "version": file.version,
        "status": file.status,
        "domain": file.domain,
        "keeper": file.team.name,
        "title": {"zh": custom.titleZh, "en": table.businessName},
        "grain": {"zh": custom.grainZh, "en": table.dataGranularityDescription},
        "note": None if note is None else {"zh": note.custom.descriptionZh, "en": note.limitations},
        "subjects": custom.subjects,
        "delivered": custom.delivered,
        "business_key": [column.name for column in key],
        "unique_per_delivery": custom.uniquePerDelivery,
        "cadence": levels["cadence"].value,
        "cadence_note": _told(levels["cadence"]),
        "lateness": {
            "median_days": levels["lateness_p50"].value,
            "p95_days": levels["lateness_p95"].value,
        },
        "restated_percent": levels["restated_share"].value,
        "legal_channel": custom.legalChannel,
        "consent_kind": custom.consentKind,
        "consent_basis": custom.consentBasis,
        "presence_consent_kind": custom.presenceConsentKind,
        "carried_elsewhere": custom.carriedElsewhere,
        "columns": {column.name: _column(column) for column in table.properties},
    }


def _told(level: ServiceLevel) -> dict[str, str] | None:
    if level.custom is None:
        return None
    return {"zh": level.custom.descriptionZh, "en": level.description}


def _column(column: Property) -> dict[str, Any]:
    custom, options = column.custom, column.logicalTypeOptions
    kind = _type_of(column)
    rule = column.quality[0] if column.quality else None
    return {
        "type": kind,
        "title": {"zh": custom.titleZh, "en": column.businessName},
        "nullable": not column.required,
        "codes": [code.value for code in column.enum],
        "code_titles": [{"zh": code.label, "en": code.description} for code in column.enum],
        "minimum": options.minimum,
        "maximum": options.maximum,
        "pattern": (options.pattern or "") if kind is not ColumnType.SUBJECT else "",
        "unit": custom.unit,
        "data_class": column.classification,
        "purposes": custom.purposes,
        "rule": None if rule is None else {"zh": rule.custom.descriptionZh, "en": rule.description},
        "standard": custom.standard,
        "refers_to": column.relationships[0].to if column.relationships else "",
        "examples": column.examples,
        "dictionary": custom.dictionary,
    }


#: Where the entries of a contract and of its columns stand in the file, for the line of an error.
_PLACES: dict[str, Place] = {
    "domain": ("domain",),
    "keeper": ("team", "name"),
    "cadence": ("slaProperties",),
    "lateness": ("slaProperties",),
    "restated_percent": ("slaProperties",),
    "subjects": (*_TABLE, "customProperties", "subjects", "value"),
    "legal_channel": (*_TABLE, "customProperties", "legalChannel", "value"),
    "consent_kind": (*_TABLE, "customProperties", "consentKind", "value"),
    "consent_basis": (*_TABLE, "customProperties", "consentBasis", "value"),
    "presence_consent_kind": (*_TABLE, "customProperties", "presenceConsentKind", "value"),
}
_COLUMN_PLACES: dict[str, Place] = {
    "minimum": ("logicalTypeOptions",),
    "maximum": ("logicalTypeOptions",),
    "pattern": ("logicalTypeOptions",),
    "unit": ("customProperties", "unit", "value"),
    "purposes": ("customProperties", "purposes", "value"),
    "data_class": ("classification",),
    "codes": ("enum",),
}


def _place(place: tuple[str | int, ...]) -> Place:
    if len(place) > 1 and place[0] == "columns":
        field = str(place[2]) if len(place) > 2 else ""
        return (*_TABLE, "properties", place[1], *_COLUMN_PLACES.get(field, ()))
    return _PLACES.get(str(place[0]), _TABLE) if place else _TABLE
