"""Outcomes worked out by hand: who is excluded, who is bad, and that immature is never good."""

from datetime import date
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.months import Month, month_range
from models.definition import AccountDpdLabel, CampaignResponseLabel
from models.labels import account_outcomes, bank_outcomes, campaign_outcomes

T = Month(2025, 6)
RESIDENT = AccountDpdLabel(kind="account_dpd", version=1, bad_dpd=90, window_months=12)
ENTERPRISE = AccountDpdLabel(
    kind="account_dpd",
    version=1,
    bad_dpd=60,
    bad_classes=["substandard", "doubtful", "loss"],
    window_months=12,
)
RESPONSE = CampaignResponseLabel(kind="campaign_response", version=1, response_days=60)


def account(
    subject: int, first: Month, last: Month, acct: str = "", on_book: int = 10, **at: Any
) -> list[dict[str, object]]:
    """Clean rows of one account; `at` changes single months, e.g. m2025_09={"dpd": 95}."""
    rows = []
    for place, month in enumerate(month_range(first, last)):
        row: dict[str, object] = {
            "subject_no": subject, "period": str(month), "acct_id": acct or f"a{subject}", "dpd": 0, "max_dpd_m": 0,
            "five_class": "normal", "writeoff_flag": False, "months_on_book": on_book + place,
        }  # fmt: skip
        rows.append(row | at.get(f"m{month.year}_{month.month:02d}", {}))
    return rows


def outcome(
    rows: list[dict[str, object]], rule: AccountDpdLabel = RESIDENT, subject: int = 1, **more: object
) -> str:
    found = account_outcomes(pd.DataFrame(rows), T, rule, **more).table  # type: ignore[arg-type]
    return str(found.set_index("subject_no")["outcome"][subject])


ALL = (Month(2025, 4), Month(2026, 6))


@pytest.mark.parametrize(
    ("changes", "resident", "enterprise"),
    [
        ({}, "good", "good"),
        ({"m2025_12": {"dpd": 29, "max_dpd_m": 29}}, "good", "good"),
        ({"m2025_12": {"max_dpd_m": 30}}, "indeterminate", "indeterminate"),
        ({"m2025_12": {"max_dpd_m": 59}}, "indeterminate", "indeterminate"),
        ({"m2025_12": {"max_dpd_m": 60}}, "indeterminate", "bad"),
        ({"m2025_12": {"max_dpd_m": 89}}, "indeterminate", "bad"),
        ({"m2026_06": {"max_dpd_m": 90}}, "bad", "bad"),
        ({"m2025_12": {"writeoff_flag": True}}, "bad", "bad"),
        ({"m2025_12": {"five_class": "special_mention"}}, "good", "good"),
        ({"m2025_12": {"five_class": "substandard"}}, "good", "bad"),
        ({"m2025_06": {"dpd": 30, "max_dpd_m": 30}}, "excluded", "excluded"),
        ({"m2025_06": {"dpd": 29, "max_dpd_m": 29}}, "good", "good"),
        ({"m2025_05": {"dpd": 95, "max_dpd_m": 95}}, "good", "good"),
        ({"m2025_05": {"writeoff_flag": True}}, "excluded", "excluded"),
        ({"m2025_12": {"dpd": None, "max_dpd_m": None}}, "immature", "immature"),
    ],
)
def test_outcomes_by_hand(changes: dict[str, Any], resident: str, enterprise: str) -> None:
    rows = account(1, *ALL, **changes)
    assert outcome(rows, RESIDENT) == resident
    assert outcome(rows, ENTERPRISE) == enterprise


def test_an_event_after_the_window_or_before_it_does_not_count() -> None:
    late = account(1, Month(2025, 4), Month(2026, 7), m2026_07={"dpd": 120, "max_dpd_m": 120})
    assert outcome(late) == "good"


def test_the_worst_of_several_accounts_counts() -> None:
    rows = account(1, *ALL) + account(1, *ALL, acct="b", m2026_01={"max_dpd_m": 91})
    assert outcome(rows) == "bad"


def test_closed_before_is_excluded_closed_inside_is_good_young_is_excluded() -> None:
    others = account(9, *ALL)
    assert outcome(account(1, Month(2025, 1), Month(2025, 5)) + others) == "excluded"
    assert outcome(account(1, Month(2025, 1), Month(2025, 10)) + others) == "good"
    assert outcome(account(1, T, Month(2026, 6), on_book=2) + others) == "excluded"
    assert outcome(account(1, T, Month(2026, 6), on_book=3) + others) == "good"


def test_a_hole_in_an_account_is_immature() -> None:
    rows = [row for row in account(1, *ALL) if row["period"] != "2025-07"]
    assert outcome(rows + account(9, *ALL)) == "immature"


@given(
    known=st.integers(0, 11),
    hit=st.integers(1, 12),
    dpd=st.sampled_from([0, 45, 95]),
)
def test_immature_is_never_good(known: int, hit: int, dpd: int) -> None:
    last = T.plus(known)
    month = T.plus(hit)
    at: dict[str, Any] = {f"m{month.year}_{month.month:02d}": {"max_dpd_m": dpd}}
    rows = account(1, Month(2025, 4), last, **at)
    assert outcome(rows) == ("bad" if dpd == 95 and hit <= known else "immature")


def test_a_missing_delivery_inside_the_window_is_immature_unless_bad() -> None:
    months = [m for m in month_range(*ALL) if m != Month(2026, 3)]
    clean = [row for row in account(1, *ALL) if row["period"] != "2026-03"]
    bad = [row for row in account(2, *ALL, m2025_08={"max_dpd_m": 99}) if row["period"] != "2026-03"]
    assert outcome(clean + bad, known_months=months) == "immature"
    assert outcome(clean + bad, subject=2, known_months=months) == "bad"


def test_every_subject_is_counted_once() -> None:
    rows = (
        account(1, *ALL)
        + account(2, *ALL, m2025_06={"dpd": 40, "max_dpd_m": 40})
        + account(3, Month(2025, 1), Month(2025, 5))
        + account(4, *ALL, m2026_01={"max_dpd_m": 95})
        + account(5, *ALL, m2026_01={"max_dpd_m": 35})
    )
    found = account_outcomes(pd.DataFrame(rows), T, RESIDENT)
    assert list(found.table.columns) == ["subject_no", "as_of", "outcome"]
    assert found.steps["subjects with an account"] == 5 == len(found.table)
    assert sum(count for step, count in found.steps.items() if step != "subjects with an account") == 5
    assert (found.steps["good"], found.steps["bad"], found.steps["indeterminate"]) == (1, 1, 1)


def test_bank_outcomes_never_need_the_rating() -> None:
    frame = pd.DataFrame({"subject_no": [1, 2, 3], "default_flag": [True, False, None]})
    found = bank_outcomes(frame, T)
    assert dict(zip(found.table["subject_no"], found.table["outcome"], strict=True)) == {1: "bad", 2: "good"}
    assert found.steps["without a stated outcome"] == 1


def test_campaign_outcomes_by_hand() -> None:
    assignment = pd.DataFrame(
        [
            (1, "c", "treat", date(2026, 3, 10)),
            (2, "c", "treat", date(2026, 3, 10)),
            (3, "c", "control", date(2026, 3, 10)),
            (4, "c", "treat", date(2026, 8, 20)),
            (5, "c", "treat", date(2026, 8, 20)),
            (6, "c", "treat", date(2026, 3, 5)),
        ],
        columns=["subject_no", "campaign_id", "arm", "assigned_date"],
    )
    response = pd.DataFrame(
        [
            (1, "c", "open", date(2026, 5, 9)),
            (2, "c", "open", date(2026, 5, 10)),
            (2, "c", "apply", date(2026, 3, 11)),
            (3, "c", "open", date(2026, 3, 12)),
            (5, "c", "drawdown", date(2026, 8, 25)),
        ],
        columns=["subject_no", "campaign_id", "event", "event_date"],
    )
    found = campaign_outcomes(assignment, response, RESPONSE, known_until=date(2026, 9, 30)).table
    got = {row.subject_no: (row.as_of, row.outcome) for row in found.itertuples()}
    assert got == {
        1: ("2026-02", "responded"),  # day 60 still counts
        2: ("2026-02", "no_response"),  # day 61 doesn't, and applying is not an event of this rule
        4: ("2026-07", "immature"),
        5: ("2026-07", "responded"),
        6: ("2026-01", "no_response"),  # February's cutoff is 5 March: not yet past when assigned
    }
