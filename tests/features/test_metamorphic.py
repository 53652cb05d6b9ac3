"""Relations between two worlds that must hold whatever the rows are: 200 random worlds each.

Each relation changes a world in a way that must change nothing at an as-of month (or one known thing), and compares to the bit.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.months import Month, knowledge_cutoff
from core.subject import SubjectKind
from features import as_of as as_of_module
from features.as_of import feature_table, features_at
from features.catalogue import FeatureSet
from features.fact_definition import FactDefinition
from features.fold import fold_month
from sources.adapter import Adapter
from sources.convert import convert
from sources.versions import KnownDelivery, Resolver
from tests.features.bits import same_bits
from tests.features.facts_in_memory import FactsInMemory
from tests.features.random_worlds import (
    FIRST,
    KEYS,
    SCHEMA,
    SUBJECTS,
    Delivered,
    Row,
    World,
    arranged,
    folded,
    raw_month,
    resolver_of,
    row_strategy,
)
from tests.features.test_slow_reference import MEASURES, PARTIES, TEXT, _feature, facts
from tests.sources.adapting import SCHEMA as MADE_UP
from tests.sources.adapting import adapter_of, delivered

pytestmark = pytest.mark.slow

ROWS = facts(
    "rows",
    {
        name: MEASURES[name]
        for name in (
            "n",
            "amt",
            "largest",
            "others",
            "top1",
            "late",
            "at_13",
            "gap",
            "payer",
            "young",
            "until_opened",
        )
    },
)
EVENTS = facts("rows", {name: MEASURES[name] for name in ("n", "amt", "largest")}, absent="zero")
BACK = facts("parties", PARTIES)
LAST = 5


def _set(rows: FactDefinition, *more: FactDefinition) -> FeatureSet:
    features = [
        _feature("rows", "amt", "sum", 3), _feature("rows", "amt", "cv", 6), _feature("rows", "amt", "ratio_previous", 2),
        _feature("rows", "n", "longest_gap", 6), _feature("rows", "n", "records", 3), _feature("rows", "largest", "max", 4),
    ]  # fmt: skip
    if rows is ROWS:
        features += [
            _feature("rows", "top1", "mean", 3),
            _feature("rows", "late", "share_of", 6, ("rows", "n")),
            _feature("rows", "young", "months_below", 6, ("rows", "n")),
            _feature("rows", "amt", "co_movement", 6, ("rows", "n")),
            _feature("rows", "payer", "changes", 6),
            _feature("rows", "payer", "held", 4),
            _feature("rows", "until_opened", "current_run", 4),
            _feature("rows", "amt", "down_on_year", 1),
        ]
    if more:
        features += [_feature("parties", name, "sum", 3) for name in PARTIES]
    return FeatureSet(
        "small", SubjectKind.ENTERPRISE, TEXT, tuple(features), {d.facts: d for d in (rows, *more)}
    )


PLAIN, ZERO, TURNOVER = _set(ROWS), _set(EVENTS), _set(ROWS, BACK)

deliveries_of = st.builds(
    Delivered,
    st.integers(0, LAST),
    st.sampled_from(["supplement", "full"]),
    st.integers(1, 120),
    st.lists(row_strategy, max_size=5).map(tuple),
    st.sampled_from([None, None, None, None, 1, 40]),
)
worlds = st.lists(deliveries_of, min_size=1, max_size=6).map(arranged)
as_of_months = st.integers(1, LAST)
relation = settings(max_examples=200)


def store_of(world: World, feature_set: FeatureSet, fold: Callable[..., pa.Table] = folded) -> FactsInMemory:
    store = FactsInMemory()
    for definition in feature_set.facts.values():
        for month in sorted({item.month for item in world if item.rows}):
            store.put(definition.fact_table, str(FIRST.plus(month)), fold(world, definition, month))
    return store


def at(world: World, month: int, feature_set: FeatureSet = PLAIN) -> pa.Table:
    return feature_table(store_of(world, feature_set), feature_set, FIRST.plus(month))


def renumbered(world: World) -> World:
    """The same with revisions counted again, where something was put in."""
    counts: dict[int, int] = {}
    result = []
    for item in world:
        counts[item.month] = counts.get(item.month, 0) + 1
        result.append(replace(item, revision=counts[item.month]))
    return result


# -- time --------------------------------------------------------------------------------------------------------------


@relation
@given(worlds, as_of_months, st.lists(st.tuples(st.integers(1, 40), row_strategy), min_size=1, max_size=4))
def test_rows_of_the_future_change_nothing(world: World, month: int, late: list[tuple[int, Row]]) -> None:
    """Deliveries of any month, received after the cutoff."""
    cutoff = knowledge_cutoff(FIRST.plus(month))
    known = [item for item in world if item.at <= cutoff]
    after = []
    for delay, row in late:
        new = replace(row, subject=row.key % SUBJECTS, withdraws=False)
        mode = "full" if delay % 2 else "supplement"
        after.append(Delivered(delay % (LAST + 1), mode, 300 + delay, (new,), None, 20))
    assert same_bits(at([*world, *after], month, TURNOVER), at(known, month, TURNOVER))


@relation
@given(worlds, as_of_months, st.sampled_from(["supplement", "full"]), st.booleans())
def test_corrections_that_come_later_change_nothing(
    world: World, month: int, mode: str, withdraws: bool
) -> None:
    """Every known row once more with another amount, or taken back, the day after the cutoff."""
    cutoff = knowledge_cutoff(FIRST.plus(month))
    later = []
    for item in (each for each in world if each.at <= cutoff and each.rows):
        days = (cutoff.date() - FIRST.plus(item.month).last_day).days + 1
        rows = tuple(replace(row, cells=row.cells + 36, withdraws=withdraws) for row in item.rows)
        later.append(Delivered(item.month, mode, days, rows, None, 10 + item.revision))
    assert same_bits(at([*world, *later], month, ZERO), at(world, month, ZERO))


@relation
@given(worlds, st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "Asia/Kathmandu"]))
def test_neither_the_machines_zone_nor_that_of_timestamps_matters(world: World, zone: str) -> None:
    def elsewhere(world: World, definition: FactDefinition, month: int) -> pa.Table:
        raw = raw_month(world, month)
        for name in ("received_at", "opened"):
            moments = raw.column(name).cast(pa.timestamp("us", tz=zone))
            raw = raw.set_column(raw.schema.get_field_index(name), name, moments)
        return fold_month(raw, definition, SCHEMA, resolver_of(world, month), FIRST.plus(month))

    here = at(world, LAST)
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = zone
        time.tzset()
        there = feature_table(store_of(world, PLAIN, elsewhere), PLAIN, FIRST.plus(LAST))
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
    assert same_bits(here, there)


# -- order and packing -------------------------------------------------------------------------------------------------


@relation
@given(worlds, st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(world: World, seed: int) -> None:
    def shuffled(world: World, definition: FactDefinition, month: int) -> pa.Table:
        raw = raw_month(world, month)
        order = np.random.default_rng(seed).permutation(raw.num_rows)
        return fold_month(
            raw.take(pa.array(order)), definition, SCHEMA, resolver_of(world, month), FIRST.plus(month)
        )

    assert same_bits(
        at(world, LAST), feature_table(store_of(world, PLAIN, shuffled), PLAIN, FIRST.plus(LAST))
    )


@relation
@given(worlds, st.integers(0, 2**32 - 1))
def test_the_order_in_which_files_are_taken_in_does_not_matter(world: World, seed: int) -> None:
    """Numbers in the ledger are given in another order; moments and revisions stay."""
    order = np.random.default_rng(seed).permutation(len(world))
    assert same_bits(at(world, LAST, TURNOVER), at([world[i] for i in order], LAST, TURNOVER))


@relation
@given(worlds, st.data())
def test_a_delivery_in_two_parts_is_the_same(world: World, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(world) - 1))
    item = world[place]
    cut = data.draw(st.integers(0, len(item.rows)))
    parts = [replace(item, rows=item.rows[:cut]), replace(item, mode="supplement", rows=item.rows[cut:])]
    split = renumbered([*world[:place], *parts, *world[place + 1 :]])
    assert same_bits(at(world, LAST), at(split, LAST))


@relation
@given(worlds, st.data())
def test_a_delivery_sent_twice_is_the_same(world: World, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(world) - 1))
    twice = renumbered([*world[: place + 1], *world[place:]])
    assert same_bits(at(world, LAST, TURNOVER), at(twice, LAST, TURNOVER))


# -- subjects ----------------------------------------------------------------------------------------------------------


@relation
@given(worlds, st.permutations(range(SUBJECTS)))
def test_relabelled_subjects_permute_the_features(world: World, names: list[int]) -> None:
    renamed = [
        replace(item, rows=tuple(replace(row, subject=names[row.subject]) for row in item.rows))
        for item in world
    ]
    ours = at(world, LAST, TURNOVER)
    numbers = pa.array([names[number] for number in ours.column("subject_no").to_pylist()], pa.int32())
    expected = ours.set_column(0, ours.schema.field(0), numbers).sort_by("subject_no")
    assert same_bits(expected, at(renamed, LAST, TURNOVER))


@relation
@given(worlds, st.lists(st.tuples(st.integers(0, 5), row_strategy), min_size=1, max_size=6))
def test_strangers_change_nobody(world: World, strangers: list[tuple[int, Row]]) -> None:
    """Rows of other subjects with keys of their own, in the deliveries that are there."""
    crowd = list(world)
    for place, row in strangers:
        at_item = place % len(crowd)
        keys = {each.key for each in crowd[at_item].rows}
        if row.key + KEYS not in keys:
            new = Row(row.key + KEYS, SUBJECTS + row.key % 3, row.cells)
            crowd[at_item] = replace(crowd[at_item], rows=(*crowd[at_item].rows, new))
    ours, theirs = at(world, LAST), at(crowd, LAST)
    kept = theirs.filter(
        pa.array([n < SUBJECTS for n in theirs.column("subject_no").to_pylist()], pa.bool_())
    )
    # A month that only strangers filled had no rows before, and that of itself tells nothing of anybody else.
    assert same_bits(ours, kept.combine_chunks())


@relation
@given(worlds, as_of_months, st.integers(1, 4), st.integers(1, 4))
def test_chunks_and_tiles_change_nothing(world: World, month: int, chunk: int, tile: int) -> None:
    store = store_of(world, ZERO)
    whole = feature_table(store, ZERO, FIRST.plus(month))
    usual = as_of_module.TILE
    try:
        as_of_module.TILE = tile
        pieces = feature_table(store, ZERO, FIRST.plus(month), chunk=chunk)
    finally:
        as_of_module.TILE = usual
    assert same_bits(whole, pieces)


# -- panels and increments ---------------------------------------------------------------------------------------------


@relation
@given(worlds, st.integers(1, 3))
def test_a_training_panel_is_its_single_months(world: World, chunk: int) -> None:
    months = [FIRST.plus(m) for m in range(LAST + 1)]
    store = store_of(world, ZERO)
    panel: dict[Month, list[pa.Table]] = {month: [] for month in months}
    for month, piece in features_at(store, ZERO, months, chunk=chunk):
        panel[month].append(piece)
    for month in months:
        alone = feature_table(store, ZERO, month)
        assert same_bits(pa.concat_tables(panel[month]) if panel[month] else alone, alone)


@relation
@given(worlds)
def test_folding_as_deliveries_come_is_folding_all_at_the_end(world: World) -> None:
    """After each delivery only what it touches is folded again; the facts end up the same to the bit."""
    kept: dict[tuple[str, int], pa.Table] = {}
    for number in range(len(world)):
        so_far = world[: number + 1]
        there = {item.month for item in so_far if item.rows}
        for definition in (ROWS, BACK):
            for month in range(world[number].month, world[number].month + definition.look_back + 1):
                if month in there:
                    kept[definition.facts, month] = folded(so_far, definition, month)
    for (name, month), facts_kept in kept.items():
        definition = ROWS if name == ROWS.facts else BACK
        assert same_bits(facts_kept, folded(world, definition, month))
    assert {month for _, month in kept} == {item.month for item in world if item.rows}


@relation
@given(worlds, st.integers(0, LAST), st.lists(row_strategy, min_size=1, max_size=4))
def test_a_restated_month_touches_its_own_facts_only(world: World, month: int, rows: list[Row]) -> None:
    """And, where facts look back, those of as many months after it."""
    distinct = {row.key: replace(row, subject=row.key % SUBJECTS, withdraws=False) for row in rows}
    restated = [*world, Delivered(month, "full", 200, tuple(distinct.values()), None, 15)]
    for definition in (ROWS, BACK):
        for other in sorted({item.month for item in world if item.rows} - {month}):
            if not 0 < other - month <= definition.look_back:
                assert same_bits(folded(world, definition, other), folded(restated, definition, other))


# -- units -------------------------------------------------------------------------------------------------------------


def _adapter(unit: str) -> Adapter:
    folder = Path(tempfile.mkdtemp(prefix=unit))
    return adapter_of(
        folder, columns={"amt": {"from": "je", "unit": unit}, "fee_amt": {"from": "fy", "unit": unit}}
    )


_FOLDER = Path(tempfile.mkdtemp(prefix="units"))
_UNITS = {unit: _adapter(unit) for unit in ("FEN", "CNY", "CNY_10K")}
_WRITTEN: dict[str, Callable[[int], str]] = {
    "FEN": str,
    "CNY": lambda fen: f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}",
    "CNY_10K": lambda fen: f"{'-' if fen < 0 else ''}{abs(fen) // 10**6}.{abs(fen) % 10**6:06d}",
}


def _folded_amounts(rows: pa.Table) -> pa.Table:
    """The amounts of one subject's rows as facts."""
    count = rows.num_rows
    definition = FactDefinition.model_validate(
        {
            "facts": "amounts", "subject": "resident", "table": "made_up", "title": TEXT.model_dump(),
            "measures": {"amt": {"agg": "sum", "column": "amt"}, "fee": {"agg": "max", "column": "fee_amt"},
                         "large": {"agg": "count", "where": {"amt": {"ge": 1_000_000}}}},
        }
    )  # fmt: skip
    received = datetime(2026, 11, 3, tzinfo=UTC)
    raw = rows.select(["acct_id", "amt", "fee_amt", "row_no"])
    raw = raw.append_column("subject_no", pa.array([0] * count, pa.int32()))
    raw = raw.append_column("delivery_no", pa.array([1] * count, pa.int32()))
    raw = raw.append_column("received_at", pa.array([received] * count, pa.timestamp("us", tz="UTC")))
    return fold_month(
        raw,
        definition,
        MADE_UP,
        Resolver(MADE_UP, {1: KnownDelivery(1, "city", "2026-10", 1, True, received)}),
    )


@relation
@given(st.lists(st.tuples(st.integers(-1000_00, 10**11), st.integers(0, 10**9)), min_size=1, max_size=6))
def test_the_unit_of_money_does_not_matter_when_the_contract_says_it(amounts: list[tuple[int, int]]) -> None:
    """One delivery written in fen, in yuan and in ten thousands of yuan, taken in by the adapter that says so."""
    taken = {}
    for unit, adapter in _UNITS.items():
        written = [{"je": _WRITTEN[unit](amt), "fy": _WRITTEN[unit](fee)} for amt, fee in amounts]
        result = convert(delivered(adapter, _FOLDER, written), adapter, MADE_UP, Month(2026, 10))
        assert result.accepted == len(amounts)
        taken[unit] = _folded_amounts(result.rows)
    assert taken["FEN"].column("amt").to_pylist() == [sum(amt for amt, _ in amounts)]
    assert same_bits(taken["FEN"], taken["CNY"]) and same_bits(taken["FEN"], taken["CNY_10K"])
