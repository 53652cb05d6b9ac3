"""Dense numbers for pseudonyms: joins and windows run on int32 positions, strings stay at the boundary.

A number, once given, never changes. `provider_code` keeps the code as the provider delivered it, so that a score can
be sent back to the provider in the provider's own terms; for feeds that send pseudonyms it is the pseudonym itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GsceneError
from core.subject import TableOwner
from core.table_store import TableStore

_PARTITION = "all"


class SubjectRegistry:
    """The numbering of one subject kind, kept in the table `registry/<kind>` (subject_no, subject_id, provider_code)."""

    def __init__(self, store: TableStore, kind: TableOwner) -> None:
        self._store = store
        self._table = f"registry/{kind}"
        self._known: pa.Table | None = None
        self._version = -1

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
        """All subjects in the order of their numbers: subject_no, subject_id, provider_code."""
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
        """Number of subjects; numbers run from 0 to size - 1."""
        return self.table().num_rows

    def subject_ids(self, numbers: np.ndarray) -> pa.Array:
        """Pseudonyms of these numbers; GsceneError for a number that was never given."""
        return self._take("subject_id", numbers)

    def provider_codes(self, numbers: np.ndarray) -> pa.Array:
        """Provider's codes of these numbers; GsceneError for a number that was never given."""
        return self._take("provider_code", numbers)

    def _take(self, column: str, numbers: np.ndarray) -> pa.Array:
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= self.size):
            raise GsceneError(f"{self._table} knows the numbers 0 to {self.size - 1} only.")
        taken = self.table().column(column).take(pa.array(numbers))
        return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken

    def _look_up(self, subject_ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        known = self.table().column("subject_id")
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
