"""Dense numbers for pseudonyms: joins and windows run on int32 positions, strings stay at the boundary.

A number, once given, never changes; that of an erased subject stays as a hole, a row without pseudonym. `provider_code` keeps
the code as the provider delivered it, so that a score can be sent back to the provider in the provider's own terms; for feeds
that send pseudonyms it is the pseudonym itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GsceneError
from core.subject import SubjectKind, TableOwner
from core.table_store import TableStore

_PARTITION = "all"


class SubjectRegistry:
    """The numbering of one subject kind, kept in the table `registry/<kind>` (subject_no, subject_id, provider_code)."""

    def __init__(self, store: TableStore, kind: TableOwner) -> None:
        self._store = store
        self._table = f"registry/{kind}"
        self._known: pa.Table | None = None
        self._version = -1

    @classmethod
    def named(cls, store: TableStore, name: str) -> SubjectRegistry:
        """The registry of a table-store name without its folder: `resident`, or `trial_resident` of platforms on trial."""
        registry = cls(store, SubjectKind(name.removeprefix("trial_")))
        registry._table = f"registry/{name}"
        return registry

    def numbers(
        self,
        subject_ids: pa.Array | pa.ChunkedArray,
        provider_codes: pa.Array | pa.ChunkedArray | None = None,
        add: bool = True,
    ) -> np.ndarray:
        """int32 subject numbers, shape (rows,). Unknown pseudonyms get the next numbers in the order of their provider
        codes (so numbering doesn't depend on a key), or -1 when `add` is false."""
        found = self._look_up(subject_ids)
        if add and (found < 0).any():
            codes = subject_ids if provider_codes is None else provider_codes
            with self._store.writer(self._table + ".numbers"):
                self._add(subject_ids, codes)
            found = self._look_up(subject_ids)
        return found

    def table(self) -> pa.Table:
        """All subjects in the order of their numbers: subject_no, subject_id, provider_code; holes are left out."""
        rows = self._rows()
        return (
            rows if not rows.column("subject_id").null_count else rows.filter(pc.is_valid(rows["subject_id"]))
        )

    def erase(self, number: int) -> None:
        """Leave a hole where a subject was; what stood there is gone from the table's latest version (`TableStore.purge` takes
        the bytes)."""

        def without(rows: pa.Table) -> pa.Table | None:
            rows = rows.sort_by("subject_no")
            theirs = pc.equal(rows.column("subject_no"), number)
            if not pc.any(pc.and_(theirs, pc.is_valid(rows.column("subject_id")))).as_py():
                return None
            columns = {
                name: rows.column(name)
                if name == "subject_no"
                else pc.if_else(theirs, pa.scalar(None, rows.schema.field(name).type), rows.column(name))
                for name in rows.column_names
            }
            return pa.table(columns, schema=rows.schema).combine_chunks()

        with self._store.writer(self._table + ".numbers"):
            self._store.rewrite(self._table, _PARTITION, without)

    def _rows(self) -> pa.Table:
        """All rows by number, holes included: a subject stands at the place of its number."""
        version = self._store.version(self._table)
        if self._known is None or version != self._version:
            if version < 0:
                empty = pa.schema(
                    [
                        ("subject_no", pa.int32()),
                        ("subject_id", pa.string()),
                        ("provider_code", pa.string()),
                    ]
                )
                self._known = empty.empty_table()
            else:
                rows = self._store.read(self._table).drop_columns(["period"])
                self._known = rows.sort_by("subject_no").combine_chunks()
            self._version = version
        return self._known

    @property
    def size(self) -> int:
        """How many numbers have been given, 0 to size - 1; told without reading the pseudonyms."""
        return self._store.rows(self._table, _PARTITION)

    @property
    def holes(self) -> np.ndarray:
        """Numbers of erased subjects, of those whose erasure is under way too."""
        return self._store.erased.of(self._table.removeprefix("registry/"))

    def subject_ids(self, numbers: np.ndarray) -> pa.Array:
        """Pseudonyms of these numbers; GsceneError for a number that was never given."""
        return self._take("subject_id", numbers)

    def provider_codes(self, numbers: np.ndarray) -> pa.Array:
        """Provider's codes of these numbers; GsceneError for a number that was never given."""
        return self._take("provider_code", numbers)

    def _take(self, column: str, numbers: np.ndarray) -> pa.Array:
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= self.size):
            raise GsceneError(f"{self._table} knows the numbers 0 to {self.size - 1} only.")
        taken = self._rows().column(column).take(pa.array(numbers))
        if taken.null_count:
            raise GsceneError(
                f"{self._table}: one of these subjects has been erased.", "Run the stage again."
            )
        return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken

    def _look_up(self, subject_ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        known = self._rows().column("subject_id")
        found = pc.index_in(subject_ids, value_set=known)
        return pc.fill_null(found, -1).to_numpy().astype(np.int32, copy=False)

    def _add(self, subject_ids: pa.Array | pa.ChunkedArray, codes: pa.Array | pa.ChunkedArray) -> None:
        new = pa.table({"subject_id": subject_ids, "provider_code": codes})
        new = new.filter(
            pc.invert(
                pc.is_in(
                    new.column("subject_id"),
                    value_set=self.table().column("subject_id"),
                )
            )
        )
        new = new.group_by("subject_id").aggregate([("provider_code", "min")])
        if not new.num_rows:
            return
        new = new.rename_columns(["subject_id", "provider_code"]).sort_by("provider_code")
        first = self.size
        numbered = new.add_column(
            0,
            "subject_no",
            pa.array(np.arange(first, first + new.num_rows, dtype=np.int32)),
        )
        self._store.append(
            self._table,
            _PARTITION,
            numbered.combine_chunks(),
            app_version=first + new.num_rows,
        )
