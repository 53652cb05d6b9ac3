"""Tables on disk: Delta Lake, one partition a month, every file named by its own sha256.

Our own Parquet files (page checksums, sorted rows, small row groups) are committed to the Delta log in one step, so a
reader sees the old table or the new one. A file's name *is* its sha256: a reader that finds other bytes under the
name refuses, which neither Delta nor DuckDB would notice. Replaying a commit is harmless: the same bytes under the
same application version are a no-op.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.erased_numbers import ErasedNumbers
from core.errors import GsceneError
from core.table_files import CHUNK as CHUNK
from core.table_files import (
    ERASED,
    CorruptTable,
    missing_file,
    plain_field,
    sha256_of,
    with_period,
    write_file,
)
from core.table_files import PERIOD as PERIOD
from core.table_files import ErasedVersion as ErasedVersion
from core.table_files import RowStream as RowStream

#: Folders of delivered rows, whose tables may gain columns that may be missing. What is computed is made anew instead.
DELIVERED = ("raw", "trial")

#: Folders of tables that are computed from others, month by month. Where their definition gains or loses a column the table
#: begins anew with the first month in the new form: other months are in older versions only, until they are computed again.
COMPUTED = ("facts", "features")


@dataclass(frozen=True)
class TableVersion:
    """One commit of a table, as `history` tells it."""

    version: int
    operation: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Rewritten:
    """What `rewrite` did to one partition: content hashes and rows before and after; hash "" where it is empty."""

    before: str
    after: str
    rows_before: int
    rows_after: int


class TableStore:
    """Delta tables below one folder; a table's name is its path (`raw/enterprise/invoice`)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: dict[tuple[str, int, int], bool] = {}
        self._latest: dict[str, Any] = {}
        self._listed: dict[tuple[str, int], dict[str, list[Path]]] = {}
        self.erased = ErasedNumbers(root)

    # -- writing ---------------------------------------------------------------------------------------------------

    def replace(
        self,
        table: str,
        partition: str,
        data: pa.Table | RowStream,
        *,
        app_version: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        """Make `data` the whole content of one partition; returns the table's version after it.

        A no-op when the partition already holds exactly these bytes.
        """
        return self._commit(table, partition, data, "overwrite", app_version, metadata)

    def append(
        self,
        table: str,
        partition: str,
        data: pa.Table,
        *,
        app_version: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> int:
        """Add `data` to one partition; returns the table's version after it.

        A no-op when `app_version` isn't greater than the last one committed for this partition, or when the partition
        already holds a file of exactly these bytes.
        """
        return self._commit(table, partition, data, "append", app_version, metadata)

    def _commit(
        self,
        table: str,
        partition: str,
        data: pa.Table | RowStream,
        mode: str,
        app_version: int | None,
        metadata: Mapping[str, str] | None,
    ) -> int:
        with self.writer(table):
            if isinstance(data, RowStream):
                data.pieces = self._unerased(table, data.pieces)
            else:
                self.erased.refuse(table, data)
            anew = mode == "overwrite" and self._has_other_columns(table, data.schema)
            delta = self._delta(table) if anew else self._create_or_open(table, data.schema)
            application = f"{table}/{partition}"
            done = delta.transaction_version(application)
            if app_version is not None and done is not None and done >= app_version:
                return int(delta.version())
            name, size = write_file(self.root / table / f"{PERIOD}={partition}", data)
            present = [path.name for path in self._paths(delta, table, [partition])]
            if present == [name] or (mode == "append" and name in present):
                return int(delta.version())
            files = [(partition, name, size, data.num_rows)]
            over = None if anew else partition
            self._write_log(delta, files, data.schema, mode, over, (application, app_version), metadata)
            return int(self._delta(table).version())

    def _unerased(self, table: str, pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for piece in pieces:
            self.erased.refuse(table, piece)
            yield piece

    def remake(
        self, table: str, pieces: Iterable[tuple[str, pa.Table]], *, metadata: Mapping[str, str] | None = None
    ) -> int:
        """Make these (partition, rows) the whole content of a table that exists, in one commit, whatever columns it had; returns
        its version after it. All pieces have one schema.

        Every file is written before the commit: until then readers see the table as it was, and where a piece fails it stays
        so. Earlier versions can be read as before.
        """
        with self.writer(table):
            delta, files = self._delta(table), []
            schema: pa.Schema | None = None
            for partition, rows in pieces:
                self.erased.refuse(table, rows)
                name, size = write_file(self.root / table / f"{PERIOD}={partition}", rows)
                files.append((partition, name, size, rows.num_rows))
                schema = schema or rows.schema
            if schema is None:
                raise GsceneError(f"nothing was given to make {table} of.", "Its rows stay as they are.")
            self._write_log(delta, files, schema, "overwrite", None, ("", None), metadata)
            return int(self._delta(table).version())

    def _write_log(  # type: ignore[no-untyped-def]
        self,
        delta,
        files: Sequence[tuple[str, str, int, int]],
        schema: pa.Schema,
        mode: str,
        over: str | None,
        transaction: tuple[str, int | None],
        metadata: Mapping[str, str] | None,
    ) -> None:
        """Commit new files (partition, name, bytes, rows) to the Delta log. Overwriting takes the place of the partition `over`,
        or of the whole table and its columns where that is None.
        """
        from deltalake import CommitProperties, Schema, Transaction
        from deltalake.transaction import AddAction

        actions = [
            AddAction(
                path=f"{PERIOD}={partition}/{name}",
                size=size,
                partition_values={PERIOD: partition},
                modification_time=0,
                data_change=True,
                stats=json.dumps({"numRecords": rows}),
            )
            for partition, name, size, rows in files
        ]
        application, app_version = transaction
        transactions = [Transaction(application, app_version)] if app_version is not None else None
        delta.create_write_transaction(
            actions,
            mode=mode,
            schema=Schema.from_arrow(with_period(schema)),
            partition_by=[PERIOD],
            partition_filters=[(PERIOD, "=", over)] if mode == "overwrite" and over is not None else None,
            commit_properties=CommitProperties(
                custom_metadata=dict(metadata or {}), app_transactions=transactions
            ),
        )

    def rewrite(
        self,
        table: str,
        partition: str,
        change: Callable[[pa.Table], pa.Table | None],
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> Rewritten:
        """Replace one partition by what `change` makes of all its rows (None: nothing to change), in one commit.

        The bytes of the version before stay until `purge`. A partition without rows is no partition any more.
        """
        with self.writer(table):
            delta = self._delta(table)
            before = self.content_hash(table, partition)
            pieces = [self.open(path).read(use_threads=False) for path in self.files(table, [partition])]
            data = pa.concat_tables(pieces) if pieces else None
            rows = data.num_rows if data is not None else 0
            changed = change(data) if data is not None else None
            if changed is not None:
                self.erased.refuse(table, changed)
                files = []
                if changed.num_rows:
                    name, size = write_file(self.root / table / f"{PERIOD}={partition}", changed)
                    files.append((partition, name, size, changed.num_rows))
                self._write_log(delta, files, changed.schema, "overwrite", partition, ("", None), metadata)
            left = changed.num_rows if changed is not None else rows
            return Rewritten(before, self.content_hash(table, partition), rows, left)

    def purge(self, table: str, holds: Callable[[pq.ParquetFile], bool]) -> int:
        """Delete the bytes of every file that the latest version doesn't need and that `holds`; returns how many.

        Whoever reads an older version that needs one of them gets an ErasedVersion. Files half-written by a writer that
        died go too.
        """
        with self.writer(table):
            current = set(self._paths(self._delta(table), table, None))
            gone = 0
            for path in sorted((self.root / table).glob(f"{PERIOD}=*/*.parquet")):
                if path not in current and holds(pq.ParquetFile(path)):
                    path.with_suffix(ERASED).touch()
                    path.unlink()
                    gone += 1
            for part in (self.root / table).glob(f"{PERIOD}=*/.*.part"):
                part.unlink()
            return gone

    def _has_other_columns(self, table: str, schema: pa.Schema) -> bool:
        """Whether a computed table exists whose columns aren't these."""
        if table.partition("/")[0] not in COMPUTED or not self.exists(table):
            return False
        return set(self.columns(table)) != set(schema.names)

    def _create_or_open(self, table: str, schema: pa.Schema):  # type: ignore[no-untyped-def]
        from deltalake import DeltaTable, Schema

        if not self.exists(table):
            (self.root / table).mkdir(parents=True, exist_ok=True)
            return DeltaTable.create(
                str(self.root / table),
                Schema.from_arrow(with_period(schema)),
                partition_by=[PERIOD],
            )
        delta = self._delta(table)
        expected = self.columns(table)
        come = [field for field in schema if field.name not in expected]
        may_grow = table.partition("/")[0] in DELIVERED and all(field.nullable for field in come)
        if not set(expected) <= set(schema.names) or (come and not may_grow):
            raise GsceneError(
                f"table {table} has the columns {expected}, the new rows have {schema.names}.",
                "Where a contract has a new major version: gscene contracts rebuild makes the table anew from the archive.",
            )
        if come:
            # A compatible version of the contract: earlier rows lack what came later.
            fields = Schema.from_arrow(pa.schema([plain_field(field) for field in come])).fields
            delta.alter.add_columns(fields)
            delta.update_incremental()
        return delta

    @contextmanager
    def writer(self, table: str) -> Iterator[None]:
        """Hold the table's single-writer lock (across processes of this machine)."""
        from filelock import FileLock

        lock = self.root / ".locks" / f"{table.replace('/', '.')}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(lock)):
            yield

    # -- reading ---------------------------------------------------------------------------------------------------

    def exists(self, table: str) -> bool:
        """Whether the table has ever been committed to."""
        return (self.root / table / "_delta_log").is_dir()

    def tables(self) -> list[str]:
        """Names of all tables, sorted."""
        logs = self.root.glob("**/_delta_log")
        return sorted(log.parent.relative_to(self.root).as_posix() for log in logs)

    def version(self, table: str) -> int:
        """The latest committed version, -1 where the table doesn't exist."""
        return int(self._delta(table).version()) if self.exists(table) else -1

    def partitions(self, table: str, version: int | None = None) -> list[str]:
        """The months that hold data, sorted."""
        if not self.exists(table):
            return []
        delta = self._delta(table, version)
        return sorted({path.parent.name.split("=", 1)[1] for path in self._paths(delta, table, None)})

    def columns(self, table: str) -> list[str]:
        """Names of the columns of a table that exists, the month left aside."""
        return [field.name for field in self._delta(table).schema().fields if field.name != PERIOD]

    def files(
        self,
        table: str,
        partitions: Sequence[str] | None = None,
        version: int | None = None,
    ) -> list[Path]:
        """Verified data files, sorted by partition; give them to DuckDB with `hive_partitioning=true`."""
        if not self.exists(table):
            return []
        paths = self._paths(self._delta(table, version), table, partitions)
        for path in paths:
            self._verify(path)
        return paths

    def read(
        self,
        table: str,
        partitions: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
        encoded: Sequence[str] = (),
        schema: pa.Schema | None = None,
    ) -> pa.Table:
        """Rows of the partitions (all when None), the `period` column added; GsceneError where the table is missing.

        Text columns named in `encoded` come as dictionaries: each different text once, which is what columns of codes are for.
        With a `schema`, its columns come first and in its order, and those that the table doesn't have yet are missing values.
        """
        if not self.exists(table):
            raise GsceneError(
                f"there is no table {table} in {self.root}.",
                "Run the stage that makes it first.",
            )
        delta = self._delta(table, version)
        kinds = {field.name: plain_field(field).type for field in pa.schema(delta.schema().to_arrow())}
        if schema is not None:
            kinds = {field.name: field.type for field in schema} | kinds
        wanted = [name for name in (columns or kinds) if name != PERIOD]
        pieces = []
        for path in self._paths(delta, table, partitions):
            self._verify(path)
            piece = self.open(path, encoded=encoded).read(columns=wanted, use_threads=False)
            for name in wanted:
                if name not in piece.schema.names:
                    piece = piece.append_column(name, pa.nulls(piece.num_rows, kinds[name]))
            period = pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(piece.num_rows, dtype=np.int32)),
                pa.array([path.parent.name.split("=", 1)[1]]),
            ).cast(pa.string())
            pieces.append(piece.append_column(PERIOD, period))
        if pieces:
            # Files written before a column might be missing say so of it, later ones don't.
            same = [piece.select(pieces[0].column_names) for piece in pieces]
            result = pa.concat_tables(same, promote_options="default")
        else:
            empty = [plain_field(pa.field(name, kinds[name])) for name in wanted]
            result = pa.schema([*empty, pa.field(PERIOD, pa.string())]).empty_table()
        return (
            result.select([*wanted, PERIOD])
            if columns is None or PERIOD in columns
            else result.select(wanted)
        )

    def content_hash(self, table: str, partition: str, version: int | None = None) -> str:
        """sha256 over the partition's file hashes: equal exactly when the partition holds the same bytes."""
        if not self.exists(table):
            return ""
        names = sorted(path.name for path in self._paths(self._delta(table, version), table, [partition]))
        return hashlib.sha256("\n".join(names).encode()).hexdigest() if names else ""

    def rows(self, table: str, partition: str) -> int:
        """Number of rows in one partition."""
        return sum(pq.read_metadata(path).num_rows for path in self.files(table, [partition]))

    def history(self, table: str) -> list[TableVersion]:
        """Commits, newest first, with the metadata given at commit."""
        known = {
            "timestamp",
            "operation",
            "operationParameters",
            "engineInfo",
            "clientVersion",
            "version",
        }
        return [
            TableVersion(
                entry["version"],
                entry["operation"],
                {key: str(value) for key, value in entry.items() if key not in known},
            )
            for entry in self._delta(table).history()
        ]

    def vacuum(self, table: str, keep_hours: int) -> list[str]:
        """Delete files that no version younger than `keep_hours` needs; returns their names."""
        with self.writer(table):
            return list(
                self._delta(table).vacuum(keep_hours, dry_run=False, enforce_retention_duration=False)
            )

    # -- inside ----------------------------------------------------------------------------------------------------

    def _delta(self, table: str, version: int | None = None):  # type: ignore[no-untyped-def]
        from deltalake import DeltaTable

        delta = self._latest.get(table)
        if delta is None:
            delta = self._latest[table] = DeltaTable(str(self.root / table))
        elif (self.root / table / "_delta_log" / f"{int(delta.version()) + 1:020d}.json").exists():
            # Asking delta-rs costs milliseconds even where nothing is new, and readers ask thousands of times.
            delta.update_incremental()
        if version is not None and version != int(delta.version()):
            return DeltaTable(str(self.root / table), version=version)
        return delta

    def _paths(self, delta, table: str, partitions: Sequence[str] | None) -> list[Path]:  # type: ignore[no-untyped-def]
        key = (table, int(delta.version()))
        if key not in self._listed:
            names = pa.table(delta.get_add_actions(flatten=True)).column("path").to_pylist()
            listed: dict[str, list[Path]] = {}
            for path in sorted(self.root / table / unquote(name) for name in names):
                listed.setdefault(path.parent.name.split("=", 1)[1], []).append(path)
            self._listed = {kept: value for kept, value in self._listed.items() if kept[0] != table} | {
                key: listed
            }
        listed = self._listed[key]
        wanted = sorted(listed) if partitions is None else sorted(set(partitions) & set(listed))
        return [path for partition in wanted for path in listed[partition]]

    @staticmethod
    def open(path: Path, *, encoded: Sequence[str] = (), mapped: bool = True) -> pq.ParquetFile:
        """One of the `files`: once open it stays readable, whatever is erased meanwhile. Not `mapped`, its pages don't count as
        memory of the process; text columns in `encoded` are read as dictionaries.
        """
        try:
            return pq.ParquetFile(path, memory_map=mapped, pre_buffer=False, read_dictionary=list(encoded))
        except FileNotFoundError:
            raise missing_file(path) from None

    def _verify(self, path: Path) -> None:
        """Compare the bytes with the name, once a process for an unchanged file."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise missing_file(path) from None
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key in self._verified:
            return
        if sha256_of(path) != path.stem:
            raise CorruptTable(
                f"data file {path} doesn't hold the bytes that were committed.",
                "Restore it from backup or run the stage that made it again.",
            )
        self._verified[key] = True
