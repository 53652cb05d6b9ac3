"""Ningxiang: 330 schools, 140,000 pupils, 250,000 payments, 350,000,000 yuan through real intake, to the fen, payers only."""

from pathlib import Path

import pyarrow.compute as pc
import pytest

import expectations.contract
from core.errors import Refusal
from core.forbidden_columns import forbidden
from expectations.contract import load_contract
from expectations.validate import validate
from sources.province.scenes.school_fees import FEED, SchoolFees, write
from tests.sources.province.scenes.office import CONTRACTS, SCHEMAS, Office

TABLE = "raw/resident/edu_fee_payment"
SMALL = SchoolFees(schools=12, pupils=600, payments=1_100, total_fen=1_540_000_00)
#: Words of Chinese and English headers that would stand for a pupil.
PUPIL_WORDS = ("xs", "pupil", "student", "child", "学生", "学籍", "xjh", "guardian_of")


def test_the_article_is_reproduced_to_the_fen(tmp_path):
    sent = write(SchoolFees(), tmp_path / "inbox")
    assert (sent.schools, sent.pupils, sent.payments, sent.total_fen) == (
        330,
        140_000,
        250_000,
        35_000_000_000,
    )
    office = Office(tmp_path)
    office.take(sent.arrivals)
    rows = office.rows(TABLE)
    assert rows.num_rows == 250_000 == pc.count_distinct(rows.column("receipt_id")).as_py()
    assert pc.sum(rows.column("paid_amt_fen")).as_py() == 35_000_000_000
    assert pc.count_distinct(rows.column("school_cd")).as_py() == 330
    assert office.registry.size == sent.payers < sent.pupils
    assert all(not result.left_out for result in office.results)
    assert sorted(set(rows.column("term").to_pylist())) == ["2025-autumn", "2026-spring"]
    assert validate(CONTRACTS["edu_fee_payment"], office.store.read(TABLE, ["2025-09"])).passed


def test_no_file_and_no_table_has_a_key_of_a_pupil(tmp_path):
    sent = write(SMALL, tmp_path / "inbox")
    office = Office(tmp_path)
    office.take(sent.arrivals)
    headers = {header.lower() for header in FEED.headers} | set(office.rows(TABLE).column_names)
    assert not [h for h in headers for word in PUPIL_WORDS if word in h]
    tokens = set()
    for arrival in sent.arrivals:
        lines = next(arrival.folder.glob("*.csv")).read_text("utf-8").splitlines()[1:]
        for line in lines:
            tokens |= {cell for cell in line.split(",") if cell.startswith("k1:")}
    assert (
        tokens == set(office.registry.table().column("subject_id").to_pylist()) and len(tokens) == sent.payers
    )


def test_a_payer_under_fourteen_is_left_out_and_counted(tmp_path):
    sent = write(SchoolFees(**{**vars(SMALL), "under_14": 7}), tmp_path / "inbox")
    office = Office(tmp_path)
    office.take(sent.arrivals)
    assert sum(result.left_out.get("payer_under_14", 0) for result in office.results) == 7
    assert office.rows(TABLE).num_rows == SMALL.payments
    assert pc.sum(office.rows(TABLE).column("paid_amt_fen")).as_py() == SMALL.total_fen


def test_a_contract_with_a_pupil_or_a_relief_is_refused(tmp_path):
    assert not [column.name for column in SCHEMAS["edu_fee_payment"].columns if forbidden(column.name)]
    contract = Path(expectations.contract.FOLDER / "edu_fee_payment.yaml").read_text("utf-8")
    for name in ("pupil_id", "child_no", "subsidy_flag"):
        path = tmp_path / "edu_fee_payment.yaml"
        path.write_text(contract.replace("name: school_cd", f"name: {name}"), encoding="utf-8")
        with pytest.raises(Refusal, match=name):
            load_contract(path)


@pytest.mark.parametrize(
    "fees",
    [
        SchoolFees(schools=10, pupils=5, payments=20, total_fen=28_000_00),
        SchoolFees(schools=1, pupils=30, payments=20, total_fen=28_000_00),
        SchoolFees(schools=1, pupils=10, payments=20, total_fen=20_00),
    ],
)
def test_numbers_that_cannot_be_met_are_told(fees, tmp_path):
    with pytest.raises(ValueError, match="payment"):
        write(fees, tmp_path / "inbox")
