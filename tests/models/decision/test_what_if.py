"""Cut-offs, vetoes and swap sets beside slow and obvious versions of the same, and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decision.decide import decide
from models.decision.outcome import Outcome
from models.decision.page import page
from models.decision.policy import DecisionPolicy, Economics
from models.decision.study import study_policy, with_cut_offs, with_economics
from models.decision.swap_set import same_rate_cut_off, swap_set
from models.decision.what_if import BINS, break_even_pd, most_profitable, score_histogram, shown, what_if
from tests.models.decision.made import judged, policy


@pytest.mark.parametrize("cut", [0, 500, 560, 583, 640, 1000])
def test_a_cut_off_is_what_counting_row_by_row_gives(cut: int) -> None:
    told, vetoed = judged(), np.arange(500) % 7 == 0
    points, pd, target = told.points[0], told.pd[0], told.sample.target
    economics = policy().economics
    found = what_if(score_histogram(points, pd, target, vetoed), economics)[cut]
    rows = [i for i in range(500) if not vetoed[i] and points[i] >= cut]
    assert (found.approved, found.approve_rate) == (len(rows), pytest.approx(len(rows) / 500))
    assert found.decided == sum(target[i] >= 0 for i in rows) and found.events == sum(
        target[i] == 1 for i in rows
    )
    loss = sum(pd[i] * 0.5 * 1000 for i in rows)
    assert found.expected_loss == pytest.approx(loss)
    assert found.expected_profit == pytest.approx(sum((1 - pd[i]) * 100 for i in rows) - loss - 2 * len(rows))
    if rows:
        assert found.mean_pd == pytest.approx(np.mean([pd[i] for i in rows]))
    else:
        assert found.bad_rate is None and found.mean_pd is None and found.expected_profit == 0.0


def test_numbers_worked_out_by_hand() -> None:
    """Three accounts of 1,000 yuan, margin 10 %, LGD 50 %, cost 2: 100(1-p) - 500p - 2 each."""
    histogram = score_histogram(np.array([600, 560, 520]), np.array([0.01, 0.1, 0.3]), np.array([0, 1, -1]))
    told = what_if(histogram, policy().economics)
    assert len(told) == BINS == 1_001
    assert told[600].expected_profit == pytest.approx(99 - 5 - 2)
    assert told[560].expected_profit == pytest.approx(92 + 90 - 50 - 2)
    assert told[520].expected_profit == pytest.approx(130 + 70 - 150 - 2)
    assert (told[560].bad_rate, told[520].bad_rate, told[601].bad_rate) == (0.5, 0.5, None)
    assert most_profitable(told).points == 560
    # (0.1 * 1000 - 2) / (1000 * 0.6)
    assert break_even_pd(policy().economics) == pytest.approx(98 / 600)
    assert break_even_pd(Economics(exposure_amt=0, margin_rate=0.1, lgd=0.5, cost_amt=1)) is None


def test_the_most_profitable_cut_off_takes_every_account_below_the_break_even_pd() -> None:
    """With one PD a point, approving as long as an account brings something is the best that a cut-off can do."""
    points = np.arange(400, 700)
    pd = 1 / (1 + 30 * np.exp((points - 600) * np.log(2) / 20))
    told = what_if(score_histogram(points, pd, np.zeros(300, dtype=np.int8)), policy().economics)
    best, even = most_profitable(told), break_even_pd(policy().economics)
    assert even is not None and pd[best.points - 400] < even < pd[best.points - 401]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-50, 1_100), st.floats(0, 1), st.sampled_from([-1, 0, 1])), max_size=60)
)
def test_no_row_is_lost_and_shares_fall(rows: list[tuple[int, float, int]]) -> None:
    points, pd, target = (np.array([row[place] for row in rows]) for place in range(3))
    told = what_if(
        score_histogram(points.astype(int), pd.astype(float), target.astype(np.int8)), policy().economics
    )
    assert told[0].approved == len(rows) and told[0].events == sum(row[2] == 1 for row in rows)
    assert all(now.approved >= after.approved for now, after in zip(told, told[1:], strict=False))
    assert told[0] in (lines := shown(told, (0, 600))) and told[600] in lines and len(lines) < 120


def test_the_worst_of_score_and_vetoes_counts() -> None:
    told, rules = judged(), policy()
    made = decide(rules, told.points[0], told.sample.features)
    for row, (points, a, b) in enumerate(
        zip(told.points[0], told.sample.features["a"], told.sample.features["b"], strict=True)
    ):
        want = "approve" if points >= 580 else "refer" if points >= 540 else "decline"
        assert made.by_score[row] == want
        fired = (["BIG"] if a >= 10 else []) + (["NONE"] if np.isnan(b) else [])
        assert made.rules(row) == fired
        if "BIG" in fired:
            want = "decline"
        elif fired and want == "approve":
            want = "refer"
        assert made.outcome[row] == want
    assert {*made.outcome} == {"approve", "refer", "decline"}


@pytest.mark.parametrize(
    ("rule", "value", "fires"),
    [
        ({"at_least": 3}, 3.0, True), ({"at_least": 3}, 2.9, False), ({"at_most": 3}, 3.0, True), ({"at_most": 3}, np.nan, False),
        ({"at_least": 1, "at_most": 3}, 4.0, False), ({"missing": True}, np.nan, True), ({"missing": True}, 1e9, False),
        ({"at_least": 3, "missing": True}, np.nan, True), ({"at_least": 3, "missing": True}, 2.0, False),
    ],
)  # fmt: skip
def test_when_a_rule_fires(rule: dict[str, float], value: float, fires: bool) -> None:
    veto = {"rule": "R", "feature": "a", "outcome": "decline", "text": {"zh": "一", "en": "one"}} | rule
    rules = policy(vetoes=[veto])
    features = judged(1).sample.features.assign(a=value)
    assert bool(decide(rules, np.array([700]), features).fired["R"][0]) is fires


def test_a_study_counts_every_row_once() -> None:
    told = judged(versions=2)
    study = study_policy(policy(), told)
    assert sum(counts[0] for counts in study.outcomes.values()) == study.rows == 500
    big, none = study.vetoes
    features = told.sample.features
    assert big.rows == int((features["a"] >= 10).sum()) and none.rows == int(features["b"].isna().sum())
    assert big.alone == int(((features["a"] >= 10) & features["b"].notna()).sum())
    # What is approved by the cut-off after vetoes is what the policy approves.
    assert study.own.approved == study.outcomes[Outcome.APPROVE][0]
    assert study.own.events == study.outcomes[Outcome.APPROVE][2]
    assert study.best.expected_profit >= study.own.expected_profit
    assert study.swap is not None and sum(cell.rows for cell in study.swap.cells) == 500


def test_the_swap_set_row_by_row_and_at_the_same_rate() -> None:
    told = judged(versions=2)
    a, b, target = *told.points, told.sample.target
    swap = swap_set(a, b, target, 580)
    assert abs(int((b >= swap.challenger_from).sum()) - int((a >= 580).sum())) <= int(
        (b == swap.challenger_from).sum()
    )
    for cell, rows in (
        (swap.both, (a >= 580) & (b >= swap.challenger_from)), (swap.swapped_in, (a < 580) & (b >= swap.challenger_from)),
        (swap.swapped_out, (a >= 580) & (b < swap.challenger_from)), (swap.neither, (a < 580) & (b < swap.challenger_from)),
    ):  # fmt: skip
        assert (cell.rows, cell.decided, cell.events) == (
            int(rows.sum()), int((rows & (target >= 0)).sum()), int((rows & (target == 1)).sum()),
        )  # fmt: skip
        assert cell.bad_rate == pytest.approx(cell.events / cell.decided)
        assert cell.interval is not None and cell.interval.low < cell.bad_rate < cell.interval.high
    # A challenger that scores at random lets worse accounts in than it puts out.
    noise = np.random.default_rng(1).permutation(a)
    random = swap_set(a, noise, target, 580)
    assert random.swapped_in.bad_rate is not None and random.swapped_out.bad_rate is not None
    assert random.swapped_in.bad_rate > random.swapped_out.bad_rate


def test_cut_off_of_the_same_rate_at_its_ends() -> None:
    points = np.array([500, 600, 600, 700])
    assert [same_rate_cut_off(points, n) for n in (0, 1, 2, 3, 4, 9)] == [701, 700, 600, 600, 500, 500]


def test_other_numbers_for_a_what_if_leave_the_policy_alone() -> None:
    before = policy()
    other = with_cut_offs(with_economics(before, lgd=0.7, margin_rate=None), 590, None)
    assert (other.economics.lgd, other.economics.margin_rate, other.cut_offs.approve_from) == (0.7, 0.1, 590)
    assert before == policy() and other.sha256 != before.sha256
    with pytest.raises(ValueError, match="must not lie above"):
        with_cut_offs(before, 500, 540)


def test_the_page_stands_alone_and_is_the_same_again() -> None:
    told = judged(versions=2)
    study = study_policy(policy(), told)
    text = page(study, "tiny_risk/1", "tiny_risk/2")
    assert page(study, "tiny_risk/1", "tiny_risk/2") == text
    assert "http" not in text.split("base64,")[0] and text.count("data:image/svg+xml;base64,") == 2
    for told_text in ("换入换出", "Swap set", "否决规则", policy().sha256[:12], f"{study.own.approved:,}"):
        assert told_text in text
    assert "Swap set" not in page(study_policy(policy(), judged()), "tiny_risk/1")


def test_policies_that_make_no_sense_are_refused() -> None:
    for changes, told in (
        ({"cut_offs": {"approve_from": 500, "decline_below": 540}}, "must not lie above"),
        ({"effective_to": "2026-11-30"}, "later than effective_from"),
        ({"vetoes": [policy().vetoes[0].model_dump()] * 2}, "named twice"),
        ({"vetoes": [policy().vetoes[0].model_dump() | {"outcome": "approve"}]}, "never approves"),
        ({"vetoes": [policy().vetoes[0].model_dump() | {"at_least": None}]}, "give at_least"),
    ):
        with pytest.raises(ValueError, match=told):
            policy(**changes)
    assert DecisionPolicy.model_validate(policy().model_dump()) == policy()
