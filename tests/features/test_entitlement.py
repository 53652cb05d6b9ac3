"""Who may be used for what: each condition at its edge, and random registers against a slow, plain reference."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.months import Month, knowledge_cutoff
from core.purpose import CONSENT_KINDS, Purpose
from expectations.contract import load_contracts
from features.consent_registers import Registers, consents_of, suppressions_of
from features.data_span import DataSpan, Limits
from features.entitlement import (
    ENTITLED,
    REASONS,
    Demand,
    Entitlement,
    Question,
    demand_of,
    families,
    in_force,
    judge,
    names_family,
)

ON = date(2026, 11, 5)
SUBJECTS = 4
CONTRACTS = load_contracts()
NAMES = list(REASONS)
WRITTEN_TAX = Demand("written", "register", "tax_vat_return")

#: Separate consent to risk assessment, from January on for a year, for every source.
GIVEN: dict[str, Any] = {
    "subject_no": 1, "consent_id": "A", "purpose": "risk", "kind": "written", "granted_at": date(2026, 1, 1),
    "valid_to": date(2027, 1, 1), "withdrawn_at": None, "source_codes": None,
    "data_from": None, "data_to": None, "retention_days": None, "fetch": None,
}  # fmt: skip
SCHEMA = pa.schema(
    [
        ("subject_no", pa.int32()), ("consent_id", pa.string()), ("purpose", pa.string()), ("kind", pa.string()),
        ("granted_at", pa.date32()), ("valid_to", pa.date32()), ("withdrawn_at", pa.date32()),
        ("source_codes", pa.string()), ("data_from", pa.date32()), ("data_to", pa.date32()),
        ("retention_days", pa.int32()), ("fetch", pa.string()),
    ]
)  # fmt: skip


def register(*rows: dict[str, Any]) -> pa.Table:
    named = [{"consent_id": f"C{no}"} | row for no, row in enumerate(rows)]
    return pa.Table.from_pylist([GIVEN | row for row in named], schema=SCHEMA)


def reason(*rows: dict[str, Any], demand: Demand = WRITTEN_TAX, purpose: Purpose = Purpose.RISK) -> str:
    """Why subject 1 may not be used."""
    found = judge(consents_of(register(*rows)), Question(purpose, demand, ON), SUBJECTS)
    assert found.shape == (SUBJECTS,)
    return NAMES[found[1]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"granted_at": ON}, ""),
        ({"granted_at": ON + timedelta(1)}, "not_yet_granted"),
        ({"valid_to": ON}, "expired"),
        ({"valid_to": ON + timedelta(1)}, ""),
        ({"valid_to": None}, ""),
        ({"withdrawn_at": date(2026, 5, 1)}, "withdrawn"),
        ({"withdrawn_at": ON + timedelta(30)}, "withdrawn"),
        ({"purpose": "marketing"}, "no_consent"),
        ({"subject_no": 2}, "no_consent"),
        ({"kind": "separate"}, "kind_too_weak"),
        ({"kind": "general"}, "kind_too_weak"),
        ({"kind": "guardian"}, "kind_too_weak"),
        ({"source_codes": '["tax"]'}, ""),
        ({"source_codes": '["si", "tax"]'}, ""),
        ({"source_codes": '["tax_vat_return"]'}, "other_source"),
        ({"source_codes": '["sim_city_tax"]'}, "other_source"),
        ({"source_codes": '["si"]'}, "other_source"),
        ({"source_codes": '["ta"]'}, "other_source"),
        ({"source_codes": "[]"}, "other_source"),
        ({"source_codes": "tax"}, "other_source"),
    ],
)
def test_each_condition_at_its_edge(change: dict[str, Any], told: str) -> None:
    assert reason(change) == told


SPAN = DataSpan(Month(2026, 5), Month(2026, 10))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"data_from": date(2026, 5, 1)}, ""),
        ({"data_from": date(2026, 5, 2)}, "outside_data"),
        ({"data_to": date(2026, 10, 31)}, ""),
        ({"data_to": date(2026, 10, 30)}, "outside_data"),
        ({"retention_days": (ON - date(2026, 5, 31)).days}, ""),
        ({"retention_days": (ON - date(2026, 5, 31)).days - 1}, "past_retention"),
        ({"fetch": "once", "granted_at": date(2026, 10, 6)}, ""),
        ({"fetch": "once", "granted_at": date(2026, 10, 5)}, "fetched_before"),
        ({"fetch": "periodic", "granted_at": date(2026, 10, 5)}, ""),
        ({"kind": "general", "data_to": date(2026, 1, 1)}, "kind_too_weak"),
    ],
)
def test_the_months_that_a_consent_covers_at_their_edges(change: dict[str, Any], told: str) -> None:
    """September's cutoff was on the day 5 October, so a consent for one fetch of that day has been used."""
    limited = {"retention_days": 1825, "fetch": "periodic"} | change
    consents = consents_of(register(limited))
    asked = [
        judge(consents, Question(Purpose.RISK, WRITTEN_TAX, ON, span), SUBJECTS)[1] for span in (SPAN, None)
    ]
    assert NAMES[asked[0]] == told
    assert NAMES[asked[1]] == ("kind_too_weak" if "kind" in change else ""), "without months they have no say"
    if told and told != "kind_too_weak":
        assert Limits.of(consents).may_bar(SPAN, np.datetime64(ON, "D"))
    if change == {} or change.get("fetch") == "periodic":
        assert not Limits.of(consents).may_bar(SPAN, np.datetime64(ON, "D"))


def test_several_consents_dont_add_up_to_a_longer_span() -> None:
    halves = [{"data_to": date(2026, 7, 31)}, {"data_from": date(2026, 8, 1)}]
    for span, told in ((SPAN, "outside_data"), (DataSpan(Month(2026, 8), Month(2026, 10)), "")):
        found = judge(consents_of(register(*halves)), Question(Purpose.RISK, WRITTEN_TAX, ON, span), SUBJECTS)
        assert NAMES[found[1]] == told


def test_a_general_consent_does_where_no_more_is_asked() -> None:
    assert reason({"kind": "general"}, demand=Demand("general")) == ""
    assert reason({"kind": "notice"}, demand=Demand("general")) == "kind_too_weak"
    assert [reason({"kind": kind}, demand=Demand("separate")) for kind in CONSENT_KINDS[1:]] == [
        "kind_too_weak", "kind_too_weak", "", "",
    ]  # fmt: skip


def test_of_several_consents_the_one_that_gets_furthest_counts() -> None:
    assert reason({"kind": "general"}, {}) == ""
    assert reason({"valid_to": date(2026, 2, 1)}, {"kind": "general"}) == "kind_too_weak"


def test_a_withdrawal_ends_every_earlier_consent_of_the_purpose_and_no_later_one() -> None:
    gone = {"withdrawn_at": date(2026, 6, 1)}
    assert reason({}, gone) == "withdrawn"
    assert reason({}, gone, {"granted_at": date(2026, 6, 1)}) == "withdrawn"
    assert reason({}, gone, {"granted_at": date(2026, 6, 2)}) == ""
    assert reason({}, gone | {"purpose": "marketing"}) == ""


def test_where_the_register_has_no_say_only_a_withdrawal_counts() -> None:
    bank, query = Demand("none"), Demand("written", "at_query", "invoice")
    for demand in (bank, query):
        assert reason({"subject_no": 2}, demand=demand) == ""
        assert reason({"withdrawn_at": date(2026, 6, 1)}, demand=demand) == "withdrawn"
        assert (
            reason({"withdrawn_at": date(2026, 6, 1)}, {"granted_at": date(2026, 7, 1)}, demand=demand) == ""
        )
        assert (judge(None, Question(Purpose.RISK, demand, ON), SUBJECTS) == ENTITLED).all()


def test_without_any_register_nobody_is_entitled_where_one_is_asked_for() -> None:
    found = judge(None, Question(Purpose.RISK, WRITTEN_TAX, ON), SUBJECTS)
    assert {NAMES[place] for place in found} == {"no_register"}


def test_the_shipped_contracts_ask_for_what_the_law_asks() -> None:
    wages = CONTRACTS["tax_iit_withholding"]
    assert demand_of(wages) == Demand("written", "register", "tax_iit_withholding")
    assert demand_of(wages, presence=True).kind == "separate"
    assert demand_of(CONTRACTS["invoice"]).in_register is False
    for contract in CONTRACTS.values():
        bank_own = contract.legal_channel == "bank_own"
        assert bank_own == (contract.consent_kind == "none") or not contract.schema().has_subject, (
            contract.table
        )


def test_the_highest_version_of_a_consent_stands() -> None:
    rows = register({"consent_id": "A"}, {"consent_id": "A", "withdrawn_at": date(2026, 6, 1)})
    for versions, expected in (([1, 2], "withdrawn"), ([2, 1], "")):
        numbered = rows.append_column("version_no", pa.array(versions, pa.int32()))
        found = judge(consents_of(numbered), Question(Purpose.RISK, WRITTEN_TAX, ON), SUBJECTS)
        assert NAMES[found[1]] == expected


def test_a_moment_counts_by_its_day_in_china() -> None:
    moments = pa.array(
        [datetime(2026, 11, 4, 16, 0, tzinfo=UTC), datetime(2026, 11, 4, 15, 59, tzinfo=UTC)],
        pa.timestamp("us", "UTC"),
    )
    rows = register({}, {"subject_no": 2})
    place = rows.schema.get_field_index("granted_at")
    rows = rows.set_column(place, "granted_at", pa.chunked_array([moments]))
    earlier = Question(Purpose.RISK, WRITTEN_TAX, ON - timedelta(1))
    found = judge(consents_of(rows), earlier, SUBJECTS)
    assert [NAMES[found[1]], NAMES[found[2]]] == ["not_yet_granted", ""]


def entitlement(
    *rows: dict[str, Any], scope: str = "automated_marketing", until: date | None = ON, **more: Any
) -> Entitlement:
    """Everyone consents; subject 1 is suppressed from a week after ON."""
    given = [
        GIVEN | {"subject_no": no, "purpose": p} for no in range(SUBJECTS) for p in ("risk", "marketing")
    ]
    kept_off = suppressions_of(
        pa.table(
            {
                "subject_no": pa.array([1], pa.int32()), "scope": [scope], "reason": ["complaint"],
                "from_date": pa.array([ON + timedelta(7)], pa.date32()), "to_date": pa.nulls(1, pa.date32()),
            }
        )
    )  # fmt: skip
    consents = consents_of(
        register(*[row | {"consent_id": f"{no}"} for no, row in enumerate([*given, *rows])])
    )
    return Entitlement(Registers(consents, kept_off), CONTRACTS, ON, SUBJECTS, until, **more)


@pytest.mark.parametrize(
    ("scope", "days", "told"),
    [
        ("automated_marketing", 7, "suppressed"), ("all", 7, "suppressed"), ("all", 6, ""),
        ("channel", 7, ""), ("product", 7, ""),
    ],
)  # fmt: skip
def test_suppression_beats_consent_for_marketing_alone(scope: str, days: int, told: str) -> None:
    use = entitlement(scope=scope, until=ON + timedelta(days))
    assert NAMES[use.reasons(Purpose.MARKETING, "tax_vat_return")[1]] == told
    assert NAMES[use.reasons(Purpose.MARKETING, "tax_vat_return")[0]] == ""
    assert NAMES[use.reasons(Purpose.RISK, "tax_vat_return")[1]] == ""
    then = entitlement(scope=scope, until=None)
    assert NAMES[then.reasons(Purpose.MARKETING, "tax_vat_return")[1]] == ""


def test_use_needs_entitlement_then_and_now() -> None:
    then = entitlement({"subject_no": 2, "withdrawn_at": date(2026, 2, 1)}, until=None)
    now = entitlement({"subject_no": 3, "withdrawn_at": ON + timedelta(2)}, until=ON, earlier=then)
    told = [NAMES[place] for place in now.reasons(Purpose.RISK, "tax_vat_return")]
    assert told == ["", "", "withdrawn", "withdrawn"]


# -- beside a slow reference -------------------------------------------------------------------------------------------

DAYS = [date(2026, 1, 1), date(2026, 4, 1), ON, ON + timedelta(1), date(2027, 1, 1)]
ROW = st.fixed_dictionaries(
    {
        "subject_no": st.integers(0, SUBJECTS - 1),
        "purpose": st.sampled_from(["risk", "marketing"]),
        "kind": st.sampled_from([*CONSENT_KINDS[1:], "guardian"]),
        "granted_at": st.sampled_from(DAYS),
        "valid_to": st.sampled_from([None, *DAYS]),
        "withdrawn_at": st.sampled_from([None, None, None, *DAYS]),
        "data_from": st.sampled_from([None, None, date(2026, 8, 1), date(2026, 8, 2), date(2026, 10, 1)]),
        "data_to": st.sampled_from([None, None, date(2026, 10, 31), date(2026, 9, 30)]),
        "retention_days": st.sampled_from([None, 1825, 5, 40, 66, 67]),
        "fetch": st.sampled_from(["periodic", "periodic", "once", None]),
        "source_codes": st.sampled_from(
            [None, "[]", '["tax"]', '["si", "util"]', '["tax_vat_return", "si"]', '["tax", "si"]']
        ),
    }
)
QUESTION = st.builds(
    Question,
    st.sampled_from([Purpose.RISK, Purpose.MARKETING]),
    st.builds(
        Demand,
        st.sampled_from(CONSENT_KINDS),
        st.sampled_from(["register", "register", "at_query"]),
        st.sampled_from([None, "tax_vat_return", "si_person_month"]),
    ),
    st.sampled_from(DAYS),
    st.sampled_from([None, *(DataSpan(Month(2026, month), Month(2026, 10)) for month in (8, 9, 10))]),
)


def covers(row: dict[str, Any], span: DataSpan | None, on: date) -> bool:
    """Month by month: within the range, no older than may be kept; one fetch is that of the first cutoff from the grant on."""
    if span is None:
        return True
    months = [Month.of_index(index) for index in range(span.first.index, span.as_of.index + 1)]
    for month in months:
        if row["data_from"] is not None and month.first_day < row["data_from"]:
            return False
        if row["data_to"] is not None and month.last_day > row["data_to"]:
            return False
        if row["retention_days"] is not None and (on - month.last_day).days > row["retention_days"]:
            return False
    cutoff = knowledge_cutoff(span.as_of.plus(-1)).date()
    return row["fetch"] != "once" or row["granted_at"] > cutoff


def plainly(rows: list[dict[str, Any]], question: Question) -> list[bool]:
    """The rule told subject by subject, row by row."""
    demand, on, answer = question.demand, question.on, []
    for subject in range(SUBJECTS):
        mine = [r for r in rows if r["subject_no"] == subject and r["purpose"] == str(question.purpose)]
        refusals = [r["withdrawn_at"] for r in mine if r["withdrawn_at"] is not None]
        standing = [
            r
            for r in mine
            if r["withdrawn_at"] is None
            and all(r["granted_at"] > day for day in refusals)
            and r["granted_at"] <= on
            and (r["valid_to"] is None or on < r["valid_to"])
        ]
        if demand.kind == "none" or demand.basis == "at_query":
            answer.append(not refusals or bool(standing))
            continue
        for r in standing:
            named = r["source_codes"] is None or demand.table is None
            named = named or str(demand.table).split("_")[0] in json.loads(r["source_codes"])
            strong = r["kind"] in CONSENT_KINDS[CONSENT_KINDS.index(demand.kind) :]
            if named and strong and covers(r, question.span, on):
                answer.append(True)
                break
        else:
            answer.append(False)
    return answer


@settings(max_examples=300)
@given(st.lists(ROW, max_size=14), QUESTION)
def test_random_registers_are_judged_as_by_hand(rows: list[dict[str, Any]], question: Question) -> None:
    consents = consents_of(register(*rows))
    found = judge(consents, question, SUBJECTS)
    assert (found == ENTITLED).tolist() == plainly(rows, question)
    if question.span is not None and not Limits.of(consents).may_bar(question.span, question.day):
        assert (found == judge(consents, replace(question, span=None), SUBJECTS)).all()
    if question.demand.in_register:
        cited = in_force(consents, question)
        assert cited["subject_no"].tolist() == np.flatnonzero(found == ENTITLED).tolist()


@settings(max_examples=100)
@given(st.lists(ROW, max_size=14), QUESTION, st.integers(0, SUBJECTS - 1), st.sampled_from(DAYS))
def test_withdrawing_for_one_subject_changes_no_other(
    rows: list[dict[str, Any]], question: Question, subject: int, day: date
) -> None:
    before = judge(consents_of(register(*rows)), question, SUBJECTS)
    withdrawn = {
        "subject_no": subject, "purpose": str(question.purpose), "kind": "written", "granted_at": DAYS[0],
        "valid_to": None, "withdrawn_at": max(day, DAYS[-1]), "source_codes": None,
    }  # fmt: skip
    after = judge(consents_of(register(*rows, withdrawn)), question, SUBJECTS)
    assert after[subject] != ENTITLED
    others = np.arange(SUBJECTS) != subject
    assert (before[others] == after[others]).all()


def test_a_consent_names_families_and_nothing_else() -> None:
    assert names_family(None, "tax_vat_return") and names_family(frozenset({"tax"}), None)
    assert names_family(frozenset({"tax"}), "tax_vat_return") and names_family(
        frozenset({"invoice"}), "invoice"
    )
    for nothing in (frozenset(), frozenset({"ta"}), frozenset({"tax_vat"}), frozenset({"tax_vat_return"})):
        assert not names_family(nothing, "tax_vat_return")


def test_the_contract_of_the_register_lists_the_families_that_there_are() -> None:
    form = re.compile(CONTRACTS["consent_register"].columns["source_codes"].pattern)
    known = families(CONTRACTS)
    assert {"tax", "si", "hpf", "util", "platform"} <= known
    assert set(form.pattern.split("(?:")[1].split(")")[0].split("|")) == known
    rule = CONTRACTS["consent_register"].columns["source_codes"].rule
    assert rule is not None and all(
        re.search(rf"\b{name} ", text) for name in known for text in (rule.zh, rule.en)
    )
    for good in ('["tax"]', '["tax","si"]', '["tax", "si"]'):
        assert form.fullmatch(good), good
    for bad in ("tax", "[]", "", '["sim_city_tax"]', '["tax_vat_return"]', '["tax",]', '["tax"] ', '["bk"]'):
        assert not form.fullmatch(bad), bad
