"""The arm in which no model has a say: who refuses marketing by automated decision stands there or nowhere."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.policy import load_policies
from tests.leads.worlds import ON, POPULATION, candidates_of, list_of, numbers, policy, wanted_person

NO_HOLDOUT = {"holdout": {"campaign_share": 1e-9, "global_share": 1e-9}}
CAPACITY = st.dictionaries(st.sampled_from(["B1", "B2", "B3"]), st.integers(0, 6))


def arm(leads, name="non_personalised"):
    return leads.rows[leads.rows["arm"] == name]


@settings(max_examples=25)
@given(POPULATION, CAPACITY, st.integers(1, 4))
def test_who_refuses_is_in_the_arm_or_nowhere(people, capacity, room):
    rules_of = policy(
        holdout={"campaign_share": 0.3, "global_share": 0.2}, non_personalised={"leads_per_branch": room}
    )
    candidates = candidates_of(people, rules_of)
    leads = list_of(people, rules_of, capacity=capacity)
    refusing = {no for no, person in enumerate(people) if person["refuses"]}
    assert not refusing & (set(numbers(arm(leads, "ranked"))) | set(numbers(leads.waitlist)))
    fit = [
        no
        for no in refusing
        if people[no]["consented"]
        and people[no]["branch_id"] is not None
        and not (people[no]["suppressed"] or people[no]["holds"] or people[no]["live"])
        and (people[no]["last_contact"] is None or (ON - people[no]["last_contact"]).days >= 90)
        and not candidates.iloc[no][["campaign_holdout", "global_holdout"]].any()
    ]
    drawn = arm(leads)
    assert set(numbers(drawn)) <= set(fit)
    for branch in ("B1", "B2", "B3"):
        here = drawn[drawn["branch_id"] == branch]
        assert len(here) == min(
            sum(people[no]["branch_id"] == branch for no in fit), room, capacity.get(branch, room)
        )
        assert here["priority_rank"].tolist() == list(range(1, len(here) + 1))
    assert leads.arms == {
        "ranked": len(arm(leads, "ranked")), "non_personalised": len(drawn), "over_capacity": len(fit) - len(drawn),
    }  # fmt: skip
    steps = leads.waterfall.set_index("reason")["excluded"]
    assert steps["refuses_profiling"] == sum(
        people[no]["consented"] and not people[no]["suppressed"] for no in refusing
    )


@settings(max_examples=15)
@given(st.lists(st.fixed_dictionaries({
    "propensity": st.sampled_from([None, 0.001, 0.2]), "pd": st.sampled_from([None, 0.5]),
    "grade": st.sampled_from([None, 1, 10]), "risk_consent": st.booleans(),
}), min_size=12, max_size=12))  # fmt: skip
def test_no_score_decides_whether_or_where_somebody_stands(scores):
    rules_of = policy(**NO_HOLDOUT, non_personalised={"leads_per_branch": 6})
    plain = [wanted_person(refuses=True) for _ in range(12)]
    scored = [person | score for person, score in zip(plain, scores, strict=True)]
    first, second = list_of(plain, rules_of).rows, list_of(scored, rules_of).rows
    assert len(first) == 6
    pd.testing.assert_frame_equal(first, second)


def test_the_order_is_drawn_anew_for_each_campaign_and_favours_nobody():
    rules_of = policy(**NO_HOLDOUT, non_personalised={"leads_per_branch": 100})
    people = [wanted_person(refuses=True) for _ in range(100)]
    orders = [numbers(list_of(people, rules_of, campaign_id=name).rows) for name in ("a", "a", "b")]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(100)) and orders[0] != sorted(orders[0])
    first_ten = [set(numbers(list_of(people, rules_of, campaign_id=str(no)).rows)[:10]) for no in range(30)]
    assert len(set.union(*first_ten)) > 90


def test_rows_of_the_arm_show_the_same_offer_and_nothing_from_a_model_or_a_record():
    why = pd.DataFrame({"subject_no": [0, 1], "why_now_zh": ["一", "二"], "why_now_en": ["one", "two"]})
    people = [wanted_person(), wanted_person(refuses=True)]
    rows = list_of(people, policy(**NO_HOLDOUT), why_now=why).rows
    ranked, drawn = rows.iloc[0], rows.iloc[1]
    assert (ranked["arm"], drawn["arm"]) == ("ranked", "non_personalised")
    same = ["product_cd", "allowed_channels", "valid_from", "expires_on", "campaign_id", "list_version"]
    assert ranked[same].tolist() == drawn[same].tolist()
    assert ranked["why_now_en"] == "one" and ranked["propensity_band"] == "B"
    personal = ["propensity_band", "expected_value_band", "why_now_zh", "why_now_en", "model_version"]
    assert drawn[personal].tolist() == [""] * 5
    assert drawn["opt_out_ref"] and drawn["consent_id"] == "C1" and drawn["lead_token"]


def test_without_the_arm_who_refuses_is_approached_by_nobody():
    leads = list_of(
        [wanted_person(refuses=True), wanted_person()], policy(**NO_HOLDOUT, non_personalised=None)
    )
    assert numbers(leads.rows) == [1] and leads.arms["non_personalised"] == 0


@pytest.mark.parametrize("name", sorted(load_policies()))
def test_a_shipped_policy_that_ranks_under_registered_consent_has_the_arm(name):
    """Domain rule L3. A list that asks for consent first offers nothing before it is given."""
    shipped = load_policies()[name]
    assert (shipped.non_personalised is not None) == (shipped.consent_basis == "register")
