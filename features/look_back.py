"""Fold a month against the months before it: which counterparties are new, which come back, which have gone.

No sketch stands in for the sets: the rows of the months looked back over are read again, so the counts are exact. The price is
known - folding a month decodes its look-back as well, and a restated month re-folds the months that look back on it - and is why
such measures stand in facts of their own. Restatements follow the two clocks like any other: whatever changes in a month is a
newer block of every month that looks back on it, with the moment at which the change became known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.months import Month
from core.table_schema import TableSchema
from features.fact_definition import FactDefinition, Measure
from features.fold import KNOWN_AT, MonthFold, Shape, block_at, by_chunk, fact_schema, known_of, touched_at
from sources.versions import KnownDelivery, Resolver

#: Raw rows of a month and the rule by which they become known.
RawMonth = tuple[pa.Table, Resolver]

#: Column that says how many months before the folded one a row's month is.
_AGE = "months_ago"


def fold_looking_back(
    months: Mapping[Month, RawMonth], month: Month, definition: FactDefinition, schema: TableSchema
) -> pa.Table:
    """Facts of `month` as `fold_month` gives them, for every subject with a row in it or in the months looked back over.

    `months` holds those of them that any row was delivered of. Nothing is told before something of the month itself is known. A
    delivery without rows delivers nothing: counting it once rows of its month came would change what had been told before.
    """
    raw, _ = months[month]
    if not raw.num_rows:
        return fact_schema(definition).empty_table()
    first = min(pc.unique(raw.column("received_at")).to_pylist())
    changes = {
        at
        for rows, rule in months.values()
        for at in [*pc.unique(rows.column("received_at")).to_pylist(), *rule.replacements]
    }
    moments = [first, *sorted(at for at in changes if at > first)]
    brought = {month.index - each.index: _with_rows(*raw_month) for each, raw_month in months.items()}
    blocks: list[pa.Table] = []
    for position, at in enumerate(moments):
        delivered = _delivered(brought, at)
        if position == 0:
            touched = None
        elif delivered != _delivered(brought, moments[position - 1]):
            touched = _everybody(months, at)
        else:
            before = moments[position - 1]
            each = [touched_at(rows, at, before, schema, rule) for rows, rule in months.values()]
            touched = np.unique(np.concatenate(each)).astype(np.int32)
        rows_then = _rows_then(months, month, at, touched)
        fold_by = partial(LookBackFold, delivered=delivered)
        shape = Shape(definition, schema, month)
        blocks.append(block_at(rows_then, shape, pa.scalar(at, KNOWN_AT), touched, fold_by))
    return by_chunk(blocks)


def _rows_then(
    months: Mapping[Month, RawMonth], month: Month, at: datetime, touched: np.ndarray | None
) -> pa.Table:
    """Rows of all months that stand as known at a moment, with their age; of `touched` only, unless None."""
    theirs = []
    for each, (rows, rule) in months.items():
        known = rule(rows, at) if touched is None else known_of(touched, rows, at, rule)
        age = pa.repeat(pa.scalar(month.index - each.index, pa.int32()), known.num_rows)
        theirs.append(known.append_column(_AGE, age))
    return pa.concat_tables(theirs)


def _with_rows(rows: pa.Table, rule: Resolver) -> list[KnownDelivery]:
    """The deliveries of a month that brought a row."""
    numbers = set(pc.unique(rows.column("delivery_no")).to_pylist())
    return [delivery for number, delivery in rule.deliveries.items() if number in numbers]


def _delivered(brought: Mapping[int, list[KnownDelivery]], at: datetime) -> frozenset[int]:
    """Ages of the months of which some delivery was known at a moment."""
    return frozenset(
        age for age, deliveries in brought.items() if any(each.known_at(at) for each in deliveries)
    )


def _everybody(months: Mapping[Month, RawMonth], at: datetime) -> np.ndarray:
    """Subjects of whom any row had come by a moment, sorted."""
    moment = pa.scalar(at, KNOWN_AT)
    each = [
        rows.filter(pc.less_equal(rows.column("received_at"), moment)).column("subject_no").to_numpy()
        for rows, _ in months.values()
    ]
    return np.unique(np.concatenate(each)).astype(np.int32)


class LookBackFold(MonthFold):
    """Measures over the rows of a month and of those before it, sorted by subject."""

    def __init__(
        self,
        rows: pa.Table,
        shape: Shape,
        starts: np.ndarray,
        delivered: frozenset[int],
    ) -> None:
        super().__init__(rows, shape, starts)
        self.delivered = delivered

    def measure(self, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
        """Values and missing flags, each of shape (subjects,); all missing where a month looked back over was never delivered."""
        values, missing = super().measure(measure)
        whole = self.delivered >= set(range(measure.back + 1))
        return values, missing if whole else np.ones(len(values), dtype=bool)

    def _first_seen(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return self._count_values(measure, keep, wanted=(0, 0), without=(1, measure.back))

    def _lapsed(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return self._count_values(
            measure, keep, wanted=(measure.back, measure.back), without=(0, measure.back - 1)
        )

    def _returning(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        now, _ = self._count_values(measure, keep, wanted=(0, 0), without=None)
        new, none = self._first_seen(measure, keep)
        return now - new, none

    def _returning_sum(self, measure: Measure, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        pair, use, age = self._rows_of_values(measure, keep)
        amounts, missing = self._values(measure.by or "")
        before = _any_row(pair, (age >= 1) & (age <= measure.back))
        chosen = (age == 0) & before[pair]
        total = np.zeros(len(self.starts), dtype=np.int64)
        np.add.at(total, self._subject_of_row()[use][chosen], np.where(missing, 0, amounts)[use][chosen])
        return total, np.zeros(len(total), dtype=bool)

    def _count_values(
        self,
        measure: Measure,
        keep: np.ndarray | None,
        wanted: tuple[int, int],
        without: tuple[int, int] | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Different values with a row of an age within `wanted` and none within `without`, int64 (subjects,)."""
        pair, use, age = self._rows_of_values(measure, keep)
        counted = _any_row(pair, (age >= wanted[0]) & (age <= wanted[1]))
        if without is not None:
            counted &= ~_any_row(pair, (age >= without[0]) & (age <= without[1]))
        subject = np.zeros(len(counted), dtype=np.int64)
        subject[pair] = self._subject_of_row()[use]
        found = np.bincount(subject[counted], minlength=len(self.starts))
        return found, np.zeros(len(self.starts), dtype=bool)

    def _rows_of_values(
        self, measure: Measure, keep: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the rows that count: number of their (subject, value) pair and age in months; and which rows they are."""
        codes, texts = self._encoded(measure.column or "")
        use = codes >= 0 if keep is None else keep & (codes >= 0)
        pairs = self._subject_of_row()[use] * (len(texts) + 1) + codes[use]
        _, pair = np.unique(pairs, return_inverse=True)
        age = self.rows.column(_AGE).to_numpy()[use]
        return pair, use, age


def _any_row(pair: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Whether any row of a pair passes, bool (pairs,)."""
    found = np.zeros(int(pair.max(initial=-1)) + 1, dtype=bool)
    found[pair[test]] = True
    return found
