"""Reasons: at most four, distinct, each raises the PD, stable, and never what may not be told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.candidates import CandidateKind
from models.explanation.explanation import Explanation
from models.explanation.reason_plan import ReasonPlan, plan_reasons
from models.explanation.reasons import MOST, reasons_for
from models.explanation.reference import Reference, reference_of
from models.explanation.scored_model import ScoredModel
from tests.models.explanation.worlds import NAMES, NEVER, book, feature_set, matrix, trained

KINDS = list(CandidateKind)
PLAN = plan_reasons(NAMES, feature_set(), book())


def _model(kind: CandidateKind) -> tuple[ScoredModel, Reference]:
    record, _ = trained(kind)
    assert record.explanation is not None
    return ScoredModel.of_record(record), record.explanation.reference


@pytest.mark.parametrize("kind", KINDS)
def test_each_reason_raises_the_pd_against_the_reference(kind: CandidateKind) -> None:
    """The features of each told code, put at the reference by hand, lower the PD of the model that scores."""
    model, reference = _model(kind)
    rows, _ = matrix(400, seed=7)
    told = reasons_for(model, rows, reference, PLAN)
    at, checked, seen = reference.vector(NAMES), 0, set()
    for row, reasons in zip(rows, told, strict=True):
        pd = float(model.probability(model.log_odds(row[None]))[0])
        assert reasons.pd == pytest.approx(pd, abs=1e-15)
        codes = [reason.code for reason in reasons.reasons]
        assert len(codes) <= MOST and len(set(codes)) == len(codes)
        for reason in reasons.reasons:
            changed = row.copy()
            for place, name in enumerate(NAMES):
                known = PLAN.code[place] == reason.code and not np.isnan(row[place])
                absent = PLAN.absent[place] == reason.code and np.isnan(row[place])
                if known or absent:
                    assert name not in NEVER
                    changed[place] = at[place]
            lowered = float(model.probability(model.log_odds(changed[None]))[0])
            assert lowered < pd and lowered == pytest.approx(reason.pd_at_reference, abs=1e-15)
            assert reason.points > 0.0
            checked, seen = checked + 1, seen | {reason.code}
    assert checked > 300 and {"UTIL_LATE", "VAT_SALES", "ARREARS"} <= seen


@pytest.mark.parametrize("kind", KINDS)
def test_stable_on_re_run_in_any_order_and_company(kind: CandidateKind) -> None:
    model, reference = _model(kind)
    rows, _ = matrix(120, seed=8)
    told = reasons_for(model, rows, reference, PLAN)
    assert reasons_for(model, rows, reference, PLAN) == told
    order = np.random.default_rng(1).permutation(len(rows))
    assert [told[i] for i in order] == reasons_for(model, rows[order], reference, PLAN)
    assert reasons_for(model, rows[17:18], reference, PLAN) == told[17:18]


def test_a_scorecards_reasons_are_points_below_those_of_the_reference() -> None:
    """Additive: the effect of a reason is its contribution, to the bit of rounding."""
    model, reference = _model(CandidateKind.SCORECARD)
    rows, _ = matrix(50, seed=9)
    shares = model.contributions(rows, reference.vector(NAMES))
    base = float(model.log_odds(reference.vector(NAMES)[None])[0])
    np.testing.assert_allclose(model.log_odds(rows), base + shares.sum(axis=1), atol=1e-12)


def test_missing_records_are_told_as_missing_and_only_where_all_are() -> None:
    """Nobody without bills is told of late bills, and nobody of whom one figure alone is missing that there are no bills."""
    model, reference = _model(CandidateKind.LIGHTGBM)
    rows, _ = matrix(1_500, seed=10)
    codes = [{r.code for r in told.reasons} for told in reasons_for(model, rows, reference, PLAN)]
    silent = np.isnan(rows[:, :3]).all(axis=1)
    assert any("NO_TAX_VAT_RETURN" in told for told in codes)
    for none, row, told in zip(silent, rows, codes, strict=True):
        assert none or "NO_UTIL_BILL" not in told
        assert np.isnan(row[3]) or "NO_TAX_VAT_RETURN" not in told
        assert not (none and told & {"UTIL_LATE", "UTIL_USE"})


def test_what_may_not_be_told_is_counted_not_told() -> None:
    model, reference = _model(CandidateKind.LIGHTGBM)
    row = np.array([0, 0, 0, 80_000, 0, 0.1, 3.0, 0.1], dtype=np.float64)[None]
    told = reasons_for(model, row, reference, PLAN)[0]
    assert {r.code for r in told.reasons} <= {"UTIL_LATE", "UTIL_USE", "VAT_SALES", "ARREARS"}
    assert told.told_share < 0.6
    assert set(PLAN.withheld) == NEVER


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_protected_features_never_appear_whatever_the_row(seed: int) -> None:
    model, reference = _model(CandidateKind.LIGHTGBM)
    draw = np.random.default_rng(seed)
    row = draw.normal(size=(20, len(NAMES))) * draw.choice([1.0, 10.0, 1e5], len(NAMES))
    row[draw.random(row.shape) < 0.3] = np.nan
    for told in reasons_for(model, row, reference, PLAN):
        assert not {"REG_AGE", "SI_BASE", "OWN_TENURE"} & {r.code for r in told.reasons}


def test_ties_are_ordered_by_code() -> None:
    record, _ = trained(CandidateKind.SCORECARD)
    card = record.scorecard
    arrears = next(bins for bins in card.bins if bins.name == "arrears_12m")
    twins = ScoredModel(
        ["b", "a"], CandidateKind.SCORECARD,
        type(card)(-2.0, (1.0, 1.0), tuple(type(arrears)(**{**vars(arrears), "name": name}) for name in ("b", "a"))),
        ScoredModel.of_record(record).booster, record.candidates[CandidateKind.SCORECARD].calibration,
    )  # fmt: skip
    plan = ReasonPlan(("BBB", "AAA"), ("", ""), {}, {})
    told = reasons_for(twins, np.array([[5.0, 5.0]]), Reference((("b", 0.0), ("a", 0.0)), 10), plan)
    assert [r.code for r in told[0].reasons] == ["AAA", "BBB"]


def test_the_reference_is_the_median_of_the_training_side_or_missing() -> None:
    x = np.array([[1.0, np.nan], [2.0, np.nan], [9.0, 4.0], [np.nan, np.nan]])
    assert reference_of(x, ["a", "b"]).values == (("a", 2.0), ("b", None))
    told = reference_of(np.array([[123456.789]] * 3), ["a"]).values
    assert told == (("a", 123500.0),)


def test_the_explanation_survives_json() -> None:
    record, _ = trained(CandidateKind.LIGHTGBM)
    assert record.explanation is not None
    assert Explanation.of_plain(json.loads(json.dumps(record.plain()["explanation"]))) == record.explanation


def test_at_most_four_are_told_where_more_raise_the_pd() -> None:
    """Every feature its own code, and a subject that is bad in all of them: the four largest contributions are told."""
    model, reference = _model(CandidateKind.SCORECARD)
    plan = ReasonPlan(tuple(f"CODE_{name.upper()}" for name in NAMES), ("",) * len(NAMES), {}, {})
    row = np.array([[5.0, 6.0, 2.0, 500.0, 3.0, 0.0, 3.0, 0.0]])
    shares = model.contributions(row, reference.vector(NAMES))[0]
    assert (shares * 28.85 > 1.0).sum() > MOST
    told = reasons_for(model, row, reference, plan)[0].reasons
    assert [r.code for r in told] == [plan.code[place] for place in np.argsort(-shares)[:MOST]]
