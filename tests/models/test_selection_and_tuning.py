"""Selection knows chance, stability and twins; tuning stays inside the training side and repeats itself."""

import numpy as np
import pandas as pd
import pytest

from core.months import Month, month_range
from models.binning import FeatureBins
from models.definition import ScorecardParameters, SelectionParameters
from models.report_blocks import Table
from models.sample import Sample
from models.scorecard import bin_features
from models.selection import Fate, Selection, select_features
from models.training import train
from models.training_blocks import training_blocks
from models.training_record import TrainingInputs
from models.tuning import STANDARD_ERRORS, Tuning, tune
from models.vintages import VintagePlan
from tests.models.worlds import NAMES, SIGNS, definition, matrix, trained

BINNING = ScorecardParameters(max_features=10, max_bins=5, prior_rows=5.0)
RULES = SelectionParameters(max_p_value=0.01, events_per_feature=5.0, least_features=2, max_features=20)
PLAN = VintagePlan(
    tuple(month_range(Month(2025, 1), Month(2025, 4))), tuple(month_range(Month(2025, 5), Month(2025, 6)))
)
TUNING = {
    "trials": 4,
    "small_trials": 3,
    "small_events": 10,
    "space": {"num_leaves": {"low": 2, "high": 8}, "lambda_l2": {"low": 1.0, "high": 50.0, "log": True}},
}
BY_TIME = {
    "kind": "by_time", "training_vintages": 4, "out_of_time_vintages": 2, "gap_months": 1, "holdout_share": 0.3, "folds": 3,
}  # fmt: skip


def panel(subjects: int = 300) -> Sample:
    x, y = matrix(subjects, seed=3)
    months = [str(month) for month in PLAN.all]
    return Sample(
        pd.DataFrame(np.tile(x, (len(months), 1)), columns=NAMES),
        np.tile(np.arange(subjects), len(months)),
        np.repeat(months, subjects),
        np.tile(y, len(months)),
    )


def judged(x: np.ndarray, y: np.ndarray, rules: SelectionParameters = RULES, **keys: np.ndarray) -> Selection:
    names = [f"f{i}" for i in range(x.shape[1])]
    bins: list[FeatureBins] = bin_features(x, y, names, {"f2": 1}, BINNING)
    return select_features(bins, x, y, rules, **keys)


def test_noise_is_kept_as_often_as_its_p_value_says() -> None:
    draw = np.random.default_rng(1)
    y = (draw.random(600) < 0.1).astype(np.int8)
    loose = RULES.model_copy(update={"max_p_value": 0.1})
    found = judged(draw.normal(size=(600, 300)), y, loose)
    beyond_chance = sum(feature.fate is not Fate.CHANCE for feature in found.features)
    assert 5 <= beyond_chance <= 45


def test_repeating_every_row_makes_no_feature_more_certain() -> None:
    """Six vintages of the same subjects: counted as rows, noise would look like proof."""
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(300, 60)), (draw.random(300) < 0.15).astype(np.int8)
    subject = np.tile(np.arange(300), 6)
    by_subject = judged(np.tile(x, (6, 1)), np.tile(y, 6), subject_no=subject)
    by_row = judged(np.tile(x, (6, 1)), np.tile(y, 6))
    assert len(by_subject.kept) <= 3
    assert len(by_row.kept) > 15


def test_a_twin_an_unstable_one_and_those_beyond_the_room_stay_out() -> None:
    draw = np.random.default_rng(3)
    y = (draw.random(2000) < 0.2).astype(np.int8)
    months = np.repeat(["2025-01", "2025-02"], 1000)
    strong = y * 1.5 + draw.normal(size=2000)
    turned = np.where(months == "2025-01", 3.0, -0.6) * y + draw.normal(size=2000)
    x = np.column_stack([strong, strong * 2 + 0.01 * draw.normal(size=2000), turned, draw.normal(size=2000)])
    fates = {f.name: f for f in judged(x, y, as_of=months).features}
    assert fates["f2"].fate is Fate.UNSTABLE
    assert fates["f3"].fate is Fate.CHANCE
    assert {fates["f0"].fate, fates["f1"].fate} == {Fate.KEPT, Fate.ALIKE}
    many = np.column_stack([y + draw.normal(size=2000) for _ in range(5)])
    few = judged(many, y, RULES.model_copy(update={"max_features": 2}))
    assert len(few.kept) == few.room == 2
    assert few.room == max(RULES.least_features, min(2, few.events // 5))


def test_with_few_events_only_declared_directions_are_trusted() -> None:
    draw = np.random.default_rng(4)
    y = (draw.random(400) < 0.2).astype(np.int8)
    x = (y * 1.5 + draw.normal(size=400))[:, None]
    wary = RULES.model_copy(update={"signs_below_events": 1000})
    assert judged(x, y, wary).features[0].fate is Fate.UNSIGNED
    bins = bin_features(x, y, ["f0"], {"f0": 1}, BINNING)
    assert select_features(bins, x, y, wary).kept == ["f0"]


def _tuned(sample: Sample) -> Tuning:
    found = tune(definition(split=BY_TIME, tuning=TUNING), sample, SIGNS)
    assert found is not None
    return found


def test_a_search_repeats_itself_and_begins_with_the_declared_parameters() -> None:
    early = panel()
    found = _tuned(early)
    assert found == _tuned(early)
    assert len(found.trials) == 4
    declared = definition().lightgbm
    assert found.trials[0].parameters == {"num_leaves": declared.num_leaves, "lambda_l2": 1.0}
    assert found.chosen == 0 or found.gain > STANDARD_ERRORS * found.gain_error
    few = _tuned(early.take(early.subject_no < 40))
    assert len(few.trials) == (3 if few_events(early, 40) < 10 else 4)


def few_events(sample: Sample, below: int) -> int:
    return len(np.unique(sample.subject_no[(sample.subject_no < below) & (sample.target == 1)]))


def test_out_of_time_rows_have_no_say_in_the_search() -> None:
    whole = panel()
    late = np.isin(whole.as_of, [str(month) for month in PLAN.out_of_time])
    other = Sample(
        whole.features, whole.subject_no, whole.as_of, np.where(late, 1 - whole.target, whole.target)
    )
    wanted = definition(split=BY_TIME, tuning=TUNING, selection={"max_p_value": 0.5})
    inputs = TrainingInputs("2026-06", {})
    records = [train(wanted, each, SIGNS, inputs, plan=PLAN) for each in (whole, other)]
    assert records[0].search is not None and records[0].search.tuning is not None
    assert records[0].search == records[1].search
    assert records[0].booster.text == records[1].booster.text
    assert records[0].candidates != records[1].candidates


@pytest.mark.parametrize(
    "space", [{"num_leaves": {"low": 8, "high": 2}}, {"max_bin": {"low": 2, "high": 8}}, {}]
)
def test_a_search_space_that_makes_no_sense_is_refused(space: dict[str, dict[str, int]]) -> None:
    with pytest.raises(ValueError, match="tuning"):
        definition(tuning=TUNING | {"space": space})


def test_blocks_tell_every_fate_every_trial_and_every_bin() -> None:
    wanted = definition(split=BY_TIME, tuning=TUNING, selection={"max_p_value": 0.5})
    record = train(wanted, panel(), SIGNS, TrainingInputs("2026-06", {}), plan=PLAN)
    fates, features, trials, bins = (b for b in training_blocks(record) if isinstance(b, Table))
    assert sum(int(str(row[1])) for row in fates.rows) == len(features.rows) == len(NAMES)
    assert len(trials.rows) == 4
    assert len(bins.rows) == sum(len(b.edges) + 2 for b in record.scorecard.bins)
    for table in (fates, features, trials, bins):
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert [b.title.en for b in training_blocks(trained()) if isinstance(b, Table)] == [
        "Bins of the scorecard"
    ]
