"""Who a token or a provider's code stands for, in every registry of the home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.erased_numbers import registry_of
from core.errors import GsceneError
from core.subject import SubjectKind
from core.table_store import TableStore

_REGISTRY = "registry/"
_TRIAL = "trial_"


@dataclass(frozen=True)
class KnownSubject:
    """A subject of one kind. `numbers`: its number in each registry that knows it (`resident`, `trial_resident`); one
    pseudonym may be numbered differently on trial."""

    kind: SubjectKind
    subject_id: str
    provider_code: str
    numbers: dict[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """Texts that stand for the subject."""
        return tuple(dict.fromkeys((self.subject_id, self.provider_code)))

    def number_in(self, table: str) -> int | None:
        """The subject's number in the rows of a table, None where they can't be about it."""
        return self.numbers.get(registry_of(table) or "")


def find_subject(
    store: TableStore,
    *,
    token: str | None = None,
    provider_code: str | None = None,
    kind: SubjectKind | None = None,
) -> KnownSubject:
    """Look a subject up by pseudonym or by the provider's code; GsceneError where nobody or more than one is meant.

    The error never repeats what was asked for.
    """
    column, text = ("subject_id", token) if token is not None else ("provider_code", provider_code)
    found: dict[tuple[SubjectKind, str], KnownSubject] = {}
    for table in store.tables():
        if not table.startswith(_REGISTRY):
            continue
        registry = table.removeprefix(_REGISTRY)
        of = SubjectKind(registry.removeprefix(_TRIAL))
        if kind is not None and of is not kind:
            continue
        rows = store.read(table)
        for row in rows.filter(pc.fill_null(pc.equal(rows.column(column), text or ""), False)).to_pylist():
            known = found.setdefault(
                (of, row["subject_id"]), KnownSubject(of, row["subject_id"], row["provider_code"], {})
            )
            known.numbers[registry] = int(row["subject_no"])
    if not found:
        raise GsceneError(
            "no subject of this home has that pseudonym or code.",
            "Check it, and --kind; whoever has been erased is not known any more.",
        )
    if len(found) > 1:
        raise GsceneError(
            f"{len(found)} subjects have that code.", "Say --kind, or name the subject by its pseudonym."
        )
    return next(iter(found.values()))


def rows_about(file: pq.ParquetFile, number: int) -> pa.Table:
    """Rows of one file about a subject number; row groups that can't hold it aren't read."""
    names = file.schema_arrow.names
    place = names.index("subject_no")
    groups = []
    for group in range(file.metadata.num_row_groups):
        stats = file.metadata.row_group(group).column(place).statistics
        if stats is None or not stats.has_min_max or stats.min <= number <= stats.max:
            groups.append(group)
    rows = file.read_row_groups(groups, use_threads=False) if groups else file.schema_arrow.empty_table()
    return rows.filter(pc.equal(rows.column("subject_no"), number))


def holds_text(file: pq.ParquetFile, columns: list[str], texts: tuple[str, ...]) -> bool:
    """Whether any cell of these text columns is one of the texts."""
    there = [name for name in columns if name in file.schema_arrow.names]
    if not there:
        return False
    rows = file.read(columns=there, use_threads=False)
    wanted = pa.array(list(texts), pa.string())
    return any(pc.any(pc.is_in(rows.column(name), value_set=wanted)).as_py() for name in there)


def holder(subject: KnownSubject, table: str, parties: list[str]) -> Callable[[pq.ParquetFile], bool]:
    """Whether a file of a table holds the subject: rows about it, or its name in rows about others."""
    number = subject.number_in(table)
    texts = ["subject_id", "provider_code"] if table.startswith(_REGISTRY) else parties

    def holds(file: pq.ParquetFile) -> bool:
        about = number is not None and "subject_no" in file.schema_arrow.names
        return (about and rows_about(file, int(number or 0)).num_rows > 0) or holds_text(
            file, texts, subject.names
        )

    return holds


def is_about(rows: pa.Table, number: int | None) -> np.ndarray:
    """bool per row."""
    if number is None or "subject_no" not in rows.schema.names:
        return np.zeros(rows.num_rows, dtype=bool)
    return np.asarray(rows.column("subject_no").to_numpy() == number)
