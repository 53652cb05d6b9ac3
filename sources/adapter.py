"""Adapters: how one source's columns, codes and units become a canonical table. Data alone: a new city needs
no Python.

`sources/adapters/<adapter>.yaml`; every source column is named, so that a new one can't slip in unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.money import FEN_PER_UNIT
from core.subject import SubjectKind
from core.table_schema import Column, ColumnType, TableSchema
from sources.file_format import FileFormat
from sources.volume import Volume
from sources.written_dates import DateForm

FOLDER = Path(__file__).parent / "adapters"

#: Steps of normalising text; `drop_hyphens` is for organisation codes written `74218321-3`.
Step = Literal["nfkc", "strip", "lower", "upper", "drop_hyphens"]
Unit = Literal["FEN", "CNY", "CNY_10K"]
assert set(FEN_PER_UNIT) == set(Unit.__args__)  # type: ignore[attr-defined]


class Key(Definition):
    """Where the subject comes from. With `pseudonymise` the source sends its own code, which is replaced on
    entry.

    `code_space` names whose codes they are, when several sources of one provider share them; by default the
    source's own.
    """

    source_column: str = Field(alias="from")
    normalise: tuple[Step, ...] = ()
    pseudonymise: bool = False
    code_space: str | None = None


class ColumnRule(Definition):
    """How one canonical column is read: `from` a source column, or a `constant` of the feed."""

    source_column: str | None = Field(default=None, alias="from")
    constant: bool | int | str | None = None
    parse: tuple[str, ...] = ()
    codes: dict[str, bool | str] = {}
    unit: Unit | None = None
    normalise: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _one_origin(self) -> ColumnRule:
        if (self.source_column is None) == (self.constant is None):
            raise ValueError("give either `from` or `constant`")
        for form in self.parse:
            DateForm.of(form)
        return self


class LeaveOut(Definition):
    """Rows left out, counted under `reason`, where the stripped cell of the source column `column` is one of
    `equals`.
    """

    reason: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    column: str
    equals: Annotated[tuple[str, ...], Field(min_length=1)]


class Duplicates(Definition):
    """Rows repeated whole inside one delivery: all but the first are left out under the reason `exact`."""

    exact: str = Field(pattern=r"^[a-z][a-z0-9_]*$")


class Adapter(Definition):
    """One feed's file. `nulls` are cells that mean nothing was sent; `sentinels` are dates that mean it."""

    adapter: str
    version: int = Field(ge=1)
    title: Bilingual
    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    subject: SubjectKind
    target: str
    file: FileFormat = FileFormat()
    key: Key
    columns: dict[str, ColumnRule]
    ignore: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    sentinels: tuple[str, ...] = ()
    leave_out: tuple[LeaveOut, ...] = ()
    duplicates: Duplicates | None = None
    volume: Volume = Volume()

    @model_validator(mode="after")
    def _ignored_means_unused(self) -> Adapter:
        used = {rule.source_column for rule in self.columns.values()} | {self.key.source_column}
        twice = [name for name in self.ignore if name in used or self.ignore.count(name) > 1]
        if twice:
            raise ValueError(f"ignored columns may not be named anywhere else: {', '.join(twice)}")
        return self

    @cached_property
    def source_columns(self) -> tuple[str, ...]:
        """Every column that the source's file has, each once, in the adapter's order."""
        rules = (rule.source_column for rule in self.columns.values())
        named = [self.key.source_column, *rules, *(rule.column for rule in self.leave_out), *self.ignore]
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def code_space(self) -> str:
        """Whose codes the key column holds."""
        return self.key.code_space or self.source

    @property
    def raw_table(self) -> str:
        """Table-store name of the rows it makes."""
        return f"raw/{self.subject}/{self.target}"

    @cached_property
    def definition_hash(self) -> str:
        """sha256 of the definition's content."""
        body = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()


def load_adapter(path: Path, schema: TableSchema | None = None) -> Adapter:
    """Read one adapter; with `schema`, check it against its target. Raises Refusal with file, line and
    remedy.
    """
    adapter = load_definition(path, Adapter)
    if adapter.adapter != path.stem:
        raise _refuse(path, f"the adapter is called {adapter.adapter}, its file {path.stem}", ("adapter",))
    if schema is not None:
        for place, message in lint(adapter, schema):
            raise _refuse(path, message, place)
    return adapter


def load_adapters(
    schemas: Mapping[str, TableSchema] | None = None, folder: Path = FOLDER
) -> dict[str, Adapter]:
    """All adapters of `folder` by name; with `schemas` (by table), each is checked against its target."""
    adapters = {}
    for path in sorted(folder.glob("*.yaml")):
        adapter = load_adapter(path)
        if schemas is not None:
            if adapter.target not in schemas:
                raise _refuse(path, f"there is no contract for the table {adapter.target}", ("target",))
            adapter = load_adapter(path, schemas[adapter.target])
        adapters[adapter.adapter] = adapter
    return adapters


Place = tuple[str | int, ...]


def lint(adapter: Adapter, schema: TableSchema) -> list[tuple[Place, str]]:
    """What doesn't fit between an adapter and its target: (place in the file, message) each."""
    if adapter.target != schema.table:
        return [(("target",), f"the target is {adapter.target}, the contract {schema.table}")]
    known = {column.name for column in schema.columns}
    problems: list[tuple[Place, str]] = [
        (("columns", name), f"{schema.table} has no column {name} that an adapter may fill")
        for name in adapter.columns
        if name not in known or name == "subject_id"
    ]
    for column in schema.columns:
        rule = adapter.columns.get(column.name)
        if rule is not None:
            problems += [(("columns", column.name), told) for told in _misfits(column, rule)]
        elif not column.nullable and column.name not in ("subject_id", "period"):
            problems.append((("columns",), f"nothing feeds {column.name}, which may not be missing"))
    return problems


def _misfits(column: Column, rule: ColumnRule) -> list[str]:
    name, kind = column.name, column.type
    declared = set(rule.codes.values())
    checks = [
        (kind is ColumnType.MONEY and rule.unit is None, f"{name} needs a unit ({', '.join(FEN_PER_UNIT)})"),
        (
            kind is not ColumnType.MONEY and rule.unit is not None,
            f"{name} is no amount and has no money unit",
        ),
        (
            kind in (ColumnType.DATE, ColumnType.MONTH) and not rule.parse and rule.constant is None,
            f"{name} needs `parse`, the forms that its dates are written in",
        ),
        (
            kind is ColumnType.BOOL and rule.constant is None and not rule.codes,
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
            kind not in (ColumnType.CODE, ColumnType.BOOL) and bool(rule.codes),
            f"{name} is {kind}, not a code: it takes no `codes`",
        ),
        (
            rule.constant is not None and not _fits(rule.constant, column),
            f"the constant of {name} isn't a {kind}",
        ),
    ]
    return [message for fails, message in checks if fails]


def _fits(constant: Any, column: Column) -> bool:
    if column.type is ColumnType.CODE:
        return constant in column.codes
    if column.type is ColumnType.BOOL:
        return isinstance(constant, bool)
    if column.type in (ColumnType.INT, ColumnType.LONG):
        return isinstance(constant, int) and not isinstance(constant, bool)
    return column.type in (ColumnType.STRING, ColumnType.MONTH) and isinstance(constant, str)


def _refuse(path: Path, message: str, place: Place) -> Refusal:
    return Refusal(
        CODE,
        f"{message}.",
        file=str(path),
        line=line_of(path, *place),
        remedy="Correct the adapter; docs/ describes what an adapter may hold.",
    )
