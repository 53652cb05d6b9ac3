"""`gscene deid-report`: what it says, writes, and ends with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.settings import Settings
from core.table_store import TableStore
from expectations.contract import load_contracts
from tests.gscene.command import gscene
from tests.sources.deidentification.test_report import table
from tests.sources.identity import planted

Capture = pytest.CaptureFixture[str]


def csv_file(path: Path, **columns: list[str]) -> Path:
    rows = table(400, **columns).to_pylist()
    text = "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows), ""])
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_that_may_go(tmp_path: Path, capsys: Capture) -> None:
    file = csv_file(tmp_path / "out.csv")
    said = gscene(
        capsys, "deid-report", "--file", file, "--quasi", "region,band", "--sensitive", "grade",
        "--release", "public", "--cross", "region,band", "--out", tmp_path / "pages", "--json",
    )  # fmt: skip
    assert said.code == 0 and said.json["may_go"] and said.json["gb_t_42460_grade"] == 3
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == [
        "out.csv.html",
        "out.csv.json",
        "out.csv.region-band.csv",
    ]


def test_a_planted_id_ends_with_3(tmp_path: Path, capsys: Capture) -> None:
    number = planted.resident(np.random.default_rng(1))
    file = csv_file(tmp_path / "out.csv", remark=[""] * 399 + [number])
    said = gscene(capsys, "deid-report", "--file", file, "--quasi", "region", "--out", tmp_path / "pages")
    assert said.code == 3
    assert "Refused / 拒绝" in said.err and "remark holds a resident id" in said.err
    assert number not in said.err + said.out
    assert all(number not in path.read_text() for path in (tmp_path / "pages").iterdir())


def test_small_classes_end_with_3_and_a_proposal(tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(2)
    file = csv_file(tmp_path / "out.csv", band=[str(age) for age in rng.integers(20, 60, 400)])
    command = ["deid-report", "--file", file, "--quasi", "region,band", "--out", tmp_path / "pages", "--json"]
    said = gscene(capsys, *command)
    assert said.code == 3 and said.json["proposals"] and said.json["people_under"]["5"] > 0


def test_a_table_of_the_home(tmp_path: Path, capsys: Capture) -> None:
    TableStore(Settings.load(tmp_path).lake).replace("raw/resident/t", "2026-10", table(400))
    said = gscene(
        capsys, "deid-report", "--table", "raw/resident/t", "--period", "2026-10", "--quasi", "region",
        "--home", tmp_path, "--json",
    )  # fmt: skip
    assert said.code == 0 and said.json["rows"] == 400
    assert (tmp_path / "out" / "deid" / "raw.resident.t.html").exists()


def test_a_table_s_contract_names_its_quasi_identifiers(tmp_path: Path, capsys: Capture) -> None:
    regions = table(400).column("region")
    data = pa.table(
        {"region_cd": regions, "industry_cd": pa.array(["C1311"] * 400), "reg_type_cd": pa.array(["1"] * 400)}
    )
    TableStore(Settings.load(tmp_path).lake).replace("raw/enterprise/tax_registration", "2026-10", data)
    said = gscene(
        capsys, "deid-report", "--table", "raw/enterprise/tax_registration", "--home", tmp_path, "--json"
    )
    contract = load_contracts()["tax_registration"]
    expected = [name for name, column in contract.columns.items() if column.data_class == "quasi_id"]
    assert expected and said.code == 0 and said.json["quasi_identifiers"] == expected


def test_wrong_use_is_told(tmp_path: Path, capsys: Capture) -> None:
    file = csv_file(tmp_path / "out.csv")
    assert gscene(capsys, "deid-report", "--quasi", "region").code == 2
    assert (
        gscene(capsys, "deid-report", "--file", file, "--quasi", "region", "--cross", "region,age").code == 2
    )


def test_a_table_of_counts_hides_those_under_ten_and_is_rounded_for_the_public(
    tmp_path: Path, capsys: Capture
) -> None:
    rows = [("a", "x")] * 203 + [("a", "y")] * 52 + [("b", "x")] * 61 + [("b", "y")] * 7
    file = tmp_path / "out.csv"
    file.write_text("\n".join(["region,band", *(",".join(row) for row in rows), ""]))
    for release, total in (("internal", "323"), ("public", "325")):
        said = gscene(
            capsys, "deid-report", "--file", file, "--quasi", "region,band", "--cross", "region,band",
            "--release", release, "--out", tmp_path,
        )  # fmt: skip
        assert said.code == (0 if release == "internal" else 3)
        lines = (tmp_path / "out.csv.region-band.csv").read_text(encoding="utf-8-sig").splitlines()
        # One small cell, and the rectangle that keeps it from being worked out.
        assert [line.split(",")[1:3] for line in lines[1:3]] == [["*", "*"], ["*", "*"]]
        assert lines[-1].split(",")[-1] == total and "7" not in lines[2].split(",")
        assert total in said.out + said.err
