"""`gscene adapters` lists, shows and lints; an error ends it with 1 and names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sources.adapter import FOLDER
from tests.gscene.command import gscene

Capsys = pytest.CaptureFixture[str]


def test_the_shipped_adapters_have_no_errors(capsys: Capsys) -> None:
    said = gscene(capsys, "adapters", "lint", "--json")
    assert (said.code, said.json["errors"]) == (0, 0)
    assert said.json["adapters"] == len(list(FOLDER.glob("*.yaml")))


def test_list_and_show_tell_what_is_taken_from_where(capsys: Capsys) -> None:
    rows = {row["adapter"]: row for row in gscene(capsys, "adapters", "list", "--json").json["adapters"]}
    for table in (
        "tax_vat",
        "tax_arrears",
        "tax_iit",
        "si_person",
        "si_employer",
        "util_resident",
        "util_enterprise",
    ):
        assert {f"sim_city_{table}", f"sim_prov_{table}"} <= set(rows)
    shown = gscene(capsys, "adapters", "show", "sim_prov_si_person", "--json").json
    told = {column["name"]: column for column in shown["coverage"]}
    assert (told["scheme"]["origin"], told["scheme"]["codes"]) == ("AAE140", "si_scheme@ed3")
    assert shown["not_taken"] == ["XZQHDM", "BZ"]
    unknown = gscene(capsys, "adapters", "show", "nothing")
    assert unknown.code == 1 and "adapters list" in unknown.err


def test_lint_ends_with_1_and_names_place_and_remedy(capsys: Capsys, tmp_path: Path) -> None:
    shipped = (FOLDER / "sim_city_util_resident.yaml").read_text(encoding="utf-8")
    file = tmp_path / "sim_city_util_resident.yaml"
    file.write_text(shipped.replace("{from: yl, unit: kWh}", "{from: yl}"), encoding="utf-8")
    said = gscene(capsys, "adapters", "lint", file, "--json")
    (finding,) = said.json["findings"]
    line = next(n for n, text in enumerate(shipped.splitlines(), 1) if "consumption" in text)
    assert (said.code, finding["check"], finding["line"]) == (1, "unit", line)
    assert finding["remedy"]


def test_a_sample_with_other_columns_or_codes_is_told(capsys: Capsys, tmp_path: Path) -> None:
    file = FOLDER / "sim_city_tax_arrears.yaml"
    header = "nsrbh|tjyf|zsxm|qsye|qsts|xzqh|bz|env_flag"
    row = "k1:" + "a" * 40 + "|2026-10|10999|5.00|3|||0"
    sample = tmp_path / "sample.txt"
    sample.write_text(f"{header}\n{row}\n", encoding="gb18030")
    said = gscene(capsys, "adapters", "lint", file, "--sample", sample, "--json")
    assert said.code == 1
    assert [one["check"] for one in said.json["findings"]] == ["unknown_code"]
    assert "10999 (1 rows)" in said.json["findings"][0]["message"]
    sample.write_text(f"{header}|new\n{row}|\n", encoding="gb18030")
    said = gscene(capsys, "adapters", "lint", file, "--sample", sample)
    assert said.code == 1 and "unknown `new`" in said.err.replace("\n", " ")
    assert gscene(capsys, "adapters", "lint", "--sample", sample).code == 2
