"""Who may be approached, as known at a cutoff."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.purpose import Purpose
from features.suppression import suppressed
from leads.consent import consented
from tests.leads.worlds import CUTOFF, ON, known_consents, known_suppressions


def consenting(*rows, on=ON, cutoff=CUTOFF, purpose=Purpose.MARKETING, **more):
    return consented(known_consents(*rows, cutoff=cutoff), purpose, on, **more)["subject_no"].tolist()


def test_consent_in_force():
    assert consenting({"subject_no": 7}) == [7]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"granted_at": ON}, [1]),
        ({"granted_at": ON + timedelta(1)}, []),
        ({"valid_to": ON}, []),
        ({"valid_to": ON + timedelta(1)}, [1]),
        ({"valid_to": None}, [1]),
        ({"purpose": "risk"}, []),
        ({"kind": "general"}, []),
        ({"kind": "written"}, [1]),
        ({"withdrawn_at": date(2026, 5, 1)}, []),
        ({"withdrawn_at": ON + timedelta(30)}, []),
        ({"received_at": CUTOFF}, [1]),
        ({"received_at": CUTOFF + timedelta(microseconds=1)}, []),
    ],
)
def test_each_condition_at_its_edge(change, expected):
    assert consenting({"subject_no": 1} | change) == expected


def test_kinds_can_be_widened_by_a_policy():
    assert consenting({"subject_no": 1, "kind": "general"}, kinds=["general"]) == [1]


def test_a_withdrawal_in_a_later_month_ends_consent_from_the_moment_it_is_known():
    granted = {"subject_no": 1}
    known = datetime(2026, 11, 3, tzinfo=UTC)
    withdrawn = {
        "subject_no": 1,
        "withdrawn_at": date(2026, 11, 2),
        "received_at": known,
    }
    assert consenting(granted, withdrawn, cutoff=known) == []
    assert consenting(granted, withdrawn, cutoff=known - timedelta(microseconds=1)) == [1]


def test_latest_version_wins_by_arrival_then_revision_then_row():
    same = {"subject_no": 1}
    assert consenting(
        same | {"revision": 2, "row_no": 0},
        same | {"revision": 1, "row_no": 9, "kind": "general"},
    ) == [1]
    assert consenting(same | {"row_no": 5, "kind": "general"}, same | {"row_no": 9}) == [1]


def test_withdrawing_one_of_two_consents_ends_both_until_a_new_one():
    old = {"subject_no": 1, "consent_id": "old"}
    other = {"subject_no": 1, "consent_id": "other", "withdrawn_at": date(2026, 6, 1)}
    assert consenting(old, other) == []
    new = {"subject_no": 1, "consent_id": "new", "granted_at": date(2026, 6, 2)}
    assert consented(known_consents(old, other, new), Purpose.MARKETING, ON)["consent_id"].tolist() == ["new"]
    assert consenting(old, other, new | {"granted_at": date(2026, 6, 1)}) == []


def test_withdrawing_risk_consent_leaves_marketing_consent():
    assert consenting(
        {"subject_no": 1},
        {
            "subject_no": 1,
            "consent_id": "r",
            "purpose": "risk",
            "withdrawn_at": date(2026, 6, 1),
        },
    ) == [1]


def test_empty_register():
    assert consenting() == []
    assert suppressed(known_suppressions(), ON).empty


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [1]),
        ({"from_date": ON}, [1]),
        ({"from_date": ON + timedelta(1)}, []),
        ({"to_date": ON}, [1]),
        ({"to_date": ON - timedelta(1)}, []),
        ({"scope": "automated_marketing"}, [1]),
        ({"scope": "channel"}, [1]),
        ({"received_at": CUTOFF + timedelta(microseconds=1)}, []),
    ],
)
def test_suppression_at_its_edges(change, expected):
    found = suppressed(known_suppressions({"subject_no": 1} | change), ON)
    assert found["subject_no"].tolist() == expected


def test_a_suppression_can_be_ended_by_a_later_version():
    ended = {
        "subject_no": 1,
        "to_date": date(2026, 10, 1),
        "received_at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    assert suppressed(known_suppressions({"subject_no": 1}, ended), ON).empty


@settings(max_examples=30)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "subject_no": st.integers(0, 5),
                "consent_id": st.sampled_from(["a", "b", "c"]),
                "withdrawn_at": st.sampled_from([None, None, date(2026, 3, 1)]),
                "granted_at": st.sampled_from([date(2026, 1, 1), date(2026, 4, 1), date(2027, 1, 1)]),
                "received_at": st.sampled_from([CUTOFF - timedelta(days=d) for d in (3, 2, 1)]),
            }
        )
    ),
    st.lists(
        st.fixed_dictionaries({"subject_no": st.integers(0, 5), "withdrawn_at": st.just(date(2026, 2, 2))})
    ),
)
def test_what_arrives_after_the_cutoff_changes_nothing(before, after):
    for no, row in enumerate(before):
        row["consent_id"] = f"{row['subject_no']}{row['consent_id']}"
        row["row_no"] = no
    late = [
        row
        | {
            "received_at": CUTOFF + timedelta(seconds=1),
            "consent_id": f"{row['subject_no']}a",
        }
        for row in after
    ]
    alone = consented(known_consents(*before), Purpose.MARKETING, ON)
    assert consented(known_consents(*before, *late), Purpose.MARKETING, ON).equals(alone)
    assert alone["subject_no"].is_unique
