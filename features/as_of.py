"""Features at an as-of month: windows over the monthly facts, as known at that month's knowledge cutoff.

Grain: subject x as-of month. Subjects are streamed in chunks, so memory depends on the chunk and not on the population. A row
exists for every subject of which any source had told anything by the cutoff, within the longest window - and, where consents
are given, of whom the subject's consents let that source be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from core.months import CUTOFF_DAYS, Month, knowledge_cutoff, month_range
from core.table_store import CHUNK, TableStore
from features.catalogue import FeatureSet
from features.consent_mask import ConsentMask
from features.ineligible import Ineligible
from features.monthly_facts import FactBlocks, MonthlyFacts, moment

#: Subjects whose months fit the processor's second cache together: windows over more of them wait for memory.
TILE = 8192

#: One measure of one source.
MeasureKey = tuple[str, str]


def features_at(
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Sequence[Month],
    *,
    cutoff_days: int = CUTOFF_DAYS,
    chunk: int = CHUNK,
    consents: Mapping[Month, ConsentMask] | None = None,
    ineligible: Ineligible | Mapping[Month, Ineligible] | None = None,
    known_at: datetime | None = None,
) -> Iterator[tuple[Month, pa.Table]]:
    """Yield (as-of month, table) chunk by chunk: subject_no int32, then one float64 column per feature (NaN = missing).

    Several as-of months share one reading of the facts. For one month, chunks come in the order of subject_no. `consents`
    blanks what a subject's consents don't allow (None: everything is allowed, for measuring and for made-up worlds) and
    `ineligible` counts whom, of all months together or of each. `known_at` (aware) takes the place of every month's own cutoff.
    """
    # The months of a chunk are let go together: Arrow's own pools would hand the pages back and fault them in again (a fifth of
    # the time), malloc keeps them.
    pa.set_memory_pool(pa.system_memory_pool())
    months = _months_looked_at(feature_set, as_of)
    sources = {
        name: MonthlyFacts(store, definition.fact_table, months)
        for name, definition in feature_set.facts.items()
    }
    subjects = max((source.subjects() for source in sources.values()), default=0)
    cutoffs = [moment(known_at or knowledge_cutoff(month, cutoff_days)) for month in as_of]
    plan = Plan(feature_set, as_of, cutoffs, min(chunk, subjects))
    masks = [None if consents is None else consents[month] for month in as_of]
    counts = [ineligible[month] if isinstance(ineligible, Mapping) else ineligible for month in as_of]
    for low in range(0, subjects, chunk):
        high = min(low + chunk, subjects)
        blocks = {
            name: [source.blocks(month, low, high, plan.measures_at(name, month)) for month in plan.months]
            for name, source in sources.items()
        }
        yield from _features(plan, _Chunk(low, high, blocks), masks, counts)


def feature_table(
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    cutoff_days: int = CUTOFF_DAYS,
    chunk: int = CHUNK,
    consents: ConsentMask | None = None,
    ineligible: Ineligible | None = None,
) -> pa.Table:
    """Features of one as-of month as one table."""
    made = features_at(
        store,
        feature_set,
        [as_of],
        cutoff_days=cutoff_days,
        chunk=chunk,
        consents=None if consents is None else {as_of: consents},
        ineligible=ineligible,
    )
    chunks = [table for _, table in made]
    return pa.concat_tables(chunks) if chunks else feature_schema(feature_set).empty_table()


def feature_schema(feature_set: FeatureSet) -> pa.Schema:
    """Columns of the feature table."""
    return pa.schema(
        [
            pa.field("subject_no", pa.int32(), nullable=False),
            *(pa.field(name, pa.float64(), nullable=False) for name in feature_set.names),
        ]
    )


def _months_looked_at(feature_set: FeatureSet, as_of: Sequence[Month]) -> list[Month]:
    return month_range(min(as_of).plus(1 - feature_set.months_back), max(as_of))


class Plan:
    """What as-of months of a feature set need of the facts, in which order, and where it is worked out."""

    def __init__(
        self,
        feature_set: FeatureSet,
        as_of: Sequence[Month],
        cutoffs: Sequence[np.datetime64],
        subjects: int,
    ) -> None:
        self.feature_set, self.as_of, self.cutoffs = feature_set, as_of, cutoffs
        self.months = _months_looked_at(feature_set, as_of)
        self.months_back: dict[MeasureKey, int] = {}
        groups: dict[tuple[MeasureKey, ...], list[int]] = {}
        for place, feature in enumerate(feature_set.features):
            groups.setdefault(feature.sides, []).append(place)
            for key in feature.sides:
                self.months_back[key] = max(self.months_back.get(key, 0), feature.months_back)
        # Features by the measures that they look at; those that share the first one follow one another.
        self.groups = sorted(groups.items())
        # By as-of month, the same for all tiles: where each feature looks and what scales it, how much of a measure any needs.
        self.windows = [[self.window(month, f.months_back) for f in feature_set.features] for month in as_of]
        self.scopes = [
            {key: self.window(month, back) for key, back in self.months_back.items()} for month in as_of
        ]
        self.scales = np.array(
            [
                [feature.scale_at(month, cutoff) for feature in feature_set.features]
                for month, cutoff in zip(as_of, cutoffs, strict=True)
            ]
        )
        self.sides = [_Side(len(self.months)) for _ in range(2)]
        # Of one month a chunk of subjects is held until it is full; of several, a tile of each.
        self.span = subjects if len(as_of) == 1 else min(subjects, TILE)
        self.columns = np.empty((len(as_of), len(feature_set.features), self.span))

    def measures_at(self, facts: str, month: Month) -> list[str]:
        """Measures of a source that some feature at one of the as-of months needs of this month."""
        ages = [each.index - month.index for each in self.as_of if each >= month]
        return sorted(
            measure
            for (source, measure), back in self.months_back.items()
            if source == facts and any(age < back for age in ages)
        )

    def window(self, as_of: Month, months_back: int) -> slice:
        """Where the `months_back` months up to an as-of month lie among the months."""
        end = as_of.index - self.months[0].index + 1
        return slice(end - months_back, end)


class _Side:
    """One measure's months side by side for one tile of subjects, float64 (months, TILE), oldest first, NaN = no record.

    Filled again and again, so that it stays in the cache; a month that is there as an as-of month knows it isn't laid out again.
    """

    def __init__(self, months: int) -> None:
        self.rows = np.empty((months, TILE))
        self._held: list[int] = []
        self._of: tuple[MeasureKey, int] | None = None

    def clear(self) -> None:
        """Other subjects follow: nothing that is laid out is theirs."""
        self._of = None

    def lay(self, key: MeasureKey, tile: int, seen: Sequence[_SeenMonth | None], window: slice) -> None:
        """Lay out the months of the window."""
        from features.month_kernels import lay

        if self._of != (key, tile):
            self._of, self._held = (key, tile), [-2] * len(self.rows)
        for place in range(window.start, window.stop):
            month = seen[place]
            version = -1 if month is None else month.version
            if self._held[place] == version:
                continue
            self._held[place] = version
            if month is None:
                self.rows[place].fill(np.nan)
                continue
            values = month.block.measures[key[1]]
            lay(self.rows[place], month.ranges, tile, month.block.position, values, month.known, month.absent)


class _SeenMonth(NamedTuple):
    """A month as a cutoff sees it. `absent`: what a subject without a row has; `version`: two cutoffs with the same see the
    same."""

    block: FactBlocks
    ranges: np.ndarray
    known: np.ndarray
    absent: float
    version: int


@dataclass(frozen=True)
class _Chunk:
    """Facts of the subjects low <= subject_no < high, all versions; by source, then month by month as the plan has them."""

    low: int
    high: int
    blocks: dict[str, list[FactBlocks | None]]

    @property
    def tiles(self) -> int:
        """Number of tiles, the last one perhaps not full."""
        return -(-(self.high - self.low) // TILE)

    def seen(self, facts: str, cutoff: np.datetime64, zero: bool) -> list[_SeenMonth | None]:
        """The months of a source as known at the cutoff.

        Where a source lists events only (`zero`), a month delivered by the cutoff gives 0 to subjects without a row.
        """
        found: list[_SeenMonth | None] = []
        for block in self.blocks[facts]:
            if block is None:
                found.append(None)
                continue
            known, delivered = block.known(cutoff), zero and block.delivered_by(cutoff)
            ranges = block.tile_ranges(TILE, self.tiles)
            # What is known only ever grows with the cutoff.
            version = 2 * int(np.count_nonzero(known)) + delivered
            found.append(_SeenMonth(block, ranges, known, 0.0 if delivered else np.nan, version))
        return found

    def told_of(self, window: slice, cutoff: np.datetime64) -> dict[str, np.ndarray]:
        """Whether a source told anything of a subject in these months by the cutoff, bool (subjects,), by source."""
        from features.month_kernels import known_subjects

        return {
            name: known_subjects(
                [block for block in blocks[window] if block is not None], self.high - self.low, cutoff
            )
            for name, blocks in self.blocks.items()
        }


def _features(
    plan: Plan,
    chunk: _Chunk,
    masks: Sequence[ConsentMask | None],
    counts: Sequence[Ineligible | None],
) -> Iterator[tuple[Month, pa.Table]]:
    for side in plan.sides:
        side.clear()
    facts = plan.feature_set.facts
    seen = [
        {name: chunk.seen(name, cutoff, facts[name].absent == "zero") for name in facts}
        for cutoff in plan.cutoffs
    ]
    longest = [plan.window(month, plan.feature_set.months_back) for month in plan.as_of]
    told_of = [chunk.told_of(window, cutoff) for window, cutoff in zip(longest, plan.cutoffs, strict=True)]
    subjects = chunk.high - chunk.low
    for low in range(0, subjects, plan.span):
        high = min(low + plan.span, subjects)
        for start in range(low, high, TILE):
            _fill_tile(plan, start // TILE, seen, slice(start - low, min(start + TILE, high) - low))
        for place, month in enumerate(plan.as_of):
            told = {name: of[low:high] for name, of in told_of[place].items()}
            columns = plan.columns[place, :, : high - low]
            rows = slice(chunk.low + low, chunk.low + high)
            yield month, _table(plan.feature_set, columns, rows, told, masks[place], counts[place])


def _fill_tile(
    plan: Plan,
    tile: int,
    seen: Sequence[Mapping[str, Sequence[_SeenMonth | None]]],
    subjects: slice,
) -> None:
    """Work out every feature of one tile at every as-of month into the plan's columns `subjects`."""
    from features.window_kernels import KERNELS
    from features.window_kernels_of_two import KERNELS_OF_TWO

    width = subjects.stop - subjects.start
    for keys, places in plan.groups:
        kernels = KERNELS_OF_TWO if len(keys) == 2 else KERNELS
        sides = plan.sides[: len(keys)]
        for at in range(len(plan.as_of)):
            for side, key in zip(sides, keys, strict=True):
                side.lay(key, tile, seen[at][key[0]], plan.scopes[at][key])
            for place in places:
                window = plan.windows[at][place]
                formula = plan.feature_set.features[place].formula
                values = kernels[formula](*(side.rows[window] for side in sides))
                np.multiply(values[:width], plan.scales[at, place], out=plan.columns[at, place, subjects])


def _table(
    feature_set: FeatureSet,
    columns: np.ndarray,
    subjects: slice,
    told_of: dict[str, np.ndarray],
    consents: ConsentMask | None,
    ineligible: Ineligible | None,
) -> pa.Table:
    """Rows of the subjects that any source knows, from `columns` (features, subjects), blanked there where consents say so."""
    known = entitled_rows(told_of, subjects, consents, ineligible)
    if consents is not None:
        for row, feature in zip(columns, feature_set.features, strict=True):
            row[~consents.cells(feature, subjects)] = np.nan
    numbers = (np.flatnonzero(known) + subjects.start).astype(np.int32)
    found = [pa.array(row[known]) for row in columns]
    return pa.table([pa.array(numbers), *found], schema=feature_schema(feature_set))


def entitled_rows(
    told_of: dict[str, np.ndarray],
    subjects: slice,
    consents: ConsentMask | None,
    ineligible: Ineligible | None,
) -> np.ndarray:
    """Whether any source knows the subject that may be seen, bool (subjects,); the others are counted."""
    nobody = np.zeros(subjects.stop - subjects.start, dtype=bool)
    everyone = np.logical_or.reduce([nobody, *told_of.values()])
    if consents is None:
        return everyone
    known = np.logical_or.reduce(
        [nobody, *(told_of[name] & consents.records(name, subjects) for name in consents.sources)]
    )
    if ineligible is not None:
        for purpose, facts, reasons in consents.questions():
            ineligible.add(purpose, facts, reasons[subjects][told_of[facts]])
        ineligible.without_any += int((everyone & ~known).sum())
    return known
