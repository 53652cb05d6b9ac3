"""Training: out-of-fold means out of fold, both paths give whole records, and the rule of the challenge decides."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import GsceneError
from core.months import Month, month_range
from models.candidates import CandidateKind
from models.choice import choose
from models.cross_validation import repeated_cross_validation, stratified_folds
from models.definition import ChallengeRule, ModelDefinition
from models.discrimination import AucDifference
from models.points import probability
from models.sample import Sample
from models.training import train
from models.training_record import TrainingInputs
from models.vintages import VintagePlan
from tests.models.worlds import NAMES, SIGNS, definition, matrix, sample, trained

INPUTS = TrainingInputs("2026-06", {"features/enterprise/tiny": 3})
BY_TIME = {
    "kind": "by_time", "training_vintages": 4, "out_of_time_vintages": 2, "gap_months": 1, "holdout_share": 0.4, "folds": 3,
}  # fmt: skip
PLAN = VintagePlan(
    tuple(month_range(Month(2025, 1), Month(2025, 4))), tuple(month_range(Month(2025, 5), Month(2025, 6)))
)


def panel(subjects: int = 500) -> Sample:
    """Six vintages of the same subjects, with features that move a little."""
    x, y = matrix(subjects, seed=3)
    months = [str(month) for month in PLAN.all]
    draw = np.random.default_rng(4)
    features = np.concatenate([x * draw.uniform(0.9, 1.1, x.shape) for _ in months])
    target = np.tile(y, len(months))
    target[draw.random(len(target)) < 0.03] = -1
    return Sample(
        pd.DataFrame(features, columns=NAMES),
        np.tile(np.arange(subjects), len(months)),
        np.repeat(months, subjects),
        target,
    )


@pytest.mark.parametrize("repeat", [0, 1])
def test_folds_are_stratified_and_keep_a_subject_together(repeat: int) -> None:
    many = panel(100)
    fold = stratified_folds(many, 5, 1, repeat)
    assert all(len(set(fold[many.subject_no == subject])) == 1 for subject in range(100))
    one = sample(203)
    fold = stratified_folds(one, 5, 1, repeat)
    bads = [int((one.target[fold == number] == 1).sum()) for number in range(5)]
    assert max(bads) - min(bads) <= 1
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 1
    assert not np.array_equal(fold, stratified_folds(one, 5, 1, repeat + 1))


def test_no_signal_gives_no_discrimination_in_cross_validation() -> None:
    """With 40 columns of noise and 80 rows, any leak of binning or selection would show as an AUC far above a half."""
    draw = np.random.default_rng(11)
    names = [f"n{i}" for i in range(40)]
    y = np.array([1, 0, 0, 0] * 20, dtype=np.int8)
    noise = Sample(
        pd.DataFrame(draw.normal(size=(80, 40)), columns=names), np.arange(80), np.full(80, "2026-06"), y
    )
    found = repeated_cross_validation(
        definition(split={"kind": "repeated_cv", "folds": 4, "repeats": 4}), noise, {}
    )
    for kind in CandidateKind:
        assert found.spread(kind).mean < 0.62


def test_repeated_path_gives_a_whole_record() -> None:
    record = trained()
    assert record.judged_on == "cross_validation"
    assert record.steps["split: repeats"] == 2
    assert record.names == NAMES
    for kind in CandidateKind:
        candidate = record.candidates[kind]
        measured = candidate.performance["cross_validation"]
        assert measured is not None and measured.auc.low < measured.auc.auc < measured.auc.high
        assert (
            candidate.spread is not None
            and candidate.spread.p05 <= candidate.spread.mean <= candidate.spread.p95
        )
        assert candidate.calibration.rows == 300
    assert sum(grade.rows for grade in record.grades) == 300
    assert sum(band[1] + band[2] for band in record.score_bands) == 300
    assert (
        json.loads(json.dumps(record.plain(), allow_nan=False))["definition_sha256"]
        == record.definition.sha256
    )


def test_training_twice_gives_the_same_record() -> None:
    again = train(definition(), sample(), SIGNS, trained().inputs, threads=2)
    assert again == trained()
    assert again.booster.text == trained().booster.text


def test_by_time_judges_later_months_of_other_subjects() -> None:
    record = train(definition(split=BY_TIME), panel(), SIGNS, INPUTS, plan=PLAN)
    assert record.judged_on == "out_of_time"
    later = record.candidates[CandidateKind.SCORECARD].performance["out_of_time"]
    assert later is not None
    assert later.events == record.steps["split: out-of-time events"]
    assert later.auc.auc > 0.6
    assert sum(grade.rows for grade in record.grades) == record.steps["split: out-of-time rows"]
    assert record.candidates[record.ships].calibration.rows == record.steps["split: training rows"]


def test_without_out_of_time_rows_the_scorecard_ships() -> None:
    early = panel()
    keep = np.isin(early.as_of, [str(month) for month in PLAN.training])
    record = train(definition(split=BY_TIME), early.take(keep), SIGNS, INPUTS, plan=PLAN)
    assert record.ships is CandidateKind.SCORECARD
    assert record.choice.difference is None
    assert record.candidates[CandidateKind.SCORECARD].performance["out_of_time"] is None


def test_too_few_events_are_refused() -> None:
    few = sample(60)
    with pytest.raises(GsceneError, match="events to learn from"):
        train(definition(min_bads=500), few, SIGNS, INPUTS)
    with pytest.raises(GsceneError, match="both outcomes"):
        train(definition(), replace(few, target=np.ones(60, dtype=np.int8)), SIGNS, INPUTS)


def test_a_marketing_model_ignores_signs_of_risk_and_grades_the_likeliest_best() -> None:
    wanted: ModelDefinition = definition(
        purpose="marketing", label={"kind": "campaign_response", "version": 1}, name="tiny_acquisition"
    )
    record = train(wanted, sample(), {name: -SIGNS[name] for name in NAMES}, INPUTS)
    assert {feature.sign for feature in record.features} == {0}
    rates = [grade.predicted for grade in record.grades if grade.rows]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("difference", "low", "ships"),
    [
        (0.03, 0.005, "lightgbm"),
        (0.03, -0.001, "scorecard"),
        (0.009, 0.005, "scorecard"),
        (-0.1, -0.2, "scorecard"),
    ],
)
def test_lightgbm_ships_only_where_it_beats_the_scorecard(difference: float, low: float, ships: str) -> None:
    found = choose(AucDifference(difference, 0.01, low, 0.2, 0.9), ChallengeRule(margin=0.01), "paired")
    assert found.ships == ships
    assert f"{difference:+.3f}" in found.reason_en and f"{difference:+.3f}" in found.reason_zh
    assert choose(None, ChallengeRule(), "paired").ships is CandidateKind.SCORECARD


def test_the_corrected_interval_by_hand() -> None:
    found = repeated_cross_validation(definition(), sample(), SIGNS)
    values = np.array([0.02, 0.04, 0.0, 0.06])
    by_hand = replace(found, fold_differences=values, folds=4).difference(0.9)
    # variance 0.02**2 * 5 / 3; (1/4 + 1/3) of it; t with 3 degrees of freedom at 95 % is 2.353363
    error = np.sqrt((1 / 4 + 1 / 3) * 0.002 / 3)
    assert by_hand.difference == pytest.approx(0.03)
    assert by_hand.standard_error == pytest.approx(error)
    assert by_hand.low == pytest.approx(0.03 - 2.353363 * error, abs=1e-7)


def test_german_credit_ships_the_scorecard(shared_data: Path) -> None:
    """1,000 applications, small and categorical: a scorecard is as good as LightGBM here, and above 0.81 something leaks."""
    table = pd.read_csv(shared_data / "german_credit" / "applications.csv")
    y = (table.pop("creditability") == "bad").to_numpy(dtype=np.int8)
    # Categories in alphabetical order as numbers: what a trial without any knowledge of the field would do.
    x = pd.DataFrame(
        {
            name: column.astype(float)
            if pd.api.types.is_numeric_dtype(column)
            else column.astype("category").cat.codes
            for name, column in table.items()
        }
    ).astype(float)
    german = Sample(x, np.arange(1000), np.full(1000, "1994-11"), y)
    record = train(
        definition(
            split={"kind": "repeated_cv", "folds": 5, "repeats": 2},
            lightgbm={
                "rounds": 80, "learning_rate": 0.05, "num_leaves": 6, "min_data_in_leaf": 20, "lambda_l2": 5.0,
                "feature_fraction": 0.6, "bagging_fraction": 0.8, "bagging_freq": 1,
            },
            scorecard={"max_features": 15, "max_bins": 10, "min_bin_share": 0.03, "prior_rows": 5.0, "max_correlation": 0.8},
        ),
        german,
        {},
        TrainingInputs("1994-11", {}),
    )  # fmt: skip
    spreads = {kind: candidate.spread for kind, candidate in record.candidates.items()}
    assert record.ships is CandidateKind.SCORECARD
    assert all(spread is not None and 0.74 < spread.mean < 0.81 for spread in spreads.values())
    predicted = np.array([[grade.rows, grade.rows * grade.predicted] for grade in record.grades]).sum(axis=0)
    assert predicted[1] / predicted[0] == pytest.approx(0.3, abs=0.03)
    assert probability(np.array([record.scale.bounds[4]]))[0] == pytest.approx(0.3)
