"""Changing the grain: several source rows summed into one canonical row, or one source row told as several.

| entry | what happens |
|---|---|
| `grain` | rows with one business key become one: `take` says for each other column sum, max, min, first, last, any, all, only |
| `grain` with `where` on columns | long to wide: each column takes its value from the rows that `where` names |
| `unpivot` | wide to long: one row for each entry of `rows`, with its own source columns |

An amount of a longer time is never divided: `per: quarter` for a table of months doesn't load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from core.definition_file import Definition
from core.money import MONEY, fen, from_fen
from sources.row_rules import WrittenMoment

Take = Literal["sum", "max", "min", "first", "last", "any", "all", "only"]
Span = Literal["row", "day", "month", "quarter", "half_year", "year"]

#: An odd number whose bits are spread evenly (the golden ratio's), for mixing places into one number a row.
_MIX = np.uint64(0x9E3779B97F4A7C15)

#: How long a span is against the others.
LENGTH: dict[str, int] = {"row": 0, "day": 1, "month": 2, "quarter": 3, "half_year": 4, "year": 5}


class Grain(Definition):
    """`per` and `to`: the time that a source row and a canonical row are about. `order_by` decides what is first and last."""

    per: Span = "row"
    to: Literal["day", "month", "quarter", "half_year", "year"] = "month"
    take: dict[str, Take] = {}
    order_by: WrittenMoment | None = None

    @model_validator(mode="after")
    def _never_finer(self) -> Grain:
        if LENGTH[self.per] > LENGTH[self.to]:
            raise ValueError(
                f"an amount of a {self.per} can't be split into a {self.to}'s: ask the source for {self.to}s"
            )
        if self.order_by is None and {"first", "last"} & set(self.take.values()):
            raise ValueError("`first` and `last` need `order_by`")
        return self


class UnpivotRow(Definition):
    """One canonical row of a wide source row: constants by canonical column, and source columns by canonical column."""

    constants: dict[str, bool | int | str] = {}
    source_columns: Annotated[dict[str, str], Field(min_length=1, alias="from")]


class Unpivot(Definition):
    """`skip_empty`: an entry whose cells are all empty makes no row; a source row of which none is left is left out under
    `nothing_told`.
    """

    rows: Annotated[tuple[UnpivotRow, ...], Field(min_length=1)]
    skip_empty: bool = True


def group_numbers(keys: pa.Table) -> tuple[np.ndarray, int]:
    """A dense number for each different key, int64 (rows,), in the order of first appearance, and how many there are."""
    numbers = np.zeros(keys.num_rows, dtype=np.int64)
    count = 1 if keys.num_rows else 0
    for column in keys.columns:
        whole = column.combine_chunks()
        whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
        encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        places = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        numbers = numbers * (len(encoded.dictionary) + 1) + places + 1
        different, numbers = np.unique(numbers, return_inverse=True)
        count = len(different)
    return numbers, count


def repeated(columns: Sequence[np.ndarray], different: Sequence[int]) -> np.ndarray:
    """Which rows share all their places with another row, bool (rows,). `columns` are places among `different` many values.

    Nearly always none does, and that is seen by one number a row: rows whose numbers differ are different.
    """
    rows = len(columns[0])
    alike = np.zeros(rows, dtype=bool)
    for places, many in zip(columns, different, strict=True):
        # One column may tell all rows apart, as keys do; what the values number among all rows doesn't say so of these.
        if many >= rows and (not rows or np.bincount(places + 1).max() <= 1):
            return alike
    mixed = np.zeros(rows, dtype=np.uint64)
    for places, many in zip(columns, different, strict=True):
        if many > 1:
            mixed = (mixed + places.astype(np.uint64) + np.uint64(1)) * _MIX
            mixed ^= mixed >> np.uint64(29)
    ordered = np.sort(mixed)
    suspects = np.flatnonzero(np.isin(mixed, np.unique(ordered[1:][ordered[1:] == ordered[:-1]])))
    if len(suspects):
        numbers, count = group_numbers(
            pa.table({str(n): pa.array(c[suspects]) for n, c in enumerate(columns)})
        )
        alike[suspects] = np.bincount(numbers, minlength=count)[numbers] > 1
    return alike


def aggregated(
    column: pa.Array, take: Take, groups: np.ndarray, count: int, order: np.ndarray
) -> tuple[pa.Array, np.ndarray]:
    """One value a group, shape (count,), and a mask of groups for which `only` found several different values.

    `order` are positions of the rows from first to last. Missing values don't count; a group of missing ones alone is missing.
    """
    there = column.is_valid().to_numpy(zero_copy_only=False).astype(bool)
    ambiguous = np.zeros(count, dtype=bool)
    if take in ("sum", "any", "all", "max", "min") and column.type != pa.string():
        return _reduced(column, take, groups, count, there), ambiguous
    if take in ("max", "min"):
        ranks = pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64)
        order = np.argsort(ranks if take == "max" else -ranks, kind="stable")
    order = order[there[order]]
    if take == "first":
        order = order[::-1]
    chosen = np.full(count, -1, dtype=np.int64)
    chosen[groups[order]] = order
    if take == "only":
        texts = column.dictionary_encode().indices
        places = pc.fill_null(texts, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        ambiguous[groups[there & (places != places[np.maximum(chosen, 0)][groups])]] = True
    return column.take(pa.array(chosen, pa.int64(), mask=chosen < 0)), ambiguous


def _reduced(column: pa.Array, take: Take, groups: np.ndarray, count: int, there: np.ndarray) -> pa.Array:
    kind = column.type
    missing = np.ones(count, dtype=bool)
    missing[groups[there]] = False
    values = _numbers(column)[there]
    into = groups[there]
    if take == "sum":
        total = np.zeros(count, dtype=values.dtype)
        np.add.at(total, into, values)
    else:
        highest = take in ("max", "any")
        total = np.zeros(count, dtype=values.dtype)
        ends = np.argsort(
            values if highest else -values.astype(np.int64 if values.dtype == bool else values.dtype),
            kind="stable",
        )
        total[into[ends]] = values[ends]
    if kind == MONEY:
        return from_fen(total, null=missing)
    if pa.types.is_date32(kind):
        return pa.array(total.astype(np.int32), pa.int32(), mask=missing).cast(kind)
    if pa.types.is_timestamp(kind):
        return pa.array(total, pa.int64(), mask=missing).cast(kind)
    return pa.array(total, mask=missing).cast(kind)


def _numbers(column: pa.Array) -> np.ndarray:
    if column.type == MONEY:
        return fen(column)
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_integer(column.type):
        column = column.cast(pa.int64())
    filler = False if pa.types.is_boolean(column.type) else 0
    return pc.fill_null(column, filler).to_numpy(zero_copy_only=False)


def taken(
    columns: Mapping[str, pa.Array],
    take: Mapping[str, Take],
    groups: np.ndarray,
    count: int,
    order: np.ndarray,
) -> tuple[dict[str, pa.Array], np.ndarray]:
    """Every column of `take` at the coarser grain, and the groups that are ambiguous."""
    made, ambiguous = {}, np.zeros(count, dtype=bool)
    for name, how in take.items():
        made[name], unclear = aggregated(columns[name], how, groups, count, order)
        ambiguous |= unclear
    return made, ambiguous
