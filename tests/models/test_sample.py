"""The sample: joins are counted, sides share no subject and no month."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GsceneError
from core.months import Month
from models.sample import Sample, build_sample, split_by_time, subject_share
from models.vintages import VintagePlan


def test_join_counts_every_row_left_out() -> None:
    features = pd.DataFrame(
        {"subject_no": [3, 1, 2], "as_of": "2025-06", "f": [30.0, 10.0, 20.0], "g": [np.nan, 1.0, 2.0]}
    )
    outcomes = pd.DataFrame(
        {
            "subject_no": [1, 2, 3, 4, 5, 6],
            "as_of": "2025-06",
            "outcome": ["good", "bad", "indeterminate", "good", "immature", "excluded"],
        }
    )
    sample = build_sample(features, outcomes, ["g", "f"])
    assert sample.names == ["g", "f"]
    assert sample.subject_no.tolist() == [1, 2, 3]
    assert sample.target.tolist() == [0, 1, -1]
    assert sample.features["f"].tolist() == [10.0, 20.0, 30.0]
    assert sample.steps == {
        "outcomes": 6, "left out: excluded": 1, "left out: immature": 1, "left out: no features": 1,
        "rows": 3, "subjects": 3, "events": 1, "non-events": 1, "indeterminate": 1,
    }  # fmt: skip
    indexed = build_sample(features.set_index(["subject_no", "as_of"]), outcomes, ["g", "f"])
    pd.testing.assert_frame_equal(indexed.features, sample.features)


def test_a_row_given_twice_is_refused() -> None:
    features = pd.DataFrame({"subject_no": [1, 1], "as_of": "2025-06", "f": [1.0, 2.0]})
    outcomes = pd.DataFrame({"subject_no": [1], "as_of": "2025-06", "outcome": ["good"]})
    with pytest.raises(GsceneError, match="twice"):
        build_sample(features, outcomes)


@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 0.8))
def test_no_subject_and_no_month_is_on_both_sides(seed: int, share: float) -> None:
    draw = np.random.default_rng(seed)
    months = np.array(["2025-01", "2025-02", "2025-03", "2025-05"])
    subjects = np.repeat(draw.choice(10_000, 60, replace=False), 4)
    as_of = np.tile(months, 60)
    target = draw.integers(-1, 2, 240).astype(np.int8)
    sample = Sample(pd.DataFrame({"f": draw.random(240)}), subjects, as_of, target)
    plan = VintagePlan((Month(2025, 1), Month(2025, 2)), (Month(2025, 5),))
    sides = split_by_time(sample, plan, share, "salt")
    assert not set(sides.training.subject_no) & set(sides.out_of_time.subject_no)
    assert set(sides.training.as_of) <= {"2025-01", "2025-02"}
    assert set(sides.out_of_time.as_of) <= {"2025-05"}
    left_out = sum(count for step, count in sides.steps.items() if step.startswith("left out"))
    assert left_out + len(sides.training) + len(sides.out_of_time) == len(sample)


def test_the_hash_of_a_subject_is_even_stable_and_its_own_for_each_salt() -> None:
    numbers = np.arange(100_000)
    share = subject_share(numbers, "resident_risk")
    assert abs(share.mean() - 0.5) < 0.005
    assert np.histogram(share, 10, (0, 1))[0].min() > 9_500
    assert np.array_equal(share[[5, 3]], subject_share(np.array([5, 3], dtype=np.int32), "resident_risk"))
    assert abs(np.corrcoef(share, subject_share(numbers, "resident_risk/folds"))[0, 1]) < 0.02
