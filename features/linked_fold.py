"""Join the facts of a month with those of another subject that they name: at every moment what both said by then.

Grain of the result: subject x month x known_at, as of any facts. A restated month of either side is a newer row of the
subjects whose values it changes, and of nobody else; a subject that no longer names anybody gets a row of missing values. The
result follows from the folded facts alone, so joining a month again after a restatement gives what joining it for the first
time would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.fold import KNOWN_AT, by_chunk, fact_schema
from features.identity_number import identity_numbers
from features.linked_facts import LinkedFacts

#: Nobody is named.
NOBODY = -1


@dataclass(frozen=True)
class Numbering:
    """Who an identity means: `identities` sorted, each with its subject number."""

    identities: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(cls, pseudonyms: pa.Array) -> Numbering:
        """Of the pseudonyms of the numbers 0, 1, ... (null = erased). Two that share an identity can't be told apart: neither
        counts."""
        known = np.flatnonzero(~np.asarray(pseudonyms.is_null()))
        identities = identity_numbers(pseudonyms.take(pa.array(known)))
        found, first, times = np.unique(identities, return_index=True, return_counts=True)
        return cls(found[times == 1], known[first][times == 1])

    def look_up(self, identities: np.ndarray) -> np.ndarray:
        """Subject numbers of identities (float64, NaN = none), NOBODY where unknown, int64."""
        if not len(self.identities):
            return np.full(len(identities), NOBODY)
        asked = np.where(np.isnan(identities), 0, identities).astype(np.int64)
        place = np.minimum(np.searchsorted(self.identities, asked), len(self.identities) - 1)
        same = (self.identities[place] == asked) & ~np.isnan(identities)
        return np.where(same, self.numbers[place], NOBODY)


def fold_linked(
    link: pa.Table,
    other: Mapping[int, pa.Table],
    numbering: Numbering,
    definition: LinkedFacts,
    since: Mapping[int, np.datetime64] | None = None,
) -> pa.Table:
    """Linked facts of one month in the order of `features.fold.fold_month`.

    `link`: facts of the month that name the other; `other`: the other's facts by how many months before the month they are, where
    there are any; `since`: when each of these was first delivered, where that isn't its first row's moment.
    """
    state = _State(link, other, numbering, definition)
    state.since |= since or {}
    blocks = []
    for at in state.moments():
        changed = state.move_to(at)
        if len(changed):
            columns = dict(zip(definition.measures, state.written[changed].T, strict=True))
            rows = {
                "subject_no": pa.array(state.subjects[changed], pa.int32()),
                "known_at": _repeat(at, len(changed)),
            }
            blocks.append(pa.table(rows | columns, schema=fact_schema(definition)))
    return by_chunk(blocks) if blocks else fact_schema(definition).empty_table()


class _State:
    """What is known at one moment after the other; subjects by place among `subjects`, the others by number.

    `named`: whom each subject names; `written`: the values last written of each, (subjects, measures); `values`: by age the
    others' measures, (others, measures).
    """

    def __init__(
        self, link: pa.Table, other: Mapping[int, pa.Table], numbering: Numbering, definition: LinkedFacts
    ) -> None:
        self.definition = definition
        self.subjects, self.place = np.unique(link.column("subject_no").to_numpy(), return_inverse=True)
        # The last place of the others stands for whoever is named and unknown here: a source of events tells nothing of such
        # a one either.
        self.size = int(numbering.numbers.max(initial=-1)) + 2
        identities = link.column(definition.through.measure).to_numpy()
        known = numbering.look_up(identities)
        self.names = np.where(np.isnan(identities), NOBODY, np.where(known == NOBODY, self.size - 1, known))
        self.named = np.full(len(self.subjects), NOBODY)
        self.has_row = np.zeros(len(self.subjects), dtype=bool)
        self.written = np.full((len(self.subjects), len(definition.carry)), np.nan)
        ages = {0, *(carried.against for carried in definition.carry.values())}
        self.values = {age: np.full((self.size, len(definition.carry)), np.nan) for age in ages}
        self.told = dict.fromkeys(ages, False)
        self.other = {age: table for age, table in other.items() if age in ages}
        self.measures = {age: self._measures(table) for age, table in self.other.items()}
        self.link_moments = _Moments(link)
        self.other_moments = {age: _Moments(table) for age, table in self.other.items()}
        self.since = {age: each.at[0] for age, each in self.other_moments.items() if len(each.at)}

    def moments(self) -> np.ndarray:
        """When anything became known, ascending."""
        every = [each.at for each in (self.link_moments, *self.other_moments.values())]
        return np.unique(
            np.concatenate([*every, np.array(list(self.since.values()), dtype="datetime64[us]")])
        )

    def move_to(self, at: np.datetime64) -> np.ndarray:
        """Take in what became known at the moment; places of the subjects whose values are others now, or who have any now."""
        rows = self.link_moments.rows(at)
        self.named[self.place[rows]] = self.names[rows]
        self._learn_others(at)
        now = self._values_now()
        same = (now == self.written) | (np.isnan(now) & np.isnan(self.written))
        new = (self.named != NOBODY) & ~self.has_row
        self.written = now
        self.has_row |= new
        return np.flatnonzero(new | ~same.all(axis=1))

    def _learn_others(self, at: np.datetime64) -> None:
        zero = self.definition.other.absent == "zero"
        for age, moments in self.other_moments.items():
            if zero and not self.told[age] and age in self.since and self.since[age] <= at:
                self.values[age][:] = 0.0
                self.told[age] = True
            rows = moments.rows(at)
            numbers = self.other[age].column("subject_no").to_numpy()[rows]
            told = self.measures[age][rows]
            told = np.where(np.isnan(told), 0.0, told) if zero else told
            inside = numbers < self.size - 1
            self.values[age][numbers[inside]] = told[inside]

    def _values_now(self) -> np.ndarray:
        found = np.full(self.written.shape, np.nan)
        named = self.named != NOBODY
        for column, carried in enumerate(self.definition.carry.values()):
            value = self.values[0][self.named[named], column]
            if carried.against:
                then = self.values[carried.against][self.named[named], column]
                value = np.divide(value, then, out=np.full(len(value), np.nan), where=then > 0)
            found[named, column] = value
        return found

    def _measures(self, table: pa.Table) -> np.ndarray:
        columns = [table.column(carried.measure).to_numpy() for carried in self.definition.carry.values()]
        return np.column_stack(columns)


class _Moments:
    """Rows of a fact table by the moment at which they became known, in their order."""

    def __init__(self, table: pa.Table) -> None:
        known = table.column("known_at").cast(pa.timestamp("us")).to_numpy()
        self._order = np.argsort(known, kind="stable")
        self.at, self._start = np.unique(known[self._order], return_index=True)
        self._rows = len(known)

    def rows(self, at: np.datetime64) -> np.ndarray:
        """Places of the rows that became known at the moment."""
        place = int(np.searchsorted(self.at, at))
        if place == len(self.at) or self.at[place] != at:
            return self._order[:0]
        stop = self._start[place + 1] if place + 1 < len(self.at) else self._rows
        return self._order[self._start[place] : stop]


def _repeat(at: np.datetime64, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(at.astype("datetime64[us]").astype(np.int64), pa.int64()), count).cast(
        KNOWN_AT
    )
