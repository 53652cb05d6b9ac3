"""Label definitions: the shipped ones load, versions are kept apart, mistakes are told by file and line."""

from pathlib import Path

import pandas as pd
import pytest

from core.errors import Refusal
from models.definition import FOLDER, load_model_definition, load_model_definitions
from models.label_definition import LABEL_FOLDER, AccountDpdLabel, find_label, load_label_file
from models.labels import account_outcomes
from tests.models.test_labels import ALL, RESIDENT, T, account


def test_every_shipped_model_names_a_label_with_its_version() -> None:
    for path in sorted(LABEL_FOLDER.glob("*.yaml")):
        assert load_label_file(path).versions
    labels = {name: definition.label for name, definition in load_model_definitions().items()}
    assert labels["resident_risk"].code == "resident_default@1"
    assert labels["enterprise_risk"].code == "enterprise_default@1"
    assert all(label.effective_from == "2026-01" for label in labels.values())


def two_versions(folder: Path) -> Path:
    """A copy of the labels in which residents have a second version with a shorter window."""
    for path in LABEL_FOLDER.glob("*.yaml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    file = folder / "resident_default.yaml"
    text = file.read_text(encoding="utf-8")
    second = text[text.index("  - version: 1") :]
    second = second.replace("version: 1", "version: 2").replace("2026-01", "2026-07").replace("12", "6")
    file.write_text(text + second, encoding="utf-8")
    return file


def test_a_model_keeps_the_version_that_it_names(tmp_path: Path) -> None:
    two_versions(tmp_path)
    old = load_model_definition(FOLDER / "resident_risk.yaml", tmp_path)
    file = tmp_path / "model" / "resident_risk.yaml"
    file.parent.mkdir()
    text = (FOLDER / "resident_risk.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("resident_default@1", "resident_default@2"), encoding="utf-8")
    new = load_model_definition(file, tmp_path)
    assert old.label == find_label("resident_default@1")
    assert isinstance(new.label, AccountDpdLabel)
    assert (new.label.code, new.label.window_months) == ("resident_default@2", 6)
    assert new.label.sha256 != old.label.sha256 and new.sha256 != old.sha256
    assert new.model_dump()["label"]["effective_from"] == "2026-07"


@pytest.mark.parametrize(
    ("old", "new", "line_text"),
    [
        ("bad_dpd: 90", "bad_dpd: 45", "bad_dpd"),
        ("indeterminate_dpd: 30", "indeterminate_dpd: 95", "version: 1"),
        ("immature: never_good", "immature: good", "immature"),
        ("[closed, lost_before, late_at_as_of, too_young]", "[late_at_as_of]", "version: 1"),
        ("window_months", "window", "window"),
        ("version: 1", "version: 2", "name"),
        ('    effective_from: "2026-01"\n', "", "name"),
        ("name: resident_default", "name: other", "name"),
    ],
)
def test_a_mistake_is_told_by_file_and_line(tmp_path: Path, old: str, new: str, line_text: str) -> None:
    text = (LABEL_FOLDER / "resident_default.yaml").read_text(encoding="utf-8").replace(old, new)
    file = tmp_path / "resident_default.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Refusal) as refusal:
        load_label_file(file)
    assert refusal.value.file == str(file) and refusal.value.line is not None
    assert line_text in text.splitlines()[refusal.value.line - 1] or refusal.value.line == 1


def test_versions_must_follow_each_other_in_time(tmp_path: Path) -> None:
    file = two_versions(tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("2026-07", "2025-07"), encoding="utf-8")
    with pytest.raises(Refusal, match="later month"):
        load_label_file(file)


def test_who_is_excluded_stands_in_the_definition() -> None:
    rows = account(1, *ALL, m2025_06={"dpd": 40, "max_dpd_m": 40}) + account(2, *ALL, on_book=0)
    found = account_outcomes(pd.DataFrame(rows), T, RESIDENT)
    assert found.table["outcome"].tolist() == ["excluded", "excluded"]
    rule = RESIDENT.model_copy(update={"excluded": ["closed", "lost_before", "too_young"]})
    found = account_outcomes(pd.DataFrame(rows), T, rule)
    assert found.table["outcome"].tolist() == ["good", "excluded"]
    assert sum(count for step, count in found.steps.items() if step != "subjects with an account") == 2
