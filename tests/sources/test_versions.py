"""The version rule: what is received later never changes what was known, and the order of processing never
matters.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GsceneError
from core.table_schema import Column, ColumnType, TableSchema
from sources.versions import KnownDelivery, as_known, resolver
from tests.sources.bench import GOOD, Bench, text_of, token

START = datetime(2026, 11, 4, tzinfo=UTC)
COLUMNS = (
    Column("subject_id", ColumnType.SUBJECT),
    Column("period", ColumnType.MONTH),
    Column("v", ColumnType.INT),
)
KEYED = TableSchema("t", COLUMNS, ("subject_id", "period"))
KEYLESS = TableSchema("t", COLUMNS)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def rows_of(*rows: tuple[int, int, int, int]) -> pa.Table:
    """Rows of (subject_no, v, delivery_no, row_no)."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    names = ("subject_no", "v", "delivery_no", "row_no")
    return pa.table({name: pa.array(values, pa.int32()) for name, values in zip(names, columns, strict=True)})


def known(*deliveries: KnownDelivery) -> dict[int, KnownDelivery]:
    return {delivery.delivery_no: delivery for delivery in deliveries}


def delivery(number: int, revision: int, at: int, full: bool = True, source: str = "a") -> KnownDelivery:
    return KnownDelivery(number, source, "2026-10", revision, full, day(at))


def seen(
    table: pa.Table, schema: TableSchema, at: int, deliveries: dict[int, KnownDelivery]
) -> list[tuple[int, int]]:
    rows = as_known(table, schema, day(at), deliveries).to_pylist()
    return sorted((row["subject_no"], row["v"]) for row in rows)


def test_a_full_revision_replaces_and_a_supplement_corrects() -> None:
    table = rows_of((1, 10, 1, 1), (2, 20, 1, 2), (1, 11, 2, 1), (1, 12, 3, 1), (3, 30, 3, 2))
    deliveries = known(delivery(1, 1, 1), delivery(2, 2, 3, full=False), delivery(3, 3, 5))
    assert seen(table, KEYED, 0, deliveries) == []
    assert seen(table, KEYED, 2, deliveries) == [(1, 10), (2, 20)]
    assert seen(table, KEYED, 4, deliveries) == [(1, 11), (2, 20)]
    assert seen(table, KEYED, 5, deliveries) == [(1, 12), (3, 30)]
    assert seen(table, KEYLESS, 4, deliveries) == [(1, 10), (1, 11), (2, 20)]
    assert seen(table, KEYLESS, 5, deliveries) == [(1, 12), (3, 30)]


def test_two_sources_of_one_table_do_not_replace_each_other() -> None:
    table = rows_of((1, 10, 1, 1), (1, 20, 2, 1))
    deliveries = known(delivery(1, 1, 1, source="out"), delivery(2, 1, 1, source="in"))
    assert seen(table, KEYLESS, 2, deliveries) == [(1, 10), (1, 20)]


def test_a_full_revision_without_rows_empties_the_month() -> None:
    deliveries = known(delivery(1, 1, 1), delivery(2, 2, 3))
    assert seen(rows_of((1, 10, 1, 1)), KEYED, 4, deliveries) == []


def test_the_last_row_of_a_delivery_wins_within_it() -> None:
    table = rows_of((1, 11, 1, 2), (1, 10, 1, 1))
    assert seen(table, KEYED, 2, known(delivery(1, 1, 1))) == [(1, 11)]


def test_rows_of_a_delivery_that_is_not_accepted_are_not_known() -> None:
    deliveries = known(delivery(1, 1, 1), replace(delivery(2, 2, 2), accepted=False))
    assert seen(rows_of((1, 10, 1, 1), (1, 11, 2, 1)), KEYED, 9, deliveries) == [(1, 10)]


def test_a_ledger_that_does_not_belong_to_the_rows_is_an_error() -> None:
    with pytest.raises(GsceneError, match="which the ledger doesn't know"):
        as_known(rows_of((1, 10, 7, 1)), KEYED, day(9), {})


def test_every_order_of_arrival_ends_in_the_same_state() -> None:
    """Trust F9: all 24 permutations of four revisions, two of them full."""
    table = rows_of((1, 10, 1, 1), (2, 20, 1, 2), (2, 21, 2, 1), (1, 13, 3, 1), (2, 23, 3, 2), (2, 24, 4, 1))
    ends = set()
    for order in itertools.permutations(range(4)):
        deliveries = known(*(delivery(n, n, order[n - 1], full=n in (1, 3)) for n in (1, 2, 3, 4)))
        ends.add(tuple(seen(table, KEYED, 9, deliveries)))
    assert ends == {((1, 13), (2, 24))}


DELIVERIES = st.lists(
    st.tuples(
        st.integers(0, 6),  # day received
        st.integers(1, 4),  # revision
        st.booleans(),  # full
        st.sampled_from(["a", "b"]),
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=4),
    ),
    max_size=6,
    unique_by=lambda told: (told[3], told[1]),
)


def world(told: list[tuple]) -> tuple[pa.Table, dict[int, KnownDelivery]]:  # type: ignore[type-arg]
    rows, deliveries = [], []
    for number, (at, revision, full, source, cells) in enumerate(told, start=1):
        deliveries.append(delivery(number, revision, at, full, source))
        rows += [(subject, value, number, place) for place, (subject, value) in enumerate(cells, start=1)]
    return rows_of(*rows), known(*deliveries)


@given(told=DELIVERIES, cutoff=st.integers(0, 6), schema=st.sampled_from([KEYED, KEYLESS]))
def test_what_comes_later_changes_nothing(told: list, cutoff: int, schema: TableSchema) -> None:  # type: ignore[type-arg]
    table, deliveries = world(told)
    everything = as_known(table, schema, day(cutoff), deliveries)
    early = {number: entry for number, entry in deliveries.items() if entry.received_at <= day(cutoff)}
    numbers = table.column("delivery_no").to_pylist()
    before = table.take(pa.array([i for i, number in enumerate(numbers) if number in early], pa.int64()))
    assert as_known(before, schema, day(cutoff), early).to_pylist() == everything.to_pylist()


@given(told=DELIVERIES, cutoff=st.integers(0, 6))
def test_as_known_agrees_with_the_rule_written_out_plainly(told: list, cutoff: int) -> None:  # type: ignore[type-arg]
    table, deliveries = world(told)
    rows = [
        (deliveries[row["delivery_no"]], row)
        for row in table.to_pylist()
        if deliveries[row["delivery_no"]].received_at <= day(cutoff)
    ]
    live = [entry for entry in deliveries.values() if entry.received_at <= day(cutoff)]

    def gone(mine: KnownDelivery) -> bool:
        return any(o.full and o.source == mine.source and o.revision > mine.revision for o in live)

    def latest(mine: KnownDelivery, row: dict[str, int]) -> tuple[datetime, int, int, int]:
        at = min(o.received_at for o in live if o.source == mine.source and o.revision >= mine.revision)
        return at, mine.revision, mine.delivery_no, row["row_no"]

    standing = [(entry, row) for entry, row in rows if not gone(entry)]
    best: dict[int, tuple[KnownDelivery, dict[str, int]]] = {}
    for entry, row in standing:
        held = best.get(row["subject_no"])
        if held is None or latest(entry, row) > latest(*held):
            best[row["subject_no"]] = (entry, row)
    expected = sorted((row["subject_no"], row["v"]) for _, row in best.values())
    assert seen(table, KEYED, cutoff, deliveries) == expected
    assert len(seen(table, KEYLESS, cutoff, deliveries)) == len(standing)


def test_the_resolver_asks_the_ledger(bench: Bench) -> None:
    bench.deliver(text_of(GOOD))
    bench.deliver(text_of([GOOD[0].replace("8000.50", "9000")]), revision=2)
    known_then = resolver(bench.schema, bench.state, "raw/resident/si_person_month", "2026-10")
    rows = bench.rows()
    first, second = bench.entry(1).received_at, bench.entry(2).received_at
    assert known_then(rows, first).num_rows == 3
    assert [str(amount) for amount in known_then(rows, second)["base_amt"].to_pylist()] == ["9000.00"]
    assert bench.registry.table()["subject_id"].to_pylist() == [token("a"), token("b")]
