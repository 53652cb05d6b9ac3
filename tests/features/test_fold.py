"""Folding a month: every aggregation worked by hand, the order of rows irrelevant, increments equal to recomputation."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GsceneError
from core.money import from_fen
from core.months import Month
from core.table_schema import Column, ColumnType, TableSchema
from features.fact_definition import DaysBetween, FactDefinition
from features.fold import KNOWN_AT, fold_month
from sources.versions import KnownDelivery, Resolver, as_known
from tests.features.bits import same_bits

SCHEMA = TableSchema(
    "invoice",
    (
        Column("subject_id", ColumnType.SUBJECT),
        Column("period", ColumnType.MONTH),
        Column("no", ColumnType.STRING),
        Column("status", ColumnType.CODE, codes=("valid", "void", "red"), nullable=True),
        Column("grade", ColumnType.CODE, codes=("A", "B", "C"), nullable=True),
        Column("other", ColumnType.STRING, nullable=True),
        Column("amt", ColumnType.MONEY, nullable=True),
        Column("used", ColumnType.FLOAT, nullable=True),
        Column("people", ColumnType.INT, nullable=True),
        Column("auto", ColumnType.BOOL, nullable=True),
        Column("due", ColumnType.DATE, nullable=True),
        Column("paid", ColumnType.DATE, nullable=True),
        Column("seen", ColumnType.TIME, nullable=True),
        Column("buyer", ColumnType.SUBJECT, nullable=True),
    ),
    ("no", "period"),
)
START = datetime(2026, 11, 4, 1, tzinfo=UTC)
NONE: dict[str, Any] = dict.fromkeys(
    ("status", "grade", "other", "amt", "used", "people", "auto", "due", "paid", "seen", "buyer")
)


def row(subject: int, no: str, **values: Any) -> dict[str, Any]:
    """`amt` in fen."""
    return {"subject": subject, "no": no, **NONE, **values}


def raw(deliveries: list[list[dict[str, Any]]]) -> pa.Table:
    """Deliveries a day apart, their rows as they come."""
    flat = [(number, place, r) for number, rows in enumerate(deliveries) for place, r in enumerate(rows)]
    fen = np.array([r["amt"] or 0 for _, _, r in flat], dtype=np.int64)
    return pa.table(
        {
            "subject_no": pa.array([r["subject"] for _, _, r in flat], pa.int32()),
            "no": pa.array([r["no"] for _, _, r in flat], pa.string()),
            "status": pa.array([r["status"] for _, _, r in flat], pa.string()),
            "grade": pa.array([r["grade"] for _, _, r in flat], pa.string()),
            "other": pa.array([r["other"] for _, _, r in flat], pa.string()),
            "amt": from_fen(fen, np.array([r["amt"] is None for _, _, r in flat], dtype=bool)),
            "used": pa.array([r["used"] for _, _, r in flat], pa.float64()),
            "people": pa.array([r["people"] for _, _, r in flat], pa.int32()),
            "auto": pa.array([r["auto"] for _, _, r in flat], pa.bool_()),
            "due": pa.array([r["due"] for _, _, r in flat], pa.date32()),
            "paid": pa.array([r["paid"] for _, _, r in flat], pa.date32()),
            "seen": pa.array([r["seen"] for _, _, r in flat], pa.timestamp("us", tz="UTC")),
            "buyer": pa.array([r["buyer"] for _, _, r in flat], pa.string()),
            "received_at": pa.array(
                [START + timedelta(days=n) for n, _, _ in flat], pa.timestamp("us", tz="UTC")
            ),
            "delivery_no": pa.array([n for n, _, _ in flat], pa.int32()),
            "revision": pa.array([n + 1 for n, _, _ in flat], pa.int32()),
            "row_no": pa.array([place for _, place, _ in flat], pa.int32()),
        }
    )


def ledger(deliveries: int, full: frozenset[int] = frozenset()) -> dict[int, KnownDelivery]:
    return {
        n: KnownDelivery(n, "s", "2026-10", n + 1, n in full, START + timedelta(days=n))
        for n in range(deliveries)
    }


def definition(**measures: dict[str, Any]) -> FactDefinition:
    return FactDefinition.model_validate(
        {
            "facts": "invoice",
            "subject": "enterprise",
            "table": "invoice",
            "title": {"zh": "发票", "en": "invoices"},
            "derive": {
                "days_late": {"days_from": "due", "to": "paid"},
                "days_to_see": {"days_from": "due", "to": "seen"},
            },
            "measures": measures,
        }
    )


def folded(
    deliveries: list[list[dict[str, Any]]], facts: FactDefinition, full: frozenset[int] = frozenset()
) -> pa.Table:
    return fold_month(raw(deliveries), facts, SCHEMA, Resolver(SCHEMA, ledger(len(deliveries), full)))


#: Subject 1 has five rows, subject 4 one row of which nothing is known, and nobody else has any.
ROWS = [
    row(1, "a", status="valid", grade="A", other="X", amt=10_01, used=0.1, people=3, auto=True,
        due=date(2026, 10, 1), paid=date(2026, 10, 4), seen=datetime(2026, 10, 1, 15, 59, tzinfo=UTC),
        buyer="k1:00000000000b" + "f" * 28),
    row(1, "b", status="valid", grade="C", other="Y", amt=30_00, used=0.2, people=7, auto=False,
        due=date(2026, 10, 10), paid=date(2026, 10, 8), seen=datetime(2026, 10, 10, 16, tzinfo=UTC),
        buyer="k1:00000000000a" + "0" * 28),
    row(1, "c", status="void", grade="B", other="X", amt=-5_00, used=0.3, people=None, auto=True,
        due=date(2026, 10, 11), paid=None, buyer="k1:" + "0" * 40),
    row(1, "d", status="red", other="Z", amt=60_00, used=None, people=-2, auto=None, due=date(2026, 10, 31)),
    row(1, "e", other=None, amt=None),
    row(4, "f"),
]  # fmt: skip

BY_HAND = [
    # measure, subject 1, subject 4 (None = missing)
    ({"agg": "count"}, 5, 1),
    ({"agg": "count", "where": {"status": "valid"}}, 2, 0),
    ({"agg": "count", "where": {"status": ["valid", "red"]}}, 3, 0),
    ({"agg": "count", "where": {"auto": True}}, 2, 0),
    ({"agg": "count", "where": {"auto": False}}, 1, 0),
    ({"agg": "count", "where": {"paid": {"missing": True}}}, 3, 1),
    ({"agg": "count", "where": {"paid": {"missing": False}}}, 2, 0),
    ({"agg": "count", "where": {"amt": {"gt": 30}}}, 1, 0),
    ({"agg": "count", "where": {"amt": {"ge": 30}}}, 2, 0),
    ({"agg": "count", "where": {"amt": {"lt": 0}}}, 1, 0),
    ({"agg": "count", "where": {"amt": {"le": 10.01}}}, 2, 0),
    ({"agg": "count", "where": {"days_late": {"gt": 0}}}, 1, 0),
    ({"agg": "count", "where": {"days_late": {"missing": True}}}, 3, 1),
    ({"agg": "count", "where": {"status": "valid", "auto": True}}, 1, 0),
    ({"agg": "sum", "column": "amt"}, 95_01, 0),
    ({"agg": "sum", "column": "amt", "where": {"amt": {"gt": 0}}}, 100_01, 0),
    ({"agg": "sum", "column": "people"}, 8, 0),
    ({"agg": "sum", "column": "used"}, 0.6, 0.0),
    ({"agg": "sum", "column": "days_late"}, 1, 0),
    ({"agg": "max", "column": "amt"}, 60_00, None),
    ({"agg": "min", "column": "amt"}, -5_00, None),
    ({"agg": "max", "column": "amt", "where": {"status": "void"}}, -5_00, None),
    ({"agg": "max", "column": "people"}, 7, None),
    ({"agg": "min", "column": "people"}, -2, None),
    ({"agg": "max", "column": "used"}, 0.3, None),
    ({"agg": "max", "column": "days_late"}, 3, None),
    ({"agg": "min", "column": "days_late"}, -2, None),
    # 23:59 in China is still the day itself, 24:00 the day after.
    ({"agg": "min", "column": "days_to_see"}, 0, None),
    ({"agg": "max", "column": "days_to_see"}, 1, None),
    ({"agg": "identity", "column": "buyer"}, 2.0**48, None),
    ({"agg": "identity", "column": "buyer", "where": {"status": "valid"}}, 2.0**48 + 10, None),
    ({"agg": "identity", "column": "buyer", "where": {"status": "red"}}, None, None),
    ({"agg": "distinct", "column": "other"}, 3, 0),
    ({"agg": "distinct", "column": "other", "where": {"amt": {"gt": 0}}}, 3, 0),
    ({"agg": "distinct", "column": "other", "where": {"status": "valid"}}, 2, 0),
    # Shares of X, Y, Z in 40.00 + 10.01: X 1001, Y 3000, Z 6000 of 10001 fen.
    ({"agg": "top_share", "column": "other", "by": "amt", "top": 1, "where": {"amt": {"gt": 0}}}, 6000 / 10001, None),
    ({"agg": "top_share", "column": "other", "by": "amt", "top": 2, "where": {"amt": {"gt": 0}}}, 9000 / 10001, None),
    ({"agg": "top_share", "column": "other", "by": "amt", "top": 9, "where": {"amt": {"gt": 0}}}, 1.0, None),
    ({"agg": "hhi", "column": "other", "by": "amt", "where": {"amt": {"gt": 0}}},
     (1001**2 + 3000**2 + 6000**2) / 10001**2, None),
    ({"agg": "max_gap", "column": "due"}, 20.0, None),
    ({"agg": "max_gap", "column": "due", "where": {"status": "valid"}}, 9.0, None),
    ({"agg": "max_gap", "column": "due", "where": {"status": "void"}}, 0.0, None),
    ({"agg": "code_rank", "column": "grade", "ranks": ["A", "B", "C"]}, 2, None),
    ({"agg": "code_rank", "column": "grade", "ranks": ["C", "B", "A"]}, 2, None),
    ({"agg": "code_rank", "column": "grade", "ranks": ["A", "B"]}, 1, None),
    ({"agg": "code_rank", "column": "grade", "ranks": ["A", "B", "C"], "where": {"status": "valid", "auto": True}}, 0, None),
]  # fmt: skip


@pytest.mark.parametrize(("measure", "of_1", "of_4"), BY_HAND, ids=lambda value: str(value)[:90])
def test_worked_by_hand(measure: dict[str, Any], of_1: float, of_4: float | None) -> None:
    facts = folded([ROWS], definition(m=measure))
    assert facts.column("subject_no").to_pylist() == [1, 4]
    found = [None if value is None or value != value else value for value in facts.column("m").to_pylist()]
    # Sums are exact: amounts to the fen, quantities to a ten-thousandth. Shares are one division.
    assert found == [of_1, of_4]


def test_amounts_stay_whole_fen_up_to_ninety_trillion_yuan_and_are_refused_beyond() -> None:
    most, sums = 2**53 - 2, definition(m={"agg": "sum", "column": "amt"})
    facts = folded([[row(0, "a", amt=most), row(0, "b", amt=1)]], sums)
    assert int(facts.column("m").to_pylist()[0]) == most + 1
    with pytest.raises(GsceneError, match="sums up to more than"):
        folded([[row(0, "a", amt=most), row(0, "b", amt=3)]], sums)


def test_a_corrected_row_adds_a_block_and_leaves_the_first_alone() -> None:
    facts = definition(n={"agg": "count"}, amt={"agg": "sum", "column": "amt"})
    first = [row(0, "a", amt=1_00), row(1, "b", amt=2_00), row(1, "c", amt=4_00)]
    found = folded([first, [row(1, "b", amt=3_00)]], facts)
    assert found.drop_columns(["known_at"]).to_pylist() == [
        {"subject_no": 0, "n": 1, "amt": 1_00},
        {"subject_no": 1, "n": 2, "amt": 6_00},
        {"subject_no": 1, "n": 2, "amt": 7_00},
    ]
    assert found.column("known_at").to_pylist() == [START, START, START + timedelta(days=1)]


def test_a_subject_that_a_whole_month_no_longer_names_becomes_missing() -> None:
    facts = definition(n={"agg": "count"}, used={"agg": "sum", "column": "used"})
    found = folded([[row(0, "a"), row(1, "b", used=1.5)], [row(0, "a")]], facts, full=frozenset({0, 1}))
    last = [r for r in found.to_pylist() if r["known_at"] > START and r["subject_no"] == 1]
    assert len(last) == 1 and np.isnan(last[0]["n"]) and np.isnan(last[0]["used"])


def test_a_month_without_rows_gives_an_empty_table_of_the_same_columns() -> None:
    facts = definition(n={"agg": "count"})
    assert folded([], facts).schema == folded([ROWS], facts).schema
    assert folded([], facts).num_rows == 0


# -- properties --------------------------------------------------------------------------------------------------------

EVERYTHING = definition(**{f"m{n:02d}": measure for n, (measure, _, _) in enumerate(BY_HAND)})
days = st.none() | st.dates(date(2026, 9, 1), date(2026, 11, 30))
random_rows = st.lists(
    st.builds(
        row,
        st.integers(0, 3),
        st.sampled_from("abcdefgh"),
        status=st.sampled_from([None, "valid", "void", "red"]),
        grade=st.sampled_from([None, "A", "B", "C"]),
        other=st.sampled_from([None, "X", "Y", "Z"]),
        amt=st.none() | st.integers(-(10**12), 10**12),
        used=st.none() | st.floats(0, 1e6).map(lambda x: round(x, 4)),
        people=st.none() | st.integers(-5, 10**6),
        auto=st.sampled_from([None, True, False]),
        due=days,
        paid=days,
    ),
    max_size=8,
    unique_by=lambda r: r["no"],
)


def one_subject_a_number(deliveries: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """A business key belongs to one subject for good."""
    return [[{**r, "subject": "abcdefgh".index(r["no"]) % 4} for r in rows] for rows in deliveries]


@settings(max_examples=60)
@given(random_rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[dict[str, Any]], random: Any) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    pd.testing.assert_frame_equal(
        folded([rows], EVERYTHING).to_pandas(), folded([shuffled], EVERYTHING).to_pandas(), check_exact=True
    )


def one_delivery(known: dict[str, Any]) -> dict[str, Any]:
    """A raw row as it would be delivered by itself."""
    fen = None if known["amt"] is None else int(known["amt"] * 100)
    return {
        **{name: known[name] for name in NONE},
        "subject": known["subject_no"],
        "no": known["no"],
        "amt": fen,
    }


@settings(max_examples=60)
@given(
    st.lists(random_rows.filter(bool), min_size=1, max_size=4).map(one_subject_a_number),
    st.sets(st.integers(0, 3)),
)
def test_blocks_applied_in_order_equal_a_fold_of_what_was_known(
    deliveries: list[list[dict[str, Any]]], full: set[int]
) -> None:
    """Bit for bit: what a reader puts together at any moment is what a fold of the rows known then gives."""
    whole = frozenset(full)
    blocks = folded(deliveries, EVERYTHING, whole).to_pandas()
    known = ledger(len(deliveries), whole)
    for number in range(len(deliveries)):
        moment = START + timedelta(days=number)
        rows = as_known(raw(deliveries), SCHEMA, moment, known).to_pylist()
        again = folded([[one_delivery(r) for r in rows]], EVERYTHING).to_pandas()
        read = blocks[blocks["known_at"] <= moment].drop_duplicates("subject_no", keep="last")
        read = (
            read[read["m00"].notna()]
            .sort_values("subject_no")
            .drop(columns="known_at")
            .reset_index(drop=True)
        )
        again = again.sort_values("subject_no").drop(columns="known_at").reset_index(drop=True)
        for name in read.columns:
            np.testing.assert_array_equal(
                read[name].to_numpy(dtype=float, na_value=np.nan),
                again[name].to_numpy(dtype=float, na_value=np.nan),
                err_msg=name,
            )


@settings(max_examples=40)
@given(
    st.lists(random_rows.filter(bool), min_size=1, max_size=3).map(one_subject_a_number),
    random_rows.filter(bool),
)
def test_a_later_delivery_leaves_earlier_blocks_as_they_were(
    deliveries: list[list[dict[str, Any]]], later: list[dict[str, Any]]
) -> None:
    before = folded(deliveries, EVERYTHING)
    after = folded([*deliveries, *one_subject_a_number([later])], EVERYTHING)
    earlier = pc.less(after.column("known_at"), pa.scalar(START + timedelta(days=len(deliveries)), KNOWN_AT))
    assert same_bits(after.filter(earlier), before)


# -- how adverse events grow old ---------------------------------------------------------------------------------------


def _listed(*dates: tuple[date | None, date | None], months: int = 36) -> float:
    """How many of one subject's events (date, end) still count in October 2026."""
    facts = definition(n={"agg": "count", "adverse": {"date": "due", "end": "paid", "months": months}})
    rows = [row(1, str(place), due=happened, paid=ended) for place, (happened, ended) in enumerate(dates)]
    resolve = Resolver(SCHEMA, ledger(1))
    return float(fold_month(raw([rows]), facts, SCHEMA, resolve, Month(2026, 10)).column("n")[0].as_py())


@pytest.mark.parametrize(
    ("happened", "ended", "counts"),
    [
        (date(2019, 1, 5), date(2023, 11, 1), 1),
        (date(2019, 1, 5), date(2023, 10, 31), 0),
        (date(2023, 11, 1), None, 1),
        (date(2023, 10, 31), None, 0),
        (date(2026, 12, 1), None, 1),
        (None, None, 1),
        (None, date(2015, 1, 1), 0),
    ],
)
def test_an_event_counts_until_it_has_been_over_for_so_many_months(
    happened: date | None, ended: date | None, counts: int
) -> None:
    assert _listed((happened, ended)) == counts
    # Beside an event that counts, so that the subject's other rows don't hide it.
    assert _listed((happened, ended), (None, None)) == counts + 1


def test_the_age_of_something_is_reckoned_at_the_months_end() -> None:
    facts = definition(age={"agg": "max", "column": "old"}).model_copy(
        update={"derive": {"old": DaysBetween(days_from="due", to="period_end")}}
    )
    rows, resolve = [row(1, "a", due=date(2026, 10, 1))], Resolver(SCHEMA, ledger(1))
    assert fold_month(raw([rows]), facts, SCHEMA, resolve, Month(2026, 10)).column("age")[0].as_py() == 30
    with pytest.raises(ValueError, match="needs `month`"):
        fold_month(raw([rows]), facts, SCHEMA, resolve)
