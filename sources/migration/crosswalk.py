"""The crosswalk: which old pseudonym and which new one are the same subject, as the provider of the keys tells it.

Only pairs that are one to one both ways are used; the others are counted and reported. Whatever it is used for, it says who
is who across two keys, so every reader must name the purpose migration_check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from core.errors import GsceneError, Refusal
from core.purpose import Purpose
from sources.migration.definition import KeyVersions

COLUMNS = ("old_subject_id", "new_subject_id", "valid_from")

_TOKEN = r"^[a-z0-9]{1,16}:[0-9a-f]{40}$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"


@dataclass(frozen=True)
class Crosswalk:
    """Different pairs (old_ids[i], new_ids[i]), sorted by old pseudonym; valid_from[i] as told (`2026-07-01`)."""

    old_ids: pa.Array
    new_ids: pa.Array
    valid_from: pa.Array

    @cached_property
    def one_to_one(self) -> np.ndarray:
        """bool per pair: neither pseudonym stands in any other pair."""
        return _once(self.old_ids) & _once(self.new_ids)

    @property
    def cardinality(self) -> dict[str, int]:
        """Pairs, pairs that are one to one, old pseudonyms with several new ones, new ones with several old ones."""
        return {
            "pairs": len(self.old_ids),
            "one_to_one": int(self.one_to_one.sum()),
            "one_to_several": _repeated(self.old_ids),
            "several_to_one": _repeated(self.new_ids),
        }

    @cached_property
    def usable(self) -> tuple[pa.Array, pa.Array]:
        """Old and new pseudonyms of the pairs that are one to one."""
        mask = pa.array(self.one_to_one)
        return self.old_ids.filter(mask), self.new_ids.filter(mask)

    def old_of(self, new_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The old pseudonym of each new one, null where there is none that is one to one; shape (rows,)."""
        old, new = self.usable
        place = pc.index_in(new_ids, value_set=new)
        found = old.take(place)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def read_crosswalk(paths: Sequence[Path], keys: KeyVersions, purpose: Purpose) -> Crosswalk:
    """Read files of CSV (UTF-8, comma) or Parquet as one. Refusal REFUSED/CROSSWALK for wrong columns, a cell that is no
    pseudonym of its key version, or no pair at all; GsceneError for another purpose than migration_check."""
    if purpose is not Purpose.MIGRATION_CHECK:
        raise GsceneError(f"a crosswalk may not be read for {purpose}.", "It serves migration checks only.")
    table = pa.concat_tables([_checked(path, keys) for path in paths])
    pairs = table.group_by(["old_subject_id", "new_subject_id"]).aggregate([("valid_from", "min")])
    pairs = pairs.sort_by([("old_subject_id", "ascending"), ("new_subject_id", "ascending")]).combine_chunks()
    return Crosswalk(
        *(_plain(pairs.column(name)) for name in ("old_subject_id", "new_subject_id", "valid_from_min"))
    )


def _checked(path: Path, keys: KeyVersions) -> pa.Table:
    table = _read(path)
    if tuple(table.column_names) != COLUMNS:
        raise _refuse(path, f"its columns are not {', '.join(COLUMNS)}")
    if not table.num_rows:
        raise _refuse(path, "it holds no pair")
    for name, version in (("old_subject_id", keys.old), ("new_subject_id", keys.new)):
        _require(path, table, name, _TOKEN, "a cell is no pseudonym `version:40 hexadecimal digits`")
        _require(path, table, name, f"^{version}:", f"a pseudonym is not of the key version {version}")
    _require(path, table, "valid_from", _DATE, "a cell is no day such as 2026-07-01")
    return table


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path, page_checksum_verification=True)
        else:
            texts = dict.fromkeys(COLUMNS, pa.string())
            table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=texts))
        return pa.table({name: table.column(name).cast(pa.string()) for name in table.column_names})
    except (pa.ArrowException, OSError) as error:
        raise _refuse(path, f"it can't be read ({type(error).__name__})") from None


def _require(path: Path, table: pa.Table, name: str, form: str, told: str) -> None:
    good = pc.fill_null(pc.match_substring_regex(table.column(name), form), False)
    wrong = pc.index(good, False).as_py()
    if wrong >= 0:
        raise Refusal(
            "REFUSED/CROSSWALK",
            f"{told}.",
            file=path.name,
            line=wrong + 2,
            column=name,
            remedy="Have the provider deliver the crosswalk again.",
        )


def _refuse(path: Path, told: str) -> Refusal:
    return Refusal(
        "REFUSED/CROSSWALK",
        f"{told}.",
        file=path.name,
        remedy="Have the provider deliver the crosswalk again as CSV or Parquet; docs/migration.md shows its form.",
    )


def _plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _once(ids: pa.Array) -> np.ndarray:
    encoded = ids.dictionary_encode()
    places = encoded.indices.to_numpy()
    return (
        np.bincount(places, minlength=len(encoded.dictionary))[places] == 1 if len(ids) else np.zeros(0, bool)
    )


def _repeated(ids: pa.Array) -> int:
    counts = ids.value_counts()
    return int(pc.sum(pc.greater(counts.field("counts"), 1)).as_py() or 0)
