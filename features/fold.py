"""Fold one month's accepted rows into monthly facts, one block of rows per moment at which the bank's knowledge changed.

Grain of the result: subject x month x known_at. A late or corrected row never overwrites a fact; it adds a newer block that holds
only the subjects it touched. Whoever reads with a cutoff applies the blocks in the order of `known_at` and stops at the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GsceneError
from core.money import fen
from core.months import CHINA_AHEAD_US, Month
from core.table_schema import ColumnType, TableSchema
from core.table_store import CHUNK
from features.derived_columns import PERIOD_END
from features.fact_definition import Adverse, Comparison, Condition, FactDefinition, Measure
from features.identity_number import identity_numbers
from sources.versions import Resolver

#: Quantities (kWh, m3) are added up in ten-thousandths, as integers: a float sum would depend on the order of rows.
QUANTITY_PARTS = 10_000

#: Whole numbers up to here are exact in float64: 90 trillion yuan in fen.
_EXACT = 2**53

_DAY_MICROSECONDS = 24 * 3_600_000_000

#: Counts up when folding makes other facts of the same rows: those of an earlier rule are folded again.
RULES = 2

KNOWN_AT = pa.timestamp("us", tz="UTC")


def fold_month(
    raw: pa.Table,
    definition: FactDefinition,
    schema: TableSchema,
    resolve: Resolver,
    month: Month | None = None,
) -> pa.Table:
    """Facts of one month: subject_no int32, known_at, then one column per measure; sorted by chunk of subjects,
    known_at, subject_no.

    `month` is what the rows are filed under; only measures that reckon with its end need it. A subject whose rows have all
    gone (a full restatement without it) gets a row of missing values at that moment. All measures are float64, sums of
    amounts in fen. Sums are integer sums, so that the order of rows and deliveries can't matter.
    """
    shape = Shape(definition, schema, month)
    arrivals = pc.unique(raw.column("received_at")).to_pylist()
    moments = sorted({*arrivals, *resolve.replacements}) if arrivals else []
    blocks = []
    for position, at in enumerate(moments):
        moment = pa.scalar(at, KNOWN_AT)
        if position == 0:
            blocks.append(block_at(resolve(raw, at), shape, moment, None))
        else:
            touched = touched_at(raw, at, moments[position - 1], schema, resolve)
            blocks.append(block_at(known_of(touched, raw, at, resolve), shape, moment, touched))
    if not blocks:
        return fact_schema(definition).empty_table()
    return by_chunk(blocks)


def by_chunk(blocks: Sequence[pa.Table]) -> pa.Table:
    """Blocks, oldest first, as one table: chunk by chunk, so that a reader of one chunk finds all versions of its subjects in one
    row group."""
    facts = pa.concat_tables(blocks).combine_chunks()
    if len(blocks) == 1:
        return facts
    return facts.take(pa.array(np.argsort(facts.column("subject_no").to_numpy() // CHUNK, kind="stable")))


def fact_schema(definition: FactDefinition) -> pa.Schema:
    """Columns of the fact table. All measures are float64 that are always there (NaN = missing): they are read without a copy, in
    half the time of columns with nulls, and fen stay exact below 2^53."""
    return pa.schema(
        [
            pa.field("subject_no", pa.int32(), nullable=False),
            pa.field("known_at", KNOWN_AT, nullable=False),
            *(pa.field(name, pa.float64(), nullable=False) for name in definition.measures),
        ]
    )


def coded_columns(definition: FactDefinition, schema: TableSchema) -> list[str]:
    """Text columns that measures test or count, which folding reads as dictionaries."""
    kinds = (ColumnType.CODE, ColumnType.SUBJECT)
    return [
        name
        for name in definition.source_columns
        if name != "subject_id" and schema.column(name).type in kinds
    ]


def touched_at(
    raw: pa.Table, at: datetime, before: datetime, schema: TableSchema, resolve: Resolver
) -> np.ndarray:
    """Subjects whose facts may change at a moment, sorted; `before` is the moment that came before it."""
    if not resolve.replaces(at):
        return _touched(raw, pa.scalar(at, KNOWN_AT), schema)
    there = [resolve(raw, moment).column("subject_no").to_numpy() for moment in (before, at)]
    return np.union1d(*there)


def known_of(subjects: np.ndarray, raw: pa.Table, at: datetime, resolve: Resolver) -> pa.Table:
    """Rows of these subjects that stand as known at a moment.

    Where the business key doesn't name the subject, versions are told apart among the rows of all holders: a meter that has
    passed on must not come back to its former holder because the new one's row isn't looked at.
    """
    wanted = pa.array(subjects, pa.int32())
    theirs = pc.is_in(raw.column("subject_no"), wanted)
    name = _key_of_no_subject(resolve.schema)
    if name is None:
        return resolve(raw.filter(theirs), at)
    keys = raw.column(name)
    known = resolve(raw.filter(pc.is_in(keys, keys.filter(theirs).combine_chunks())), at)
    return known.filter(pc.is_in(known.column("subject_no"), wanted))


def _key_of_no_subject(schema: TableSchema) -> str | None:
    """A column of the business key where that doesn't name the subject (an account, a case)."""
    if not schema.business_key or "subject_id" in schema.business_key:
        return None
    return next(column for column in schema.business_key if column != "period")


def _touched(raw: pa.Table, moment: pa.Scalar, schema: TableSchema) -> np.ndarray:
    """Subjects whose facts may change by what arrived at the moment, sorted.

    Those of the rows themselves; and where the business key doesn't name the subject (an account, a case), those of
    other rows under the same key: a meter that passes to another holder leaves the first one's facts.
    """
    # Rows of later moments have no say: who holds an account later must not show in what was known now.
    received, numbers = raw.column("received_at"), raw.column("subject_no").to_numpy()
    arrived = pc.equal(received, moment).to_numpy(zero_copy_only=False)
    subjects = numbers[arrived]
    name = _key_of_no_subject(schema)
    if name is not None:
        keys = raw.column(name)
        meant = keys.take(pa.array(np.flatnonzero(arrived))).combine_chunks()
        same = pc.and_(pc.less_equal(received, moment), pc.is_in(keys, meant))
        subjects = np.concatenate([subjects, numbers[same.to_numpy(zero_copy_only=False)]])
    return np.unique(subjects)


@dataclass(frozen=True)
class Shape:
    """What is folded: the measures, the table's columns and the month that the rows are filed under."""

    definition: FactDefinition
    schema: TableSchema
    month: Month | None

    @property
    def last_month(self) -> Month:
        """The month, for measures that reckon with its end."""
        if self.month is None:
            raise ValueError(
                f"the facts {self.definition.facts} reckon with the month's end: fold_month needs `month`"
            )
        return self.month


def block_at(
    rows: pa.Table,
    shape: Shape,
    moment: pa.Scalar,
    touched: np.ndarray | None,
    fold_by: Callable[[pa.Table, Shape, np.ndarray], MonthFold] | None = None,
) -> pa.Table:
    """The facts of `touched` (None: of everybody with a row) from the rows that stand as known at the moment."""
    definition = shape.definition
    numbers = rows.column("subject_no").to_numpy()
    if len(numbers) and (np.diff(numbers) < 0).any():
        order = np.argsort(numbers, kind="stable")
        rows, numbers = rows.take(pa.array(order)), numbers[order]
    starts = (
        np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]]) if len(numbers) else np.empty(0, np.int64)
    )
    fold = (fold_by or MonthFold)(rows, shape, starts)
    present = numbers[starts]
    everyone = present if touched is None else touched.astype(np.int32)
    columns: dict[str, pa.Array] = {
        "subject_no": pa.array(everyone, pa.int32()),
        "known_at": pa.repeat(moment, len(everyone)),
    }
    where = np.searchsorted(everyone, present)
    for name, measure in definition.measures.items():
        values, missing = fold.measure(measure)
        if values.dtype.kind == "i" and len(values) and np.abs(values).max() > _EXACT:
            raise GsceneError(
                f"a month of one subject sums up to more than {_EXACT} in the measure {name} of {definition.facts}.",
                "Check the unit of the source column; the contract's range should have refused such amounts.",
            )
        full = np.full(len(everyone), np.nan)
        full[where] = values
        full[where[missing]] = np.nan
        columns[name] = pa.array(full)
    return pa.table(columns, schema=fact_schema(definition))


class MonthFold:
    """Measures over rows that are sorted by subject; `starts` are the first rows of each subject."""

    def __init__(
        self,
        rows: pa.Table,
        shape: Shape,
        starts: np.ndarray,
    ) -> None:
        self.rows = rows
        self.definition = shape.definition
        self.schema = shape.schema
        self.shape = shape
        self.starts = starts
        self.lengths = np.diff(np.r_[starts, rows.num_rows])
        self._columns: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._codes: dict[str, tuple[np.ndarray, pa.Array]] = {}
        self._masks: dict[str, np.ndarray] = {}

    def measure(self, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
        """Values and missing flags, each of shape (subjects,)."""
        if not len(self.starts):
            return np.empty(0), np.empty(0, dtype=bool)
        keep = self._where(measure.where, measure.adverse)
        return getattr(self, f"_{measure.agg}")(measure, keep)

    # -- aggregations ----------------------------------------------------------------------------------------------

    def _count(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        counts = self.lengths if keep is None else np.add.reduceat(keep, self.starts, dtype=np.int64)
        return counts, np.zeros(len(counts), dtype=bool)

    def _sum(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        values, missing = self._values(measure.column or "")
        use = ~missing if keep is None else keep & ~missing
        against = self._where(measure.minus)
        if against is not None:
            values = np.where(against, -values, values)
        if values.dtype.kind == "f":
            whole = np.rint(np.where(use, values, 0.0) * QUANTITY_PARTS).astype(np.int64)
            total = np.add.reduceat(whole, self.starts) / QUANTITY_PARTS
        else:
            total = np.add.reduceat(np.where(use, values, values.dtype.type(0)), self.starts)
        return total, np.zeros(len(total), dtype=bool)

    def _max(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return self._extreme(measure, keep, np.maximum, -1)

    def _min(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return self._extreme(measure, keep, np.minimum, +1)

    def _identity(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        codes, texts = self._encoded(measure.column or "")
        use = codes >= 0 if keep is None else keep & (codes >= 0)
        # The place behind the last text stands for rows that don't count: greater than any identity.
        numbers = np.append(identity_numbers(texts), np.iinfo(np.int64).max)
        found = np.minimum.reduceat(numbers[np.where(use, codes, -1)], self.starts)
        none = ~np.logical_or.reduceat(use, self.starts)
        return np.where(none, 0, found), none

    def _extreme(
        self, measure: Measure, keep: np.ndarray | None, pick: np.ufunc, sign: int
    ) -> tuple[np.ndarray, np.ndarray]:
        values, missing = self._values(measure.column or "")
        use = ~missing if keep is None else keep & ~missing
        neutral = sign * (np.iinfo(values.dtype).max if values.dtype.kind == "i" else np.inf)
        found = pick.reduceat(np.where(use, values, values.dtype.type(neutral)), self.starts)
        none = ~np.logical_or.reduceat(use, self.starts)
        return np.where(none, values.dtype.type(0), found), none

    def _distinct(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        subject, _, _ = self.pairs(measure, keep)
        return np.bincount(subject, minlength=len(self.starts)), np.zeros(len(self.starts), dtype=bool)

    def _top_share(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        subject, amounts, total = self.pairs(measure, keep)
        order = np.lexsort((-amounts, subject))
        subject, amounts = subject[order], amounts[order]
        rank = np.arange(len(subject)) - np.searchsorted(subject, subject)
        top = np.bincount(
            subject,
            np.where(rank < measure.top, amounts, 0),
            minlength=len(self.starts),
        )
        return _ratio(top, total)

    def _hhi(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        subject, amounts, total = self.pairs(measure, keep)
        squares = np.bincount(subject, amounts.astype(np.float64) ** 2, minlength=len(self.starts))
        return _ratio(squares, total.astype(np.float64) ** 2)

    def _max_gap(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        values, missing = self._values(measure.column or "")
        use = ~missing if keep is None else keep & ~missing
        subject, days = self._subject_of_row()[use], values[use]
        order = np.lexsort((days, subject))
        subject, days = subject[order], days[order]
        gaps = (
            np.where(subject[1:] == subject[:-1], days[1:] - days[:-1], 0) if len(days) > 1 else np.empty(0)
        )
        longest = np.zeros(len(self.starts))
        np.maximum.at(longest, subject[1:], gaps)
        return longest, np.bincount(subject, minlength=len(self.starts)) == 0

    def _code_rank(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        codes, texts = self._encoded(measure.column or "")
        position = pc.index_in(texts, pa.array(measure.ranks))
        ranks = np.append(pc.fill_null(position, -1).to_numpy().astype(np.int64), -1)[codes]
        use = ranks >= 0 if keep is None else keep & (ranks >= 0)
        worst = np.maximum.reduceat(np.where(use, ranks, -1), self.starts)
        return np.maximum(worst, 0), worst < 0

    # -- columns ---------------------------------------------------------------------------------------------------

    def pairs(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct (subject, value of `column`) pairs: subject position, amount of `by`; and the total per subject."""
        codes, texts = self._encoded(measure.column or "")
        use = codes >= 0 if keep is None else keep & (codes >= 0)
        pair = self._subject_of_row()[use] * (len(texts) + 1) + codes[use]
        unique, inverse = np.unique(pair, return_inverse=True)
        subject = unique // (len(texts) + 1)
        if measure.by is None:
            return subject, np.ones(len(subject)), np.empty(0)
        values, missing = self._values(measure.by)
        # Fen below 2^53 add up exactly in float64, so the order of rows doesn't matter here either.
        amounts = np.bincount(inverse, np.where(missing, 0, values)[use], minlength=len(unique))
        return (
            subject,
            amounts,
            np.bincount(subject, amounts, minlength=len(self.starts)),
        )

    def _subject_of_row(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    def _encoded(self, name: str) -> tuple[np.ndarray, pa.Array]:
        """A text column as positions (-1 = missing) among its different texts, int64 (rows,)."""
        if name not in self._codes:
            column = self.rows.column(name)
            column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
            whole = column.unify_dictionaries().combine_chunks()
            whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
            codes = pc.fill_null(whole.indices, -1).to_numpy(zero_copy_only=False)
            self._codes[name] = codes.astype(np.int64), whole.dictionary
        return self._codes[name]

    def _values(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column as numbers (fen, days since 1970, 0/1, int64 or float64) and its missing flags."""
        if name not in self._columns:
            self._columns[name] = self._read(name)
        return self._columns[name]

    def _read(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        derived = self.definition.derive.get(name)
        if derived is not None:
            return derived.values(self._days)
        if name == PERIOD_END:
            last_day = np.datetime64(self.shape.last_month.last_day).astype(np.int64)
            return np.full(self.rows.num_rows, last_day), np.zeros(self.rows.num_rows, dtype=bool)
        column = self.rows.column(name)
        missing = column.is_null().to_numpy() if column.null_count else np.zeros(len(column), dtype=bool)
        kind = self.schema.column(name).type
        if kind is ColumnType.MONEY:
            return fen(column), missing
        if kind is ColumnType.DATE:
            return pc.fill_null(column.cast(pa.int32()), 0).to_numpy().astype(np.int64), missing
        if kind is ColumnType.FLOAT:
            return pc.fill_null(column, 0.0).to_numpy(), missing
        return pc.fill_null(column.cast(pa.int64()), 0).to_numpy(), missing

    def _days(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Dates, or the days in China of moments, as days since 1970, and their missing flags."""
        if name == PERIOD_END or self.schema.column(name).type is not ColumnType.TIME:
            return self._values(name)
        moments = self.rows.column(name)
        china = pc.fill_null(moments.cast(pa.int64()), 0).to_numpy() + CHINA_AHEAD_US
        return china // _DAY_MICROSECONDS, moments.is_null().to_numpy()

    def _where(
        self, conditions: Mapping[str, Condition], adverse: Adverse | None = None
    ) -> np.ndarray | None:
        mask: np.ndarray | None = None
        for name, condition in conditions.items():
            test = self._test(name, condition)
            mask = test if mask is None else mask & test
        if adverse is not None and not adverse.own_month:
            young = self._counts_still(adverse)
            mask = young if mask is None else mask & young
        return mask

    def _counts_still(self, adverse: Adverse) -> np.ndarray:
        """Rows of events that haven't grown old by the month: ended less than `months` months back, or still going on."""
        day, unknown = np.zeros(self.rows.num_rows, np.int64), np.ones(self.rows.num_rows, dtype=bool)
        for name in (adverse.date, adverse.end):
            if name is not None:
                told, missing = self._values(name)
                day, unknown = np.where(missing, day, told), unknown & missing
        ended = day.astype("M8[D]").astype("M8[M]").astype(np.int64) + 12 * 1970
        return unknown | (self.shape.last_month.index - ended < adverse.months)

    def _test(self, name: str, condition: Condition) -> np.ndarray:
        key = f"{name}:{condition!r}"
        if key not in self._masks:
            self._masks[key] = self._evaluate(name, condition)
        return self._masks[key]

    def _evaluate(self, name: str, condition: Condition) -> np.ndarray:
        if isinstance(condition, Comparison):
            values, missing = (
                self._values(name)
                if name in self.definition.derive or condition.missing is None
                else (np.empty(0), self.rows.column(name).is_null().to_numpy())
            )
            if condition.missing is not None:
                return missing == condition.missing
            scale = 100 if self._is_money(name) else 1
            if condition.among is not None:
                return np.isin(values, np.array(condition.among) * scale) & ~missing
            test, bound = next(
                (test, bound)
                for test, bound in (
                    (np.greater, condition.gt),
                    (np.greater_equal, condition.ge),
                    (np.less, condition.lt),
                    (np.less_equal, condition.le),
                )
                if bound is not None
            )
            return test(values, bound * scale) & ~missing
        if isinstance(condition, bool):
            return pc.fill_null(pc.equal(self.rows.column(name), condition), False).to_numpy()
        wanted = [condition] if isinstance(condition, str) else condition
        codes, texts = self._encoded(name)
        meant = pc.is_in(texts, pa.array(wanted, pa.string())).to_numpy(zero_copy_only=False)
        return np.append(meant, False)[codes]

    def _is_money(self, name: str) -> bool:
        return name not in self.definition.derive and self.schema.column(name).type is ColumnType.MONEY


def _ratio(part: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nothing = whole <= 0
    return np.divide(part, whole, out=np.zeros(len(whole)), where=~nothing), nothing
