"""`gscene pseudonymise` and `gscene deid-report` from the outside."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.gscene.command import gscene
from tests.sources.gateway.test_gateway import an_id, write

PLAN = """plan: si
source: anyang_si
purpose: risk
key_id: k1
ids:
  sfzh: {kind: resident, to: grbh}
drop: [xm]
"""


def test_ids_become_tokens_and_nothing_is_found_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, plan, out = tmp_path / "keys", tmp_path / "plan.yaml", tmp_path / "out.csv"
    plan.write_text(PLAN)
    raw = write(
        tmp_path / "raw.csv",
        [["sfzh", "xm", "je"], *[[an_id(n), "x", "1"] for n in range(40)], ["1", "x", "2"]],
    )
    assert gscene(capsys, "pseudonymise", "check", raw).code == 3
    assert gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys, "--json").json["key_id"] == "k1"
    said = gscene(capsys, "pseudonymise", "run", plan, raw, out, "--keys", keys, "--json")
    assert (said.code, said.json["read"], said.json["written"]) == (0, 41, 40)
    assert an_id(3) not in said.out + said.err
    assert gscene(capsys, "pseudonymise", "check", out).code == 0
    gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys)
    walk = gscene(
        capsys, "pseudonymise", "rotate", raw, tmp_path / "walk.parquet", "--plan", plan, "--column", "sfzh",
        "--old", "k1", "--new", "k2", "--valid-from", "2026-12-01", "--keys", keys, "--json",
    )  # fmt: skip
    assert (walk.json["rows"], walk.json["left_out"]) == (40, 1)
    gscene(capsys, "pseudonymise", "keys", "retire", "k1", "--keys", keys)
    assert gscene(capsys, "pseudonymise", "keys", "list", "--keys", keys, "--json").json["keys"] == {
        "k1": "retired", "k2": "in use",
    }  # fmt: skip
    assert (
        "retired" in gscene(capsys, "pseudonymise", "run", plan, raw, tmp_path / "b.csv", "--keys", keys).err
    )


def test_the_report_is_written_and_too_fine_a_table_is_not_released(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "extract.parquet"
    pq.write_table(pa.table({"region": ["430102"] * 9 + ["430104"] * 30}), file)
    said = gscene(
        capsys,
        "deid-report",
        "--file",
        file,
        "--quasi",
        "region",
        "--out",
        tmp_path,
        "--release",
        "internal",
        "--json",
    )
    assert (said.code, said.json["report"]["k"], said.json["report"]["grade"]) == (0, 9, 3)
    page = Path(said.json["page"]).read_text(encoding="utf-8")
    assert "去标识化报告" in page and "430102" not in page
    refused = gscene(
        capsys,
        "deid-report",
        "--file",
        file,
        "--quasi",
        "region",
        "--out",
        tmp_path,
        "--release",
        "marketing",
    )
    assert refused.code == 3 and "k = 9" in refused.err
    assert gscene(capsys, "deid-report", "--file", file, "--quasi", "age", "--out", tmp_path).code == 1
