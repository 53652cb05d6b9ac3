"""Row-level faults of the catalogue (domain.md 1.9): which reason each trips in an adapter that holds rows back, and that a
clean row beside it comes in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import Refusal
from core.months import Month
from core.table_schema import ColumnType
from sources.hold_reasons import BY_WORD, Reason
from tests.sources.adapting import SCHEMA, converted, held, hold
from tests.sources.bench import token

DAY = ["%Y-%m-%d", "%Y%m%d"]
EVERYTHING = hold(*(word for word, reason in BY_WORD.items() if reason is not Reason.HELD_WITH_GROUP))
#: Rates that a contribution can have, and readings that a meter can.
CHECKS = [
    {"ratio": ["fee_amt", "amt"], "minimum": 0.05, "maximum": 0.12},
    {"difference": ["curr", "prev"], "equals": "energy", "within": 1},
]
FEED: dict[str, Any] = {
    "key": {"from": "who", "normalise": ["nfkc", "strip", "lower"]},
    "columns": {
        "acct_id": {"from": "acct"},
        "period": {"from": "ny", "parse": ["%Y%m"]},
        "kind": {"from": "lx", "code_map": "tax_item@gt3", "split": {"by": "、"}},
        "amt": {"from": "js", "unit": "CNY", "thousands": ","},
        "fee_amt": {"from": "je", "unit": "CNY"},
        "energy": {"from": "yl", "unit": "kWh"},
        "day": {"from": "rq", "parse": DAY},
        "region_cd": {"from": "xzqh", "code_map": "region@gbt2260"},
    },
    "working": {
        "prev": {"from": "sq", "type": "float"},
        "curr": {"from": "bq", "type": "float"},
    },
    "covers": {"first": "q", "last": "z", "parse": DAY},
    "checks": CHECKS,
    "nulls": ["", "\\N", "暂无", "NULL", "-"],
    "sentinels": ["9999-9-9", "2099-12-31", "1900-1-1"],
    "duplicates": {"exact": "again"},
    "quarantine": EVERYTHING,
}
CLEAN = {
    "who": token("a"), "ny": "202610", "lx": "10101", "js": "7000.00", "je": "560.00", "yl": "10", "sq": "100",
    "bq": "110", "rq": "2026-11-02", "xzqh": "330212", "q": "2026-10-01", "z": "2026-10-31",
}  # fmt: skip
COLUMNS = tuple(
    replace(column, codes=("VAT", "CIT", "IIT", "UCMT", "PROPERTY", "STAMP", "LANDUSE", "SI_PENSION", "SI_UNEMP",
                           "SI_MED", "SI_INJ", "SI_MAT"))
    if column.name == "kind" else replace(column, nullable=column.nullable and column.name != "day")
    for column in SCHEMA.columns
)  # fmt: skip
TABLE = replace(SCHEMA, columns=COLUMNS)

#: Fault, cells that it changes, the reason (None: read as meant), the column.
FAULTS: list[tuple[str, dict[str, str], str | None, str]] = [
    ("F01 capitals and full width", {"who": f" {token('a').upper()} "}, None, ""),
    ("F02 nine characters for a key", {"who": "74218321-3"}, "malformed_key", "who"),
    ("F03 a name only", {"who": "暂无"}, "no_key", "who"),
    ("F04 null token in an amount", {"je": "\\N"}, None, ""),
    ("F04 null token in a date that is needed", {"rq": "暂无"}, "missing", "rq"),
    ("F05 sentinel where a date is needed", {"rq": "9999-9-9"}, "sentinel", "rq"),
    ("F06 another declared date form", {"rq": "20261102"}, None, ""),
    ("F06 an undeclared date form", {"rq": "2026/11/2 23:13"}, "unreadable", "rq"),
    ("F07 thousands", {"js": "7,000.00"}, None, ""),
    ("F07 grouped once", {"js": "7,0000"}, "unreadable", "js"),
    ("F08 万元 in a column of 元", {"js": "0.70"}, "inconsistent", "je"),
    ("F09 a label for a code", {"lx": "增值税"}, None, ""),
    ("F09 an unknown label", {"lx": "增值"}, "unknown_code", "lx"),
    ("F10 a code of another edition", {"lx": "01"}, "unknown_code", "lx"),
    ("F11 several codes", {"lx": "10201、10202"}, "several_codes", "lx"),
    ("F19 since January", {"q": "2026-01-01"}, "other_span", "z"),
    ("F20 the month it is for", {"ny": "202609"}, "other_period", "ny"),
    ("F21 a retired region with successor", {"xzqh": "330204"}, None, ""),
    ("F21 a retired region without", {"xzqh": "341400"}, "retired_code", "xzqh"),
    ("F23 a meter that rolled over", {"sq": "99995", "bq": "5"}, "inconsistent", "yl"),
    ("F23 negative consumption", {"yl": "-10"}, "out_of_range", "yl"),
]


@pytest.mark.parametrize(("fault", "cells", "reason", "column"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_trips_its_reason(
    tmp_path: Path, fault: str, cells: dict[str, str], reason: str | None, column: str
) -> None:
    result = converted(tmp_path, [CLEAN, CLEAN | cells], TABLE, **FEED)
    assert held(result) == ([] if reason is None else [(2, reason, column)])
    assert result.accepted == (2 if reason is None else 1)


def test_a_text_of_another_form_than_the_contracts(tmp_path: Path) -> None:
    """A platform's name instead of families of tables; where there is no text, none has another form."""
    columns = tuple(
        replace(c, type=ColumnType.STRING, codes=(), pattern="^(?:tax|si)(?:,(?:tax|si))*$")
        if c.name == "kind"
        else c
        for c in SCHEMA.columns
    )
    table = replace(SCHEMA, columns=columns)
    rows = [{"lx": text} for text in ("tax", "sim_city_tax", "", "si,tax", "si,", "[]")]
    feed: dict[str, Any] = {"columns": {"kind": {"from": "lx"}}}
    result = converted(tmp_path, rows, table, **feed, quarantine=EVERYTHING)
    assert held(result) == [(2, "other_form", "lx"), (5, "other_form", "lx"), (6, "other_form", "lx")]
    with pytest.raises(Refusal, match="REFUSED/FORM") as refused:
        converted(tmp_path, rows, table, **feed)
    assert "city_tax" not in str(refused.value)
    with pytest.raises(Refusal, match="of the contract's form"):
        converted(tmp_path, rows, table, columns={"kind": {"constant": "taxes"}})


def test_f12_a_row_sent_twice_and_f18_restated_without_a_version(tmp_path: Path) -> None:
    same = CLEAN | {"acct": "m1"}
    again = converted(tmp_path, [same, same], TABLE, **FEED)
    assert (again.left_out, again.accepted) == ({"again": 1}, 1)
    restated = converted(tmp_path, [same, same | {"je": "500"}], TABLE, **FEED)
    assert [(row, reason) for row, reason, _ in held(restated)] == [
        (1, "duplicate_key"),
        (2, "duplicate_key"),
    ]


def test_f10_two_editions_are_one_where_both_are_declared(tmp_path: Path) -> None:
    schemes = (
        "pension_emp",
        "pension_res",
        "unemp",
        "med_emp",
        "med_res",
        "serious_ill",
        "injury",
        "maternity",
    )
    columns = tuple(replace(c, codes=schemes) if c.name == "kind" else c for c in SCHEMA.columns)
    rows = [{"lx": code} for code in ("110", "11", "企业职工基本养老保险", "城镇职工基本养老保险")]
    for maps, came_in in ((["si_scheme@ed3", "si_scheme@ed2"], 4), (["si_scheme@ed3"], 3)):
        result = converted(
            tmp_path, rows, replace(SCHEMA, columns=columns), columns={"kind": {"from": "lx", "code_map": maps}},
            quarantine=EVERYTHING, period=Month(2026, 10),
        )  # fmt: skip
        assert result.accepted == came_in
        assert set(result.rows.column("kind").to_pylist()) == {"pension_emp"}
