"""What is migrated, from where to where, and under which limits: one YAML file a migration, `<home>/migrations/<name>.yaml`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.months import Month, month_range
from core.subject import SubjectKind
from core.table_schema import TableSchema
from sources.adapter import Adapter
from sources.migration.tolerances import Tolerances

FOLDER_NAME = "migrations"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
MonthText = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
KeyVersion = Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")]
CheckId = Literal[
    "PC01", "PC02", "PC03", "PC04", "PC05", "PC06", "PC07", "PC08", "PC09", "PC10", "PC11", "PC12", "PC13", "PC14",
    "PC15",
]  # fmt: skip


class FeedOf(Definition):
    """One source's feed of a table, by the adapter that reads it."""

    source: Name
    adapter: Name


class MigratedTable(Definition):
    """One table of one subject kind. Several old feeds may end in one new one, and the other way round.

    `region`: the column that tells a row's region, cut to six digits; all rows are one region where it is left out. `match_on`:
    columns that name a row on both sides, the contract's business key where left out; empty where a row has no name that both
    sides share, so that the table can only be compared in total.
    """

    table: Name
    subject: SubjectKind
    old: tuple[FeedOf, ...] = Field(min_length=1)
    new: tuple[FeedOf, ...] = Field(min_length=1)
    region: str | None = None
    match_on: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """`resident/si_person_month`."""
        return f"{self.subject}/{self.table}"

    def key(self, schema: TableSchema) -> tuple[str, ...]:
        """Columns that name a row on both sides; empty where there are none."""
        return schema.business_key if self.match_on is None else self.match_on


class DualRun(Definition):
    """Months in which both sides deliver and are compared, both included."""

    first: MonthText
    last: MonthText

    @property
    def months(self) -> list[Month]:
        """The months in order."""
        return month_range(Month.parse(self.first), Month.parse(self.last))

    @model_validator(mode="after")
    def _in_order(self) -> DualRun:
        if not self.months:
            raise ValueError("the last month lies before the first")
        return self


class KeyVersions(Definition):
    """Key version of the pseudonyms (`k1` of `k1:...`) on both sides; the same one: pseudonyms don't change."""

    old: KeyVersion
    new: KeyVersion


class CrosswalkFile(Definition):
    """Where a crosswalk was laid (relative to the definition's folder) and the sha256 that its sender told another way. There may
    be one for each kind of subject and one for accounts."""

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Waiver(Definition):
    """A named person lets a miss of one check pass until a day; of one table where `table` (`resident/util_bill`) is given."""

    check: CheckId
    table: str | None = None
    reason: str = Field(min_length=10)
    who: str = Field(min_length=2)
    until: date

    @field_validator("check")
    @classmethod
    def _waivable(cls, check: str) -> str:
        if check == "PC15":
            raise ValueError(
                "suppression and consent carry over completely or there is no cut-over: PC15 has no waiver"
            )
        return check


class MigrationDefinition(Definition):
    """The whole file. `regions`: six-digit codes that both sides must deliver; all that the old side delivers where left out.
    `dual_key`: live sources beside the old
    ones that share the old key and may go on using it until the rollback window ends. `list_size`: how many leads PC14 compares.
    """

    migration: Name
    title: Bilingual
    tables: tuple[MigratedTable, ...] = Field(min_length=1)
    dual_run: DualRun
    cut_over: MonthText
    rollback_window_days: int = Field(ge=1, le=366)
    key_ver: KeyVersions
    crosswalk: tuple[CrosswalkFile, ...] = ()
    regions: tuple[Annotated[str, Field(pattern=r"^\d{6}$")], ...] = ()
    dual_key: tuple[Name, ...] = ()
    tolerances: Tolerances = Tolerances()
    waivers: tuple[Waiver, ...] = ()
    list_size: int = Field(default=500, ge=1)

    @model_validator(mode="after")
    def _whole(self) -> MigrationDefinition:
        names = [table.name for table in self.tables]
        if len(set(names)) < len(names):
            raise ValueError("a table is named twice")
        both = set(self.old_sources) & set(self.new_sources)
        if both:
            raise ValueError(f"{', '.join(sorted(both))} can't be both an old and a new source")
        if self.cut_over <= self.dual_run.first:
            raise ValueError("the cut-over month lies in or before the first month of the dual run")
        if self.crosswalk and self.key_ver.old == self.key_ver.new:
            raise ValueError(
                "pseudonyms of one key version need no crosswalk: give two versions or leave the crosswalk out"
            )
        known = {*names, None}
        if any(waiver.table not in known for waiver in self.waivers):
            raise ValueError(f"a waiver names a table that isn't migrated; known are {', '.join(names)}")
        return self

    @cached_property
    def old_sources(self) -> tuple[str, ...]:
        """Sources that go, sorted."""
        return tuple(sorted({feed.source for table in self.tables for feed in table.old}))

    @cached_property
    def new_sources(self) -> tuple[str, ...]:
        """Sources that come, sorted."""
        return tuple(sorted({feed.source for table in self.tables for feed in table.new}))

    @property
    def kinds(self) -> list[SubjectKind]:
        """Subject kinds concerned, sorted."""
        return sorted({table.subject for table in self.tables})

    @property
    def cut_over_month(self) -> Month:
        """The first month that is taken from the new side."""
        return Month.parse(self.cut_over)

    @property
    def linking(self) -> Literal["crosswalk", "unchanged", "none"]:
        """How subjects of both sides are told to be the same: by the crosswalk, by pseudonyms that don't change, or not."""
        if self.crosswalk:
            return "crosswalk"
        return "unchanged" if self.key_ver.old == self.key_ver.new else "none"

    @cached_property
    def sha256(self) -> str:
        """Hash of every entry, whatever the layout of the file."""
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()

    def waiver(self, check: str, table: str, on: date) -> Waiver | None:
        """The waiver that holds for a check of a table on a day."""
        return next(
            (w for w in self.waivers if w.check == check and w.table in (None, table) and on <= w.until), None
        )


def definition_file(home: Path, name: str) -> Path:
    """`<home>/migrations/<name>.yaml`."""
    return home / FOLDER_NAME / f"{name}.yaml"


def load_migration(
    path: Path, adapters: Mapping[str, Adapter], schemas: Mapping[str, TableSchema]
) -> MigrationDefinition:
    """Read a definition and check it against contracts and adapters. Raises Refusal with file, line and remedy."""
    if not path.is_file():
        raise Refusal(
            CODE, "there is no such file.", file=str(path), remedy="docs/migration.md shows what it holds."
        )
    definition = load_definition(path, MigrationDefinition)
    if definition.migration != path.stem:
        raise _refuse(
            path, f"the migration is called {definition.migration}, its file {path.stem}", "migration"
        )
    for position, table in enumerate(definition.tables):
        for place, message in _misfits(table, definition, adapters, schemas):
            raise _refuse(path, message, "tables", position, *place)
    return definition


def _misfits(
    table: MigratedTable,
    definition: MigrationDefinition,
    adapters: Mapping[str, Adapter],
    schemas: Mapping[str, TableSchema],
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What doesn't fit a table's entry: (place below the entry, message) each."""
    if table.table not in schemas:
        yield ("table",), f"there is no contract for the table {table.table}"
        return
    known = {column.name for column in schemas[table.table].columns}
    for name in (table.region, *(table.match_on or ())):
        if name is not None and name not in known:
            yield ("region" if name == table.region else "match_on",), f"{table.table} has no column {name}"
    for side, feeds in (("old", table.old), ("new", table.new)):
        for number, feed in enumerate(feeds):
            adapter = adapters.get(feed.adapter)
            if adapter is None:
                yield (side, number, "adapter"), f"there is no adapter {feed.adapter}"
            elif (adapter.source, adapter.target, adapter.subject) != (
                feed.source,
                table.table,
                table.subject,
            ):
                yield (
                    (side, number, "adapter"),
                    f"the adapter {feed.adapter} isn't one of {feed.source} for {table.name}",
                )
            elif definition.linking == "crosswalk" and adapter.pseudonymises:
                yield (
                    (side, number, "adapter"),
                    f"{feed.adapter} makes pseudonyms on entry; a crosswalk needs feeds that send them",
                )


def _refuse(path: Path, message: str, *place: str | int) -> Refusal:
    return Refusal(
        CODE,
        message + ".",
        file=str(path),
        line=line_of(path, *place),
        remedy="Correct the entry; docs/migration.md says what it may hold.",
    )
