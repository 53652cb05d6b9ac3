"""Contract files as they are written: the part of the Open Data Contract Standard (ODCS 3.2) that our contracts use.

What the standard has a place for stands there. What it has none for (purposes, units, the legal channel, Chinese texts) stands in
`customProperties`, each under a name of `ColumnExtension` or `TableExtension`. An unknown entry or name is an error with its
line.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from core.definition_file import Definition

API_VERSION = "v3.2.0"

#: The form of subject pseudonyms; a column of this pattern is a subject.
SUBJECT_PATTERN = "^k[0-9]+:[0-9a-f]{40}$"

#: The form in which months are kept.
MONTH_FORMAT = "yyyy-MM"


def _by_name(listed: Any) -> Any:
    """`[{property: unit, value: CNY}]` as `{unit: CNY}`."""
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise ValueError("custom properties are a list of entries with `property` and `value`")
    named: dict[str, Any] = {}
    for entry in listed:
        if set(entry) != {"property", "value"} or not isinstance(entry["property"], str):
            raise ValueError("a custom property has `property` and `value`, nothing else")
        if entry["property"] in named:
            raise ValueError(f"the custom property {entry['property']} stands twice")
        named[entry["property"]] = entry["value"]
    return named


class Carried(Definition):
    """Where something is kept that the data dictionary has as a column of the table, and why not in a column of its name."""

    by: str
    why: str


class DictionaryNote(Definition):
    """How a column stands to the data dictionary's where it isn't simply the same.

    `column`: its name there, when it's another; `extra`: why we have a column that the dictionary lacks; `differs`: why an aspect
    isn't the dictionary's.
    """

    column: str | None = None
    extra: str | None = None
    differs: dict[Literal["type", "nullable", "range", "codes", "purposes", "data_class"], str] = {}


class ColumnExtension(Definition):
    """Custom properties of a column. `standard`: the code list or norm that its values follow, such as GB/T 2260."""

    titleZh: str
    purposes: tuple[str, ...]
    unit: str = ""
    standard: str = ""
    dictionary: DictionaryNote = DictionaryNote()


class TableExtension(Definition):
    """Custom properties of a table. `delivered` false: made here and handed out, so nothing is taken in under this contract."""

    titleZh: str
    grainZh: str
    subjects: tuple[str, ...]
    legalChannel: str
    consentKind: str
    consentBasis: str = "register"
    presenceConsentKind: str | None = None
    uniquePerDelivery: bool = True
    delivered: bool = True
    carriedElsewhere: dict[str, Carried] = {}


class TextExtension(Definition):
    """The Chinese of a text that the standard has in one language."""

    descriptionZh: str


class EnumEntry(Definition):
    """One code: `label` is its Chinese name, `description` the English one."""

    value: str
    label: str
    description: str


class TextRule(Definition):
    """A rule that people read; nothing judges it."""

    type: Literal["text"]
    description: str
    custom: Annotated[TextExtension, BeforeValidator(_by_name)] = Field(alias="customProperties")


class Relationship(Definition):
    """`to`: the column that this one's values are found in, as `table.column`."""

    to: str = Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")


class TypeOptions(Definition):
    """`logicalTypeOptions`: limits of numbers; the form of months, pseudonyms, moments and of texts that have one."""

    minimum: float | None = None
    maximum: float | None = None
    format: str | None = None
    pattern: str | None = None
    timezone: bool | None = None
    defaultTimezone: str | None = None


class Property(Definition):
    """One column."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    businessName: str
    logicalType: Literal["string", "date", "timestamp", "number", "integer", "boolean"]
    physicalType: str
    required: bool
    primaryKey: bool = False
    primaryKeyPosition: int | None = None
    partitioned: bool = False
    partitionKeyPosition: int | None = None
    classification: str
    logicalTypeOptions: TypeOptions = TypeOptions()
    enum: tuple[EnumEntry, ...] = ()
    examples: tuple[str | int | float | bool, ...] = ()
    relationships: Annotated[tuple[Relationship, ...], Field(max_length=1)] = ()
    quality: Annotated[tuple[TextRule, ...], Field(max_length=1)] = ()
    custom: Annotated[ColumnExtension, BeforeValidator(_by_name)] = Field(alias="customProperties")


class TableObject(Definition):
    """The one table of a contract."""

    name: str
    logicalType: Literal["object"]
    physicalType: Literal["table"]
    businessName: str
    dataGranularityDescription: str
    custom: Annotated[TableExtension, BeforeValidator(_by_name)] = Field(alias="customProperties")
    properties: Annotated[tuple[Property, ...], Field(min_length=1)]


class ServiceLevel(Definition):
    """`id` is one of cadence, lateness_p50, lateness_p95, restated_share."""

    id: Literal["cadence", "lateness_p50", "lateness_p95", "restated_share"]
    property: str
    value: str | float
    unit: str = ""
    description: str = ""
    custom: Annotated[TextExtension, BeforeValidator(_by_name)] | None = Field(
        default=None, alias="customProperties"
    )


class Description(Definition):
    """`limitations`: what a reader has to know before trusting the numbers."""

    limitations: str
    custom: Annotated[TextExtension, BeforeValidator(_by_name)] = Field(alias="customProperties")


class Team(Definition):
    """Who keeps the contract."""

    name: str


class ContractFile(Definition):
    """A whole file."""

    apiVersion: Literal["v3.2.0"]
    kind: Literal["DataContract"]
    id: str
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    status: Literal["draft", "active", "deprecated", "retired"]
    domain: str
    description: Description | None = None
    team: Team
    slaProperties: tuple[ServiceLevel, ...]
    tables: Annotated[tuple[TableObject, ...], Field(min_length=1, max_length=1, alias="schema")]
