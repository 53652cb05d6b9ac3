"""Features at T see only what had been received by T's cutoff: the promise that everything else stands on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.definition_file import Bilingual
from core.money import from_fen
from core.months import Month, knowledge_cutoff
from core.purpose import Purpose
from core.subject import SubjectKind
from core.table_schema import Column, ColumnType, TableSchema
from core.table_store import TableStore
from features.as_of import feature_table, features_at
from features.catalogue import Feature, FeatureSet
from features.fact_definition import FactDefinition
from features.fold import fold_month
from sources.versions import KnownDelivery, Resolver
from tests.features.bits import same_bits

FIRST = Month(2026, 1)
MONTHS = 6
SUBJECTS = 5

RISK = (Purpose.RISK,)
SCHEMA = TableSchema(
    "bill",
    (
        Column("subject_id", ColumnType.SUBJECT, purposes=RISK),
        Column("period", ColumnType.MONTH, purposes=RISK),
        Column("acct", ColumnType.STRING, purposes=RISK),
        Column("amt", ColumnType.MONEY, purposes=RISK),
        Column("late", ColumnType.BOOL, purposes=RISK),
    ),
    ("acct", "period"),
)
FACTS = FactDefinition.model_validate(
    {
        "facts": "bill",
        "subject": "resident",
        "table": "bill",
        "title": {"zh": "账单", "en": "bills"},
        "measures": {
            "bills": {"agg": "count"},
            "amt": {"agg": "sum", "column": "amt"},
            "largest": {"agg": "max", "column": "amt", "where": {"late": True}},
            "late": {"agg": "count", "where": {"late": True}},
            "accounts": {"agg": "distinct", "column": "acct"},
        },
    }
)


def feature(measure: str, formula: str, window: int, over: str | None = None) -> Feature:
    text = Bilingual(zh="特征", en="feature")
    return Feature(
        f"{measure}_{formula}_{window}", "bill", measure, formula, window, over, "bill", "", frozenset(RISK), 0,
        text, text, "X", 0.01 if measure in ("amt", "largest") and formula in ("sum", "max", "mean", "last") else 1.0,
    )  # fmt: skip


FEATURES = FeatureSet(
    "bill_monthly",
    SubjectKind.RESIDENT,
    Bilingual(zh="账单", en="bills"),
    (
        feature("amt", "sum", 3),
        feature("amt", "mean", 6),
        feature("amt", "slope", 6),
        feature("largest", "max", 3),
        feature("late", "since_positive", 6),
        feature("bills", "longest_gap", 6),
        feature("bills", "records", 3),
        feature("amt", "ratio_previous", 2),
        feature("late", "share_of", 6, over="bills"),
    ),
    {"bill": FACTS},
)


@dataclass(frozen=True)
class Row:
    subject: int
    acct: int
    fen: int
    late: bool


@dataclass(frozen=True)
class Delivered:
    month: int
    revision: int
    mode: str
    delay_days: int
    rows: tuple[Row, ...]

    @property
    def at(self) -> datetime:
        day = FIRST.plus(self.month).last_day + timedelta(days=self.delay_days)
        # Revisions that come on one day come at different hours: what is replaced at once was never known.
        return datetime(day.year, day.month, day.day, self.revision, tzinfo=knowledge_cutoff(FIRST).tzinfo)


rows = st.builds(
    Row,
    st.integers(0, SUBJECTS - 1),
    st.integers(0, 3),
    st.integers(-500, 5000),
    st.booleans(),
)
delivered = st.builds(
    Delivered,
    st.integers(0, MONTHS - 1),
    st.just(1),
    st.sampled_from(["full", "supplement"]),
    st.integers(1, 150),
    st.lists(rows, max_size=6, unique_by=lambda r: r.acct).map(tuple),
)


def numbered(deliveries: list[Delivered]) -> list[Delivered]:
    """Revisions follow the order of arrival within a month, as a provider would number them."""
    result: list[Delivered] = []
    for item in sorted(deliveries, key=lambda d: (d.at, d.month)):
        revision = 1 + sum(1 for other in result if other.month == item.month)
        result.append(Delivered(item.month, revision, item.mode, item.delay_days, item.rows))
    return result


def raw_month(deliveries: list[tuple[int, Delivered]]) -> pa.Table:
    flat = [(number, item, row, at) for number, item in deliveries for at, row in enumerate(item.rows)]
    flat.sort(key=lambda entry: entry[2].subject)
    return pa.table(
        {
            "subject_no": pa.array([row.subject for _, _, row, _ in flat], pa.int32()),
            "acct": pa.array([str(row.acct) for _, _, row, _ in flat], pa.string()),
            "amt": from_fen(np.array([row.fen for _, _, row, _ in flat], dtype=np.int64)),
            "late": pa.array([row.late for _, _, row, _ in flat], pa.bool_()),
            "received_at": pa.array([item.at for _, item, _, _ in flat], pa.timestamp("us", tz="UTC")),
            "delivery_no": pa.array([number for number, _, _, _ in flat], pa.int32()),
            "revision": pa.array([item.revision for _, item, _, _ in flat], pa.int32()),
            "row_no": pa.array([at for _, _, _, at in flat], pa.int32()),
        }
    )


def world(tmp: str, deliveries: list[Delivered]) -> TableStore:
    from pathlib import Path

    store = TableStore(Path(tmp))
    ledger = {
        n: KnownDelivery(n, "s", str(FIRST.plus(d.month)), d.revision, d.mode == "full", d.at)
        for n, d in enumerate(deliveries)
    }
    for month in range(MONTHS):
        mine = [(n, d) for n, d in enumerate(deliveries) if d.month == month]
        if any(d.rows for _, d in mine):
            facts = fold_month(
                raw_month(mine),
                FACTS,
                SCHEMA,
                Resolver(SCHEMA, ledger),
            )
            store.replace(FACTS.fact_table, str(FIRST.plus(month)), facts)
    return store


def reference(deliveries: list[Delivered], as_of: Month) -> pd.DataFrame:
    """Slow and obvious: replay the ledger row by row up to the cutoff, then loop over subjects and months."""
    cutoff = knowledge_cutoff(as_of)
    months: dict[int, dict[int, Row]] = {m: {} for m in range(MONTHS)}
    seen: set[int] = set()
    for item in deliveries:
        month = FIRST.plus(item.month)
        if item.at > cutoff or month > as_of or month < as_of.plus(1 - FEATURES.months_back):
            continue
        if item.mode == "full":
            months[item.month] = {}
        for row in item.rows:
            months[item.month][row.acct] = row
            seen.add(row.subject)
    out = {}
    for subject in sorted(seen):
        series: dict[str, list[float]] = {
            "bills": [],
            "amt": [],
            "late": [],
            "largest": [],
        }
        for back in range(FEATURES.months_back - 1, -1, -1):
            position = as_of.plus(-back).index - FIRST.index
            mine = [r for r in months.get(position, {}).values() if r.subject == subject]
            late = [r.fen for r in mine if r.late]
            series["bills"].append(len(mine) if mine else np.nan)
            series["amt"].append(sum(r.fen for r in mine) if mine else np.nan)
            series["late"].append(len(late) if mine else np.nan)
            series["largest"].append(max(late) if late else np.nan)
        s = {name: pd.Series(values) for name, values in series.items()}
        amt6 = s["amt"].tail(6).reset_index(drop=True).dropna()
        slope = np.nan
        if len(amt6) > 2 and amt6.mean() != 0:
            slope = float(
                np.polyfit(amt6.index.to_numpy(dtype=float), amt6.to_numpy(), 1)[0] / abs(amt6.mean())
            )
        last_late = [back for back in range(6) if s["late"].iloc[-1 - back] > 0]
        gap = longest = started = 0
        for value in s["bills"].tail(6):
            started = started or value > 0
            gap = 0 if value > 0 else gap + 1
            longest = max(longest, gap) if started else 0
        before = s["amt"].iloc[-4:-2].sum(min_count=1)
        out[subject] = {
            "amt_sum_3": s["amt"].tail(3).sum(min_count=1) / 100,
            "amt_mean_6": s["amt"].tail(6).mean() / 100,
            "amt_slope_6": slope,
            "largest_max_3": s["largest"].tail(3).max() / 100,
            "late_since_positive_6": last_late[0] if last_late else np.nan,
            "bills_longest_gap_6": longest if started else np.nan,
            "bills_records_3": s["bills"].tail(3).count(),
            "amt_ratio_previous_2": s["amt"].tail(2).sum(min_count=1) / before if before else np.nan,
            "late_share_of_6": s["late"].tail(6).sum(min_count=1) / s["bills"].tail(6).sum(min_count=1),
        }
    return pd.DataFrame.from_dict(out, orient="index", columns=FEATURES.names)


worlds = st.lists(delivered, min_size=1, max_size=10).map(numbered)


# One account of the month of March, sent twice in time and again under another holder a year later.
PASSED_ON = [
    Delivered(2, 1, "supplement", 1, (Row(0, 0, 100, False),)),
    Delivered(2, 2, "supplement", 3, (Row(0, 0, 200, False),)),
    Delivered(2, 3, "supplement", 140, (Row(1, 0, 300, False),)),
]

# An account passes to another holder; the first one is told of again, for another account, later.
TOLD_OF_AGAIN = [
    Delivered(2, 1, "supplement", 1, (Row(0, 0, 100, False),)),
    Delivered(2, 2, "supplement", 3, (Row(1, 0, 100, False),)),
    Delivered(2, 3, "supplement", 5, (Row(0, 5, 300, False),)),
]


@settings(max_examples=80)
@example(PASSED_ON, 2)
@given(worlds, st.integers(0, MONTHS - 1))
def test_later_received_records_change_nothing(
    tmp_path_factory,
    deliveries: list[Delivered],
    back: int,  # type: ignore[no-untyped-def]
) -> None:
    as_of = FIRST.plus(back)
    known = [item for item in deliveries if item.at <= knowledge_cutoff(as_of)]
    everything = feature_table(world(str(tmp_path_factory.mktemp("all")), deliveries), FEATURES, as_of)
    then = feature_table(world(str(tmp_path_factory.mktemp("then")), known), FEATURES, as_of)
    assert same_bits(everything, then)


@settings(max_examples=80)
@example(TOLD_OF_AGAIN, 2)
@given(worlds, st.integers(0, MONTHS - 1))
def test_agrees_with_the_slow_reference(
    tmp_path_factory,
    deliveries: list[Delivered],
    back: int,  # type: ignore[no-untyped-def]
) -> None:
    as_of = FIRST.plus(back)
    store = world(str(tmp_path_factory.mktemp("world")), deliveries)
    found = feature_table(store, FEATURES, as_of).to_pandas().set_index("subject_no")
    expected = reference(deliveries, as_of)
    pd.testing.assert_frame_equal(
        found,
        expected,
        check_dtype=False,
        check_names=False,
        check_index_type=False,
        rtol=1e-9,
        atol=1e-9,
    )


def test_chunks_and_panels_give_the_same_bits(tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(3)
    deliveries = numbered(
        [
            Delivered(m, 1, "supplement", int(random.integers(1, 60)),
                      tuple(Row(s, 2 * s + a, int(random.integers(0, 9000)), bool(random.random() < 0.3))
                            for s in range(40) for a in range(2) if random.random() < 0.6))
            for m in range(MONTHS) for _ in range(2)
        ]
    )  # fmt: skip
    store = world(str(tmp_path_factory.mktemp("chunks")), deliveries)
    as_of = [FIRST.plus(3), FIRST.plus(5)]
    whole = {str(month): feature_table(store, FEATURES, month) for month in as_of}
    pieces: dict[str, list[pa.Table]] = {str(month): [] for month in as_of}
    for month, chunk in features_at(store, FEATURES, as_of, chunk=7):
        pieces[str(month)].append(chunk)
    for month in as_of:
        assert same_bits(pa.concat_tables(pieces[str(month)]), whole[str(month)])


def test_no_row_means_zero_for_everybody_whatever_the_chunk(tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    events = FACTS.model_copy(update={"absent": "zero"})
    text = Bilingual(zh="特征", en="feature")
    features = FeatureSet("bill_monthly", SubjectKind.RESIDENT, text, FEATURES.features, {"bill": events})
    deliveries = [
        Delivered(0, 1, "full", 2, tuple(Row(s, s, 100, False) for s in range(20))),
        Delivered(1, 1, "full", 2, (Row(1, 1, 100, False),)),
    ]
    store = world(str(tmp_path_factory.mktemp("zero")), deliveries)
    whole = feature_table(store, features, FIRST.plus(1))
    assert whole.column("bills_records_3").to_pylist() == [2.0] * 20
    assert same_bits(feature_table(store, features, FIRST.plus(1), chunk=3), whole)
