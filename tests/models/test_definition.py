"""Definitions: the shipped ones load, mistakes are told by file and line, vintages are planned from known months."""

from pathlib import Path

import pytest

from core.errors import GsceneError, Refusal
from core.months import Month
from core.purpose import Purpose
from models.definition import (
    FOLDER,
    AccountDpdLabel,
    TimeSplit,
    load_model_definition,
    load_model_definitions,
)
from models.vintages import plan_vintages

SPLIT = TimeSplit(kind="by_time", training_vintages=3, spacing_months=2, out_of_time_vintages=2, gap_months=3)


def test_the_shipped_definitions_load() -> None:
    definitions = load_model_definitions()
    assert set(definitions) == {
        "resident_risk", "enterprise_risk", "invoice_risk", "resident_acquisition", "enterprise_acquisition",
    }  # fmt: skip
    labels = [definitions[name].label for name in ("resident_risk", "enterprise_risk")]
    assert [label.bad_dpd for label in labels if isinstance(label, AccountDpdLabel)] == [90, 60]
    assert all(d.event_is_wanted == (d.purpose is Purpose.MARKETING) for d in definitions.values())


@pytest.mark.parametrize(
    ("old", "new", "line_text"),
    [
        ("label: resident_default@1", "label: resident_default@7", "label"),
        ("label: resident_default@1", "label: no_such_label@1", "label"),
        ("label: resident_default@1", "label: enterprise_default@1", "label"),
        ("label: resident_default@1", "label: {kind: account_dpd, version: 1, bad_dpd: 90}", "label"),
        ("purpose: risk", "purpose: marketing", "name"),
        ("min_bin_share: 0.08", "min_share: 0.05", "min_share"),
        ("name: resident_risk", "name: other", "name"),
    ],
)
def test_a_mistake_is_told_by_file_and_line(tmp_path: Path, old: str, new: str, line_text: str) -> None:
    text = (FOLDER / "resident_risk.yaml").read_text(encoding="utf-8").replace(old, new)
    file = tmp_path / "resident_risk.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Refusal) as refusal:
        load_model_definition(file)
    assert refusal.value.code == "REFUSED/DEFINITION"
    assert refusal.value.file == str(file)
    assert refusal.value.line is not None
    assert line_text in text.splitlines()[refusal.value.line - 1] or refusal.value.line == 1


def test_vintages_end_where_outcomes_are_mature_and_the_sides_keep_a_gap() -> None:
    plan = plan_vintages(SPLIT, 12, Month(2026, 10))
    assert [str(m) for m in plan.out_of_time] == ["2025-09", "2025-10"]
    assert [str(m) for m in plan.training] == ["2025-02", "2025-04", "2025-06"]
    assert plan.out_of_time[0].index - plan.training[-1].index == 3


def test_vintages_before_the_first_features_are_dropped() -> None:
    plan = plan_vintages(SPLIT, 12, Month(2026, 10), first=Month(2025, 3))
    assert [str(m) for m in plan.training] == ["2025-04", "2025-06"]
    with pytest.raises(GsceneError, match="no training vintage"):
        plan_vintages(SPLIT, 12, Month(2026, 10), first=Month(2025, 7))
