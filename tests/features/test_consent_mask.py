"""Features under consents, against the same features without any and a plain rule; and what withdrawing one subject changes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features.entitlement as entitlement_module
from core.definition_file import Bilingual
from core.months import Month
from core.purpose import Purpose
from core.subject import SubjectKind
from core.table_store import TableStore
from expectations.contract import load_contracts
from features.as_of import feature_table
from features.catalogue import Feature, FeatureSet
from features.consent_mask import stored_mask
from features.consent_registers import Registers, consents_of, suppressions_of
from features.data_span import DataSpan
from features.entitlement import ENTITLED, Entitlement
from features.fact_definition import FactDefinition
from features.feature_store import usable_features
from features.ineligible import NO_ROW, Ineligible
from tests.features.test_entitlement import ON, ROW, SUBJECTS, covers, register

AS_OF, CONTRACTS = Month(2026, 10), load_contracts()
BOTH = frozenset({Purpose.RISK, Purpose.MARKETING})
RISK = frozenset({Purpose.RISK})
TEXT = Bilingual(zh="特征", en="feature")


def facts(name: str) -> FactDefinition:
    return FactDefinition.model_validate(
        {
            "facts": name, "subject": "resident", "table": name, "title": {"zh": "事实", "en": "facts"},
            "measures": {"n": {"agg": "count"}},
        }
    )  # fmt: skip


def feature(
    source: str, formula: str, purposes: frozenset[Purpose], over: str | None = None, window: int = 1
) -> Feature:
    return Feature(
        f"{source}_{formula}_{window}", source, "n", formula, window, "n" if over else None, over or source, "", purposes, 0,
        TEXT, TEXT, "X", 1.0,
    )  # fmt: skip


#: Written consent for tax amounts, separate for the presence of a wage, for social insurance and utilities.
SET = FeatureSet(
    "made_up", SubjectKind.RESIDENT, TEXT,
    (
        feature("tax_iit_withholding", "sum", RISK),
        feature("tax_iit_withholding", "any_positive", RISK),
        feature("si_person_month", "sum", RISK),
        feature("util_bill", "sum", BOTH),
        feature("util_bill", "sum", BOTH, window=3),
        feature("tax_iit_withholding", "any_positive", RISK, window=2),
        feature("si_person_month", "share_of", RISK, over="util_bill"),
    ),
    {name: facts(name) for name in ("tax_iit_withholding", "si_person_month", "util_bill")},
)  # fmt: skip
SOURCES = sorted(SET.facts)

#: Which sources have a record of which subject.
KNOWN = st.lists(st.lists(st.booleans(), min_size=SUBJECTS, max_size=SUBJECTS), min_size=3, max_size=3)


def lake(folder: Any, known: list[list[bool]]) -> TableStore:
    store, at = TableStore(folder), datetime(2026, 11, 1, tzinfo=UTC)
    for name, there in zip(SOURCES, known, strict=True):
        numbers = np.flatnonzero(there).astype(np.int32)
        if len(numbers):
            rows = {
                "subject_no": numbers,
                "known_at": pa.array([at] * len(numbers), pa.timestamp("us", "UTC")),
            }
            store.replace(f"facts/resident/{name}", str(AS_OF), pa.table(rows | {"n": pa.array(numbers + 1)}))
    return store


def entitlement(rows: list[dict[str, Any]], suppressed: set[int] = frozenset(), **more: Any) -> Entitlement:  # type: ignore[assignment]
    entries = pa.table(
        {
            "subject_no": pa.array(sorted(suppressed), pa.int32()),
            "scope": pa.array(["all"] * len(suppressed), pa.string()),
            "reason": pa.array(["complaint"] * len(suppressed), pa.string()),
            "from_date": pa.array([date(2026, 1, 1)] * len(suppressed), pa.date32()),
            "to_date": pa.nulls(len(suppressed), pa.date32()),
        }
    )
    registers = Registers(consents_of(register(*rows)), suppressions_of(entries))
    return Entitlement(registers, CONTRACTS, ON, SUBJECTS, **more)


def stored(store: TableStore, given: Entitlement, told: Ineligible | None = None) -> pd.DataFrame:
    table = feature_table(store, SET, AS_OF, consents=stored_mask(SET, given, AS_OF), ineligible=told)
    return table.to_pandas().set_index("subject_no")


def may(given: Entitlement, subject: int, purpose: Purpose, source: str, one: Feature) -> bool:
    span = DataSpan(AS_OF.plus(1 - one.months_back), AS_OF)
    return bool(given.reasons(purpose, source, one.formula == "any_positive", span)[subject] == ENTITLED)


def allowed(given: Entitlement, subject: int, one: Feature, purposes: frozenset[Purpose]) -> bool:
    sources = {one.facts, one.over_facts}
    return any(all(may(given, subject, p, s, one) for s in sources) for p in one.purposes & purposes)


def may_be_seen(given: Entitlement, subject: int, source: str) -> bool:
    """Whether any feature on the source may be told of the subject, as far as this source goes."""
    return any(
        may(given, subject, p, source, one)
        for one in SET.features
        for p in one.purposes
        if source in {one.facts, one.over_facts}
    )


@settings(max_examples=60)
@given(st.lists(ROW, max_size=12), KNOWN)
def test_cells_and_rows_are_there_exactly_where_consents_allow(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], known: list[list[bool]]
) -> None:
    store, given_ = lake(tmp_path_factory.mktemp("mask"), known), entitlement(rows)
    everything = feature_table(store, SET, AS_OF).to_pandas().set_index("subject_no")
    told = Ineligible()
    found = stored(store, given_, told)
    expected = everything.copy()
    for subject in everything.index:
        for one in SET.features:
            if not allowed(given_, subject, one, BOTH):
                expected.loc[subject, one.name] = np.nan
    seen = [
        subject
        for subject in everything.index
        if any(
            there[subject] and may_be_seen(given_, subject, s)
            for there, s in zip(known, SOURCES, strict=True)
        )
    ]
    pd.testing.assert_frame_equal(
        found, expected[expected.index.isin(seen)], check_exact=True, check_index_type=False
    )
    assert told.without_any == len(everything) - len(seen)
    for (purpose, source, _), subjects in told.by_reason.items():
        assert subjects <= sum(known[SOURCES.index(source)])
        assert purpose in BOTH


@settings(max_examples=60)
@given(
    st.lists(ROW, max_size=12),
    KNOWN,
    st.sampled_from(sorted(BOTH)),
    st.sets(st.integers(0, SUBJECTS - 1), max_size=2),
)
def test_for_one_purpose_only_what_may_be_used_now_is_left(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    known: list[list[bool]],
    purpose: Purpose,
    kept_off: set[int],
) -> None:
    store = lake(tmp_path_factory.mktemp("use"), known)
    # Stored under generous consents; used under the random ones.
    generous = [
        {"subject_no": no, "purpose": p, "kind": "written"}
        for no in range(SUBJECTS)
        for p in ("risk", "marketing")
    ]
    table = feature_table(store, SET, AS_OF, consents=stored_mask(SET, entitlement(generous), AS_OF))
    store.replace(SET.table, str(AS_OF), table)
    use = entitlement(rows, kept_off, until=ON)
    usable = usable_features(store, SET, [AS_OF], purpose, use)
    frame = usable.frame.reset_index().set_index("subject_no").drop(columns="as_of")
    assert list(frame.columns) == SET.for_purpose(purpose)
    whole = table.to_pandas().set_index("subject_no")
    features = [one for one in SET.features if purpose in one.purposes]
    for subject in whole.index:
        told = {one.name: allowed(use, subject, one, frozenset({purpose})) for one in features}
        if subject in frame.index:
            assert any(told.values())
            for name, yes in told.items():
                now, was = frame.loc[subject, name], whole.loc[subject, name]
                assert (now == was or (np.isnan(now) and np.isnan(was))) if yes else np.isnan(now)
        else:
            assert not any(yes and not np.isnan(whole.loc[subject, name]) for name, yes in told.items())
    if purpose is Purpose.MARKETING:
        assert not set(frame.index) & kept_off
    left_out = sum(n for (_, source, _), n in usable.ineligible.by_reason.items() if source == NO_ROW)
    assert left_out == usable.ineligible.without_any == len(whole) - len(frame)


@settings(max_examples=40)
@given(st.lists(ROW, max_size=12), KNOWN, st.integers(0, SUBJECTS - 1))
def test_withdrawing_one_subject_leaves_the_others_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    known: list[list[bool]],
    subject: int,
) -> None:
    store = lake(tmp_path_factory.mktemp("withdraw"), known)
    before = stored(store, entitlement(rows))
    withdrawals = [
        {"subject_no": subject, "purpose": p, "kind": "written", "withdrawn_at": date(2027, 6, 1)}
        for p in ("risk", "marketing")
    ]
    after = stored(store, entitlement([*rows, *withdrawals]))
    assert subject not in after.index
    pd.testing.assert_frame_equal(
        after, before.drop(index=subject, errors="ignore"), check_exact=True, check_index_type=False
    )


#: Utilities, a firm's or a household's, over one to three months.
SPANS = FeatureSet(
    "spans", SubjectKind.RESIDENT, TEXT,
    tuple(feature("util_bill", "sum", BOTH, window=months) for months in (1, 2, 3)), {"util_bill": facts("util_bill")},
)  # fmt: skip
MONTHS = [AS_OF.plus(back) for back in (-2, -1, 0)]


def bills(folder: Any, counted: list[list[int]]) -> TableStore:
    """One row per subject and month with these numbers."""
    store, at = TableStore(folder), datetime(2026, 11, 1, tzinfo=UTC)
    for month, numbers in zip(MONTHS, counted, strict=True):
        rows = {
            "subject_no": np.arange(SUBJECTS, dtype=np.int32),
            "known_at": pa.array([at] * SUBJECTS, pa.timestamp("us", "UTC")),
            "n": pa.array(numbers, pa.float64()),
        }
        store.replace("facts/resident/util_bill", str(month), pa.table(rows))
    return store


COUNTED = st.lists(st.lists(st.integers(1, 9), min_size=SUBJECTS, max_size=SUBJECTS), min_size=3, max_size=3)


@settings(max_examples=60)
@given(st.lists(ROW, max_size=10), COUNTED, COUNTED)
def test_nothing_of_months_that_no_consent_covers_enters_any_feature(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    one: list[list[int]],
    other: list[list[int]],
) -> None:
    """Two worlds that differ only in months outside of every consent of the subject give the same table to the bit."""
    rows = [row | {"kind": "separate", "purpose": "risk"} for row in rows]
    mixed = [list(numbers) for numbers in one]
    for place, month in enumerate(MONTHS):
        for subject in range(SUBJECTS):
            mine = [row for row in rows if row["subject_no"] == subject]
            if not any(covers(row, DataSpan(month, month), ON) for row in mine):
                mixed[place][subject] = other[place][subject]
    given_ = entitlement(rows)
    tables = [
        feature_table(
            bills(tmp_path_factory.mktemp("spans"), counted),
            SPANS,
            AS_OF,
            consents=stored_mask(SPANS, given_, AS_OF),
        )
        for counted in (one, mixed)
    ]
    pd.testing.assert_frame_equal(tables[0].to_pandas(), tables[1].to_pandas(), check_exact=True)


def test_a_consent_for_some_months_gives_the_windows_that_it_covers_and_is_counted(tmp_path: Any) -> None:
    long = {
        "kind": "separate",
        "purpose": "risk",
        "retention_days": 1825,
        "fetch": "periodic",
        "valid_to": None,
    }
    limited: list[dict[str, Any]] = [
        {}, {"data_from": date(2026, 9, 1)}, {"data_to": date(2026, 9, 30)}, {"retention_days": 5},
    ]  # fmt: skip
    given_ = entitlement([long | {"subject_no": no} | one for no, one in enumerate(limited)])
    store, told = bills(tmp_path, [[1, 1, 1, 1], [2, 2, 2, 2], [4, 4, 4, 4]]), Ineligible()
    table = feature_table(store, SPANS, AS_OF, consents=stored_mask(SPANS, given_, AS_OF), ineligible=told)
    found = table.to_pandas().set_index("subject_no")
    nan = float("nan")
    expected = pd.DataFrame(
        [[4, 6, 7], [4, 6, nan], [4, nan, nan]], [0, 1, 3], found.columns, dtype="float64"
    )
    pd.testing.assert_frame_equal(found, expected, check_index_type=False, check_names=False)
    reasons = {reason: n for (purpose, _, reason), n in told.by_reason.items() if purpose is Purpose.RISK}
    assert reasons == {"outside_data": 2, "past_retention": 1} and told.without_any == 1
    store.replace(SPANS.table, str(AS_OF), table)
    # Two months later the days of keeping have passed for more of it.
    later = Entitlement(given_.registers, CONTRACTS, date(2027, 1, 4), SUBJECTS, until=date(2027, 1, 4))
    usable = usable_features(store, SPANS, [AS_OF], Purpose.RISK, later)
    assert usable.frame.reset_index()["subject_no"].tolist() == [0, 1]
    assert usable.ineligible.by_reason[Purpose.RISK, "", "past_retention"] == 1


def test_consents_without_limits_cost_nothing_per_subject(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every source is judged once, whatever the windows."""
    rows = [{"subject_no": 1, "retention_days": 1825, "fetch": "periodic", "data_from": date(2020, 1, 1)}]
    judged: list[Any] = []
    whole = entitlement_module.judge
    monkeypatch.setattr(entitlement_module, "judge", lambda c, q, n: (judged.append(q), whole(c, q, n))[1])
    mask = stored_mask(SPANS, entitlement(rows), AS_OF)
    feature_table(bills(tmp_path, [[1] * SUBJECTS] * 3), SPANS, AS_OF, consents=mask, ineligible=Ineligible())
    assert not mask.limited and len(judged) == 2
    assert {question.span for question in judged} == {None}


def test_without_written_consent_only_the_presence_of_a_wage_is_told(tmp_path: Any) -> None:
    """Domain rule L9."""
    store = lake(tmp_path, [[True] * SUBJECTS, [False] * SUBJECTS, [True] * SUBJECTS])
    kinds = {0: "written", 1: "separate", 2: "general"}
    found = stored(
        store,
        entitlement([{"subject_no": no, "kind": kind, "purpose": "risk"} for no, kind in kinds.items()]),
    )
    assert SOURCES == ["si_person_month", "tax_iit_withholding", "util_bill"]
    assert found.index.tolist() == [0, 1]
    store = lake(tmp_path / "tax", [[False] * SUBJECTS, [True] * SUBJECTS, [False] * SUBJECTS])
    found = stored(
        store,
        entitlement([{"subject_no": no, "kind": kind, "purpose": "risk"} for no, kind in kinds.items()]),
    )
    assert found["tax_iit_withholding_any_positive_1"].tolist() == [1.0, 1.0]
    assert found["tax_iit_withholding_sum_1"].tolist()[0] == 1.0 and np.isnan(
        found["tax_iit_withholding_sum_1"].tolist()[1]
    )
