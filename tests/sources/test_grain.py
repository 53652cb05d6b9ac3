"""Several source rows become one, one becomes several, rows are versions of each other or withdraw a key; never is an amount
of a longer time divided."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Refusal
from core.money import MONEY
from sources.grain import aggregated, group_numbers, repeated
from sources.versions import KnownDelivery, as_known
from tests.sources.adapting import SCHEMA, adapter_of, converted, held, hold, values

BILLS: dict[str, Any] = {
    "columns": {
        "acct_id": {"from": "hh"},
        "amt": {"from": "je", "unit": "CNY"},
        "energy": {"from": "yl", "unit": "kWh"},
        "due": {"from": "jz", "parse": ["%Y-%m-%d"]},
        "is_late": {"from": "yq", "codes": {"1": True, "0": False}},
        "kind": {"from": "lx", "codes": {"1": "a", "2": "b"}},
    },
    "grain": {
        "per": "day",
        "take": {"amt": "sum", "energy": "max", "due": "last", "is_late": "any", "kind": "only"},
        "order_by": {"from": "sj", "parse": ["%Y-%m-%d %H:%M:%S"]},
    },
}
ROWS = [
    {
        "hh": "m1",
        "je": "10.10",
        "yl": "5",
        "jz": "2026-11-01",
        "yq": "0",
        "lx": "1",
        "sj": "2026-10-02 10:00:00",
    },
    {"hh": "m2", "je": "1", "yl": "7", "jz": "2026-11-09", "yq": "0", "lx": "2", "sj": "2026-10-02 10:00:00"},
    {
        "hh": "m1",
        "je": "0.05",
        "yl": "9",
        "jz": "2026-11-05",
        "yq": "1",
        "lx": "1",
        "sj": "2026-10-01 10:00:00",
    },
    {"hh": "m1", "sj": "2026-10-05 10:00:00"},
]


def test_bills_become_an_account_month(tmp_path: Path) -> None:
    result = converted(tmp_path, ROWS, **BILLS)
    assert values(result, "acct_id", "amt", "energy", "due", "is_late", "kind", "row_no") == [
        ("m1", Decimal("10.15"), 9.0, date(2026, 11, 1), True, "a", 4),
        ("m2", Decimal("1.00"), 7.0, date(2026, 11, 9), False, "b", 2),
    ]
    assert (result.delivered, result.accepted, result.rows.num_rows) == (4, 4, 2)


def test_a_sum_with_an_unreadable_part_is_held_whole(tmp_path: Path) -> None:
    rows = [*ROWS[:2], ROWS[2] | {"je": "?"}, ROWS[3]]
    result = converted(tmp_path, rows, **BILLS, quarantine=hold("unreadable"))
    assert held(result) == [
        (1, "held_with_group", "who"),
        (3, "unreadable", "je"),
        (4, "held_with_group", "who"),
    ]
    assert values(result, "acct_id") == ["m2"]


def test_only_means_that_all_say_the_same(tmp_path: Path) -> None:
    rows = [*ROWS[:2], ROWS[2] | {"lx": "2"}]
    result = converted(tmp_path, rows, **BILLS, quarantine=hold("duplicate_key"))
    assert [row for row, *_ in held(result)] == [1, 3]
    with pytest.raises(Refusal, match="REFUSED/KEY"):
        converted(tmp_path, rows, **BILLS)


@pytest.mark.parametrize("per", ["quarter", "half_year", "year"])
def test_an_amount_of_a_longer_time_is_never_divided(tmp_path: Path, per: str) -> None:
    with pytest.raises(Refusal, match=f"an amount of a {per} can't be split into a month's") as caught:
        adapter_of(tmp_path, grain={"per": per})
    assert caught.value.line is not None
    assert adapter_of(tmp_path, grain={"per": per, "to": per}).grain is not None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"grain": {"take": {"amt": "sum"}}}, "say under `take` how the values of energy become one"),
        ({"grain": {"take": {"amt": "last"}}}, "need `order_by`"),
        ({"grain": {"take": {"energy": "any", "amt": "sum"}}}, "energy is float, not true or false"),
        ({"grain": {"take": {"amt": "sum", "energy": "sum", "due": "sum"}}}, "due isn't a column that can"),
        (
            {"grain": {"take": {"amt": "sum", "energy": "sum"}},
             "operation": {"from": "op", "codes": {"D": "delete"}}},
            "can neither be told as several nor be deleted",
        ),
    ],
)  # fmt: skip
def test_a_grain_that_does_not_fit_is_told(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    columns = {"amt": {"from": "je", "unit": "CNY"}, "energy": {"from": "yl", "unit": "kWh"}}
    with pytest.raises(Refusal, match=told):
        adapter_of(tmp_path, columns=columns, **changes)


LONG = {
    "columns": {
        "acct_id": {"from": "hh"},
        "amt": {"from": "je", "unit": "CNY", "where": {"fyxm": ["01", "本金"]}},
        "fee_amt": {"from": "je", "unit": "CNY", "where": {"fyxm": ["02"]}},
    },
    "grain": {"take": {"amt": "only", "fee_amt": "sum"}},
}


def test_long_to_wide(tmp_path: Path) -> None:
    rows = [
        {"hh": "m1", "fyxm": "01", "je": "100"},
        {"hh": "m1", "fyxm": "02", "je": "3"},
        {"hh": "m2", "fyxm": "本金", "je": "7"},
        {"hh": "m1", "fyxm": "02", "je": "4"},
        {"hh": "m3", "fyxm": "09", "je": "4"},
    ]
    result = converted(tmp_path, rows, **LONG, quarantine=hold("unknown_code"))
    assert values(result, "acct_id", "amt", "fee_amt") == [("m1", 100, 7), ("m2", 7, None)]
    assert held(result) == [(5, "unknown_code", "fyxm")]
    with pytest.raises(Refusal, match="say under `grain`"):
        adapter_of(tmp_path, columns=LONG["columns"])


KINDS = replace(
    SCHEMA,
    columns=tuple(replace(c, nullable=False) if c.name == "kind" else c for c in SCHEMA.columns),
    business_key=("acct_id", "period", "kind"),
)
WIDE = {
    "columns": {
        "acct_id": {"from": "hh"},
        "amt": {"from": "yl", "unit": "CNY"},
        "fee_amt": {"from": "ylf", "unit": "FEN"},
    },
    "unpivot": {
        "rows": [
            {"constants": {"kind": "a"}, "from": {"amt": "yl", "fee_amt": "ylf"}},
            {"constants": {"kind": "b"}, "from": {"amt": "sy", "fee_amt": "syf"}},
        ]
    },
}


def test_wide_to_long(tmp_path: Path) -> None:
    rows = [
        {"hh": "m1", "yl": "10", "ylf": "5", "sy": "20"},
        {"hh": "m2", "sy": "1"},
        {"hh": "m3"},
        {"hh": "m4", "yl": "1", "sy": "x"},
    ]
    result = converted(tmp_path, rows, KINDS, **WIDE, quarantine=hold("unreadable"))
    assert sorted(values(result, "acct_id", "kind", "amt", "fee_amt", "row_no")) == [
        ("m1", "a", Decimal(10), Decimal("0.05"), 1),
        ("m1", "b", Decimal(20), None, 1),
        ("m2", "b", Decimal(1), None, 2),
    ]
    assert (result.left_out, held(result)) == ({"nothing_told": 1}, [(4, "unreadable", "sy")])
    assert (result.delivered, result.accepted, result.rows.num_rows) == (4, 2, 3)
    assert len(result.subject_codes) == 3


LATEST = {
    "columns": {"acct_id": {"from": "hh"}, "amt": {"from": "je", "unit": "CNY"}},
    "duplicates": {"exact": "again", "latest_by": {"from": "sj", "parse": ["%Y-%m-%d %H:%M:%S"]}},
}


def test_of_several_versions_the_last_changed_counts(tmp_path: Path) -> None:
    rows = [
        {"hh": "m1", "je": "1", "sj": "2026-10-01 10:00:00"},
        {"hh": "m1", "je": "3", "sj": "2026-10-03 10:00:00"},
        {"hh": "m1", "je": "?", "sj": "2026-10-02 10:00:00"},
        {"hh": "m1", "je": "3", "sj": "2026-10-03 10:00:00"},
        {"hh": "m2", "je": "9", "sj": "2026-10-01 10:00:00"},
    ]
    result = converted(tmp_path, rows, **LATEST)
    assert values(result, "acct_id", "amt", "row_no") == [("m1", 3, 2), ("m2", 9, 5)]
    assert result.left_out == {"again": 1, "superseded": 2}
    rows[1]["je"] = "?"
    rows[3]["je"] = "?"
    # The latest can't be read: the ones before aren't what the source says now, so none comes in.
    result = converted(tmp_path, rows, **LATEST, quarantine=hold("unreadable"))
    assert (values(result, "acct_id"), held(result)) == (["m2"], [(2, "unreadable", "je")])


def test_two_versions_of_one_moment_are_a_key_twice(tmp_path: Path) -> None:
    rows = [{"hh": "m1", "je": str(n), "sj": "2026-10-01 10:00:00"} for n in (1, 2)]
    result = converted(tmp_path, rows, **LATEST, quarantine=hold("duplicate_key"))
    assert [reason for _, reason, _ in held(result)] == ["duplicate_key", "duplicate_key"]


OPERATIONS = [
    {"from": "op", "code_map": "op_flag@letters"},
    {"from": "op", "codes": {"I": "insert", "u": "update", "D": "delete"}, "missing": "insert"},
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_deleted_row_needs_its_key_alone(tmp_path: Path, operation: dict[str, Any]) -> None:
    schema = replace(
        SCHEMA, columns=tuple(replace(c, nullable=c.nullable and c.name != "amt") for c in SCHEMA.columns)
    )
    columns = {
        "acct_id": {"from": "hh"},
        "amt": {"from": "je", "unit": "CNY"},
        "due": {"derive": {"month_start": "period"}},
    }
    rows = [
        {"hh": "m1", "je": "1", "op": "I"},
        {"hh": "m2", "op": "D"},
        {"hh": "m3", "je": "?", "op": "D"},
        {"hh": "", "op": "D"},
        {"hh": "m5", "je": "1", "op": "X"},
    ]
    result = converted(
        tmp_path,
        rows,
        schema,
        columns=columns,
        operation=operation,
        quarantine=hold("missing", "unknown_code"),
    )
    assert values(result, "acct_id", "amt", "due", "row_no") == [
        ("m1", 1, date(2026, 10, 1), 1),
        ("m2", None, None, -2),
        ("m3", None, None, -3),
    ]
    assert held(result) == [(4, "missing", "hh"), (5, "unknown_code", "op")]
    assert result.absorbed == {"withdrawn_row": 2}


def test_a_flag_that_is_missing_means_what_the_adapter_says(tmp_path: Path) -> None:
    columns = {"acct_id": {"from": "hh"}}
    assert converted(tmp_path, [{"hh": "m"}], columns=columns, operation=OPERATIONS[1]).accepted == 1
    with pytest.raises(Refusal, match="REFUSED/CODE"):
        converted(tmp_path, [{"hh": "m"}], columns=columns, operation=OPERATIONS[0])


def test_a_withdrawn_key_is_known_until_it_is_withdrawn(tmp_path: Path) -> None:
    columns = {"acct_id": {"from": "hh"}, "amt": {"from": "je", "unit": "CNY"}}
    sent = [
        [{"hh": "m1", "je": "1", "op": "I"}, {"hh": "m2", "je": "2", "op": "I"}],
        [{"hh": "m1", "op": "D"}],
        [{"hh": "m1", "je": "3", "op": "I"}],
    ]
    pieces, ledger = [], {}
    for number, rows in enumerate(sent, 1):
        made = converted(tmp_path, rows, columns=columns, operation=OPERATIONS[0]).rows
        pieces.append(made.append_column("delivery_no", pa.array([number] * made.num_rows, pa.int32())))
        at = datetime(2026, 11, number, tzinfo=UTC)
        ledger[number] = KnownDelivery(number, "city", "2026-10", number, number == 1, at)
    raw = pa.concat_tables(pieces)

    def known(day: int, order: list[int] | None = None) -> list[tuple[str, Decimal]]:
        table = raw if order is None else raw.take(pa.array(order))
        rows = as_known(table, SCHEMA, datetime(2026, 11, day, tzinfo=UTC), ledger)
        return sorted(zip(rows.column("acct_id").to_pylist(), rows.column("amt").to_pylist(), strict=True))

    assert [known(day) for day in (1, 2, 3)] == [[("m1", 1), ("m2", 2)], [("m2", 2)], [("m1", 3), ("m2", 2)]]
    assert known(2, [3, 2, 1, 0]) == [("m2", 2)]


def test_a_table_without_a_key_has_nothing_to_withdraw(tmp_path: Path) -> None:
    schema = replace(SCHEMA, business_key=())
    with pytest.raises(Refusal, match="no business key that a deleted row could withdraw"):
        adapter_of(tmp_path, schema, operation=OPERATIONS[0])


@given(
    st.lists(st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(-(10**14), 10**14))), max_size=40),
    st.sampled_from(["sum", "max", "min", "first", "last"]),
)
def test_groups_are_what_a_loop_makes_of_them(rows: list[tuple[int, int | None]], take: Any) -> None:
    keys = pa.table({"key": pa.array([key for key, _ in rows], pa.int64())})
    amounts = [None if fen is None else Decimal(fen).scaleb(-2) for _, fen in rows]
    groups, count = group_numbers(keys)
    made, _ = aggregated(pa.array(amounts, MONEY), take, groups, count, np.arange(len(rows)))
    expected: dict[int, list[Decimal]] = {}
    for group, amount in zip(groups.tolist(), amounts, strict=True):
        expected.setdefault(group, []).extend([] if amount is None else [amount])
    reduce = {"sum": sum, "max": max, "min": min, "first": lambda v: v[0], "last": lambda v: v[-1]}[take]
    assert made.to_pylist() == [reduce(expected[g]) if expected[g] else None for g in range(count)]
    assert count == len({key for key, _ in rows})


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), max_size=30), st.integers(0, 30))
def test_rows_told_alike_are_those_that_stand_more_than_once(rows: list[tuple[int, int]], more: int) -> None:
    columns = [np.array([row[n] for row in rows], dtype=np.int64) for n in (0, 1)]
    told = repeated(columns, [4 + more, 3 + more])
    assert told.tolist() == [rows.count(row) > 1 for row in rows]
