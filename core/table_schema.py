"""What a canonical table looks like: the part of a contract that intake, storage and features share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from core.money import MONEY
from core.purpose import Purpose


class ColumnType(StrEnum):
    """The types a contract may use; each has one Arrow type at rest."""

    STRING = "string"
    CODE = "code"
    MONEY = "money"
    INT = "int"
    LONG = "long"
    FLOAT = "float"
    BOOL = "bool"
    DATE = "date"
    MONTH = "month"
    SUBJECT = "subject"
    #: A moment; sources write Chinese civil time, at rest it is UTC.
    TIME = "time"

    def arrow(self) -> pa.DataType:
        """The Arrow type at rest."""
        return _ARROW[self]


_ARROW = {
    ColumnType.STRING: pa.string(),
    ColumnType.CODE: pa.string(),
    ColumnType.MONEY: MONEY,
    ColumnType.INT: pa.int32(),
    ColumnType.LONG: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.BOOL: pa.bool_(),
    ColumnType.DATE: pa.date32(),
    ColumnType.MONTH: pa.string(),
    ColumnType.SUBJECT: pa.string(),
    ColumnType.TIME: pa.timestamp("us", tz="UTC"),
}

#: Columns that intake adds to every canonical row. `row_no`: 1 is the first row of the delivery; negative where that row
#: withdraws its business key instead of telling something of it.
ENVELOPE = (
    pa.field("received_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("delivery_no", pa.int32(), nullable=False),
    pa.field("revision", pa.int32(), nullable=False),
    pa.field("row_no", pa.int32(), nullable=False),
)


@dataclass(frozen=True)
class Column:
    """One column of a canonical table. `pattern`: the form of its texts, a regular expression over the whole text."""

    name: str
    type: ColumnType
    nullable: bool = False
    codes: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    unit: str = ""
    data_class: str = "general"
    purposes: tuple[Purpose, ...] = ()


@dataclass(frozen=True)
class TableSchema:
    """A canonical table: its columns in order and its business key (empty: every row stands for itself).

    `unique_per_delivery`: a delivery holds each business key once.
    """

    table: str
    columns: tuple[Column, ...]
    business_key: tuple[str, ...] = ()
    unique_per_delivery: bool = True

    def column(self, name: str) -> Column:
        """The column of this name; KeyError names the table."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.table} has no column {name}")

    @property
    def has_subject(self) -> bool:
        """Whether rows are about a subject; reconciliations, campaigns and costs aren't (`raw/shared/<table>`)."""
        return any(column.name == "subject_id" for column in self.columns)

    def arrow(self) -> pa.Schema:
        """Business columns at rest: `subject_id` becomes `subject_no` (int32); `period` is the partition, not stored.

        Only what makes up the key is always there: a row that withdraws its key (negative `row_no`) holds nothing else.
        """
        fields = []
        for column in self.columns:
            if column.name == "period":
                continue
            if column.name == "subject_id":
                fields.append(pa.field("subject_no", pa.int32(), nullable=False))
            else:
                always = column.name in self.business_key or not (self.business_key or column.nullable)
                fields.append(pa.field(column.name, column.type.arrow(), nullable=not always))
        return pa.schema(fields)

    def arrow_with_envelope(self) -> pa.Schema:
        """Business columns followed by the envelope: a row of `raw/<subject>/<table>`."""
        return pa.schema([*self.arrow(), *ENVELOPE])
