"""Fairness against fairlearn and published intervals; a planted proxy is found, a planted gap is found."""

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate

from models.validation.fairness import _approval_ratio, _gap, fairness_findings, proxies
from models.validation.finding import Finding
from models.validation.scored_sample import ScoredSample
from tests.models.validation.worlds import NAMES, calibrated, grade_of, panel

WORST = 5


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {each.name.partition(".")[2]: each for each in findings}


@pytest.mark.parametrize("seed", range(5))
def test_rates_equal_fairlearn(seed: int) -> None:
    sample = calibrated(4_000, seed, spread=1.2)
    group = np.random.default_rng(seed).choice(["x", "y", "z"], 4_000, p=[0.5, 0.3, 0.2])
    found = by_name(fairness_findings(sample, group, "sex", WORST))
    refused = (sample.grade > WORST).astype(int)
    frame = MetricFrame(
        metrics={"refused": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate},
        y_true=sample.outcome, y_pred=refused, sensitive_features=group,
    )  # fmt: skip
    rows = {row[0]: row for row in found["approval_ratio"].details[0].rows}
    for code in "xyz":
        assert rows[code][3] == pytest.approx(1 - frame.by_group.loc[code, "refused"])
        assert rows[code][4] == pytest.approx(frame.by_group.loc[code, "tpr"])
        assert rows[code][5] == pytest.approx(frame.by_group.loc[code, "fpr"])
    approved = 1 - frame.by_group["refused"]
    assert found["approval_ratio"].value == pytest.approx(approved.min() / approved.max())
    assert found["tpr_gap"].value == pytest.approx(frame.difference()["tpr"])
    assert found["fpr_gap"].value == pytest.approx(frame.difference()["fpr"])
    assert {each.verdict for each in found.values()} <= {"pass", "unproven"}


def test_newcombes_published_interval() -> None:
    """56/70 against 48/80: 0.0524 to 0.3339 (Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10)."""
    gap, interval = _gap([(48, 80), (56, 70)])
    assert gap == pytest.approx(0.2)
    assert (interval.low, interval.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_ratio_of_approvals_by_hand() -> None:
    ratio, interval = _approval_ratio([(60, 100), (80, 100)])
    assert ratio == pytest.approx(0.75) and interval is not None
    error = np.sqrt(1 / 60 - 1 / 100 + 1 / 80 - 1 / 100)
    assert interval.high == pytest.approx(0.75 * np.exp(1.959964 * error), rel=1e-6)
    assert _approval_ratio([(0, 100), (0, 50)]) == (None, None)
    none, span = _approval_ratio([(0, 100), (50, 100)])
    assert none == 0.0 and span is not None and 0.0 < span.high < 0.1


def test_a_group_that_is_scored_too_high_is_found() -> None:
    sample = calibrated(8_000, seed=2, spread=1.0)
    group = np.where(np.arange(8_000) % 2 == 0, "a", "b")
    odds = np.where(group == "b", 3.0, 1.0) * sample.pd / (1 - sample.pd)
    pd = odds / (1 + odds)
    unfair = ScoredSample(pd, sample.outcome, sample.vintage, sample.subject_no, grade_of(pd))
    found = by_name(fairness_findings(unfair, group, "sex", 7))
    assert [found[name].verdict for name in ("approval_ratio", "tpr_gap", "fpr_gap", "calibration_gap")] == [
        "fail"
    ] * 4


def test_a_planted_proxy_is_found_and_named() -> None:
    sample, features = panel(1_500)
    group = np.tile(np.random.default_rng(1).choice(["f", "m"], 1_500), 3)
    plain = proxies(features.matrix, NAMES, group, ["f", "m"], "sex")
    assert plain.verdict == "pass"
    shoes = np.where(group == "m", 43.0, 38.0) + np.random.default_rng(2).normal(size=len(group)) * 2
    told_by_gap = np.where(group == "f", np.nan, 1.0)
    planted = np.column_stack([features.matrix, shoes])
    found = by_name(fairness_findings(sample, group, "sex", WORST, planted, [*NAMES, "shoe_size"]))["proxies"]
    assert (found.verdict, found.about) == ("fail", "sex: shoe_size")
    gap = proxies(
        np.column_stack([features.matrix, told_by_gap]),
        [*NAMES, "pregnancy_benefit"],
        group,
        ["f", "m"],
        "sex",
    )
    assert gap.about == "sex: pregnancy_benefit" and gap.details[0].rows[0][1] == "gap"


def test_small_and_unknown_groups_are_not_told() -> None:
    sample = calibrated(2_000, seed=3)
    group = np.where(np.arange(2_000) < 900, "a", np.where(np.arange(2_000) < 1_800, "b", ""))
    group[:20] = "c"
    found = by_name(fairness_findings(sample, group, "sex", WORST))
    assert [row[0] for row in found["approval_ratio"].details[0].rows] == ["a", "b"]
    alone = fairness_findings(sample, np.where(group == "b", "", "a"), "sex", WORST)
    assert {each.verdict for each in alone} == {"unmeasured"}
