"""Features at an as-of month: windows over the monthly facts, as known at that month's knowledge cutoff.

Grain: subject x as-of month. Subjects are streamed in chunks, so memory depends on the chunk and not on the population. A row
exists for every subject of which any source had told anything by the cutoff, within the longest window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa

from core.months import CUTOFF_DAYS, Month, knowledge_cutoff, month_range
from core.table_store import CHUNK, TableStore
from features.catalogue import Feature, FeatureSet
from features.monthly_facts import FactBlocks, MonthlyFacts

#: Subjects whose months fit the processor's second cache together: windows over more of them wait for memory.
TILE = 4096

#: One measure of one source.
MeasureKey = tuple[str, str]


def features_at(
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Sequence[Month],
    *,
    cutoff_days: int = CUTOFF_DAYS,
    chunk: int = CHUNK,
) -> Iterator[tuple[Month, pa.Table]]:
    """Yield (as-of month, table) chunk by chunk: subject_no int32, then one float64 column per feature (NaN = missing).

    Several as-of months share one reading of the facts. For one month, chunks come in the order of subject_no.
    """
    first = min(as_of).plus(1 - feature_set.months_back)
    months = month_range(first, max(as_of))
    sources = {
        name: MonthlyFacts(store, definition.fact_table, months)
        for name, definition in feature_set.facts.items()
    }
    subjects = max((source.subjects() for source in sources.values()), default=0)
    side_by_side = SideBySide(feature_set, min(chunk, max(subjects, 1)))
    for low in range(0, subjects, chunk):
        high = min(low + chunk, subjects)
        blocks = {
            name: {
                month: source.blocks(month, low, high, side_by_side.measures_at(name, month, as_of))
                for month in months
            }
            for name, source in sources.items()
        }
        for month in as_of:
            cutoff = knowledge_cutoff(month, cutoff_days)
            yield month, _chunk(feature_set, blocks, side_by_side, month, cutoff, low, high)


def feature_table(
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    cutoff_days: int = CUTOFF_DAYS,
    chunk: int = CHUNK,
) -> pa.Table:
    """Features of one as-of month as one table."""
    chunks = [
        table for _, table in features_at(store, feature_set, [as_of], cutoff_days=cutoff_days, chunk=chunk)
    ]
    return pa.concat_tables(chunks) if chunks else feature_schema(feature_set).empty_table()


def feature_schema(feature_set: FeatureSet) -> pa.Schema:
    """Columns of the feature table."""
    return pa.schema(
        [
            pa.field("subject_no", pa.int32(), nullable=False),
            *(pa.field(name, pa.float64(), nullable=False) for name in feature_set.names),
        ]
    )


@dataclass
class SideBySide:
    """Each measure's months side by side: one float64 array (tiles, months, TILE) a measure, oldest month first, NaN = no record.

    Made once and filled again for every chunk and as-of month. A measure has as many months as its longest formula looks at.
    """

    feature_set: FeatureSet
    subjects: int
    months_back: dict[MeasureKey, int] = field(init=False)
    arrays: dict[MeasureKey, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        self.months_back = {}
        for feature in self.feature_set.features:
            sides = [(feature.facts, feature.measure)]
            if feature.over is not None:
                sides.append((feature.over_facts, feature.over))
            for key in sides:
                self.months_back[key] = max(self.months_back.get(key, 0), feature.months_back)
        tiles = -(-self.subjects // TILE)
        self.arrays = {key: np.empty((tiles, back, TILE)) for key, back in self.months_back.items()}

    def measures_at(self, facts: str, month: Month, as_of: Sequence[Month]) -> list[str]:
        """Measures of a source that some feature at one of the as-of months needs of this month."""
        ages = [each.index - month.index for each in as_of if each >= month]
        return sorted(
            measure
            for (source, measure), back in self.months_back.items()
            if source == facts and any(age < back for age in ages)
        )

    def fill(self, blocks: dict[str, dict[Month, FactBlocks | None]], as_of: Month, cutoff: datetime) -> None:
        """Lay every measure out as known at the cutoff.

        Where a source lists events only (`absent: zero`), a month delivered by the cutoff gives 0 to subjects without a row.
        """
        from features.month_kernels import clear, lay

        for (facts, measure), array in self.arrays.items():
            zero = self.feature_set.facts[facts].absent == "zero"
            for place in range(array.shape[1]):
                block = blocks[facts].get(as_of.plus(place + 1 - array.shape[1]))
                clear(array, place)
                if block is not None:
                    absent = 0.0 if zero and block.delivered_by(cutoff) else np.nan
                    lay(array, place, block.position, block.measures[measure], block.known(cutoff), absent)


def _chunk(
    feature_set: FeatureSet,
    blocks: dict[str, dict[Month, FactBlocks | None]],
    side_by_side: SideBySide,
    as_of: Month,
    cutoff: datetime,
    low: int,
    high: int,
) -> pa.Table:
    from features.month_kernels import known_subjects

    side_by_side.fill(blocks, as_of, cutoff)
    oldest = as_of.plus(1 - feature_set.months_back)
    recent = [
        block
        for months in blocks.values()
        for month, block in months.items()
        if block is not None and oldest <= month <= as_of
    ]
    known = known_subjects(recent, high - low, cutoff)
    columns = np.empty((len(feature_set.features), high - low))
    for tile, start in enumerate(range(0, high - low, TILE)):
        stop = min(start + TILE, high - low)
        for row, feature in zip(columns, feature_set.features, strict=True):
            row[start:stop] = _values(feature, side_by_side.arrays, tile)[: stop - start]
    numbers = (np.flatnonzero(known) + low).astype(np.int32)
    everyone = len(numbers) == high - low
    found = [pa.array(row if everyone else row[known]) for row in columns]
    return pa.table([pa.array(numbers), *found], schema=feature_schema(feature_set))


def _values(feature: Feature, arrays: dict[MeasureKey, np.ndarray], tile: int) -> np.ndarray:
    """One feature of every subject of a tile, float64 (TILE,)."""
    from features.window_kernels import KERNELS, share_of

    x = arrays[feature.facts, feature.measure][tile][-feature.months_back :]
    if feature.over is not None:
        values = share_of(x, arrays[feature.over_facts, feature.over][tile][-feature.months_back :])
    else:
        values = KERNELS[feature.formula](x)
    return values * feature.scale if feature.scale != 1.0 else values
