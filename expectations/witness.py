"""The few rows of a partition that decide its verdict.

Great Expectations judges a handful of rows in milliseconds and a million in seconds. Every rule of a contract is of a form in
which some rows speak for all: where no missing, no smallest and no largest value, no different code, no text of another form
and no repeated key breaks a rule, no row does. Those rows, taken from the partition as they are, are its witness: **the witness
keeps a rule exactly if the partition does**. Only a partition whose witness fails is judged whole, for the counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.money import MONEY, fen
from core.row_keys import packed_keys, repeated
from expectations.suite import Rule


def witness(rows: pa.Table, rules: Sequence[Rule]) -> np.ndarray:
    """Positions, ascending, of the deciding rows; `rows` holds every column that the rules name (missing ones are
    passed over: the rule on the columns themselves fails whatever the rows are).
    """
    if not rows.num_rows:
        return np.empty(0, dtype=np.int64)
    found: set[int] = {0}
    for rule in rules:
        if rule.kind in ("columns", "row_count") or not set(rule.columns) <= set(rows.column_names):
            continue
        columns = [rows.column(name) for name in rule.columns]
        found.update(int(place) for place in _DECIDING[rule.kind](rule, columns))
    return np.array(sorted(found), dtype=np.int64)


def _first_missing(rule: Rule, columns: list[pa.ChunkedArray]) -> list[int]:
    """One missing value breaks the rule as well as many."""
    column = columns[0]
    return [pc.index(column.is_null(), True).as_py()] if column.null_count else []


def _first_of_each_code(rule: Rule, columns: list[pa.ChunkedArray]) -> np.ndarray:
    """Of more different codes than the rule knows, one is unknown: no more than that are looked at."""
    encoded = columns[0].dictionary_encode()
    encoded = encoded.unify_dictionaries() if isinstance(encoded, pa.ChunkedArray) else encoded
    codes = np.concatenate([_indices(chunk) for chunk in encoded.chunks])
    first = np.full(codes.max(initial=-1) + 2, -1, dtype=np.int64)
    # The last assignment wins, so the first occurrence is assigned last.
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first[:-1][first[:-1] >= 0][: len(rule.codes) + 1]


def _first_of_another_form(rule: Rule, columns: list[pa.ChunkedArray]) -> list[int]:
    """One text of another form breaks the rule as well as many; each different text is looked at once."""
    encoded = columns[0].dictionary_encode()
    encoded = encoded.unify_dictionaries() if isinstance(encoded, pa.ChunkedArray) else encoded
    if not encoded.num_chunks:
        return []
    form = re.compile(rule.pattern)
    fits = [form.fullmatch(text) is not None for text in encoded.chunk(0).dictionary.to_pylist()]
    codes = np.concatenate([_indices(chunk) for chunk in encoded.chunks])
    # A missing text (-1) keeps every form.
    broken = np.flatnonzero(~np.array([*fits, True])[codes])
    return broken[:1].tolist()


def _indices(chunk: pa.DictionaryArray) -> np.ndarray:
    return pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False)


def _smallest_and_largest(rule: Rule, columns: list[pa.ChunkedArray]) -> list[int]:
    """Where both lie within limits, all do; amounts by their fen."""
    column = columns[0]
    present = np.flatnonzero(column.is_valid().to_numpy())
    values = fen(column) if column.type == MONEY else column.to_numpy()
    values = values[present]
    if np.issubdtype(values.dtype, np.floating):
        present, values = present[~np.isnan(values)], values[~np.isnan(values)]
    return [int(present[values.argmin()]), int(present[values.argmax()])] if len(values) else []


def _first_repeated_key(rule: Rule, columns: list[pa.ChunkedArray]) -> np.ndarray:
    """Two rows of one key. Numbers alone tell most rows apart, so texts are compared only where the numbers are the same."""
    numbers = [column for column in columns if pa.types.is_integer(column.type) and not column.null_count]
    rest = repeated(packed_keys(numbers)) if numbers and len(numbers) < len(columns) else None
    if rest is not None:
        columns = [column.take(pa.array(rest)) for column in columns]
    keys = packed_keys(columns)
    twice = repeated(keys)
    two = twice[keys[twice] == keys[twice[0]]][:2] if len(twice) else twice
    return two if rest is None else rest[two]


_DECIDING: Mapping[str, Callable[[Rule, list[pa.ChunkedArray]], Iterable[int]]] = {
    "not_null": _first_missing,
    "in_set": _first_of_each_code,
    "matches": _first_of_another_form,
    "between": _smallest_and_largest,
    "unique": _first_repeated_key,
}
