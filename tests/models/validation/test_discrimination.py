"""Discrimination against hand-worked numbers and against scikit-learn, scipy, riskval and optbinning."""

import numpy as np
import pytest
import riskval
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score, roc_curve

from models.discrimination import auc_interval, clustered_auc_interval
from models.validation.discrimination import (
    auc,
    auc_drop,
    discrimination_findings,
    divergence,
    gini,
    information_value,
    ks,
    ks_drop,
    top_decile,
    true_rate_at,
)
from tests.models.validation.worlds import calibrated, panel, scored


@given(seed=st.integers(0, 300))
def test_auc_gini_and_ks_equal_the_oracles(seed: int) -> None:
    draw = np.random.default_rng(seed)
    pd = draw.integers(1, 20, 80) / 20.5
    y = np.append(draw.integers(0, 2, 78), [0, 1])
    sample = scored(pd, y)
    assert auc(sample).value == pytest.approx(roc_auc_score(y, pd))
    assert gini(sample).value == pytest.approx(riskval.gini(y, pd))
    assert ks(sample).value == pytest.approx(ks_2samp(pd[y == 1], pd[y == 0]).statistic)
    assert ks(sample).value == pytest.approx(riskval.ks_statistic(y, pd))
    of_others, of_events, _ = roc_curve(y, pd, drop_intermediate=False)
    tenth = np.array([1.0, *of_others]) <= 0.1
    told = max(np.array([0.0, *of_events])[tenth])
    n = int((y == 0).sum())
    if n >= 10:
        # The declared rates are for large samples; the same function is asked for one that 80 rows can show.
        wide = scored(np.tile(pd, 13), np.tile(y, 13))
        at = true_rate_at(wide, 0.01).value
        assert at == pytest.approx(max(np.append(0.0, of_events[of_others <= 0.01])))
        assert at <= told


def test_the_clustered_interval_by_hand() -> None:
    """Subject 1: scores 3 (event) and 2 (none); subject 2: 1 (event); subject 3: 0 (none). AUC 3/4.

    Placements: events 1, 1/2; others 1/2, 1. Less the AUC, per subject: events 1/4, -1/4, 0; others -1/4, 0, 1/4.
    Two subjects have events, two have others, so each factor is 2; of all subjects 3/2.
    variance = 2 * (1/8) / 4 + 2 * (1/8) / 4 + 2 * 3/2 * (-1/16) / 4 = 0.078125.
    """
    y, score, who = np.array([1, 0, 1, 0]), np.array([3.0, 2.0, 1.0, 0.0]), np.array([1, 1, 2, 3])
    found = clustered_auc_interval(y, score, who)
    assert found.auc == 0.75
    assert found.standard_error == pytest.approx(np.sqrt(0.078125))


@given(seed=st.integers(0, 300), copies=st.integers(2, 4))
def test_copies_of_a_subject_tell_nothing_new(seed: int, copies: int) -> None:
    draw = np.random.default_rng(seed)
    y, score = np.append(draw.integers(0, 2, 40), [0, 0, 1, 1]), draw.normal(size=44)
    who = np.arange(44)
    alone = auc_interval(y, score)
    many = clustered_auc_interval(np.tile(y, copies), np.tile(score, copies), np.tile(who, copies))
    assert many.auc == pytest.approx(alone.auc)
    assert many.standard_error == pytest.approx(alone.standard_error)
    naive = auc_interval(np.tile(y, copies), np.tile(score, copies))
    assert naive.standard_error < 0.8 * many.standard_error


def test_the_clustered_interval_covers_where_delongs_does_not() -> None:
    """Three vintages that share each subject's outcome and nearly its score: 95 % is promised, DeLong keeps some 75 %."""
    truth, hits = 0.76025, {"clustered": 0, "plain": 0}  # P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2)
    for seed in range(300):
        draw = np.random.default_rng(seed)
        y = np.repeat([0, 1], 60)
        score = draw.normal(size=120) + y
        who, target = np.tile(np.arange(120), 3), np.tile(y, 3)
        three = np.tile(score, 3) + 0.01 * draw.normal(size=360)
        for name, found in (
            ("clustered", clustered_auc_interval(target, three, who)),
            ("plain", auc_interval(target, three)),
        ):
            hits[name] += found.low <= truth <= found.high
    assert hits["clustered"] / 300 > 0.91
    assert hits["plain"] / 300 < 0.85


def test_the_first_flagged_by_hand() -> None:
    # 1,000 non-events at 0.001 … 1.000 of a scale; of 4 events one lies above all, one between the first and second.
    others = np.arange(1, 1001) / 1001
    pd = np.concatenate([others, [0.9999, 999.5 / 1001, 0.5, 0.1]])
    y = np.concatenate([np.zeros(1000), np.ones(4)])
    sample = scored(pd, y)
    assert true_rate_at(sample, 0.001).value == 0.5
    assert true_rate_at(sample, 0.01).value == 0.5
    few = true_rate_at(scored(pd[:1] * 0 + 0.2, [0]), 0.001)
    assert few.verdict == "unmeasured"


def test_top_decile_and_divergence_by_hand() -> None:
    pd = np.linspace(0.9, 0.1, 20)
    y = np.array([1, 1, 0, 1] + [0] * 16)
    found = top_decile(scored(pd, y))
    assert found.value == 1.0
    assert found.interval is not None and found.interval.low == pytest.approx(
        0.34238, abs=1e-5
    )  # Wilson, 2 of 2
    # Log-odds 1, 3 of events and -1, -3 of others: means 2 and -2, variances 1: 16 / 1.
    z = np.array([1.0, 3.0, -1.0, -3.0])
    assert divergence(scored(1 / (1 + np.exp(-z)), [1, 1, 0, 0])).value == pytest.approx(16.0)


def test_the_information_value_equals_optbinning() -> None:
    from optbinning import OptimalBinning

    from models.screening.stability import bin_edges

    sample = calibrated(3_000, seed=4, spread=0.8, centre=-1.0)
    # optbinning takes its bins as [a, b), ours are (a, b]: the next float makes them the same.
    splits = np.nextafter(bin_edges(sample.pd), 1.0)
    binning = OptimalBinning(user_splits=splits, user_splits_fixed=[True] * len(splits), solver="mip",
                             min_bin_size=None, min_prebin_size=0.001, max_n_prebins=50)  # fmt: skip
    binning.fit(sample.pd, sample.outcome)
    table = binning.binning_table.build()
    assert len(binning.splits) == 9
    assert information_value(sample).value == pytest.approx(float(table.loc["Totals", "IV"]), rel=1e-9)


def test_what_was_lost_since_development() -> None:
    strong, weak = calibrated(4_000, seed=1, spread=1.6), calibrated(4_000, seed=2, spread=0.4)
    fell = auc_drop(weak, strong)
    assert fell.value == pytest.approx(
        roc_auc_score(strong.outcome, strong.pd) - roc_auc_score(weak.outcome, weak.pd)
    )
    assert fell.verdict == "fail" and ks_drop(weak, strong).verdict == "fail"
    assert auc_drop(strong, calibrated(4_000, seed=3, spread=1.6)).verdict == "pass"


def test_one_outcome_is_unmeasured_and_vintages_make_the_interval_clustered() -> None:
    one = discrimination_findings(scored(np.full(5, 0.1), np.zeros(5)))
    assert [each.verdict for each in one] == ["unmeasured"]
    sample, _ = panel(300)
    found = auc(sample)
    clustered = clustered_auc_interval(sample.outcome, sample.pd, sample.subject_no)
    assert found.interval is not None and found.interval.low == clustered.low
