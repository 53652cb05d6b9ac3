"""What an adapter covers: for each canonical column where it comes from, and which source columns nobody takes."""

from __future__ import annotations

from dataclasses import dataclass

from core.table_schema import ColumnType, TableSchema
from sources.adapter import Adapter
from sources.adapter_lint import fed_columns, needs_unit
from sources.column_rule import Reading

#: How a canonical column is fed.
READ, CONSTANT, DERIVED, KEY, MANIFEST, NOT_FED = "read", "constant", "derived", "key", "manifest", "not fed"


@dataclass(frozen=True)
class CoveredColumn:
    """One canonical column. `how` it is fed; `origin`: source columns, constant or columns it is derived from; `unit` as the
    source writes it; `codes`: maps and how many codes of the adapter's own.
    """

    name: str
    type: str
    required: bool
    how: str
    origin: str = ""
    unit: str = ""
    codes: str = ""

    @property
    def lacks_unit(self) -> bool:
        """A number is read and nobody said in which unit."""
        return self.unit == "?"


def coverage(adapter: Adapter, schema: TableSchema) -> list[CoveredColumn]:
    """All columns of the target in the contract's order."""
    fed = fed_columns(adapter)
    told = []
    for column in schema.columns:
        rule = adapter.columns.get(column.name)
        how, origin = _origin(adapter, column.name, rule, column.name in fed)
        unit = ""
        if rule is not None and rule.source_column is not None:
            unit = rule.unit or ("?" if needs_unit(column) else "")
        codes = ", ".join(rule.code_map) if rule is not None else ""
        if rule is not None and rule.codes:
            codes = f"{codes} + {len(rule.codes)}".removeprefix(" + ")
        told.append(
            CoveredColumn(column.name, str(column.type), not column.nullable, how, origin, unit, codes)
        )
    return told


def untaken(adapter: Adapter) -> tuple[str, ...]:
    """Source columns that are named and not taken."""
    return adapter.ignore


def fed_twice(adapter: Adapter, schema: TableSchema) -> list[tuple[str, list[str]]]:
    """Source columns that feed several canonical ones (fault F15 where nobody meant it): (source column, canonical columns).

    A code read for what it means and once more as true or false is meant, and so is a column that `where` divides, or a moment
    whose day and month are columns of their own.
    """
    fed: dict[str, list[str]] = {}
    if adapter.key is not None:
        fed[adapter.key.source_column] = ["subject_id"]
    for name, rule in adapter.columns.items():
        if rule.source_column is not None and not rule.where and not rule.has_codes:
            fed.setdefault(rule.source_column, []).append(name)
    return [
        (source, names) for source, names in fed.items() if len(names) > 1 and not _one_time(names, schema)
    ]


def _one_time(names: list[str], schema: TableSchema) -> bool:
    kinds = [schema.column(name).type for name in names]
    return len(set(kinds)) == len(kinds) and set(kinds) <= {
        ColumnType.MONTH,
        ColumnType.DATE,
        ColumnType.TIME,
    }


def _origin(adapter: Adapter, name: str, rule: Reading | None, fed: bool) -> tuple[str, str]:
    if name == "subject_id" and adapter.key is not None:
        return KEY, adapter.key.source_column
    if rule is None:
        if fed:
            return CONSTANT, "by row of `unpivot`"
        return (MANIFEST, "") if name == "period" else (NOT_FED, "")
    if rule.derive is not None:
        return DERIVED, f"{rule.derive.kind}: {', '.join(rule.derive.arguments) or rule.derive.envelope}"
    if rule.constant is not None:
        return CONSTANT, str(rule.constant)
    where = [f"{source} = {'/'.join(texts)}" for source, texts in rule.where.items()]
    return READ, " where ".join([str(rule.source_column), *where])
