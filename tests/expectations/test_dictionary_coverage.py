"""Every column of the canonical data dictionary is in a contract as the dictionary says, or the contract says how it differs."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from core.table_schema import ColumnType
from expectations.contract import Contract, ContractColumn, load_contracts

CONTRACTS = load_contracts()
TYPES = {
    "string": {ColumnType.STRING, ColumnType.SUBJECT},
    "category(string)": {ColumnType.CODE},
    "decimal(18,2)": {ColumnType.MONEY},
    "int32": {ColumnType.INT},
    "int64": {ColumnType.LONG},
    "float64": {ColumnType.FLOAT},
    "boolean": {ColumnType.BOOL},
    "date": {ColumnType.DATE},
    "string(YYYYMM)": {ColumnType.MONTH},
    "timestamp(UTC+8)": {ColumnType.TIME},
}
#: Code lists that the dictionary gives by pointing at another table's.
SAME_AS = {
    "as tax_payment": ("tax_payment", "tax_item_cd"),
    "as si_employer_month": ("si_employer_month", "scheme"),
    "as above": ("si_employer_month", "scheme"),
    "as nontax_payment": ("nontax_payment", "channel"),
    "as account": ("bk_credit_account", "product"),
    "as campaign": ("mk_campaign", "channel"),
}
#: What a row's envelope or place says: the revision of its delivery, and whose rows the table holds.
ELSEWHERE = {"revision", "owner"}


@pytest.fixture(scope="module")
def dictionary(shared_data: Path) -> Path:
    folder = shared_data.parent / "dictionary"
    if not (folder / "columns.csv").is_file():
        pytest.skip(f"the data dictionary isn't in {folder}")
    return folder


@pytest.fixture(scope="module")
def told(dictionary: Path) -> dict[str, dict[str, dict[str, str]]]:
    """The dictionary's rows by table and column."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    with (dictionary / "columns.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["table"], {})[row["column"]] = row
    return found


def ours(contract: Contract) -> dict[str, str]:
    """Our column for each of the dictionary's that has one."""
    return {
        column.dictionary.column or name: name
        for name, column in contract.columns.items()
        if column.dictionary.extra is None
    }


def test_no_table_and_no_column_is_missing(told: dict[str, dict[str, dict[str, str]]]) -> None:
    assert len(told) == 47
    missing = []
    for table, columns in told.items():
        contract = CONTRACTS.get(table)
        if contract is None:
            missing.append(table)
            continue
        names = ours(contract)
        missing += [f"{table}.{c}" for c in columns if c not in names and c not in contract.carried_elsewhere]
        twice = set(names) & set(contract.carried_elsewhere)
        unknown = (set(names) | set(contract.carried_elsewhere)) - set(columns)
        assert not twice and not unknown, (table, twice, unknown)
        for carried in contract.carried_elsewhere.values():
            assert set(carried.by.split(", ")) <= set(contract.columns) | ELSEWHERE, table
    assert missing == []


def test_columns_of_ours_alone_say_why(told: dict[str, dict[str, dict[str, str]]]) -> None:
    for table, contract in CONTRACTS.items():
        for name, column in contract.columns.items():
            there = (column.dictionary.column or name) in told.get(table, {})
            assert there != bool(column.dictionary.extra) or name in contract.carried_elsewhere, (table, name)


def test_every_aspect_is_the_dictionarys_or_says_why_not(told: dict[str, dict[str, dict[str, str]]]) -> None:
    wrong, compared = [], 0
    for table, columns in told.items():
        for theirs, name in ours(CONTRACTS[table]).items():
            column = CONTRACTS[table].columns[name]
            differing = _differing(column, columns[theirs], told)
            compared += 1
            declared = set(column.dictionary.differs)
            # What is kept in another type has other values too.
            if "type" in declared:
                differing -= {"range", "codes"}
            if differing != declared:
                wrong.append(f"{table}.{name}: differs in {sorted(differing)}, says {sorted(declared)}")
    assert wrong == []
    assert compared > 330


def _differing(
    column: ContractColumn, row: dict[str, str], told: dict[str, dict[str, dict[str, str]]]
) -> set[str]:
    checks = {
        "type": column.type in TYPES[row["type"]],
        "nullable": column.nullable == (row["nullable"] == "yes"),
        "range": _same_range(column, row["range_or_codes"]),
        "codes": _same_codes(column, row["range_or_codes"], told),
        "data_class": column.data_class == row["data_class"],
        "purposes": {str(purpose) for purpose in column.purposes} == set(row["purposes"].split("+")),
    }
    assert column.unit == row["unit"].replace("|", " or "), row
    return {aspect for aspect, same in checks.items() if not same}


def _same_range(column: ContractColumn, stated: str) -> bool:
    number = r"-?\d+(?:\.\d+)?(?:e\d+)?"
    limits = re.fullmatch(rf"({number})?\.\.({number})?", stated)
    if limits and any(limits.groups()):
        low, high = (float(limit) if limit else None for limit in limits.groups())
        return (column.minimum, column.maximum) == (low, high)
    if not stated or stated == ".." or column.codes:
        return column.minimum is None and column.maximum is None
    # Anything else is told in words, by a norm, or by the form of pseudonyms.
    in_words = bool(column.rule or column.standard or column.type is ColumnType.SUBJECT)
    return in_words and column.minimum is None and column.maximum is None


def _same_codes(column: ContractColumn, stated: str, told: dict[str, dict[str, dict[str, str]]]) -> bool:
    if column.type is not ColumnType.CODE:
        return True
    pointer, _, more = stated.partition(";")
    if pointer in SAME_AS:
        table, name = SAME_AS[pointer]
        return list(column.codes) == [
            *told[table][name]["range_or_codes"].split(";"),
            *([more] if more else []),
        ]
    if stated.startswith("~30"):
        return 25 <= len(column.codes) <= 35
    return list(column.codes) == stated.split(";")


def test_keys_and_promises_are_the_dictionarys(dictionary: Path) -> None:
    with (dictionary / "tables.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        contract = CONTRACTS[row["table"]]
        names = ours(contract) | {n: n for n, c in contract.columns.items() if c.dictionary.extra}
        key: set[str] = set()
        for column in row["primary_key"].split(","):
            carried = contract.carried_elsewhere.get(column)
            key |= {names[column]} if carried is None else {carried.by} - ELSEWHERE
        assert set(contract.business_key) == key, row["table"]
        median, high = re.findall(r"\d+", row["lateness_p50_p95_days"])[:2]
        assert (contract.lateness.median_days, contract.lateness.p95_days) == (int(median), int(high)), row[
            "table"
        ]
        assert contract.restated_percent == float(row["restated_within_12m_pct"]), row["table"]
        said = contract.cadence_note is not None or row["cadence"].startswith(contract.cadence)
        assert said, (row["table"], row["cadence"])
