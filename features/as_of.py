"""Features at an as-of month: windows over the monthly facts, as known at that month's knowledge cutoff.

Grain: subject x as-of month. Subjects are streamed in chunks, so memory depends on the chunk and not on the population. A row
exists for every subject of which any source had told anything by the cutoff, within the longest window - and, where consents
are given, of whom the subject's consents let that source be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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
    first = min(as_of).plus(1 - feature_set.months_back)
    months = month_range(first, max(as_of))
    sources = {
        name: MonthlyFacts(store, definition.fact_table, months)
        for name, definition in feature_set.facts.items()
    }
    subjects = max((source.subjects() for source in sources.values()), default=0)
    plan = Plan(feature_set, min(chunk, subjects))
    for low in range(0, subjects, chunk):
        high = min(low + chunk, subjects)
        blocks = {
            name: {
                month: source.blocks(month, low, high, plan.measures_at(name, month, as_of))
                for month in months
            }
            for name, source in sources.items()
        }
        for month in as_of:
            cutoff = moment(known_at or knowledge_cutoff(month, cutoff_days))
            mask = None if consents is None else consents[month]
            counted = (
                ineligible if ineligible is None or isinstance(ineligible, Ineligible) else ineligible[month]
            )
            yield month, _features(plan, _Chunk(low, high, blocks), month, cutoff, mask, counted)


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


class Plan:
    """What a feature set needs of the facts, and in which order: features by the measures that they look at."""

    def __init__(self, feature_set: FeatureSet, subjects: int) -> None:
        self.feature_set = feature_set
        self.months_back: dict[MeasureKey, int] = {}
        self.groups: dict[tuple[MeasureKey, ...], list[int]] = {}
        for place, feature in enumerate(feature_set.features):
            keys = feature.sides
            self.groups.setdefault(keys, []).append(place)
            for key in keys:
                self.months_back[key] = max(self.months_back.get(key, 0), feature.months_back)
        # One measure's months side by side for one tile: filled again and again, so that it stays in the cache.
        self.buffers = [np.empty((feature_set.months_back, TILE)) for _ in range(2)]
        self.columns = np.empty((len(feature_set.features), subjects))

    def measures_at(self, facts: str, month: Month, as_of: Sequence[Month]) -> list[str]:
        """Measures of a source that some feature at one of the as-of months needs of this month."""
        ages = [each.index - month.index for each in as_of if each >= month]
        return sorted(
            measure
            for (source, measure), back in self.months_back.items()
            if source == facts and any(age < back for age in ages)
        )

    def side_by_side(
        self,
        buffer: np.ndarray,
        key: MeasureKey,
        chunk: _Chunk,
        tile: int,
        as_of: Month,
        cutoff: np.datetime64,
    ) -> np.ndarray:
        """A measure's months of one tile as known at the cutoff, float64 (months, TILE), oldest first, NaN = no record.

        Where a source lists events only (`absent: zero`), a month delivered by the cutoff gives 0 to subjects without a row.
        """
        from features.month_kernels import lay

        facts, measure = key
        months = buffer[: self.months_back[key]]
        zero = self.feature_set.facts[facts].absent == "zero"
        for place, row in enumerate(months):
            block = chunk.blocks[facts].get(as_of.plus(place + 1 - len(months)))
            if block is None:
                row.fill(np.nan)
                continue
            absent = 0.0 if zero and block.delivered_by(cutoff) else np.nan
            ranges = block.tile_ranges(TILE, chunk.tiles)
            lay(row, ranges, tile, block.position, block.measures[measure], block.known(cutoff), absent)
        return months


@dataclass(frozen=True)
class _Chunk:
    """Facts of the subjects low <= subject_no < high, all versions."""

    low: int
    high: int
    blocks: dict[str, dict[Month, FactBlocks | None]]

    @property
    def tiles(self) -> int:
        """Number of tiles, the last one perhaps not full."""
        return -(-(self.high - self.low) // TILE)

    def told_of(self, first: Month, last: Month, cutoff: np.datetime64) -> dict[str, np.ndarray]:
        """Whether a source told anything of a subject in these months by the cutoff, bool (subjects,), by source."""
        from features.month_kernels import known_subjects

        return {
            name: known_subjects(
                [block for month, block in months.items() if block is not None and first <= month <= last],
                self.high - self.low,
                cutoff,
            )
            for name, months in self.blocks.items()
        }


def _features(
    plan: Plan,
    chunk: _Chunk,
    as_of: Month,
    cutoff: np.datetime64,
    consents: ConsentMask | None,
    ineligible: Ineligible | None,
) -> pa.Table:
    from features.window_kernels import KERNELS
    from features.window_kernels_of_two import KERNELS_OF_TWO

    feature_set = plan.feature_set
    columns = plan.columns[:, : chunk.high - chunk.low]
    for keys, places in plan.groups.items():
        for tile in range(chunk.tiles):
            start, stop = tile * TILE, min((tile + 1) * TILE, chunk.high - chunk.low)
            sides = [
                plan.side_by_side(buffer, key, chunk, tile, as_of, cutoff)
                for buffer, key in zip(plan.buffers, keys, strict=False)
            ]
            for place in places:
                feature = feature_set.features[place]
                windows = [side[len(side) - feature.months_back :] for side in sides]
                kernel = KERNELS_OF_TWO if len(keys) == 2 else KERNELS
                values = kernel[feature.formula](*windows)
                scale = feature.scale_at(as_of, cutoff)
                np.multiply(values[: stop - start], scale, out=columns[place, start:stop])
    told_of = chunk.told_of(as_of.plus(1 - feature_set.months_back), as_of, cutoff)
    subjects = slice(chunk.low, chunk.high)
    known = entitled_rows(told_of, subjects, consents, ineligible)
    if consents is not None:
        for row, feature in zip(columns, feature_set.features, strict=True):
            row[~consents.cells(feature, subjects)] = np.nan
    numbers = (np.flatnonzero(known) + chunk.low).astype(np.int32)
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
