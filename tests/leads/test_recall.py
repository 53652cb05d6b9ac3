"""Taking leads back from an exported list."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from core.errors import GsceneError
from leads.export import export_list, verify_export
from leads.recall import without_leads, write_notice
from tests.leads.worlds import AT, list_of, policy, wanted_person


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return export_list(list_of([wanted_person() for _ in range(12)], policy()), tmp_path).folder


def test_the_row_goes_from_every_file_and_the_manifest_fits(exported: Path) -> None:
    before = pd.read_parquet(exported / "leads.parquet")
    lead = before["lead_id"][2]
    texts = {
        file.name: file.read_text("utf-8-sig") for file in exported.iterdir() if file.suffix != ".parquet"
    }
    done = without_leads(exported, {lead})
    assert done.rows == len(before) - 1 and verify_export(exported).sha256 == done.sha256
    after = pd.read_parquet(exported / "leads.parquet")
    pd.testing.assert_frame_equal(after, before[before["lead_id"] != lead].reset_index(drop=True))
    for name in ("leads_zh.csv", "leads_en.csv", "leads.ndjson"):
        lines = [line for line in texts[name].splitlines() if lead not in line]
        assert (exported / name).read_text("utf-8-sig").splitlines() == lines and len(lines) >= len(after)
    assert json.loads((exported / "manifest.json").read_text())["leads_recalled"] == 1


def test_doing_it_again_changes_nothing(exported: Path) -> None:
    lead = pd.read_parquet(exported / "leads.parquet")["lead_id"][0]
    done = without_leads(exported, {lead})
    stamps = {file: file.stat().st_mtime_ns for file in exported.iterdir()}
    assert without_leads(exported, {lead}) == done
    assert {file: file.stat().st_mtime_ns for file in exported.iterdir()} == stamps


@pytest.mark.parametrize("killed_after", ["old moved away", "new half made"])
def test_a_killed_recall_is_completed(exported: Path, killed_after: str) -> None:
    lead = pd.read_parquet(exported / "leads.parquet")["lead_id"][0]
    if killed_after == "old moved away":
        exported.rename(exported.with_name(f".{exported.name}.old.part"))
    else:
        exported.with_name(f".{exported.name}.new.part").mkdir()
    done = without_leads(exported, {lead})
    assert verify_export(exported).sha256 == done.sha256
    assert lead not in set(pd.read_parquet(exported / "leads.parquet")["lead_id"])
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]


def test_a_list_can_lose_its_last_lead(exported: Path) -> None:
    leads = set(pd.read_parquet(exported / "leads.parquet")["lead_id"])
    assert without_leads(exported, leads).rows == 0
    verify_export(exported)


def test_a_changed_file_still_shows(exported: Path) -> None:
    without_leads(exported, {pd.read_parquet(exported / "leads.parquet")["lead_id"][0]})
    with (exported / "leads.ndjson").open("a") as file:
        file.write("{}\n")
    with pytest.raises(GsceneError):
        verify_export(exported)


def test_the_notice_names_list_and_lead_until_it_is_acknowledged(tmp_path: Path) -> None:
    told = json.loads(write_notice(tmp_path, 4, "autumn-r1", "L77", AT).read_text("utf-8"))
    assert (told["recall"], told["list_version"], told["lead_id"]) == (4, "autumn-r1", "L77") and told["zh"]
    told = json.loads(write_notice(tmp_path, 4, "autumn-r1", None, AT).read_text("utf-8"))
    assert told["lead_id"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["recall-4.json"]
