"""The sample report: steps add up for any data, shifts are alarmed when they are material, selection is seen."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GsceneError
from core.months import Month
from models.label_definition import find_label
from models.report_blocks import Paragraph, Table
from models.sample import Sample, build_sample, split_by_time
from models.sampling.cohorts import base_shift
from models.sampling.overlap import overlap
from models.sampling.sample_blocks import sample_blocks
from models.sampling.sample_report import SampleReport, sample_report
from models.sampling.waterfall import Waterfall, waterfalls
from models.vintages import VintagePlan

MONTHS = ["2025-01", "2025-02", "2025-03", "2025-05"]
PLAN = VintagePlan((Month(2025, 1), Month(2025, 2)), (Month(2025, 5),))
KINDS = ["good", "bad", "indeterminate", "excluded", "immature"]


def world(seed: int, subjects: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of some subjects and outcomes of others, over four vintages."""
    draw = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product([range(subjects), MONTHS], names=["subject_no", "as_of"])
    features = pd.DataFrame({"a": draw.normal(size=len(keys)), "b": draw.random(len(keys))}, index=keys)
    outcomes = keys.to_frame(index=False).assign(outcome=draw.choice(KINDS, len(keys)))
    kept = draw.random(len(keys)) < draw.random()
    return features[draw.random(len(keys)) < 0.8], outcomes[kept].reset_index(drop=True)


@given(seed=st.integers(0, 100_000), share=st.floats(0.05, 0.8))
def test_every_step_adds_up_for_any_data(seed: int, share: float) -> None:
    features, outcomes = world(seed)
    sample = build_sample(features, outcomes)
    sides = split_by_time(sample, PLAN, share, "salt")
    steps = {"feature rows without entitlement: x": 7} | sample.steps
    joined, split = waterfalls(steps | {f"split: {step}": count for step, count in sides.steps.items()})
    assert joined.start == len(outcomes) and joined.left == len(sample) == split.start
    assert joined.start - sum(rows for _, rows in joined.left_out) == joined.left
    assert split.left == len(sides.training) + len(sides.out_of_time)


@settings(max_examples=30)
@given(seed=st.integers(0, 100_000))
def test_cohorts_count_every_outcome_once(seed: int) -> None:
    features, outcomes = world(seed)
    sample = build_sample(features, outcomes)
    found = report(sample, outcomes, features)
    assert sum(cohort.outcomes for cohort in found.cohorts) == len(outcomes)
    assert sum(cohort.in_sample for cohort in found.cohorts) == len(sample)
    for each in found.cohorts:
        kinds = each.events + each.non_events + each.indeterminate + each.immature + each.excluded
        assert kinds == each.outcomes >= each.in_sample


def report(
    sample: Sample, outcomes: pd.DataFrame, population: pd.DataFrame, plan: VintagePlan | None = PLAN
) -> SampleReport:
    return sample_report(
        find_label("resident_default@1"), sample, outcomes, sample.steps, plan=plan, population=population, seed=1
    )  # fmt: skip


def test_a_waterfall_that_does_not_add_up_is_not_made() -> None:
    with pytest.raises(GsceneError, match="doesn't add up"):
        Waterfall("rows", 10, (("excluded", 3),), (("events", 6),))
    with pytest.raises(GsceneError, match="doesn't add up"):
        Waterfall("rows", 10, (("excluded", -1),), (("events", 11),))


def test_the_report_survives_json_and_becomes_blocks() -> None:
    features, outcomes = world(3, 300)
    sample = build_sample(features, outcomes)
    found = report(sample, outcomes, features)
    assert SampleReport.of_plain(json.loads(json.dumps(found.plain(), allow_nan=False))) == found
    assert found.label == "resident_default@1" and found.label_effective_from == "2026-01"
    assert [cohort.side for cohort in found.cohorts] == ["training", "training", "between", "out_of_time"]
    assert found.overlap is not None and found.population == "2025-05"
    blocks = sample_blocks(found)
    tables = [block for block in blocks if isinstance(block, Table)]
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    assert all(len(table.formats) in (0, len(table.columns)) for table in tables)
    told = " ".join(block.text.en for block in blocks if isinstance(block, Paragraph))
    assert "resident_default@1" in told and "no material shift" in told and "outside the support" in told
    none = report(sample, outcomes, features.loc[zip(sample.subject_no, sample.as_of, strict=True)])
    assert none.overlap is None
    assert "selection wasn't measured" in " ".join(
        block.text.en for block in sample_blocks(none) if isinstance(block, Paragraph)
    )


def side(rate: float, rows: int, first: int) -> Sample:
    target = (np.arange(rows) < rate * rows).astype(np.int8)
    return Sample(
        pd.DataFrame({"a": np.zeros(rows)}), np.arange(first, first + rows), np.full(rows, "x"), target
    )


def test_a_base_shift_is_alarmed_only_where_it_is_proven_and_material() -> None:
    moved = base_shift(side(0.05, 4000, 0), side(0.10, 2000, 9000))
    assert moved is not None and moved.alarmed and moved.ratio == pytest.approx(2.0)
    small = base_shift(side(0.05, 400_000, 0), side(0.055, 200_000, 900_000))
    assert small is not None and small.low > 1.0 and not small.alarmed
    vague = base_shift(side(0.05, 200, 0), side(0.10, 100, 900))
    assert vague is not None and not vague.alarmed
    assert base_shift(side(0.05, 200, 0), side(0.0, 100, 900)) is None
    # Errors are those of subjects: the same subject twenty times is one observation.
    many = side(0.10, 2000, 9000)
    one = Sample(many.features, np.repeat(np.arange(100), 20), many.as_of, many.target)
    clustered = base_shift(side(0.05, 4000, 200), one)
    assert clustered is not None and clustered.low < moved.low and clustered.high > moved.high


def test_alike_populations_overlap_and_unlike_ones_do_not() -> None:
    draw = np.random.default_rng(5)
    x, z = draw.normal(size=(2000, 3)), draw.normal(size=(1500, 3))
    numbers = (np.arange(2000), np.arange(2000, 3500))
    same = overlap(x, z, ["a", "b", "c"], numbers, seed=1)
    assert same.domain_low is not None and same.domain_low < 0.53
    assert same.outside_support is not None and same.outside_support < 0.03
    assert all(each.psi < each.psi_limit for each in same.features)
    moved = z.copy()
    moved[:, 1] += 2.0
    moved[:300, 2] = np.nan
    other = overlap(x, moved, ["a", "b", "c"], numbers, seed=1)
    assert other.domain_low is not None and other.domain_low > 0.85
    assert other.outside_support is not None and other.outside_support > 0.2
    assert other.features[0].name == "b" and other.features[0].psi > other.features[0].psi_limit
    assert other.features[0].difference == pytest.approx(2.0, abs=0.1)
    told = {each.name: each for each in other.features}
    assert told["c"].missing_unlabelled == pytest.approx(0.2) and told["a"].outside < 0.02


def test_nobody_is_held_out_only_where_no_subject_is_on_both_sides() -> None:
    frame = pd.DataFrame({"a": np.zeros(6)})
    months = np.array(["2025-01", "2025-02", "2025-03"] * 2)
    months[3:] = "2025-05"
    target = np.array([0, 1, 0, 0, 1, 0], dtype=np.int8)
    sides = split_by_time(Sample(frame, np.arange(6), months, target), PLAN, 0.0, "salt")
    assert (len(sides.training), len(sides.out_of_time)) == (2, 3)
    with pytest.raises(GsceneError, match="both sides"):
        split_by_time(Sample(frame, np.zeros(6, dtype=int), months, target), PLAN, 0.0, "salt")
