"""What an adapter had to put up with: cells that were read as meant though they weren't written as agreed.

Nothing of it changes a canonical row, which is why nobody would notice. A source whose count jumps has changed its export, and
the next change may be one that can't be absorbed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.table_schema import ColumnType, TableSchema
from sources import cells
from sources.adapter import Adapter, ColumnRule
from sources.convert import DeliveredRows
from sources.written_dates import DateForm, read_moments

#: Kinds, in the order of the catalogue's faults.
KEY_FORM = "key_form"
NULL_TOKEN = "null_token"
SENTINEL_DATE = "sentinel_date"
OTHER_DATE_FORM = "other_date_form"
LABEL_FOR_CODE = "label_for_code"
OTHER_EDITION = "other_edition"


def absorbed(delivered: DeliveredRows, adapter: Adapter, schema: TableSchema) -> dict[str, int]:
    """Cells by kind, over all delivered rows; kinds that didn't occur are left out."""
    counts: Counter[str] = Counter()
    for kind, column, texts_hit in _kinds(delivered, adapter, schema):
        counts[kind] += int(texts_hit[delivered.places(column)].sum())
    return {kind: count for kind, count in sorted(counts.items()) if count}


def _kinds(
    delivered: DeliveredRows, adapter: Adapter, schema: TableSchema
) -> Iterator[tuple[str, str, np.ndarray]]:
    """(kind, source column, mask over the column's different texts)."""
    key = adapter.key
    if key is not None:
        texts = delivered.texts(key.source_column)
        yield KEY_FORM, key.source_column, _differs(texts, cells.normalised(texts, key.normalise))
    for name, rule in adapter.columns.items():
        if rule.source_column is not None:
            texts = delivered.texts(rule.source_column)
            for kind, hit in _of_column(texts, adapter, rule, schema.column(name).type):
                yield kind, rule.source_column, hit


def _of_column(
    texts: pa.Array, adapter: Adapter, rule: ColumnRule, kind: ColumnType
) -> Iterator[tuple[str, np.ndarray]]:
    trimmed = pc.utf8_trim_whitespace(texts)
    codes = adapter.written_codes(rule)
    absent = cells.missing(texts, (*adapter.nulls, *rule.nulls)) & ~_is_in(trimmed, list(codes))
    yield NULL_TOKEN, absent & _differs(trimmed, pa.repeat(pa.scalar(""), len(texts)))
    if kind is ColumnType.SUBJECT:
        yield KEY_FORM, ~absent & _differs(texts, cells.normalised(texts, rule.normalise))
    if kind in (ColumnType.DATE, ColumnType.TIME):
        sentinel = _is_in(trimmed, [*adapter.sentinels.null, *adapter.sentinels.open_end])
        yield SENTINEL_DATE, sentinel
        # Where one form is declared, whatever can be read has it.
        if len(rule.parse) > 1:
            other = np.isnat(read_moments(trimmed, [DateForm.of(rule.parse[0])]))
            yield OTHER_DATE_FORM, other & ~absent & ~sentinel
    if codes:
        coded = [code for code in codes if code.isascii()]
        # Where a meaning has a code of its own, its label stands for it; a dialect may also have labels alone.
        has_code = {codes[code] for code in coded}
        labels = [code for code in codes if not code.isascii() and codes[code] in has_code]
        yield LABEL_FOR_CODE, _is_in(trimmed, labels)
        # Editions of a code book have codes of other lengths for one meaning (11 and 110); the agreed one stands first.
        agreed = {meaning: code for code, meaning in reversed(codes.items()) if code.isascii()}
        older = [code for code in coded if len(code) != len(agreed[codes[code]])]
        yield OTHER_EDITION, _is_in(trimmed, older)


def _differs(texts: pa.Array, others: pa.Array) -> np.ndarray:
    return _mask(pc.not_equal(texts, others))


def _is_in(texts: pa.Array, values: list[str]) -> np.ndarray:
    return _mask(pc.is_in(texts, value_set=pa.array(values, pa.string())))


def _mask(booleans: pa.Array) -> np.ndarray:
    return np.asarray(booleans.to_numpy(zero_copy_only=False), dtype=bool)
