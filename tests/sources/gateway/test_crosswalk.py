"""Rotation: old and new tokens of everybody in a file, each pair once, and nothing else."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from core.errors import GsceneError
from core.purpose import Purpose
from sources.delivery import sha256_of
from sources.gateway.crosswalk import make_crosswalk
from sources.gateway.pseudonymise import pseudonymise
from sources.migration.crosswalk import read_crosswalk
from sources.migration.definition import KeyVersions
from tests.sources.gateway.plans import KEY, NEXT, csv_text, firms, plan
from tests.sources.identity import planted


@pytest.mark.parametrize("name", ["crosswalk.parquet", "crosswalk.csv"])
def test_a_crosswalk_leads_every_old_token_to_its_new_one(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.unpacking.PIECE", 5_000)
    rows = firms(300)
    # The same firms again, written otherwise, and one without an id.
    rows += [row | {"nsrsbh": planted.full_width(row["nsrsbh"].lower())} for row in rows[:200]]
    rows.append(rows[0] | {"nsrsbh": ""})
    source, target = tmp_path / "in.csv", tmp_path / name
    source.write_text(csv_text(rows), encoding="utf-8")
    manifest = make_crosswalk(source, target, plan(), "nsrsbh", KEY, NEXT, date(2026, 11, 1))
    table = pq.read_table(target) if target.suffix == ".parquet" else pa_csv.read_csv(target)
    assert table.column_names == ["old_subject_id", "new_subject_id", "valid_from"]
    assert table.num_rows == manifest["files"][0]["rows"] == 300
    assert {str(day) for day in table.column("valid_from").to_pylist()} == {"2026-11-01"}
    pairs = dict(
        zip(
            table.column("old_subject_id").to_pylist(),
            table.column("new_subject_id").to_pylist(),
            strict=True,
        )
    )
    assert list(pairs) == sorted(pairs)
    tokens = []
    for key in (KEY, NEXT):
        pseudonymise(source, tmp_path / "out.csv", plan(), key)
        tokens.append(pa_csv.read_csv(tmp_path / "out.csv").column("nsrdm").to_pylist())
    assert [pairs.get(old, "") for old in tokens[0]] == tokens[1]
    assert manifest["files"][0]["sha256"] == sha256_of(target)
    assert json.loads((tmp_path / f"{name}.manifest.json").read_text()) == manifest
    assert (manifest["old_key"]["key_id"], manifest["new_key"]["key_id"]) == ("k1", "k2")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    # What a platform migration takes over.
    read = read_crosswalk([target], KeyVersions(old="k1", new="k2"), Purpose.MIGRATION_CHECK)
    assert len(read.old_ids) == 300 and read.one_to_one.all()
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_crosswalk_needs_two_keys_and_a_column_of_ids(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(csv_text(firms(2)), encoding="utf-8")
    with pytest.raises(GsceneError, match="one key to another"):
        make_crosswalk(source, tmp_path / "c.csv", plan(), "nsrsbh", KEY, KEY, date(2026, 11, 1))
    with pytest.raises(GsceneError, match="no ids in sbyf"):
        make_crosswalk(source, tmp_path / "c.csv", plan(), "sbyf", KEY, NEXT, date(2026, 11, 1))
