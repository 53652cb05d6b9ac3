"""One column of a delivery, read: the value of each different text, and what is wrong with it.

Everything that a cell alone decides (form, code, range, presence) is decided here, once for each different text, however
many rows have it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.money import fen
from core.months import Month
from core.table_schema import Column, ColumnType, TableSchema
from sources import cells
from sources.adapter import Adapter
from sources.code_map import CodesInForce, in_force
from sources.column_rule import Reading
from sources.delivered_rows import DeliveredRows
from sources.erased import STAND_IN
from sources.hold_reasons import Reason
from sources.row_rules import Operation
from sources.token_form import LEAVE_TOKENS, are_of_key
from sources.units import factor


@dataclass(frozen=True)
class ReadColumn:
    """`values` and `faults` (uint8 reasons, None where nothing is wrong) for each different text of `source`.

    `parts`: positions among `values` for texts that stand for several codes (`split: explode`).
    """

    source: str
    values: pa.Array
    faults: np.ndarray | None
    parts: dict[int, list[int]] | None = None

    def marks(self, delivered: DeliveredRows) -> np.ndarray:
        """A number for each text, the same where the values are and nearly always another where they aren't; missing values
        are -1.

        Texts that were read as they stand are told apart already; encoding a million tokens again would cost more than all else.
        """
        texts = delivered.texts(self.source)
        if self.values is texts or (
            self.values.type == pa.string() and self.values.null_count == 0 and self.values.equals(texts)
        ):
            marks = delivered.marks(self.source) if delivered.is_plain(self.source) else np.arange(len(texts))
            if marks is not None:
                return marks
        encoded = self.values.dictionary_encode()
        return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)


class ColumnReader:
    """Reads the columns of one delivery as its adapter says."""

    def __init__(
        self, delivered: DeliveredRows, adapter: Adapter, schema: TableSchema, period: Month
    ) -> None:
        self.delivered = delivered
        self.adapter = adapter
        self.schema = schema
        self.period = period
        self._known: dict[tuple[str, str], ReadColumn] = {}

    def read(self, column: Column, rule: Reading) -> ReadColumn:
        """A column that comes from a source column, with the contract's range and presence judged."""
        assert rule.source_column is not None
        name = (column.name, rule.source_column)
        if name not in self._known:
            self._known[name] = self._read(column, rule, rule.source_column)
        return self._known[name]

    @cached_property
    def key(self) -> ReadColumn:
        """The normalised code of the subject: a pseudonym, or the source's code where the adapter pseudonymises."""
        key = self.adapter.key
        assert key is not None
        texts, tokens = self.normalised(key.source_column, key.normalise)
        if tokens.all() and key.form is None and not key.pseudonymise:
            return ReadColumn(key.source_column, texts, _or_none(self._of_subjects(texts, key.key_ver)))
        absent = cells.missing(texts, self.adapter.nulls)
        read = cells.text(texts, absent) if key.pseudonymise else cells.tokens(texts, absent)
        faults = _faults(len(texts))
        faults[read.bad] = Reason.MALFORMED_KEY
        if not key.pseudonymise:
            faults[cells.of_key(texts, STAND_IN)] = Reason.MALFORMED_KEY
        if key.form is not None:
            faults[~cells.of_form(texts, key.form)] = Reason.MALFORMED_KEY
        if key.key_ver is not None:
            faults[~cells.of_key(texts, key.key_ver) & ~read.bad] = Reason.OTHER_KEY_VERSION
        faults[absent] = Reason.NO_KEY
        return ReadColumn(key.source_column, read.values, _or_none(faults))

    def normalised(self, source: str, steps: Sequence[str]) -> tuple[pa.Array, np.ndarray]:
        """The texts of a column after the declared steps, and which are tokens just as they came: those aren't touched."""
        texts, tokens = self.delivered.texts(source), self.delivered.tokens(source)
        if not tokens.any() or not LEAVE_TOKENS.issuperset(steps):
            return cells.normalised(texts, steps), np.zeros(len(texts), dtype=bool)
        if not tokens.all() and steps:
            others = cells.normalised(texts.filter(pa.array(~tokens)), steps)
            texts = pc.replace_with_mask(texts, pa.array(~tokens), others)
        return texts, tokens

    def _of_other_key(self, tokens: pa.Array, key_ver: str | None) -> np.ndarray:
        faults = _faults(len(tokens))
        if key_ver is not None and len(tokens):
            faults[~are_of_key(tokens, key_ver)] = Reason.OTHER_KEY_VERSION
        return faults

    def _of_subjects(self, tokens: pa.Array, key_ver: str | None) -> np.ndarray:
        """The same, and nobody's own pseudonym is a stand-in for an erased party."""
        faults = self._of_other_key(tokens, key_ver)
        faults[are_of_key(tokens, STAND_IN)] = Reason.MALFORMED_KEY
        return faults

    def absent(self, source: str, rule: Reading | None = None) -> np.ndarray:
        """Which rows have nothing in a source column, bool (rows,)."""
        texts = cells.normalised(self.delivered.texts(source), rule.normalise if rule is not None else ())
        nulls = (*self.adapter.nulls, *(rule.nulls if rule is not None else ()))
        return cells.missing(texts, nulls)[self.delivered.places(source)]

    def moments(self, source: str, parse: tuple[str, ...]) -> ReadColumn:
        """Moments of a source column, for ordering rows."""
        texts = self.delivered.texts(source)
        absent = cells.missing(texts, self.adapter.nulls)
        read = cells.moments(texts, absent, parse, ())
        faults = _faults(len(texts))
        faults[read.bad] = Reason.UNREADABLE
        faults[absent] = Reason.MISSING
        return ReadColumn(source, read.values, _or_none(faults))

    def operation(self, operation: Operation) -> ReadColumn:
        """insert, update or delete for each different text of the flag."""
        texts = self.delivered.texts(operation.source_column)
        absent = cells.missing(texts, self.adapter.nulls)
        maps = self.adapter.maps([operation.code_map] if operation.code_map is not None else [])
        meanings = in_force(maps, dict(operation.codes), self.period).meanings
        read = cells.coded(texts, absent, meanings, pa.string())
        faults = _faults(len(texts))
        faults[read.bad] = Reason.UNKNOWN_CODE
        if operation.missing is None:
            nothing = read.values.is_null().to_numpy(zero_copy_only=False).astype(bool)
            faults[nothing] = Reason.UNKNOWN_CODE
        return ReadColumn(operation.source_column, read.values, _or_none(faults))

    def codes(self, rule: Reading, column: Column) -> CodesInForce:
        """What the texts of a column mean in the delivery's month."""
        inline = rule.codes or ({} if rule.code_map else {code: code for code in column.codes})
        return in_force(self.adapter.maps(rule.code_map), dict(inline), self.period)

    def _read(self, column: Column, rule: Reading, source: str) -> ReadColumn:
        texts, tokens = self.normalised(source, rule.normalise)
        if column.type is ColumnType.SUBJECT and tokens.all() and not rule.has_codes:
            key_ver = self.adapter.key.key_ver if self.adapter.key is not None else None
            return ReadColumn(source, texts, _or_none(self._of_other_key(texts, key_ver)))
        absent = cells.missing(texts, (*self.adapter.nulls, *rule.nulls))
        if column.type in (ColumnType.CODE, ColumnType.BOOL) or rule.has_codes:
            return self._coded(column, rule, source, texts, absent)
        read = self._typed(column, rule, texts, absent)
        faults = _faults(len(texts))
        faults[read.bad] = Reason.UNREADABLE
        if (
            column.type is ColumnType.SUBJECT
            and self.adapter.key is not None
            and self.adapter.key.key_ver is not None
        ):
            other = ~cells.of_key(texts, self.adapter.key.key_ver) & ~read.bad & ~absent
            faults[other] = Reason.OTHER_KEY_VERSION
        if column.name == "period":
            other = pc.fill_null(pc.not_equal(read.values, str(self.period)), False)
            faults[other.to_numpy(zero_copy_only=False).astype(bool)] = Reason.OTHER_PERIOD
        faults[(faults == Reason.GOOD) & outside(column, read.values)] = Reason.OUT_OF_RANGE
        if column.pattern:
            faults[(faults == Reason.GOOD) & _of_another_form(column, read.values)] = Reason.OTHER_FORM
        self._judge_absence(column, rule, read, faults)
        return ReadColumn(source, read.values, _or_none(faults))

    def _typed(self, column: Column, rule: Reading, texts: pa.Array, absent: np.ndarray) -> cells.Cells:
        if rule.thousands is not None:
            texts = cells.ungrouped(texts, rule.thousands)
        times = _times(rule, column)
        sentinels = (*self.adapter.sentinels.null, *self.adapter.sentinels.open_end)
        match column.type:
            case ColumnType.MONEY:
                return cells.money(texts, absent, rule.unit or "CNY")
            case ColumnType.INT | ColumnType.LONG:
                return cells.whole_number(texts, absent, column.type.arrow(), times)
            case ColumnType.FLOAT:
                return cells.number(texts, absent, times)
            case ColumnType.DATE:
                return self._ends(rule, texts, absent, cells.days(texts, absent, rule.parse, sentinels))
            case ColumnType.TIME:
                return self._ends(rule, texts, absent, cells.moments(texts, absent, rule.parse, sentinels))
            case ColumnType.MONTH:
                return cells.months(texts, absent, rule.parse)
            case ColumnType.SUBJECT:
                return cells.tokens(texts, absent)
            case _:
                return cells.text(texts, absent)

    def _ends(self, rule: Reading, texts: pa.Array, absent: np.ndarray, read: cells.Cells) -> cells.Cells:
        """An open end where nothing may be open is no date that could be read."""
        if rule.open_end or not self.adapter.sentinels.open_end:
            return read
        open_end = cells.days(texts, absent, rule.parse, self.adapter.sentinels.open_end).sentinel
        null = cells.days(texts, absent, rule.parse, self.adapter.sentinels.null).sentinel
        assert open_end is not None and null is not None
        return replace(read, misplaced=open_end & ~null)

    def _judge_absence(self, column: Column, rule: Reading, read: cells.Cells, faults: np.ndarray) -> None:
        sentinel = read.sentinel if read.sentinel is not None else np.zeros(len(faults), dtype=bool)
        if read.misplaced is not None:
            faults[(faults == Reason.GOOD) & read.misplaced] = Reason.SENTINEL
        if column.nullable or rule.where:
            return
        nothing = read.values.is_null().to_numpy(zero_copy_only=False).astype(bool) & (faults == Reason.GOOD)
        faults[nothing & sentinel] = Reason.SENTINEL
        faults[nothing & ~sentinel] = Reason.MISSING

    def _coded(
        self, column: Column, rule: Reading, source: str, texts: pa.Array, absent: np.ndarray
    ) -> ReadColumn:
        known = self.codes(rule, column)
        read = cells.coded(texts, absent, known.meanings, column.type.arrow())
        faults = _faults(len(texts))
        faults[read.bad] = Reason.UNKNOWN_CODE
        if known.retired:
            trimmed = pc.utf8_trim_whitespace(texts)
            retired = pc.is_in(trimmed, value_set=pa.array(sorted(known.retired), pa.string()))
            faults[read.bad & retired.to_numpy(zero_copy_only=False).astype(bool)] = Reason.RETIRED_CODE
        values, parts = read.values, None
        if rule.split is not None:
            found = cells.several(texts, rule.split.by, known.meanings)
            faults[list(found)] = Reason.SEVERAL_CODES
            if rule.split.rule == "explode" and found:
                values, parts = _exploded(values, found, known)
        self._judge_absence(column, rule, read, faults)
        if parts:
            faults[list(parts)] = Reason.GOOD
        return ReadColumn(source, values, _or_none(faults), parts)


def _exploded(
    values: pa.Array, found: dict[int, list[str]], known: CodesInForce
) -> tuple[pa.Array, dict[int, list[int]]]:
    """Values with the parts of multi-valued texts behind them, and where each text's parts lie."""
    more: list[bool | str] = []
    parts: dict[int, list[int]] = {}
    for position, codes in found.items():
        meanings = list(dict.fromkeys(known.meanings[code] for code in codes))
        parts[position] = list(range(len(values) + len(more), len(values) + len(more) + len(meanings)))
        more += meanings
    return pa.concat_arrays([values, pa.array(more, values.type)]), parts


def _times(rule: Reading, column: Column) -> Fraction:
    """How many of the contract's unit one of the source's is."""
    if column.type is ColumnType.MONEY or rule.unit is None or not column.unit:
        return Fraction(1)
    return factor(rule.unit, column.unit) or Fraction(1)


def outside(column: Column, values: pa.Array) -> np.ndarray:
    """Which values lie outside the contract's limits; missing ones don't."""
    outside = np.zeros(len(values), dtype=bool)
    if column.minimum is None and column.maximum is None:
        return outside
    scale = 100 if column.type is ColumnType.MONEY else 1
    numbers = fen(values) if scale == 100 else pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    if column.minimum is not None:
        outside |= numbers < column.minimum * scale
    if column.maximum is not None:
        outside |= numbers > column.maximum * scale
    return outside & values.is_valid().to_numpy(zero_copy_only=False)


def _of_another_form(column: Column, values: pa.Array) -> np.ndarray:
    """Which different texts haven't the form that the contract gives; missing ones do no harm here."""
    form = re.compile(column.pattern)
    return np.array(
        [text is not None and form.fullmatch(text) is None for text in values.to_pylist()], dtype=bool
    )


def _faults(texts: int) -> np.ndarray:
    return np.zeros(texts, dtype=np.uint8)


def _or_none(faults: np.ndarray) -> np.ndarray | None:
    return faults if faults.any() else None
