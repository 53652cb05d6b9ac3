"""Features at an as-of month: windows over the monthly facts, as known at that month's knowledge cutoff.

Grain: subject x as-of month. Subjects are streamed in chunks, so memory depends on the chunk and not on the population. A row
exists for every subject of which any source had told anything by the cutoff, within the longest window - and, where consents
are given, of whom the subject's consents let that source be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from core.months import CUTOFF_DAYS, Month, knowledge_cutoff, month_range
from core.table_store import CHUNK, TableStore
from features.catalogue import Feature, FeatureSet
from features.consent_mask import ConsentMask
from features.ineligible import Ineligible
from features.monthly_facts import FactBlocks, MonthlyFacts, side_by_side
from features.windows import FORMULAS, Span, share_of

#: Subjects whose months fit the processor's cache together: windows over more of them wait for memory.
CACHED = 8192


def features_at(
    store: TableStore,
    feature_set: FeatureSet,
    as_of: Sequence[Month],
    *,
    cutoff_days: int = CUTOFF_DAYS,
    chunk: int = CHUNK,
    consents: Mapping[Month, ConsentMask] | None = None,
    ineligible: Ineligible | None = None,
) -> Iterator[tuple[Month, pa.Table]]:
    """Yield (as-of month, table) chunk by chunk: subject_no int32, then one float64 column per feature (null = missing).

    Several as-of months share one reading of the facts. For one month, chunks come in the order of subject_no. `consents`
    blanks what a subject's consents don't allow (None: everything is allowed, for measuring and for made-up worlds) and
    `ineligible` counts whom.
    """
    first = min(as_of).plus(1 - feature_set.months_back)
    months = month_range(first, max(as_of))
    sources = {
        name: MonthlyFacts(store, definition.fact_table, months)
        for name, definition in feature_set.facts.items()
    }
    subjects = max((source.subjects() for source in sources.values()), default=0)
    measures = _measures_by_source(feature_set)
    for low in range(0, subjects, chunk):
        high = min(low + chunk, subjects)
        blocks = {
            name: [source.blocks(month, low, high, measures[name]) for month in months]
            for name, source in sources.items()
        }
        for month in as_of:
            yield (
                month,
                _chunk(
                    feature_set,
                    blocks,
                    months,
                    month,
                    low,
                    high,
                    cutoff_days,
                    None if consents is None else consents[month],
                    ineligible,
                ),
            )


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
            pa.field("subject_no", pa.int32()),
            *(pa.field(name, pa.float64()) for name in feature_set.names),
        ]
    )


def _measures_by_source(feature_set: FeatureSet) -> dict[str, list[str]]:
    needed: dict[str, set[str]] = {name: set() for name in feature_set.facts}
    for feature in feature_set.features:
        needed[feature.facts].add(feature.measure)
        if feature.over is not None:
            needed[feature.over_facts].add(feature.over)
    return {name: sorted(measures) for name, measures in needed.items()}


def _chunk(
    feature_set: FeatureSet,
    blocks: dict[str, list[FactBlocks | None]],
    months: list[Month],
    as_of: Month,
    low: int,
    high: int,
    cutoff_days: int,
    consents: ConsentMask | None,
    ineligible: Ineligible | None,
) -> pa.Table:
    cutoff = knowledge_cutoff(as_of, cutoff_days)
    back = months.index(as_of) + 1
    begin = max(0, back - feature_set.months_back)
    recent = {name: source[begin:back] for name, source in blocks.items()}
    told_of = _known_subjects(recent, high - low, as_of, cutoff_days)
    known = _entitled(told_of, high - low, slice(low, high), consents, ineligible)
    arrays: dict[tuple[str, str], np.ndarray] = {}
    for facts, measures in _measures_by_source(feature_set).items():
        zero = feature_set.facts[facts].absent == "zero"
        for measure in measures:
            arrays[facts, measure] = side_by_side(recent[facts], measure, high - low, cutoff, zero)
    columns = np.empty((len(feature_set.features), high - low))
    for start in range(0, high - low, CACHED):
        stop = min(start + CACHED, high - low)
        spans = {name: Span(array[:, start:stop]) for name, array in arrays.items()}
        for row, feature in zip(columns, feature_set.features, strict=True):
            row[start:stop] = _values(feature, spans)
    if consents is not None:
        for row, feature in zip(columns, feature_set.features, strict=True):
            row[~consents.cells(feature, slice(low, high))] = np.nan
    numbers = pa.array((np.flatnonzero(known) + low).astype(np.int32))
    found = [pa.array(row[known], pa.float64(), from_pandas=True) for row in columns]
    return pa.table([numbers, *found], schema=feature_schema(feature_set))


def _values(feature: Feature, spans: dict[tuple[str, str], Span]) -> np.ndarray:
    span = spans[feature.facts, feature.measure].tail(feature.months_back)
    if feature.over is not None:
        values = share_of(span, spans[feature.over_facts, feature.over].tail(feature.months_back))
    else:
        values = FORMULAS[feature.formula](span)
    return values * feature.scale if feature.scale != 1.0 else values


def _known_subjects(
    recent: dict[str, list[FactBlocks | None]],
    subjects: int,
    as_of: Month,
    cutoff_days: int,
) -> dict[str, np.ndarray]:
    """Whether a source had a record of the subject by the cutoff, shape (subjects,), by source."""
    cutoff = knowledge_cutoff(as_of, cutoff_days)
    told_of = {}
    for name, source in recent.items():
        told_of[name] = np.zeros(subjects, dtype=bool)
        for block in source:
            if block is not None:
                told_of[name][block.position[block.as_known(cutoff)]] = True
    return told_of


def _entitled(
    told_of: dict[str, np.ndarray],
    subjects: int,
    numbers: slice,
    consents: ConsentMask | None,
    ineligible: Ineligible | None,
) -> np.ndarray:
    """Whether any source knows the subject that may be seen, shape (subjects,); the others are counted."""
    everyone = np.logical_or.reduce(list(told_of.values())) if told_of else np.zeros(subjects, dtype=bool)
    if consents is None:
        return everyone
    seen = [told_of[name] & consents.records(name, numbers) for name in consents.sources]
    known = np.logical_or.reduce(seen)
    if ineligible is not None:
        for purpose, facts, reasons in consents.questions():
            ineligible.add(purpose, facts, reasons[numbers][told_of[facts]])
        ineligible.without_any += int((everyone & ~known).sum())
    return known
