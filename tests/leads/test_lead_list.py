"""Lists: nobody who must not, never more than fits, in the order of value."""

from collections import Counter
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GsceneError
from leads.keyed_hash import LeadKey
from leads.lead_list import FIELDS, build_list
from leads.selection import one_per_subject, rank_in_branch
from tests.leads.worlds import (
    AT,
    CAMPAIGN,
    KEY,
    ON,
    POPULATION,
    candidates_of,
    list_of,
    numbers,
    policy,
    subject_id,
    wanted_person,
)


def ranked(leads):
    return leads.rows[leads.rows["arm"] == "ranked"]


#: A list of fifty people takes a twentieth of a second, so a hundred examples of each would take minutes in all.
A_FEW = settings(max_examples=15)

CAPACITY = st.dictionaries(st.sampled_from(["B1", "B2", "B3"]), st.integers(0, 6))


@A_FEW
@given(POPULATION, CAPACITY)
def test_nobody_stands_on_a_list_who_must_not(people, capacity):
    rules_of = policy(holdout={"campaign_share": 0.3, "global_share": 0.2})
    candidates = candidates_of(people, rules_of)
    leads = list_of(people, rules_of, capacity=capacity)
    for rows in (ranked(leads), leads.waitlist):
        for no in numbers(rows):
            person, candidate = people[no], candidates.iloc[no]
            assert person["consented"] and person["risk_consent"]
            assert not (person["suppressed"] or person["refuses"] or person["holds"] or person["live"])
            assert person["branch_id"] is not None
            assert person["propensity"] is not None and person["grade"] <= 6
            assert person["last_contact"] is None or (ON - person["last_contact"]).days >= 90
            assert candidate["expected_value"] > 0
            assert not (candidate["campaign_holdout"] or candidate["global_holdout"])
    assert not set(numbers(leads.rows)) & set(numbers(leads.waitlist))


@A_FEW
@given(POPULATION, CAPACITY, st.integers(0, 5))
def test_capacity_holds_and_is_used(people, capacity, default):
    leads = list_of(people, policy(leads_per_branch=default), capacity=capacity)
    listed, waiting = (
        Counter(ranked(leads)["branch_id"]),
        Counter(leads.waitlist["branch_id"]),
    )
    for branch in {"B1", "B2", "B3"}:
        room = capacity.get(branch, default)
        assert listed[branch] == min(room, listed[branch] + waiting[branch])


@A_FEW
@given(POPULATION, CAPACITY)
def test_rank_follows_value_inside_a_branch(people, capacity):
    rules_of = policy()
    value = candidates_of(people, rules_of)["expected_value"]
    leads = list_of(people, rules_of, capacity=capacity)
    together = pd.concat([ranked(leads), leads.waitlist])
    for _, rows in together.groupby("branch_id"):
        rows = rows.sort_values("priority_rank")
        assert rows["priority_rank"].tolist() == list(range(1, len(rows) + 1))
        assert value.iloc[numbers(rows)].is_monotonic_decreasing
    letters = ranked(leads)["expected_value_band"].tolist()
    for _, rows in ranked(leads).groupby("branch_id"):
        assert rows["expected_value_band"].is_monotonic_increasing
    assert set(letters) <= set("ABCDE")


@A_FEW
@given(POPULATION, st.data())
def test_withdrawing_one_consent_takes_exactly_that_subject_away(people, data):
    rules_of = policy(leads_per_branch=1000)
    before = list_of(people, rules_of).rows
    gone = data.draw(st.integers(0, len(people) - 1))
    changed = [person | {"consented": False} if no == gone else person for no, person in enumerate(people)]
    after = list_of(changed, rules_of).rows
    expected = before[np.array(numbers(before), dtype=int) != gone].reset_index(drop=True)
    # ranks close up behind whoever has gone; everything else stays, and so does the order
    pd.testing.assert_frame_equal(after.drop(columns="priority_rank"), expected.drop(columns="priority_rank"))
    assert (after["priority_rank"] <= expected["priority_rank"]).all()


@A_FEW
@given(POPULATION, CAPACITY)
def test_waterfall_goes_down_to_the_listed(people, capacity):
    leads = list_of(people, policy(), capacity=capacity)
    steps = leads.waterfall
    assert steps["remaining"].iloc[0] == len(people)
    assert steps["remaining"].iloc[-1] == len(ranked(leads))
    assert steps["excluded"].sum() == len(people) - len(ranked(leads))
    assert steps.set_index("reason")["excluded"]["over_capacity"] == len(leads.waitlist)
    assert (steps["excluded"] >= 0).all()


@A_FEW
@given(POPULATION, CAPACITY)
def test_assignments_cover_the_experiment(people, capacity):
    rules_of = policy(holdout={"campaign_share": 0.3, "global_share": 0.2})
    candidates = candidates_of(people, rules_of)
    leads = list_of(people, rules_of, capacity=capacity)
    arms = leads.assignments
    assert arms["subject_no"].is_unique
    treated = arms[arms["arm"].isin(["treat", "non_personalised"])]
    assert sorted(treated["subject_no"]) == sorted(numbers(leads.rows))
    assert set(treated["lead_id"]) == set(leads.rows["lead_id"])
    assert arms.loc[~arms.index.isin(treated.index), "lead_id"].isna().all()
    for no in arms.loc[arms["arm"].str.startswith("control"), "subject_no"]:
        assert candidates.iloc[no]["campaign_holdout"] and not candidates.iloc[no]["global_holdout"]


@A_FEW
@given(POPULATION, CAPACITY)
def test_control_is_who_would_have_been_listed(people, capacity):
    """Against the slow way: take each held-out subject in for itself and look whether it makes the list."""
    rules_of = policy(holdout={"campaign_share": 0.3, "global_share": 0.1})
    candidates = candidates_of(people, rules_of)
    given_ = {
        "campaign_id": CAMPAIGN,
        "list_version": "v",
        "on": ON,
        "key": KEY,
        "model_version": "m",
        "generated_at": AT,
    }
    arms = build_list(candidates, rules_of, capacity=capacity, **given_).assignments
    held = arms[arms["arm"].str.startswith("control")].set_index("subject_no")["arm"]
    for no, arm in held.items():
        taken_in = candidates.copy()
        taken_in.loc[no, "campaign_holdout"] = False
        # among equals the keyed hash decides, so lift the one above its equals
        taken_in.loc[no, "expected_value"] += 1e-9
        makes_it = no in numbers(ranked(build_list(taken_in, rules_of, capacity=capacity, **given_)))
        assert (arm == "control") == makes_it


def test_equal_values_are_not_ordered_by_id():
    people = [wanted_person() for _ in range(200)]
    order = numbers(list_of(people, policy(leads_per_branch=1000)).rows)
    assert order != sorted(order)
    assert order == numbers(list_of(people, policy(leads_per_branch=1000)).rows)
    other = numbers(list_of(people, policy(leads_per_branch=1000), key=LeadKey(b"o" * 32)).rows)
    assert sorted(other) == sorted(order) and other != order


def test_rows_carry_no_pseudonym_score_or_amount():
    leads = list_of([wanted_person(propensity=0.03) for _ in range(50)], policy())
    assert list(leads.rows.columns) == list(FIELDS)
    text = leads.rows.to_csv()
    for no in range(50):
        assert subject_id(no) not in text and f"{no:040x}" not in text
    assert not leads.rows.select_dtypes("float").columns.tolist()
    assert (
        leads.rows["lead_token"].is_unique
        and leads.rows["lead_id"].is_unique
        and leads.rows["opt_out_ref"].is_unique
    )


def test_a_list_s_fields():
    leads = list_of([wanted_person() for _ in range(5)], policy())
    row = leads.rows.iloc[0]
    assert row["subject_type"] == "N" and row["product_cd"] == "consumer_loan"
    assert row["allowed_channels"] == "bank_crm;app_push;sms"
    assert row["valid_from"] == ON and row["expires_on"] == date(2026, 12, 6)
    assert row["generated_at"] == AT and row["model_version"] == "acquisition-1"
    # 0.03 lies between 0.025 and 0.04; 0.03 x (3100 - 0.01 x 0.65 x 80000) - 12 = 65.4 between 40 and 80
    assert row["propensity_band"] == "B" and row["expected_value_band"] == "B"


def test_talking_points_are_joined_by_subject():
    people = [wanted_person() for _ in range(10)]
    why = pd.DataFrame(
        {
            "subject_no": [3, 99],
            "why_now_zh": ["三", "九"],
            "why_now_en": ["three", "nine"],
        }
    )
    rows = list_of(
        people,
        policy(holdout={"campaign_share": 1e-9, "global_share": 1e-9}),
        why_now=why,
    ).rows
    said = dict(zip(numbers(rows), rows["why_now_en"], strict=True))
    assert said == {no: "three" if no == 3 else "" for no in range(10)}


def test_two_offers_give_one_lead():
    rules_of = policy(holdout={"campaign_share": 1e-9, "global_share": 1e-9})
    candidates = candidates_of([wanted_person(), wanted_person()], rules_of)
    twice = pd.concat([candidates, candidates.assign(expected_value=1e6)])
    leads = build_list(
        twice,
        rules_of,
        campaign_id=CAMPAIGN,
        list_version="v",
        on=ON,
        key=KEY,
        model_version="m",
        generated_at=AT,
    )
    assert sorted(numbers(leads.rows)) == [0, 1]
    assert set(leads.rows["expected_value_band"]) == {"A"}
    assert leads.waterfall.set_index("reason")["excluded"]["second_offer"] == 2


def test_one_per_subject_keeps_the_best_in_place():
    offers = pd.DataFrame({"subject_no": [1, 2, 1], "expected_value": [1.0, 5.0, 2.0]})
    assert one_per_subject(offers).index.tolist() == [1, 2]


def test_an_empty_population_and_an_empty_branch():
    nobody = candidates_of([wanted_person(consented=False)], policy())
    leads = build_list(
        nobody,
        policy(),
        campaign_id=CAMPAIGN,
        list_version="v",
        on=ON,
        key=KEY,
        model_version="m",
        generated_at=AT,
    )
    assert leads.rows.empty and leads.waitlist.empty and leads.assignments.empty
    assert list(leads.rows.columns) == list(FIELDS)
    ranked = rank_in_branch(nobody.iloc[:0], KEY, CAMPAIGN)
    assert ranked.empty and "priority_rank" in ranked.columns


def test_a_policy_out_of_force_makes_no_list():
    with pytest.raises(GsceneError, match="isn't in force"):
        list_of([wanted_person()], policy(effective_from=date(2027, 1, 1)))
