"""What doesn't fit between an adapter and the contract of its target: checked whenever an adapter is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core.forbidden_columns import forbidden
from core.money import FEN_PER_UNIT
from core.table_schema import Column, ColumnType, TableSchema
from sources.column_rule import Reading
from sources.derived_columns import misfit
from sources.units import contract_units, factor

if TYPE_CHECKING:
    from sources.adapter import Adapter

Place = tuple[str | int, ...]
Problem = tuple[Place, str]

#: Types whose values are counted or measured.
MEASURED = (ColumnType.MONEY, ColumnType.INT, ColumnType.LONG, ColumnType.FLOAT)
_CODED = (ColumnType.CODE, ColumnType.BOOL, ColumnType.STRING)
_DATED = (ColumnType.DATE, ColumnType.MONTH, ColumnType.TIME)


def lint(adapter: Adapter, schema: TableSchema) -> list[Problem]:
    """What doesn't fit between an adapter and its target: (place in the file, message) each."""
    if adapter.target != schema.table:
        return [(("target",), f"the target is {adapter.target}, the contract {schema.table}")]
    if schema.has_subject == (adapter.key is None):
        told = "needs a `key`" if schema.has_subject else "is about no subject and takes no `key`"
        return [(("key",), f"{schema.table} {told}")]
    problems = [*_blocked(adapter), *_unknown_columns(adapter, schema)]
    fed = fed_columns(adapter)
    for column in schema.columns:
        rule = adapter.columns.get(column.name)
        if rule is not None:
            problems += [(("columns", column.name), told) for told in misfits(adapter, column, rule)]
        elif column.name not in fed and not column.nullable and column.name not in ("subject_id", "period"):
            problems.append((("columns",), f"nothing feeds {column.name}, which may not be missing"))
    for name, working in adapter.working.items():
        column = Column(name, working.type, nullable=True)
        problems += [(("working", name), told) for told in misfits(adapter, column, working)]
    return [*problems, *_derivations(adapter, schema), *_shape(adapter, schema), *_rows(adapter, schema)]


def fed_columns(adapter: Adapter) -> set[str]:
    """Canonical columns that get a value from somewhere."""
    fed = set(adapter.columns)
    for row in adapter.unpivot.rows if adapter.unpivot is not None else ():
        fed |= {*row.constants, *row.source_columns}
    return fed


def _blocked(adapter: Adapter) -> Iterator[Problem]:
    """Columns that may not enter under any name; what a source sends all the same is named under `ignore`."""
    for name in adapter.taken_columns:
        what = forbidden(name)
        if what is not None:
            yield (
                _place_of_source(adapter, name),
                f"the source column {name} may not be taken: it would hold {what.en} ({what.zh}); name it under `ignore`",
            )


def _place_of_source(adapter: Adapter, name: str) -> Place:
    for section in ("columns", "working"):
        for column, rule in getattr(adapter, section).items():
            if rule.source_column == name:
                return (section, column, "from")
    return ("key", "from") if adapter.key is not None and adapter.key.source_column == name else ()


def _unknown_columns(adapter: Adapter, schema: TableSchema) -> Iterator[Problem]:
    known = {column.name for column in schema.columns} - {"subject_id"}
    for name in adapter.columns:
        if name not in known:
            yield ("columns", name), f"{schema.table} has no column {name} that an adapter may fill"
    for name in adapter.working:
        if name in known or name == "subject_id":
            yield ("working", name), f"{name} is a column of {schema.table}: read it under `columns`"
    for number, row in enumerate(adapter.unpivot.rows if adapter.unpivot is not None else ()):
        for name in (*row.constants, *row.source_columns):
            if name not in known:
                yield (
                    ("unpivot", "rows", number),
                    f"{schema.table} has no column {name} that an adapter may fill",
                )


def misfits(adapter: Adapter, column: Column, rule: Reading) -> list[str]:
    """What one rule says that its column can't be."""
    name, kind = column.name, column.type
    declared: set[Any] = set(rule.codes.values())
    for code_map in adapter.maps(rule.code_map):
        declared |= code_map.targets
    read = rule.source_column is not None
    has_subject_columns = kind is ColumnType.SUBJECT
    checks = [
        (
            kind is ColumnType.MONEY and read and rule.unit not in FEN_PER_UNIT,
            f"{name} needs a unit ({', '.join(FEN_PER_UNIT)})",
        ),
        (
            kind is not ColumnType.MONEY and rule.unit in FEN_PER_UNIT and column.unit != "fen",
            f"{name} is no amount and has no money unit",
        ),
        (
            kind is not ColumnType.MONEY and rule.unit is not None and rule.unit not in FEN_PER_UNIT
            and bool(column.unit) and factor(rule.unit, column.unit) is None,
            f"{name} is kept in {column.unit}, which {rule.unit} can't be turned into",
        ),
        (
            rule.unit is not None and not (read and kind in MEASURED),
            f"{name} is no number that is read, and has no unit",
        ),
        (
            rule.thousands is not None and kind not in MEASURED,
            f"{name} is no number and has no `thousands`",
        ),
        (
            kind in _DATED and not rule.parse and read,
            f"{name} needs `parse`, the forms that its dates are written in",
        ),
        (
            kind is ColumnType.BOOL and read and not rule.has_codes,
            f"{name} needs `codes` that say what is true and what is false",
        ),
        (
            kind is ColumnType.BOOL and not all(isinstance(code, bool) for code in declared),
            f"the codes of {name} must lead to true or false",
        ),
        (
            kind is ColumnType.CODE and not declared <= set(column.codes),
            f"the codes of {name} lead to {', '.join(sorted(map(str, declared - set(column.codes))))}, "
            f"which the contract doesn't have",
        ),
        (
            kind not in _CODED and rule.has_codes,
            f"{name} is {kind}, not a code: it takes no `codes`",
        ),
        (rule.split is not None and not rule.has_codes and not column.codes, f"{name} has no codes to `split`"),
        (rule.open_end and kind not in (ColumnType.DATE, ColumnType.TIME), f"{name} is no date and has no `open_end`"),
        (
            rule.open_end and not column.nullable,
            f"{name} may not be missing, so it has no open end",
        ),
        (has_subject_columns and rule.has_codes, f"{name} is a subject and takes no `codes`"),
        (
            rule.constant is not None and not _fits(rule.constant, column),
            f"the constant of {name} isn't a {kind}" + (" of the contract's form" if column.pattern else ""),
        ),
    ]  # fmt: skip
    return [message for fails, message in checks if fails]


def _fits(constant: Any, column: Column) -> bool:
    if column.type is ColumnType.CODE:
        return constant in column.codes
    if column.type is ColumnType.BOOL:
        return isinstance(constant, bool)
    if column.type in (ColumnType.INT, ColumnType.LONG):
        return isinstance(constant, int) and not isinstance(constant, bool)
    if not isinstance(constant, str) or column.type not in (ColumnType.STRING, ColumnType.MONTH):
        return False
    return not column.pattern or re.fullmatch(column.pattern, constant) is not None


def types_of(adapter: Adapter, schema: TableSchema) -> dict[str, ColumnType]:
    """Types of the columns that others may be derived from: canonical ones that are fed, and working ones."""
    fed = fed_columns(adapter)
    types = {column.name: column.type for column in schema.columns if column.name in fed}
    return (
        types
        | {"period": ColumnType.MONTH}
        | {name: working.type for name, working in adapter.working.items()}
    )


def _derivations(adapter: Adapter, schema: TableSchema) -> Iterator[Problem]:
    types = types_of(adapter, schema)
    derived = {
        name: (section, rule.derive)
        for section in ("working", "columns")
        for name, rule in getattr(adapter, section).items()
        if rule.derive is not None
    }
    for name, (section, derive) in derived.items():
        told = misfit(name, derive, types.get(name, ColumnType.STRING), types)
        if told is not None:
            yield (section, name), told
    if (
        derived
        and derivation_order({name: derive.arguments for name, (_, derive) in derived.items()}) is None
    ):
        yield ("columns",), "columns are derived from each other in a circle"


def derivation_order(arguments: dict[str, tuple[str, ...]]) -> list[str] | None:
    """Derived columns in an order in which each comes after those it is made of; None where there is none."""
    order: list[str] = []
    waiting = dict(arguments)
    while waiting:
        ready = [name for name, made_of in waiting.items() if not set(made_of) & set(waiting)]
        if not ready:
            return None
        order += ready
        for name in ready:
            del waiting[name]
    return order


def _shape(adapter: Adapter, schema: TableSchema) -> Iterator[Problem]:
    key = [name for name in schema.business_key if name not in ("period", "subject_id")]
    fed = fed_columns(adapter)
    if adapter.grain is not None and adapter.grain.take:
        if not schema.business_key:
            yield ("grain",), f"{schema.table} has no business key to bring rows together by"
        for name in sorted(fed - set(key) - {"period"} - set(adapter.grain.take)):
            rule = adapter.columns.get(name)
            if rule is not None and rule.source_column is not None:
                yield ("grain", "take"), f"say under `take` how the values of {name} become one"
        types = types_of(adapter, schema)
        for name, how in adapter.grain.take.items():
            if name not in fed or name in key:
                yield ("grain", "take", name), f"{name} isn't a column that can be taken together"
            elif how in ("sum",) and types[name] not in MEASURED:
                yield ("grain", "take", name), f"{name} is {types[name]} and has no sum"
            elif how in ("any", "all") and types[name] is not ColumnType.BOOL:
                yield ("grain", "take", name), f"{name} is {types[name]}, not true or false"
    exploding = [
        name for name, rule in adapter.columns.items() if rule.split and rule.split.rule == "explode"
    ]
    if len(exploding) > 1:
        yield ("columns", exploding[1], "split"), "only one column may be told as several rows"
    if exploding:
        counted = [column.name for column in schema.columns if column.name in fed and column.type in MEASURED]
        if counted:
            told = f"{counted[0]} would be counted once for each code in a cell of {exploding[0]}: hold such rows back"
            yield ("columns", exploding[0], "split"), told
        if adapter.unpivot is not None or (adapter.grain is not None and adapter.grain.take):
            yield ("columns", exploding[0], "split"), "`explode` can't be combined with `grain` or `unpivot`"


def _rows(adapter: Adapter, schema: TableSchema) -> Iterator[Problem]:
    types = types_of(adapter, schema)
    if adapter.operation is not None:
        if not schema.business_key:
            yield ("operation",), f"{schema.table} has no business key that a deleted row could withdraw"
        if adapter.operation.code_map is not None:
            targets = adapter.maps([adapter.operation.code_map])[0].targets
            if not targets <= {"insert", "update", "delete"}:
                yield ("operation", "code_map"), "its codes must lead to insert, update or delete"
    if (
        adapter.duplicates is not None
        and adapter.duplicates.latest_by is not None
        and not schema.business_key
    ):
        yield ("duplicates",), f"{schema.table} has no business key that says which rows are versions of one"
    for number, check in enumerate(adapter.checks):
        strange = [name for name in check.columns if types.get(name) not in MEASURED]
        if strange:
            yield ("checks", number), f"{', '.join(strange)} isn't a number that is read"


def needs_unit(column: Column) -> bool:
    """Whether an adapter must say in which unit it is sent."""
    return column.type is ColumnType.MONEY or (column.type in MEASURED and bool(contract_units(column.unit)))
