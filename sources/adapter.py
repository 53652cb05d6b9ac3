"""Adapters: how one source's columns, codes and units become a canonical table. Data alone: a new city needs
no Python.

`sources/adapters/<adapter>.yaml`; every source column is named, so that a new one can't slip in unnoticed. docs/adapters.md
describes every entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pydantic import Field, PrivateAttr, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.subject import TableOwner
from core.table_schema import TableSchema
from sources.adapter_lint import Place, lint
from sources.code_map import FOLDER as CODE_MAPS
from sources.code_map import CodeMap, contradictions, find_code_map
from sources.column_rule import ColumnRule, Reading, WorkingColumn
from sources.file_format import FileFormat
from sources.grain import Grain, Unpivot
from sources.row_rules import Check, Covers, Duplicates, Key, LeaveOut, Operation, Quarantine
from sources.volume import Volume

FOLDER = Path(__file__).parent / "adapters"


class Sentinels(Definition):
    """Dates that stand for no date. `null`: nothing is known. `open_end`: it hasn't ended, which only columns with
    `open_end: true` may say.
    """

    null: tuple[str, ...] = ()
    open_end: tuple[str, ...] = ()


class Adapter(Definition):
    """One feed's file. `nulls` are cells that mean nothing was sent; `sentinels` are dates that mean it."""

    adapter: str
    version: int = Field(ge=1)
    title: Bilingual
    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    subject: TableOwner
    target: str
    file: FileFormat = FileFormat()
    key: Key | None = None
    columns: dict[str, ColumnRule]
    working: dict[str, WorkingColumn] = {}
    ignore: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    sentinels: Sentinels = Sentinels()
    leave_out: tuple[LeaveOut, ...] = ()
    duplicates: Duplicates | None = None
    operation: Operation | None = None
    covers: Covers | None = None
    checks: tuple[Check, ...] = ()
    grain: Grain | None = None
    unpivot: Unpivot | None = None
    quarantine: Quarantine = Quarantine()
    volume: Volume = Volume()
    _maps: dict[str, CodeMap] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_sentinels(cls, body: object) -> object:
        """A list of sentinels is short for `{null: [...]}`."""
        if isinstance(body, dict) and isinstance(body.get("sentinels"), list):
            return {**body, "sentinels": {"null": body["sentinels"]}}
        return body

    @model_validator(mode="after")
    def _ignored_means_unused(self) -> Adapter:
        used = set(self._taken())
        twice = [name for name in self.ignore if name in used or self.ignore.count(name) > 1]
        if twice:
            raise ValueError(f"ignored columns may not be named anywhere else: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _one_shape(self) -> Adapter:
        if (
            self.grain is not None
            and self.grain.take
            and (self.unpivot is not None or self.operation is not None)
        ):
            raise ValueError("rows that are summed (`grain`) can neither be told as several nor be deleted")
        if not (self.grain is not None and self.grain.take) and any(
            rule.where for rule in self.columns.values()
        ):
            raise ValueError(
                "`where` takes a value from one of several rows: say under `grain` how they become one"
            )
        return self

    def _taken(self) -> list[str]:
        """Source columns that are read, each once, in the adapter's order."""
        readings = [*self.columns.values(), *self.working.values()]
        named: list[str | None] = [self.key.source_column if self.key is not None else None]
        for rule in readings:
            named += [rule.source_column, *rule.where]
        for row in self.unpivot.rows if self.unpivot is not None else ():
            named += row.source_columns.values()
        named += [rule.column for rule in self.leave_out]
        if self.operation is not None:
            named.append(self.operation.source_column)
        if self.covers is not None:
            named += [self.covers.first, self.covers.last]
        for moment in (
            self.duplicates.latest_by if self.duplicates is not None else None,
            self.grain.order_by if self.grain is not None else None,
        ):
            named.append(moment.source_column if moment is not None else None)
        return list(dict.fromkeys(name for name in named if name is not None))

    @cached_property
    def taken_columns(self) -> tuple[str, ...]:
        """Source columns that are read."""
        return tuple(self._taken())

    @cached_property
    def source_columns(self) -> tuple[str, ...]:
        """Every column that the source's file has, each once, in the adapter's order."""
        return (*self.taken_columns, *self.ignore)

    @property
    def code_space(self) -> str:
        """Whose codes the key column holds."""
        return (self.key.code_space if self.key is not None else None) or self.source

    @property
    def pseudonymises(self) -> bool:
        """Whether the source sends its own codes, which are replaced on entry."""
        return self.key is not None and self.key.pseudonymise

    @property
    def raw_table(self) -> str:
        """Table-store name of the rows it makes."""
        return f"raw/{self.subject}/{self.target}"

    @property
    def map_references(self) -> tuple[str, ...]:
        """Code maps that it refers to."""
        readings = [*self.columns.values(), *self.working.values()]
        told = [reference for rule in readings for reference in rule.code_map]
        if self.operation is not None and self.operation.code_map is not None:
            told.append(self.operation.code_map)
        return tuple(dict.fromkeys(told))

    def maps(self, references: Sequence[str]) -> list[CodeMap]:
        """The editions of these references; they are read when the adapter is loaded."""
        return [self._maps[reference] for reference in references]

    def written_codes(self, rule: Reading) -> dict[str, bool | str]:
        """What each text of a coded column leads to, whatever the month: the editions in their order, each code before its
        labels, then the adapter's own codes.
        """
        written: dict[str, bool | str] = {}
        for code_map in self.maps(rule.code_map):
            for code, told in code_map.codes.items():
                for text in (code, *told.labels):
                    written.setdefault(text, code_map.target(code))
        return written | rule.codes

    @cached_property
    def definition_hash(self) -> str:
        """sha256 of the definition's content, its code maps included."""
        body = self.model_dump(mode="json", by_alias=True)
        body["code_maps"] = {name: one.model_dump(mode="json") for name, one in sorted(self._maps.items())}
        return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def load_adapter(path: Path, schema: TableSchema | None = None) -> Adapter:
    """Read one adapter with its code maps; with `schema`, check it against its target. Raises Refusal with file, line and
    remedy.

    Code maps are looked for beside the adapter's folder (`../code_maps`), then among the shipped ones.
    """
    adapter = load_definition(path, Adapter)
    if adapter.adapter != path.stem:
        raise _refuse(path, f"the adapter is called {adapter.adapter}, its file {path.stem}", ("adapter",))
    _take_maps(adapter, path)
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
            for place, message in lint(adapter, schemas[adapter.target]):
                raise _refuse(path, message, place)
        adapters[adapter.adapter] = adapter
    return adapters


def _take_maps(adapter: Adapter, path: Path) -> None:
    folders = (path.parent.parent / "code_maps", CODE_MAPS)
    for reference in adapter.map_references:
        found = find_code_map(reference, folders)
        if found is None:
            raise _refuse(path, f"there is no code map {reference}", _place_of_map(adapter, reference))
        adapter._maps[reference] = found
    for section in ("columns", "working"):
        for name, rule in getattr(adapter, section).items():
            twofold = contradictions(adapter.maps(rule.code_map))
            if twofold:
                told = f"the editions of {name} lead {', '.join(twofold[:5])} to different codes in one month"
                raise _refuse(path, told, (section, name, "code_map"))


def _place_of_map(adapter: Adapter, reference: str) -> Place:
    for section in ("columns", "working"):
        for name, rule in getattr(adapter, section).items():
            if reference in rule.code_map:
                return (section, name, "code_map")
    return ("operation", "code_map")


def _refuse(path: Path, message: str, place: Place) -> Refusal:
    return Refusal(
        CODE,
        f"{message}.",
        file=str(path),
        line=line_of(path, *place),
        remedy="Correct the adapter; docs/adapters.md describes what an adapter may hold.",
    )
