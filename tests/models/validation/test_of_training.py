"""Findings on real trainings, what stands around them in the stores, and the section that shows them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.months import Month
from models.artefact import write_bundle
from models.report.page import render_page
from models.report.parts import build_report
from models.sample import Sample
from models.training import JudgedRows, train, train_judged
from models.training_record import TrainingRecord
from models.validation.declared import declared
from models.validation.finding import VERDICT_WORDS, Finding, Verdict
from models.validation.of_training import Surroundings, validate_training
from models.validation.summary import findings_table, json_bytes, keep_findings
from models.validation.surroundings import earlier, thin_file
from tests.models.test_training import BY_TIME, INPUTS, PLAN, panel
from tests.models.worlds import NAMES, SIGNS, definition, sample

AROUND = Surroundings(sources={"late": NAMES[:1], "tax": NAMES[1:]}, money=["sales_12m"])


@pytest.fixture(scope="module")
def by_time() -> tuple[TrainingRecord, JudgedRows]:
    return train_judged(definition(split=BY_TIME), panel(1_500), SIGNS, INPUTS, plan=PLAN)


def named(findings: list[Finding]) -> dict[str, Finding]:
    return {each.name: each for each in findings}


def test_findings_agree_with_what_the_training_says_of_itself(
    by_time: tuple[TrainingRecord, JudgedRows],
) -> None:
    record, judged = by_time
    found = named(validate_training(record, judged, AROUND))
    measured = record.candidates[record.ships].performance["out_of_time"]
    assert measured is not None
    # The record ranks by raw log-odds, validation by the probability that is served: isotonic steps tie some rows.
    assert found["discrimination.auc"].value == pytest.approx(measured.auc.auc, abs=0.005)
    assert found["discrimination.auc"].events == measured.events
    assert found["leakage.served_parity"].value == 0.0
    assert found["sensitivity.monotonicity"].verdict == "pass"
    assert found["stability.score_psi"].verdict == "pass"
    assert {row[0] for row in found["stress.missing_source"].details[0].rows} == {"late", "tax"}


def test_a_bundle_that_serves_another_score_is_found(by_time: tuple[TrainingRecord, JudgedRows]) -> None:
    record, judged = by_time
    skewed = replace(judged, calibrated=judged.calibrated + 1e-4)
    assert named(validate_training(record, skewed, AROUND))["leakage.served_parity"].verdict == "fail"


def test_a_model_against_its_declared_signs_is_found(by_time: tuple[TrainingRecord, JudgedRows]) -> None:
    record, judged = by_time
    turned = replace(record, features=tuple(replace(each, sign=-each.sign) for each in record.features))
    assert named(validate_training(turned, judged, AROUND))["sensitivity.monotonicity"].verdict == "fail"


def test_poisoned_labels_of_a_new_delivery_are_found() -> None:
    """The model learned from clean early vintages; 4 % of the outcomes of the late ones come turned round."""
    draw = np.random.default_rng(5)
    subjects = 9_000
    strong = draw.normal(size=subjects)
    y = (draw.random(subjects) < 1 / (1 + np.exp(-(2.4 * strong - 4.2)))).astype(np.int8)
    months = [str(month) for month in PLAN.all]
    frame = pd.DataFrame(
        {"strong": np.tile(strong, len(months)), "noise": draw.normal(size=subjects * len(months))}
    )
    world = Sample(
        frame, np.tile(np.arange(subjects), len(months)), np.repeat(months, subjects), np.tile(y, len(months))
    )
    late = np.isin(world.as_of, [str(month) for month in PLAN.out_of_time])
    turned = late & (draw.random(len(world)) < 0.04)
    poisoned = replace(world, target=np.where(turned, 1 - world.target, world.target).astype(np.int8))
    verdicts = {}
    for name, world_of in (("clean", world), ("poisoned", poisoned)):
        record, judged = train_judged(definition(split=BY_TIME), world_of, {"strong": 1}, INPUTS, plan=PLAN)
        verdicts[name] = named(validate_training(record, judged))["leakage.flipped_labels"].verdict
    assert verdicts == {"clean": "pass", "poisoned": "fail"}


def test_a_planted_leak_column_fails_a_training() -> None:
    world = panel(1_500)
    answer = np.where(world.target == 1, 1.0, 0.0) + 0.2 * np.random.default_rng(0).normal(size=len(world))
    leaking = replace(world, features=world.features.assign(settled_amt=answer))
    record, judged = train_judged(definition(split=BY_TIME), leaking, SIGNS, INPUTS, plan=PLAN)
    found = named(validate_training(record, judged))["leakage.suspect_features"]
    assert (found.about, found.verdict) == ("settled_amt", "fail")


def test_cross_validation_is_judged_in_sample_and_not_compared_with_what_is_served() -> None:
    record, judged = train_judged(definition(), sample(), SIGNS, INPUTS)
    found = named(validate_training(record, judged))
    note = found["calibration.hosmer_lemeshow"].note
    assert note is not None and note.en.startswith("8 degrees")
    assert "leakage.served_parity" not in found and "stability.score_psi" not in found


def test_without_judged_rows_everything_is_unmeasured() -> None:
    early = panel()
    keep = np.isin(early.as_of, [str(month) for month in PLAN.training])
    record, judged = train_judged(definition(split=BY_TIME), early.take(keep), SIGNS, INPUTS, plan=PLAN)
    found = validate_training(record, judged)
    assert {each.verdict for each in found} == {Verdict.UNMEASURED}
    assert all(each.note is not None for each in found)


def test_findings_do_not_change_the_bundle(
    by_time: tuple[TrainingRecord, JudgedRows], tmp_path: Path
) -> None:
    record, judged = by_time
    validated = replace(record, findings=tuple(validate_training(record, judged, AROUND)))
    assert write_bundle(record, tmp_path / "a") == write_bundle(validated, tmp_path / "b")
    assert train(definition(split=BY_TIME), panel(1_500), SIGNS, INPUTS, plan=PLAN) == record
    assert validated.metrics()["validation.discrimination.auc"] > 0.5
    assert not [name for name in record.metrics() if name.startswith("validation")]


def test_findings_are_kept_beside_the_bundle(
    by_time: tuple[TrainingRecord, JudgedRows], tmp_path: Path
) -> None:
    found = validate_training(*by_time, AROUND)
    file = keep_findings(tmp_path / "2026-06-abc", found)
    assert file == tmp_path / "2026-06-abc.evidence" / "validation.json"
    assert file.read_bytes() == json_bytes(found)
    assert keep_findings(tmp_path / "2026-06-abc", found).read_bytes() == json_bytes(found)
    assert [each.name for each in file.parent.iterdir()] == ["validation.json"]


def test_the_report_shows_every_finding_in_its_part_in_both_languages(
    by_time: tuple[TrainingRecord, JudgedRows],
) -> None:
    record, judged = by_time
    found = validate_training(
        record, judged, replace(AROUND, segments={"region": np.full(len(judged.sample), "<b>")})
    )
    report = build_report(replace(record, findings=tuple(found)))
    text = render_page(report)
    assert text == render_page(build_report(replace(record, findings=tuple(found))))
    tables = [table for part in report.parts for table in part.tables]
    for family, title in declared().families.items():
        own = [each for each in found if each.family == family]
        table = next(each for each in tables if each.title == title)
        assert [row[0] for row in table.rows] == [each.statistic for each in own]
        place = [column.en for column in table.columns].index("value")
        assert [row[place] for row in table.rows] == [each.value for each in own]
    for each in found:
        for word in (each.statistic.zh, each.statistic.en):
            assert word.replace("'", "&#39;") in text
    assert "<script" not in text and "&lt;b&gt;" in text and "><b></td>" not in text
    assert len(text) < 1_500_000


def test_the_small_table_counts_every_verdict(by_time: tuple[TrainingRecord, JudgedRows]) -> None:
    found = validate_training(*by_time, AROUND)
    rows = findings_table(found)
    told = sum(each.verdict is Verdict.TOLD for each in found)
    assert sum(int(cell) for row in rows for cell in row[1:]) == len(found) - told
    assert set(VERDICT_WORDS) == set(Verdict)


def test_earlier_values_are_those_of_the_same_subject() -> None:
    index = pd.MultiIndex.from_product(
        [[1, 2, 3], ["2026-01", "2026-02", "2026-03"]], names=["subject_no", "as_of"]
    )
    features = pd.DataFrame({"a": np.arange(9.0), "b": np.arange(9.0) * 10, "unused": 0.0}, index=index)
    own = pd.DataFrame({"a": [5.0, 2.0], "b": [50.0, 20.0]})
    judged = Sample(own, np.array([2, 1]), np.array(["2026-03", "2026-01"]), np.zeros(2))
    assert earlier(judged, features, 1)[0].tolist() == [4.0, 40.0]
    assert np.isnan(earlier(judged, features, 1)[1]).all()
    assert earlier(judged, features, 2)[0].tolist() == [3.0, 30.0]
    assert str(Month(2026, 1).plus(-1)) == "2025-12"


def test_a_thin_file_lacks_more_than_half() -> None:
    nan = np.nan
    assert thin_file(np.array([[1, nan, nan], [1, 2, nan], [nan, nan, nan]])).tolist() == [
        "thin",
        "thick",
        "thin",
    ]
