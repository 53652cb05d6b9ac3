"""WoE and IV by hand, monotone bins, points, and a scorecard that survives JSON to the bit."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Refusal
from models.binning import fit_bins, information_value, weight_of_evidence
from models.definition import ScorecardParameters
from models.points import log_odds, points_of, probability
from models.scorecard import Scorecard, fit_scorecard, scorecard_from_json, scorecard_to_json
from tests.models.worlds import NAMES, SIGNS, bin_counts, matrix

RULES = ScorecardParameters(max_features=4, max_bins=8, prior_rows=2.0)


def test_woe_and_iv_by_hand() -> None:
    goods, bads = np.array([90, 60, 50]), np.array([5, 15, 30])
    woe = weight_of_evidence(goods, bads, prior_rows=0.0)
    by_hand = [
        math.log((90 / 200) / (5 / 50)),
        math.log((60 / 200) / (15 / 50)),
        math.log((50 / 200) / (30 / 50)),
    ]
    assert woe == pytest.approx(by_hand)
    assert woe == pytest.approx([1.504077, 0.0, -0.875469], abs=1e-6)
    # (0.45 - 0.10) * 1.504077 + 0 + (0.25 - 0.60) * -0.875469
    assert information_value(goods, bads, woe) == pytest.approx(0.832841, abs=1e-6)


def test_prior_rows_pull_towards_zero_and_an_empty_bin_is_zero() -> None:
    goods, bads = np.array([90, 60, 50, 0]), np.array([5, 15, 30, 0])
    raw, pulled = (weight_of_evidence(goods, bads, k) for k in (0.0, 20.0))
    assert raw[3] == pulled[3] == 0.0
    assert abs(pulled[0]) < abs(raw[0])
    # Base rate 0.2: 20 prior rows are 16 goods and 4 bads.
    assert pulled[0] == pytest.approx(math.log((90 + 16) / (5 + 4)) - math.log(200 / 50))
    assert np.isfinite(weight_of_evidence(np.array([10, 5]), np.array([0, 5]), 0.0)).all()


def test_bins_of_a_feature_count_what_they_hold() -> None:
    x, y = matrix(500)
    bins = fit_bins(x[:, 1], y, "sales_12m", -1, RULES)
    known = ~np.isnan(x[:, 1])
    assert list(zip(bins.goods, bins.bads, strict=True)) == bin_counts(
        list(bins.edges), x[known, 1], y[known]
    )
    assert bins.missing_goods + bins.missing_bads == (~known).sum()
    assert bins.transform(np.array([np.nan, -1e300, np.inf])).tolist() == [
        bins.missing_woe,
        bins.woe[0],
        bins.woe[-1],
    ]
    assert bins.transform(np.array([bins.edges[0]]))[0] == bins.woe[0]


@given(seed=st.integers(0, 100_000), sign=st.sampled_from([-1, 1]), ties=st.booleans())
def test_monotone_bins_respect_the_sign(seed: int, sign: int, ties: bool) -> None:
    draw = np.random.default_rng(seed)
    x = draw.integers(0, 6, 120).astype(float) if ties else draw.normal(size=120)
    y = np.append(draw.integers(0, 2, 118), [0, 1])
    bins = fit_bins(x, y, "f", sign, RULES)
    # WoE is higher where it is safer: it falls with the value when the sign is +1.
    assert all(sign * (b - a) < 0 for a, b in zip(bins.woe, bins.woe[1:], strict=False))
    assert sum(bins.goods) + sum(bins.bads) == 120


def test_a_feature_against_its_sign_carries_nothing() -> None:
    x = np.arange(200.0)
    y = (x > 150).astype(int)
    assert fit_bins(x, y, "f", 1, RULES).iv > 1.0
    against = fit_bins(x, y, "f", -1, RULES)
    assert (len(against.edges), against.iv) == (0, 0.0)


def test_missing_that_never_occurred_is_declared_zero() -> None:
    bins = fit_bins(np.arange(100.0), (np.arange(100) > 80).astype(int), "f", 0, RULES)
    assert not bins.missing_seen
    assert bins.transform(np.array([np.nan]))[0] == 0.0


def test_degenerate_columns_bin_to_nothing() -> None:
    y = np.array([0, 1] * 20)
    for column in (np.full(40, np.nan), np.zeros(40), np.where(np.arange(40) % 2, np.inf, -np.inf)):
        bins = fit_bins(column, y, "f", 0, RULES)
        assert len(bins.edges) == 0
        assert np.isfinite([bins.iv, bins.low, bins.high]).all()


def test_no_edge_is_a_value_of_somebody() -> None:
    x = np.random.default_rng(1).lognormal(10, 1, 60)
    y = (np.arange(60) % 4 == 0).astype(int)
    bins = fit_bins(x, y, "f", 0, RULES)
    assert len(bins.edges) > 0
    assert not set(bins.edges) & set(x.tolist())


def test_points_scale() -> None:
    """600 points at odds of 30:1, 20 more for each doubling."""
    good_odds = np.array([30.0, 60.0, 15.0, 1.0])
    found = points_of(log_odds(1.0 / (1.0 + good_odds)))
    assert found == pytest.approx([600.0, 620.0, 580.0, 600.0 - 20.0 * math.log2(30.0)])
    assert points_of(np.array([2.0]), event_is_wanted=True) > points_of(np.array([1.0]), event_is_wanted=True)
    assert probability(log_odds(0.123)) == pytest.approx(0.123, abs=1e-15)
    assert probability(np.array([-800.0, 800.0])).tolist() == [0.0, 1.0]


def test_the_scorecard_finds_the_drivers() -> None:
    x, y = matrix(2000)
    card = fit_scorecard(x, y, NAMES, SIGNS, RULES)
    assert set(card.names[:3]) == {"late_6m", "sales_12m", "gap_12m"}
    assert all(coefficient > 0 for coefficient in card.coefficients)
    assert np.mean(card.log_odds(x, NAMES)[y == 1]) > np.mean(card.log_odds(x, NAMES)[y == 0]) + 0.5


def test_correlated_features_enter_once_and_columns_may_be_reordered() -> None:
    x, y = matrix(800)
    twice = np.column_stack([x, x[:, 1] * 2.0])
    card = fit_scorecard(twice, y, [*NAMES, "copy"], SIGNS | {"copy": -1}, RULES)
    assert ("copy" in card.names) + ("sales_12m" in card.names) == 1
    order = [4, 2, 0, 3, 1]
    names = [[*NAMES, "copy"][i] for i in order]
    assert np.array_equal(card.log_odds(twice[:, order], names), card.log_odds(twice, [*NAMES, "copy"]))


def test_nothing_to_select_gives_the_base_rate() -> None:
    y = np.array([0, 0, 0, 1] * 25)
    card = fit_scorecard(np.zeros((100, 2)), y, ["a", "b"], {}, RULES)
    assert card.names == []
    assert probability(card.log_odds(np.zeros((1, 2)), ["a", "b"]))[0] == pytest.approx(0.25)


@given(seed=st.integers(0, 1_000))
def test_json_round_trip_gives_identical_scores(seed: int) -> None:
    x, y = matrix(150, seed)
    card = fit_scorecard(x, y, NAMES, SIGNS, RULES)
    back = scorecard_from_json(scorecard_to_json(card))
    assert back == card
    assert back.log_odds(x, NAMES).tobytes() == card.log_odds(x, NAMES).tobytes()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "gscene-scorecard/1"}',
     '{"format":"gscene-scorecard/1","bins":[],"coefficients":[1],"intercept":0}'],
)  # fmt: skip
def test_malformed_scorecards_are_refused(text: str) -> None:
    with pytest.raises(Refusal, match="REFUSED/MODEL"):
        scorecard_from_json(text)


def test_a_scorecard_with_an_infinite_number_is_refused() -> None:
    plain = json.loads(scorecard_to_json(Scorecard(0.0, (), ())))
    for value in (math.inf, math.nan, True, "0", None):
        with pytest.raises(Refusal):
            scorecard_from_json(json.dumps(plain | {"intercept": value}))
