"""Rules, one by one and in order."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings

from core.errors import GsceneError
from leads import eligibility
from leads.eligibility import exclusion_reasons, standard_rules, waterfall
from tests.leads.worlds import ON, POPULATION, candidates_of, policy, wanted_person

#: Nobody of a handful is drawn at these shares (asserted below), so that single rules can be looked at.
NO_HOLDOUT = {"holdout": {"campaign_share": 1e-9, "global_share": 1e-9}}


def reason(*, rules_of=None, **changes):
    rules_of = rules_of or policy(**NO_HOLDOUT)
    candidates = candidates_of([wanted_person(**changes)], rules_of)
    return exclusion_reasons(candidates, standard_rules(rules_of, ON)).iloc[0]


def test_the_wanted_person_is_eligible():
    assert reason() is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"consented": False}, "no_marketing_consent"),
        ({"suppressed": True}, "suppressed"),
        ({"branch_id": None}, "no_branch"),
        ({"holds": True}, "product_holder"),
        ({"last_contact": ON}, "contacted_recently"),
        ({"last_contact": ON - timedelta(89)}, "contacted_recently"),
        ({"last_contact": ON - timedelta(90)}, None),
        ({"live": True}, "live_lead"),
        ({"risk_consent": False}, "no_risk_consent"),
        ({"propensity": None}, "unscored"),
        ({"grade": None}, "unscored"),
        ({"grade": 6}, None),
        ({"grade": 7}, "risk_gate"),
        ({"propensity": 0.0001}, "below_value"),
        (
            {"consented": False, "suppressed": True, "holds": True},
            "no_marketing_consent",
        ),
        ({"suppressed": True, "grade": 10}, "suppressed"),
    ],
)
def test_each_rule_and_the_order(changes, expected):
    assert reason(**changes) == expected


def test_without_a_risk_gate_risk_is_neither_asked_nor_seen():
    open_to_all = policy(risk_gate=None, **NO_HOLDOUT)
    assert reason(rules_of=open_to_all, risk_consent=False, grade=10) is None
    candidates = candidates_of([wanted_person()], open_to_all)
    assert candidates[["pd", "grade"]].isna().all(axis=None)


def test_a_risk_score_without_risk_consent_is_dropped():
    candidates = candidates_of([wanted_person(risk_consent=False)], policy())
    assert candidates[["pd", "grade"]].isna().all(axis=None)


def test_holdouts_are_last():
    everybody = policy(holdout={"campaign_share": 0.5, "global_share": 0.5})
    rules = standard_rules(everybody, ON)
    assert [rule.reason for rule in rules[-2:]] == [
        "global_holdout",
        "campaign_holdout",
    ]
    people = [wanted_person(suppressed=no % 2 == 0) for no in range(40)]
    reasons = exclusion_reasons(candidates_of(people, everybody), rules)
    assert set(reasons[::2]) == {"suppressed"}
    assert {"global_holdout", "campaign_holdout"} <= set(reasons[1::2])


def test_a_missing_column_is_told_by_rule():
    with pytest.raises(GsceneError, match="suppressed needs the columns suppressed"):
        exclusion_reasons(
            pd.DataFrame({"consent_id": ["C1"]}),
            [eligibility.no_marketing_consent(), eligibility.suppressed()],
        )


@settings(max_examples=15)
@given(POPULATION)
def test_the_waterfall_adds_up_and_reasons_are_first_reasons(people):
    rules_of = policy()
    candidates = candidates_of(people, rules_of)
    rules = standard_rules(rules_of, ON)
    reasons = exclusion_reasons(candidates, rules)
    steps = waterfall(reasons, rules)
    assert steps["excluded"].sum() + reasons.isna().sum() == len(candidates)
    assert (steps["remaining"].to_numpy() == len(candidates) - steps["excluded"].cumsum().to_numpy()).all()
    assert steps["reason"].is_unique
    # slow and obvious: go through the rules person by person
    for position, reason in enumerate(exclusion_reasons(candidates, rules)):
        one = candidates.iloc[[position]]
        failing = [rule.reason for rule in rules if bool(rule.fails(one).iloc[0])]
        assert reason == (failing[0] if failing else None)


def test_last_contact_reads_dates():
    recent = candidates_of([wanted_person(last_contact=date(2026, 11, 1)), wanted_person()], policy())
    assert str(recent["last_contact"].dtype).startswith("datetime64")
