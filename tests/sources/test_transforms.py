"""What adapters declare, one small golden example each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import Refusal
from core.months import Month
from tests.sources.adapting import PERIOD, SCHEMA, adapter_of, converted, held, hold, values
from tests.sources.bench import token


def test_units_are_converted_once_and_exactly(tmp_path: Path) -> None:
    columns = {
        "amt": {"from": "je", "unit": "CNY_10K"},
        "energy": {"from": "dl", "unit": "MWh"},
        "persons": {"from": "rs", "unit": "10k_persons"},
        "rate": {"from": "bl", "unit": "percent"},
    }
    result = converted(
        tmp_path, [{"je": "1.234567", "dl": "1.5", "rs": "0.0003", "bl": "7.5"}], columns=columns
    )
    assert values(result, "amt", "energy", "persons", "rate") == [(Decimal("12345.67"), 1500.0, 3, 0.075)]


def test_a_part_of_a_person_is_unreadable(tmp_path: Path) -> None:
    columns = {"persons": {"from": "rs", "unit": "10k_persons"}}
    with pytest.raises(Refusal, match="REFUSED/TYPE"):
        converted(tmp_path, [{"rs": "0.00003"}], columns=columns)


@pytest.mark.parametrize(("text", "value"), [("5,000,000", "5000000"), ("-1,000.00", "-1000"), ("12", "12")])
def test_thousands_are_read_where_declared(tmp_path: Path, text: str, value: str) -> None:
    columns = {"amt": {"from": "je", "unit": "CNY", "thousands": ","}}
    assert values(converted(tmp_path, [{"je": text}], columns=columns), "amt") == [Decimal(value)]


@pytest.mark.parametrize("text", ["5,000000", "50,00", "1,00,000", ",500", "5,000,"])
def test_badly_grouped_numbers_are_unreadable(tmp_path: Path, text: str) -> None:
    columns = {"amt": {"from": "je", "unit": "CNY", "thousands": ","}}
    result = converted(tmp_path, [{"je": text}], columns=columns, quarantine=hold("unreadable"))
    assert held(result) == [(1, "unreadable", "je")]


def test_an_open_end_is_missing_only_where_something_may_be_open(tmp_path: Path) -> None:
    parse = ["%Y-%m-%d"]
    columns = {
        "due": {"from": "zzrq", "parse": parse, "open_end": True},
        "day": {"from": "ksrq", "parse": parse},
    }
    sentinels = {"open_end": ["9999-9-9"], "null": ["1900-1-1"]}
    rows = [
        {"zzrq": "9999-9-9", "ksrq": "1900-1-1"},
        {"zzrq": "1900-01-01", "ksrq": "2026-1-2"},
        {"zzrq": "2026-1-1", "ksrq": "9999-09-09"},
    ]
    result = converted(tmp_path, rows, columns=columns, sentinels=sentinels, quarantine=hold("sentinel"))
    assert values(result, "due", "day") == [(None, None), (None, date(2026, 1, 2))]
    assert held(result) == [(3, "sentinel", "ksrq")]


def test_moments_are_chinese_civil_time(tmp_path: Path) -> None:
    columns = {"at": {"from": "sj", "parse": ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"]}}
    result = converted(
        tmp_path, [{"sj": "2026-10-02 07:30:00"}, {"sj": "2026-10-02 07:30:00.5"}], columns=columns
    )
    assert values(result, "at") == [
        datetime(2026, 10, 1, 23, 30, tzinfo=UTC),
        datetime(2026, 10, 1, 23, 30, 0, 500_000, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("period", "text", "region"),
    [
        (Month(2016, 9), "330204", "330204"),
        (Month(2016, 10), "330204", "330212"),
        (Month(2026, 10), "江东区", "330212"),
        (Month(2026, 10), "430122", "430112"),
        (Month(2011, 5), "430122", "430122"),
        (Month(2026, 10), "330212", "330212"),
    ],
)
def test_retired_codes_count_as_their_successor_from_their_end_on(
    tmp_path: Path, period: Month, text: str, region: str
) -> None:
    columns = {"region_cd": {"from": "xzqh", "code_map": "region@gbt2260"}}
    assert values(converted(tmp_path, [{"xzqh": text}], columns=columns, period=period), "region_cd") == [
        region
    ]


def test_a_retired_code_without_successor_is_held(tmp_path: Path) -> None:
    columns = {"region_cd": {"from": "xzqh", "code_map": "region@gbt2260", "on_unknown": "quarantine"}}
    rows = [{"xzqh": "341400"}, {"xzqh": "330212"}, {"xzqh": "999999"}]
    result = converted(tmp_path, rows, columns=columns, quarantine={"at_most": 1.0})
    assert held(result) == [(1, "retired_code", "xzqh"), (3, "unknown_code", "xzqh")]
    assert values(
        converted(tmp_path, [{"xzqh": "341400"}], columns=columns, period=Month(2011, 7)), "region_cd"
    ) == ["341400"]


def test_several_codes_in_a_cell_are_held_or_told_as_rows(tmp_path: Path) -> None:
    codes = {"1": "a", "2": "b", "3": "a"}
    rows = [{"lx": "1、2"}, {"lx": "2"}, {"lx": "1、3"}, {"lx": "1、9"}]
    column = {"from": "lx", "codes": codes, "split": {"by": "、"}}
    result = converted(tmp_path, rows, columns={"kind": column}, quarantine=hold("unknown_code"))
    assert held(result) == [(1, "several_codes", "lx"), (3, "several_codes", "lx"), (4, "unknown_code", "lx")]
    exploded = column | {"split": {"by": "、", "rule": "explode"}}
    schema = _keyed("acct_id", "kind")
    result = converted(tmp_path, rows[:3], schema, columns={"kind": exploded})
    assert values(result, "kind", "row_no") == [("a", 1), ("b", 1), ("b", 2), ("a", 3)]
    assert result.accepted == 3


def _keyed(*key: str) -> Any:
    columns = tuple(
        replace(column, nullable=column.nullable and column.name not in key) for column in SCHEMA.columns
    )
    return replace(SCHEMA, columns=columns, business_key=key)


def test_key_steps_make_one_code_of_several_spellings(tmp_path: Path) -> None:
    key = {"from": "who", "normalise": ["nfkc", "strip", "upper", "drop_hyphens", "drop_blanks", "org_code_of_uscc"],
           "pseudonymise": True, "form": "org_code"}  # fmt: skip
    spelled = [
        "91330200742183213A",
        "74218321-3",
        " 742 183 213 ",
        "７４２１８３２１３",
        "91330200742183213a",
    ]
    result = converted(tmp_path, [{"who": who} for who in spelled], key=key)
    assert set(result.subject_codes.to_pylist()) == {"742183213"}


def test_keys_of_another_form_or_version_are_held(tmp_path: Path) -> None:
    key = {"from": "who", "pseudonymise": True, "form": "uscc"}
    rows = [{"who": "91330200742183213A"}, {"who": "742183213"}, {"who": ""}]
    result = converted(tmp_path, rows, key=key, quarantine=hold("malformed_key", "no_key"))
    assert held(result) == [(2, "malformed_key", "who"), (3, "no_key", "who")]
    rows = [{"who": "k2:" + "a" * 40}, {"who": token("a"), "dw": token("b")}]
    result = converted(
        tmp_path, rows, key={"from": "who", "key_ver": "k2"}, quarantine=hold("other_key_version"),
        columns={"employer": {"from": "dw"}},
    )  # fmt: skip
    assert held(result) == [(2, "other_key_version", "who")]
    # The key of stand-ins for erased parties is nobody's, and no key has five digits or a leading zero.
    for first in ("k0:", "k00:", "k12345:"):
        for others in ([], [{"who": "无效"}]):
            rows = [{"who": first + "a" * 40}, {"who": token("a")}, *others]
            result = converted(tmp_path, rows, key={"from": "who"}, quarantine=hold("malformed_key"))
            assert held(result)[0] == (1, "malformed_key", "who"), first


def test_rows_without_any_id_are_left_out_or_held_as_declared(tmp_path: Path) -> None:
    rows = [{"who": ""}, {}]
    result = converted(tmp_path, rows, key={"from": "who", "missing": "leave_out"})
    assert (result.left_out, result.accepted) == ({"no_key": 1}, 1)
    result = converted(
        tmp_path, rows, key={"from": "who", "missing": "quarantine"}, quarantine={"at_most": 0.5}
    )
    assert held(result) == [(1, "no_key", "who")]
    with pytest.raises(Refusal, match="no code of a subject"):
        converted(tmp_path, rows, quarantine=hold("unreadable"))


def test_filters_leave_out_what_they_name_or_all_but_what_they_name(tmp_path: Path) -> None:
    rules = [
        {"reason": "test_row", "column": "env", "equals": ["1"]},
        {"reason": "other_city", "column": "city", "other_than": ["4308"]},
    ]
    rows = [{"env": "1", "city": "4301"}, {"env": "0", "city": " 4308 "}, {"env": "0", "city": "4301"}]
    result = converted(tmp_path, rows, leave_out=rules)
    assert (result.left_out, result.accepted) == ({"test_row": 1, "other_city": 1}, 1)


def test_columns_are_derived_without_python(tmp_path: Path) -> None:
    parse = ["%Y-%m-%d"]
    columns = {
        "day": {"from": "rq", "parse": parse},
        "due": {"derive": {"month_start": "period"}},
        "last_day": {"derive": {"month_end": "period"}},
        "late_days": {"derive": {"days_between": ["due", "day"]}},
        "is_late": {"derive": {"after": ["day", "last_day"]}},
        "amt": {"from": "a", "unit": "CNY"},
        "fee_amt": {"from": "b", "unit": "FEN"},
        "total_amt": {"derive": {"sum": ["amt", "fee_amt", "extra"]}},
        "revision_no": {"derive": {"envelope": "revision"}},
    }
    working = {"extra": {"from": "c", "type": "money", "unit": "CNY_10K"}}
    rows = [{"rq": "2026-11-02", "a": "1.10", "b": "5", "c": "0.0001"}, {}]
    result = converted(tmp_path, rows, columns=columns, working=working, revision=3)
    names = ("due", "last_day", "late_days", "is_late", "total_amt", "revision_no")
    assert values(result, *names) == [
        (date(2026, 10, 1), date(2026, 10, 31), 32, True, Decimal("2.15"), 3),
        (date(2026, 10, 1), date(2026, 10, 31), None, None, None, 3),
    ]
    assert "extra" not in result.rows.column_names


def test_the_month_may_come_from_a_date(tmp_path: Path) -> None:
    columns = {"day": {"from": "rq", "parse": ["%Y-%m-%d"]}, "period": {"derive": {"month_of": "day"}}}
    rows = [{"rq": "2026-10-31"}, {"rq": "2026-11-01"}]
    result = converted(tmp_path, rows, columns=columns, quarantine=hold("other_period"))
    assert held(result) == [(2, "other_period", "rq")]


@pytest.mark.parametrize(
    ("derive", "told"),
    [
        ({"month_start": "amt"}, "`month_start` makes a date of date/month; due is a date"),
        ({"month_start": "nothing"}, "which nothing reads"),
        ({"month_start": "period", "month_end": "period"}, "a derivation is one of"),
        ({"sum": ["amt", "energy"]}, "`sum` keeps the type"),
        ({"envelope": "revision"}, "revision of the envelope is a int"),
    ],
)
def test_a_derivation_that_does_not_fit_is_told(tmp_path: Path, derive: dict[str, Any], told: str) -> None:
    columns = {
        "amt": {"from": "a", "unit": "CNY"},
        "energy": {"from": "e", "unit": "kWh"},
        "due": {"derive": derive},
    }
    with pytest.raises(Refusal, match=told) as caught:
        adapter_of(tmp_path, columns=columns)
    assert caught.value.line is not None


def test_derived_columns_in_a_circle_are_told(tmp_path: Path) -> None:
    columns = {"day": {"derive": {"first_of": ["due"]}}, "due": {"derive": {"first_of": ["day"]}}}
    with pytest.raises(Refusal, match="in a circle"):
        adapter_of(tmp_path, columns=columns)


def test_a_rule_within_the_row_holds_or_the_row_is_held(tmp_path: Path) -> None:
    columns = {
        "amt": {"from": "js", "unit": "CNY"},
        "fee_amt": {"from": "je", "unit": "CNY"},
        "energy": {"from": "yl", "unit": "kWh"},
    }
    working = {
        "prev": {"from": "sq", "type": "float"},
        "curr": {"from": "bq", "type": "float"},
    }
    checks = [
        {"ratio": ["fee_amt", "amt"], "minimum": 0.05, "maximum": 0.12},
        {"difference": ["curr", "prev"], "equals": "energy", "within": 0.5},
    ]
    rows = [
        {"js": "7000", "je": "560", "yl": "10", "sq": "1", "bq": "11.3"},
        {"js": "7000", "je": "0.06"},
        {"js": "0", "je": "1"},
        {"yl": "10", "sq": "99990", "bq": "0"},
        {"js": "7000"},
    ]
    result = converted(
        tmp_path, rows, columns=columns, working=working, checks=checks, quarantine=hold("inconsistent")
    )
    assert held(result) == [(2, "inconsistent", "je"), (3, "inconsistent", "je"), (4, "inconsistent", "yl")]
    with pytest.raises(Refusal, match="REFUSED/CHECK"):
        converted(tmp_path, rows, columns=columns, working=working, checks=checks)


def test_a_span_that_is_not_a_month_is_no_months_amount(tmp_path: Path) -> None:
    covers = {"first": "q", "last": "z", "parse": ["%Y-%m-%d"]}
    rows = [
        {"q": "2026-09-01", "z": "2026-09-30"},
        {"q": "2026-07-01", "z": "2026-09-30"},
        {"q": "2026-01-01", "z": "2026-09-30"},
        {"q": "2026-09-02", "z": "2026-09-30"},
        {"q": "2026-10-01", "z": "2026-09-30"},
        {"q": "", "z": "2026-09-30"},
    ]
    reasons = hold("other_span", "missing")
    result = converted(tmp_path, rows, covers=covers, quarantine=reasons)
    assert held(result) == [(n, "other_span", "z") for n in (2, 3, 4, 5)] + [(6, "missing", "z")]
    result = converted(tmp_path, rows[:2], covers=covers | {"months": [1, 3]}, quarantine=reasons)
    assert result.accepted == 2


def test_the_period_is_the_adapters_word(tmp_path: Path) -> None:
    columns = {"period": {"from": "ny", "parse": ["%YQ%q", "%Y%m"]}}
    rows = [{"ny": "2026Q4"}, {"ny": "202612"}, {"ny": "202610"}]
    result = converted(
        tmp_path, rows, columns=columns, period=Month(2026, 12), quarantine=hold("other_period")
    )
    assert held(result) == [(3, "other_period", "ny")]
    assert PERIOD == Month(2026, 10)
