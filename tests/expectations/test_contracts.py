"""Contracts load, agree with the data dictionary, and a mistake in one is told by file and line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from core.errors import Refusal
from core.subject import SubjectKind
from core.table_schema import ColumnType
from expectations.contract import FOLDER, load_contract, load_contracts

TABLES = {
    "resident": {"tax_iit_withholding", "si_person_month", "util_bill", "platform_service"},
    "enterprise": {
        "tax_vat_return",
        "tax_arrears",
        "si_employer_month",
        "util_bill",
        "gov_award",
        "invoice",
        "bank_outcome",
    },
}
BOTH = {"bk_account_month", "consent_register", "suppression", "bk_customer", "mk_assignment", "mk_response"}

#: Columns whose dictionary name stands for another form of ours (a month, a date for a moment, a flattened
#: payment).
OURS = {
    "period", "apply_date", "granted_at", "valid_to", "withdrawn_at", "from_date", "to_date", "assigned_date",
    "event_date", "paid_date", "auto_debit_flag", "cut_flag", "kind", "subject_id", "campaign_id", "product",
    "months_on_book",
}  # fmt: skip


def test_every_table_of_both_subjects_has_a_contract() -> None:
    contracts = load_contracts()
    for kind in SubjectKind:
        assert {name for name, c in contracts.items() if kind in c.subjects} == TABLES[kind] | BOTH


def test_every_contract_is_complete_in_both_languages() -> None:
    for contract in load_contracts().values():
        assert contract.version == "1.0.0"
        for title in (
            contract.title,
            contract.grain,
            *(column.title for column in contract.columns.values()),
        ):
            assert title.zh and title.en and title.zh != title.en
        for name, column in contract.columns.items():
            assert column.purposes, f"{contract.table}.{name} serves no purpose"


def test_the_rating_made_with_the_outcome_in_hand_serves_evaluation_alone() -> None:
    rating = load_contracts()["bank_outcome"].schema().column("rating")
    assert [str(purpose) for purpose in rating.purposes] == ["evaluation"]


def test_columns_agree_with_the_dictionary(shared_data: Path) -> None:
    dictionary = shared_data.parent / "dictionary" / "columns.csv"
    if not dictionary.is_file():
        pytest.skip(f"the data dictionary isn't in {dictionary}")
    with dictionary.open(encoding="utf-8") as file:
        told = {(row["table"], row["column"]): row for row in csv.DictReader(file)}
    types = {
        "string": {ColumnType.STRING, ColumnType.SUBJECT},
        "category(string)": {ColumnType.CODE, ColumnType.STRING},
        "decimal(18,2)": {ColumnType.MONEY},
        "int32": {ColumnType.INT},
        "float64": {ColumnType.FLOAT},
        "boolean": {ColumnType.BOOL},
        "date": {ColumnType.DATE},
    }
    compared = 0
    for contract in load_contracts().values():
        for column in contract.schema().columns:
            row = told.get((contract.table, column.name))
            if row is None or column.name in OURS:
                continue
            compared += 1
            assert column.type in types[row["type"]], (contract.table, column.name)
            assert column.nullable or row["nullable"] == "no", (contract.table, column.name)
            if ";" in row["range_or_codes"] and column.codes:
                assert set(column.codes) <= {*row["range_or_codes"].split(";"), "open"}, (
                    contract.table,
                    column.name,
                )
            # Evaluation may look at every outcome of the bank; nothing else is wider than the dictionary.
            wider = set(map(str, column.purposes)) - set(row["purposes"].split("+")) - {"evaluation"}
            assert not wider or contract.table in ("consent_register", "suppression"), (
                contract.table,
                column.name,
            )
    assert compared > 50


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("cadence: monthly", "cadence: hourly", 7, "cadence"),
        ("version: 1.0.0", "version: one", 2, "version"),
        ("table: tax_arrears", "table: arrears", 1, "its file tax_arrears"),
        ("unit: CNY, ", "", 23, "unit: CNY"),
        ("type: int", "type: integer", 26, "type"),
        (
            "[subject_id, tax_item_cd, period]",
            "[subject_id, arrears_age_days]",
            1,
            "always there: arrears_age_days",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, told: str) -> None:
    text = (FOLDER / "tax_arrears.yaml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "tax_arrears.yaml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(Refusal) as caught:
        load_contract(file)
    assert told in caught.value.message
    assert abs((caught.value.line or 0) - line) <= 1
