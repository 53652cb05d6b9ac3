"""Dense numbers for pseudonyms: joins and windows run on int32 positions, strings stay at the boundary.

A number, once given, never changes: when a provider's key changes, the number gets the new pseudonym (`rekey`) and history
stays where it is; that of an erased subject stays as a hole, a row without pseudonym. `provider_code` keeps the code as the
provider delivered it, so that a score can be sent back to the provider in the provider's own terms; for feeds that send
pseudonyms it is the pseudonym itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GateRefused, GsceneError
from core.subject import SubjectKind, TableOwner
from core.table_store import TableStore
from core.token_index import SHORTEST, TokenIndex, fixed_width

_PARTITION = "all"

#: Live numbers are those of features, scores and lists; a platform on trial has numbers of its own.
Lane = Literal["live", "trial"]

#: What `former_numbers` says of a pseudonym that no re-keying has replaced, and of one that was but leads nowhere any more.
NEVER_REPLACED, RETIRED = -2, -1

_SCHEMA = pa.schema([("subject_no", pa.int32()), ("subject_id", pa.string()), ("provider_code", pa.string())])


@dataclass(frozen=True)
class Rekeyed:
    """What a re-keying did: subjects that have the new pseudonym now (also from an earlier run of the same), pairs of which
    neither pseudonym is known here."""

    subjects: int
    unknown_pairs: int


class SubjectRegistry:
    """The numbering of one subject kind, kept in the table `registry/<kind>` (subject_no, subject_id, provider_code).

    Lane trial keeps its own, `registry/trial_<kind>`. Pseudonyms that were replaced stand in `registry/<kind>_former` as
    SHA-256 digests, so that one that turns up again is known for what it is.
    """

    def __init__(self, store: TableStore, kind: TableOwner, lane: Lane = "live") -> None:
        self.lane = lane
        self._store = store
        self._table = f"registry/{kind}" if lane == "live" else f"registry/trial_{kind}"
        self._former_table = f"{self._table}_former"
        self._known: pa.Table | None = None
        self._version = -1
        self._index: _Index | None = None

    @classmethod
    def named(cls, store: TableStore, name: str) -> SubjectRegistry:
        """The registry of a table-store name without its folder: `resident`, or `trial_resident` of platforms on trial."""
        kind = SubjectKind(name.removeprefix("trial_"))
        return cls(store, kind, "trial" if name.startswith("trial_") else "live")

    def numbers(
        self,
        subject_ids: pa.Array | pa.ChunkedArray,
        provider_codes: pa.Array | pa.ChunkedArray | None = None,
        add: bool = True,
    ) -> np.ndarray:
        """int32 subject numbers, shape (rows,). Unknown pseudonyms get the next numbers in the order of their provider
        codes (so numbering doesn't depend on a key), or -1 when `add` is false. GsceneError rather than a second number for
        somebody whose pseudonym was replaced."""
        found = self._look_up(subject_ids)
        new = np.flatnonzero(found < 0)
        if not add or not len(new):
            return found
        ids = subject_ids.take(pa.array(new))
        if (self.former_numbers(ids) != NEVER_REPLACED).any():
            raise GsceneError(
                f"{self._table} doesn't number pseudonyms that a platform migration has replaced.",
                "Have the source send under the new key.",
            )
        codes = ids if provider_codes is None else provider_codes.take(pa.array(new))
        with self._store.writer(self._table + ".numbers"):
            found[new] = self._numbers_of_new(ids, codes)
        return found

    def table(self) -> pa.Table:
        """All subjects in the order of their numbers: subject_no, subject_id, provider_code; holes are left out."""
        rows = self._rows()
        return (
            rows if not rows.column("subject_id").null_count else rows.filter(pc.is_valid(rows["subject_id"]))
        )

    def pseudonyms(self) -> pa.Array:
        """Pseudonyms by number, null in the holes."""
        found = self._rows().column("subject_id")
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

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
                self._known = _SCHEMA.empty_table()
            else:
                rows = self._store.read(self._table).drop_columns(["period"])
                self._known = rows.sort_by("subject_no").combine_chunks()
            self._version, self._index = version, None
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

    # -- re-keying -------------------------------------------------------------------------------------------------

    def conflicts(self, old_ids: pa.Array, new_ids: pa.Array) -> int:
        """Pairs of which both pseudonyms have a number already: two histories that no re-keying can make one."""
        return int(((self._look_up(old_ids) >= 0) & (self._look_up(new_ids) >= 0)).sum())

    def rekey(self, old_ids: pa.Array, new_ids: pa.Array) -> Rekeyed:
        """Give each number that has old_ids[i] the pseudonym new_ids[i]; both arrays hold every pseudonym once.

        Whole or not at all; repeating it changes nothing. GateRefused where a pair is in conflict. From then on the old
        pseudonyms stand among the former ones, with their numbers until `forget_former_numbers`.
        """
        with self._store.writer(self._table + ".numbers"):
            old, new = self._look_up(old_ids), self._look_up(new_ids)
            if ((old >= 0) & (new >= 0)).any():
                raise GateRefused(
                    f"{self.conflicts(old_ids, new_ids)} subjects of {self._table} have a number under both pseudonyms.",
                    "Another source has begun to send under the new key: put it on trial, then correct the crosswalk.",
                )
            numbers = np.where(old >= 0, old, new)
            known = numbers >= 0
            # Former ones first: a run that dies before the next step finds old pseudonyms that still resolve.
            self._remember_former(old_ids.filter(pa.array(known)), numbers[known], new_ids)
            replaced = self._rows()
            if (old >= 0).any():
                ids = replaced.column("subject_id").to_numpy(zero_copy_only=False).copy()
                codes = replaced.column("provider_code").to_numpy(zero_copy_only=False).copy()
                fresh = new_ids.to_numpy(zero_copy_only=False)[old >= 0]
                ids[old[old >= 0]], codes[old[old >= 0]] = fresh, fresh
                table = pa.table(
                    [replaced.column("subject_no"), pa.array(ids), pa.array(codes)], schema=_SCHEMA
                )
                self._store.replace(self._table, _PARTITION, table.combine_chunks())
        return Rekeyed(int(known.sum()), int((~known).sum()))

    def former_numbers(self, subject_ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """int32 of shape (rows,): the number of a replaced pseudonym, RETIRED where its number is forgotten, NEVER_REPLACED
        for all others."""
        if not self._store.exists(self._former_table):
            return np.full(len(subject_ids), NEVER_REPLACED, dtype=np.int32)
        former = self._store.read(self._former_table)
        place = pc.index_in(_digests(subject_ids), value_set=former.column("digest"))
        found = pc.fill_null(place, -1).to_numpy(zero_copy_only=False)
        numbers = np.append(former.column("subject_no").to_numpy(), np.int32(NEVER_REPLACED))
        return numbers[found].astype(np.int32, copy=False)

    def forget_former_numbers(self) -> int:
        """Keep of former pseudonyms only that they were replaced, and delete the files of earlier versions of the registry,
        which would tell whose they were; returns how many files were deleted."""
        with self._store.writer(self._table + ".numbers"):
            if self._store.exists(self._former_table):
                former = self._store.read(self._former_table)
                digests = former.column("digest").combine_chunks()
                self._write_former(digests, np.full(len(digests), RETIRED, dtype=np.int32))
        tables = [name for name in (self._table, self._former_table) if self._store.exists(name)]
        return sum(len(self._store.vacuum(name, 0)) for name in tables)

    def _remember_former(self, ids: pa.Array, numbers: np.ndarray, current: pa.Array) -> None:
        """Add `ids`; those of `current` are former no longer (a rollback gives them back)."""
        digests, all_numbers = _digests(ids), numbers.astype(np.int32)
        if self._store.exists(self._former_table):
            former = self._store.read(self._former_table)
            gone = pa.concat_arrays([digests, _digests(current)])
            kept = former.filter(pc.invert(pc.is_in(former.column("digest"), value_set=gone)))
            digests = pa.concat_arrays([kept.column("digest").combine_chunks(), digests])
            all_numbers = np.concatenate([kept.column("subject_no").to_numpy(), all_numbers])
        self._write_former(digests, all_numbers)

    def _write_former(self, digests: pa.Array, numbers: np.ndarray) -> None:
        # In the order of digests: the order of rows must not tell the order of numbers.
        rows = pa.table({"digest": digests, "subject_no": pa.array(numbers, pa.int32())}).sort_by("digest")
        self._store.replace(self._former_table, _PARTITION, rows.combine_chunks())

    # -- inside ----------------------------------------------------------------------------------------------------

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
        asked = fixed_width(_one_array(subject_ids))
        if asked is not None:
            self._index = self._index or _Index.of(known)
            if self._index is not None and self._index.width == asked.shape[1]:
                return self._index.find(asked)
        found = pc.index_in(subject_ids, value_set=known)
        return pc.fill_null(found, -1).to_numpy().astype(np.int32)

    def _numbers_of_new(
        self, ids: pa.Array | pa.ChunkedArray, codes: pa.Array | pa.ChunkedArray
    ) -> np.ndarray:
        """Give numbers to pseudonyms that had none when they were looked up. Whoever calls holds the table's lock."""
        before, seen = self._version, self._rows()
        numbers = self._look_up(ids) if self._version != before else np.full(len(ids), -1, dtype=np.int32)
        new = np.flatnonzero(numbers < 0)
        if len(new):
            fresh, places = _in_order(ids.take(pa.array(new)), codes.take(pa.array(new)))
            first = self.size
            given = np.arange(first, first + fresh.num_rows, dtype=np.int32)
            rows = fresh.add_column(0, "subject_no", pa.array(given)).combine_chunks()
            self._store.append(self._table, _PARTITION, rows, app_version=first + fresh.num_rows)
            # We hold the lock: the latest version is what we knew and what we added.
            self._known, self._version = pa.concat_tables([seen, rows]), self._store.version(self._table)
            self._index = self._index and self._index.grown(rows.column("subject_id"), given)
            numbers[new] = given[places]
        return numbers


class _Index:
    """Numbers by pseudonym, as long as all pseudonyms have one length."""

    def __init__(self, width: int) -> None:
        self._places = TokenIndex(width)
        self._numbers = np.empty(0, dtype=np.int32)

    @classmethod
    def of(cls, known: pa.ChunkedArray) -> _Index | None:
        """Of a registry's pseudonyms in the order of their numbers, null at holes; None where they are of several lengths."""
        texts = _one_array(known)
        numbers = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False)).astype(np.int32)
        written = fixed_width(texts.drop_null())
        if written is None or written.shape[1] < SHORTEST:
            return None
        return cls(written.shape[1]).grown(texts.drop_null(), numbers)

    @property
    def width(self) -> int:
        return self._places.width

    def find(self, texts: np.ndarray) -> np.ndarray:
        places = self._places.find(texts)
        return np.append(self._numbers, np.int32(-1))[places]

    def grown(self, ids: pa.Array | pa.ChunkedArray, numbers: np.ndarray) -> _Index | None:
        """This index with more pseudonyms; None where they are of another length."""
        written = fixed_width(_one_array(ids))
        if written is None or written.shape[1] != self.width:
            return None
        self._places.add(written)
        self._numbers = np.concatenate([self._numbers, numbers.astype(np.int32)])
        return self


def _in_order(
    ids: pa.Array | pa.ChunkedArray, codes: pa.Array | pa.ChunkedArray
) -> tuple[pa.Table, np.ndarray]:
    """Different pseudonyms (subject_id, provider_code) in the order of their least provider codes, and each row's place there."""
    encoded = _one_array(ids).dictionary_encode()
    different, places = encoded.dictionary, encoded.indices.to_numpy()
    least = different
    if ids is not codes and not ids.equals(codes):
        rows = pa.table({"place": encoded.indices, "code": _one_array(codes)})
        least = rows.group_by("place").aggregate([("code", "min")]).sort_by("place").column("code_min")
    order = pc.sort_indices(least)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    table = pa.table({"subject_id": different, "provider_code": least})
    return table.take(order).combine_chunks(), rank[places]


def _one_array(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _digests(subject_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    return pa.array([sha256(text.encode()).hexdigest() for text in subject_ids.to_pylist()], pa.string())
