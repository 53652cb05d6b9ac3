"""The linter names what is unmapped, unfed, without unit or filled with another column, and never a person's cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from core.months import Month
from sources.adapter_findings import Finding, lint_file, lint_sample, named_code
from sources.code_map import contradictions, load_code_map
from sources.coverage import coverage
from tests.sources.adapting import BASE, SCHEMA, adapter_of, delivered
from tests.sources.bench import token

SCHEMAS = {"made_up": SCHEMA}


def linted(folder: Path, columns: dict[str, Any], **changes: Any) -> list[Finding]:
    path = folder / "city.yaml"
    body = BASE | {"columns": BASE["columns"] | columns} | changes
    path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return lint_file(path, SCHEMAS)[1]


def told(findings: list[Finding], level: str = "error") -> list[tuple[str, str]]:
    return [(one.check, one.message) for one in findings if one.level == level]


def test_a_quantity_without_unit_is_an_error_with_its_line(tmp_path: Path) -> None:
    findings = linted(tmp_path, {"persons": {"from": "rs"}, "rate": {"from": "bl", "unit": "percent"}})
    assert told(findings) == [("unit", "persons is a number and nobody says in which unit rs is.")]
    lines = (tmp_path / "city.yaml").read_text(encoding="utf-8").splitlines()
    assert "persons" in lines[next(one.line for one in findings if one.level == "error") - 1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"persons": {"from": "rs", "unit": "kWh"}}, "persons is kept in persons, which kWh can't be turned into"),
        ({"energy": {"from": "dl", "unit": "CNY"}}, "energy is no amount and has no money unit"),
        ({"amt": {"from": "je", "unit": "kWh"}}, "amt needs a unit"),
        ({"day": {"from": "rq", "parse": ["%Y%m%d"], "unit": "days"}}, "day is no number that is read"),
        ({"region_cd": {"from": "phone"}}, "the source column phone may not be taken"),
        ({"region_cd": {"from": "xsxm_student"}}, "may not be taken: it would hold a pupil or a child"),
        ({"kind": {"from": "lx", "code_map": "tax_item@gt3"}}, "the codes of kind lead to CIT, IIT"),
        ({"acct_id": {"from": "hh", "open_end": True}}, "acct_id is no date and has no `open_end`"),
        (
            {"kind": {"from": "lx", "codes": {"1": "a"}, "split": {"by": "、", "rule": "explode"}},
             "amt": {"from": "je", "unit": "CNY"}},
            "amt would be counted once for each code",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_contract_is_an_error(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    found = told(linted(tmp_path, columns))
    assert any(message in one for _, one in found), found


def test_one_source_column_for_two_is_a_warning(tmp_path: Path) -> None:
    columns = {
        "employer": {"from": "who"},
        "day": {"from": "sj", "parse": ["%Y%m%d"]},
        "at": {"from": "sj", "parse": ["%Y%m%d"]},
    }
    assert told(linted(tmp_path, columns), "warning") == [("fed_twice", "who feeds subject_id and employer.")]


def test_what_is_not_fed_and_not_taken_is_noted(tmp_path: Path) -> None:
    notes = told(linted(tmp_path, {}, ignore=["beizhu"]), "note")
    assert ("not_taken", "beizhu is named and not taken.") in notes
    assert ("not_fed", "Nothing feeds amt.") in notes and len(notes) == len(SCHEMA.columns) - 3 + 1


def test_a_file_that_does_not_load_is_one_finding(tmp_path: Path) -> None:
    assert [one.check for one in linted(tmp_path, {"amt": {"form": "je"}})] == ["definition"]
    assert [one.check for one in linted(tmp_path, {}, target="nothing")] == ["target"]
    found = linted(tmp_path, {"kind": {"from": "lx", "code_map": "kind@ed9"}})
    assert told(found) == [("definition", "there is no code map kind@ed9.")] and found[0].line is not None


FEED: dict[str, Any] = {
    "columns": {
        "period": {"from": "ny", "parse": ["%Y%m"]},
        "kind": {"from": "lx", "codes": {"1": "a"}},
        "amt": {"from": "je", "unit": "CNY"},
        "employer": {"from": "dw"},
    }
}


def sampled(folder: Path, rows: list[dict[str, str]]) -> list[Finding]:
    adapter = adapter_of(folder, **FEED)
    return lint_sample(folder / "city.yaml", adapter, SCHEMA, delivered(adapter, folder, rows))


def test_codes_are_named_where_nobody_can_be_one(tmp_path: Path) -> None:
    codes = ["1", "2", "0400", "2", "王小明", "23800138000"]
    found = sampled(tmp_path, [{"ny": "202610", "lx": code} for code in codes])
    assert [one.check for one in found] == ["unknown_code"]
    message = found[0].message
    assert (
        "2 (2 rows)" in message
        and "0400 (1 rows)" in message
        and "字字字" in message
        and "99999999999" in message
    )
    assert "王" not in message and "138" not in message


@pytest.mark.parametrize("text", ["张三", "13800138000", "a@b.cn", "A1234567890", "湘A12345", "1" * 9])
def test_what_could_be_somebody_is_told_by_its_shape(text: str) -> None:
    assert text not in named_code(text)


def test_rows_that_cannot_come_in_are_told_by_reason_and_shape(tmp_path: Path) -> None:
    rows = [{"ny": "202610", "je": "geheim"}, {"ny": "202609"}, {"ny": "202610"}]
    found = sampled(tmp_path, rows)
    assert [one.check for one in found] == ["other_period", "unreadable"]
    assert "`aaaaaa`" in found[1].message and "geheim" not in str(found)


def test_a_column_filled_with_another_is_found(tmp_path: Path) -> None:
    subjects = [token(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    swapped = [{"ny": "202610", "who": who, "dw": who} for who in subjects]
    assert [one.check for one in sampled(tmp_path, swapped)] == ["same_column_twice"]
    assert sampled(tmp_path, [row | {"dw": subjects[0]} for row in swapped]) == []
    assert sampled(tmp_path, swapped[:10]) == []


def test_an_identity_number_ends_the_look_at_a_sample(tmp_path: Path) -> None:
    found = sampled(tmp_path, [{"ny": "202610", "lx": "11010519491231002X"}])
    assert [one.check for one in found] == ["identity"] and "1101" not in str(found)


def test_coverage_says_where_each_column_comes_from(tmp_path: Path) -> None:
    columns = {
        "kind": {"from": "lx", "codes": {"1": "a"}},
        "amt": {"from": "je", "unit": "CNY_10K"},
        "due": {"derive": {"month_start": "period"}},
        "region_cd": {"constant": "430800"},
    }
    told_of = {one.name: one for one in coverage(adapter_of(tmp_path, columns=columns), SCHEMA)}
    assert (told_of["amt"].how, told_of["amt"].origin, told_of["amt"].unit) == ("read", "je", "CNY_10K")
    assert (told_of["due"].how, told_of["due"].origin) == ("derived", "month_start: period")
    assert (told_of["region_cd"].how, told_of["region_cd"].origin) == ("constant", "430800")
    assert (told_of["subject_id"].how, told_of["period"].how) == ("key", "manifest")
    assert told_of["fee_amt"].how == "not fed"


def test_editions_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    maps = tmp_path / "code_maps"
    maps.mkdir()
    for edition, body in {
        "e1": {"1": {"to": "a", "valid_to": "2025-12"}},
        "e2": {"1": {"to": "b", "valid_from": "2026-01"}},
        "e3": {"1": "b"},
    }.items():
        text = {"code_map": "m", "edition": edition, "title": {"zh": "图", "en": "map"}, "codes": body}
        (maps / f"m@{edition}.yaml").write_text(yaml.safe_dump(text, allow_unicode=True), encoding="utf-8")
    e1, e2, e3 = (load_code_map(maps / f"m@e{n}.yaml") for n in (1, 2, 3))
    assert (contradictions([e1, e2]), contradictions([e1, e3])) == ([], ["1"])
    folder = tmp_path / "adapters"
    folder.mkdir()
    column = {"from": "lx", "code_map": ["m@e1", "m@e2"]}
    adapter = adapter_of(folder, columns={"kind": column})
    from sources.convert import convert

    rows = delivered(adapter, folder, [{"lx": "1"}])
    for period, meaning in ((Month(2025, 12), "a"), (Month(2026, 1), "b")):
        assert convert(rows, adapter, SCHEMA, period).rows.column("kind").to_pylist() == [meaning]
    before = adapter.definition_hash
    (maps / "m@e2.yaml").write_text(
        (maps / "m@e2.yaml").read_text("utf-8").replace("to: b", "to: c"), "utf-8"
    )
    assert adapter_of(folder, columns={"kind": column}).definition_hash != before


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ({"1": {"to": "a", "successor": "2"}}, "needs valid_to"),
        ({"1": {"valid_to": "2020-01", "successor": "9"}}, "isn't in the map"),
        ({"1": {"valid_from": "2021-01", "valid_to": "2020-01"}}, "valid_from is after valid_to"),
        ({"1": {"to": "a", "labels": ["甲"]}, "2": {"to": "b", "labels": ["甲"]}}, "written twice"),
        (
            {"1": {"valid_to": "2020-01", "successor": "2"}, "2": {"valid_to": "2020-01", "successor": "1"}},
            "succeeds itself",
        ),
    ],
)
def test_a_map_that_contradicts_itself_is_told(tmp_path: Path, codes: dict[str, Any], message: str) -> None:
    from core.errors import Refusal

    path = tmp_path / "m@e1.yaml"
    body = {"code_map": "m", "edition": "e1", "title": {"zh": "图", "en": "map"}, "codes": codes}
    path.write_text(yaml.safe_dump(body, allow_unicode=True), encoding="utf-8")
    with pytest.raises(Refusal, match=message):
        load_code_map(path)


def test_every_shipped_code_map_and_adapter_is_without_error() -> None:
    from expectations.contract import load_contracts
    from sources.adapter import FOLDER
    from sources.code_map import FOLDER as MAPS

    assert len([load_code_map(path) for path in MAPS.glob("*.yaml")]) >= 14
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    errors = [
        one
        for path in sorted(FOLDER.glob("*.yaml"))
        for one in lint_file(path, schemas)[1]
        if one.level == "error"
    ]
    assert errors == []
