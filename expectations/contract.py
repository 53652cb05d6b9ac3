"""Contracts: what a table promises, column by column. One YAML file a table in `expectations/contracts/`,
shared by both subject kinds where they have the same form.

A contract is versioned: a new column or code is a new minor version, a changed meaning a new major one and a
new table.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.purpose import ConsentKind, Purpose, strength
from core.subject import SubjectKind
from core.table_schema import Column, ColumnType, TableSchema

FOLDER = Path(__file__).parent / "contracts"

_RANGED = (ColumnType.MONEY, ColumnType.INT, ColumnType.LONG, ColumnType.FLOAT)


class ContractColumn(Definition):
    """One column. `unit` is CNY for amounts, days, months, kWh|m3 and so on; `minimum` and `maximum` are in
    that unit.
    """

    type: ColumnType
    title: Bilingual
    nullable: bool = False
    codes: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    data_class: Literal["general", "sensitive", "pseudonym"] = "general"
    purposes: tuple[Purpose, ...] = ()

    @model_validator(mode="after")
    def _fits_its_type(self) -> ContractColumn:
        if (self.type is ColumnType.CODE) != bool(self.codes):
            raise ValueError("a code column has `codes`, other columns have none")
        if self.type not in _RANGED and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"a {self.type} column has no minimum or maximum")
        if self.type is ColumnType.MONEY and self.unit != "CNY":
            raise ValueError("amounts are kept in CNY: write `unit: CNY`")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the minimum is above the maximum")
        return self


class Lateness(Definition):
    """Days from the end of the period until half and until 95 % of the rows have come."""

    median_days: int = Field(ge=0)
    p95_days: int = Field(ge=0)


class Contract(Definition):
    """One table. `unique_per_delivery`: a delivery holds each business key once.

    `legal_channel` is the ground on which a platform may give the data to a bank, `consent_kind` what the
    subject must have given for it (none: the bank's own records). `consent_basis` says where the consent is
    recorded: in the consent register, or `at_query`, with the provider, where the subject authorises each query
    and the feed has no register. `presence_consent_kind` suffices to derive that a record exists, no more.
    """

    table: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    title: Bilingual
    grain: Bilingual
    subjects: Annotated[tuple[SubjectKind, ...], Field(min_length=1)]
    business_key: tuple[str, ...] = ()
    unique_per_delivery: bool = True
    cadence: Literal["daily", "monthly", "quarterly", "event"]
    lateness: Lateness
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
    columns: dict[str, ContractColumn]

    @model_validator(mode="after")
    def _whole(self) -> Contract:
        for name in ("subject_id", "period"):
            if name not in self.columns:
                raise ValueError(f"every table has the column {name}")
        if self.columns["subject_id"].type is not ColumnType.SUBJECT:
            raise ValueError("subject_id is a subject")
        if self.columns["period"].type is not ColumnType.MONTH:
            raise ValueError("period is a month")
        weaker = self.presence_consent_kind
        if weaker is not None and strength(weaker) >= strength(self.consent_kind):
            raise ValueError("presence_consent_kind must be weaker than consent_kind, else leave it out")
        missing = [name for name in self.business_key if name not in self.columns]
        optional = [
            name for name in self.business_key if name in self.columns and self.columns[name].nullable
        ]
        if missing or optional:
            raise ValueError(
                f"the business key needs columns that are always there: {', '.join(missing + optional)}"
            )
        return self

    @property
    def purposes(self) -> frozenset[Purpose]:
        """Purposes that at least one column may serve."""
        return frozenset(purpose for column in self.columns.values() for purpose in column.purposes)

    def raw_table(self, subject: SubjectKind) -> str:
        """Table-store name of the rows of one subject kind."""
        return f"raw/{subject}/{self.table}"

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
                unit=column.unit,
                data_class=column.data_class,
                purposes=column.purposes,
            )
            for name, column in self.columns.items()
        )
        return TableSchema(self.table, columns, self.business_key, self.unique_per_delivery)


def load_contract(path: Path) -> Contract:
    """Read one contract; a Refusal names file, line and remedy."""
    contract = load_definition(path, Contract)
    if contract.table != path.stem:
        raise Refusal(
            CODE,
            f"the table is called {contract.table}, its file {path.stem}.",
            file=str(path),
            line=line_of(path, "table"),
            remedy="Name the file after the table.",
        )
    return contract


def load_contracts(folder: Path = FOLDER) -> dict[str, Contract]:
    """All contracts of `folder` by table."""
    return {contract.table: contract for contract in map(load_contract, sorted(folder.glob("*.yaml")))}
