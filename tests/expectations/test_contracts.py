"""Contracts load, are whole in both languages, and a mistake in one is told by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import Refusal
from core.forbidden_columns import block_list, forbidden
from core.subject import SHARED
from core.table_schema import ColumnType
from expectations.contract import FOLDER, load_contract, load_contracts
from expectations.domains import Domain

CONTRACTS = load_contracts()


def test_every_field_has_tables_and_every_contract_both_languages() -> None:
    assert {contract.domain for contract in CONTRACTS.values()} == set(Domain)
    for contract in CONTRACTS.values():
        texts = [contract.title, contract.grain, *(column.title for column in contract.columns.values())]
        for column in contract.columns.values():
            assert len(column.code_titles) == len(column.codes)
            texts += [text for text in (column.rule, contract.note, contract.cadence_note) if text]
            assert all(title.zh and title.en for title in column.code_titles)
        for text in texts:
            assert text.zh and text.en and text.zh != text.en, (contract.table, text)
        assert contract.grain.en.startswith("One row per ") and contract.grain.zh.startswith("每")


def test_rows_about_nobody_are_shared_and_what_is_made_here_has_no_rows() -> None:
    shared = {name for name, contract in CONTRACTS.items() if contract.owners == (SHARED,)}
    assert shared == {
        "nontax_recon",
        "mk_campaign",
        "mk_contact",
        "branch_capacity",
        "lead_feedback",
        "scene_cost",
    }
    assert [name for name, contract in CONTRACTS.items() if not contract.owners] == ["lead"]
    recon = CONTRACTS["nontax_recon"]
    assert recon.raw_table(SHARED) == "raw/shared/nontax_recon"
    assert not recon.schema().has_subject and "subject_no" not in recon.schema().arrow().names
    for name, contract in CONTRACTS.items():
        assert contract.schema().has_subject == bool(contract.subjects), name


def test_a_leads_contract_is_what_is_exported() -> None:
    from leads.lead_list import FIELDS

    assert list(CONTRACTS["lead"].columns) == list(FIELDS)


def test_references_lead_to_columns_of_the_same_type() -> None:
    found = 0
    for name, contract in CONTRACTS.items():
        for column, told in contract.columns.items():
            if told.refers_to:
                found += 1
                table, _, target = told.refers_to.partition(".")
                assert CONTRACTS[table].columns[target].type is told.type, (name, column)
    assert found > 8


def test_the_rating_made_with_the_outcome_in_hand_serves_evaluation_alone() -> None:
    rating = CONTRACTS["bank_outcome"].schema().column("rating")
    assert [str(purpose) for purpose in rating.purposes] == ["evaluation"]


def test_moments_and_months_keep_their_form_at_rest() -> None:
    schema = CONTRACTS["edu_fee_payment"].schema()
    assert schema.column("paid_at").type is ColumnType.TIME
    assert str(schema.arrow().field("paid_at").type) == "timestamp[us, tz=UTC]"
    assert CONTRACTS["si_person_month"].schema().column("corr_period_ym").type is ColumnType.MONTH


PENSION = "          - {value: pension_emp, label: 城镇职工基本养老保险, description: Pension of employees}\n"


@pytest.mark.parametrize(
    ("table", "old", "new", "line_holds", "told"),
    [
        ("tax_arrears", "value: monthly", "value: hourly", "slaProperties", "cadence"),
        ("tax_arrears", "version: 1.1.0", "version: one", "version: one", "version"),
        ("tax_arrears", "\nname: tax_arrears", "\nname: arrears", "name: arrears", "its file tax_arrears"),
        ("tax_arrears", "{property: unit, value: CNY}", "{property: unit, value: EUR}", "name: arrears_amt", "CNY"),
        ("tax_arrears", "physicalType: int32", "physicalType: text", "physicalType: text", "don't go together"),
        ("tax_arrears", "property: unit", "property: unity", "property: unity", "Extra inputs"),
        ("tax_arrears", "value: [risk]}", "value: [profit]}", "value: [profit]", "purposes"),
        ("tax_arrears", "classification: pseudonym", "classification: secret", "secret", "data_class"),
        ("tax_arrears", "legalChannel, value: subject", "legalChannel, value: my", "legalChannel", "legal_channel"),
        ("tax_arrears", "maximum: 500000000}", "maximum: 0}", "name: arrears_amt", "above the maximum"),
        ("tax_arrears", "primaryKeyPosition: 3", "primaryKeyPosition: 5", "properties:", "aren't numbered"),
        ("tax_arrears", "    partitionKeyPosition", "    partitions", "partitions", "Extra inputs"),
        ("tax_arrears", "value: [enterprise]", "value: []", "- name: tax_arrears", "no column subject_id"),
        ("si_employer_month", PENSION, PENSION * 2, "name: scheme", "stands twice"),
        ("tax_arrears", "- {id: restated_share", "- {id: lateness_p50", "slaProperties", "stand once each"),
        ("mk_campaign", "      - name: period\n", "      - name: month\n", "name: month", "it alone is partitioned"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, table: str, old: str, new: str, line_holds: str, told: str
) -> None:
    text = (FOLDER / f"{table}.yaml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / f"{table}.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Refusal) as caught:
        load_contract(file)
    assert (
        caught.value.code == "REFUSED/DEFINITION" and caught.value.file == str(file) and caught.value.remedy
    )
    assert told in caught.value.message
    assert caught.value.line is not None
    assert line_holds in file.read_text(encoding="utf-8").splitlines()[caught.value.line - 1]


@pytest.mark.parametrize(
    "name",
    ["pupil_id", "face_image", "home_address", "gps_lat", "diagnosis_cd", "payer_name", "mobile", "party_member_flag",
     "id_card_no", "remark", "subsidy_flag", "sim_imei"],
)  # fmt: skip
def test_columns_that_may_not_exist_are_refused_by_name(tmp_path: Path, name: str) -> None:
    text = (FOLDER / "edu_fee_payment.yaml").read_text(encoding="utf-8")
    file = tmp_path / "edu_fee_payment.yaml"
    file.write_text(text.replace("- name: school_cd", f"- name: {name}"), encoding="utf-8")
    with pytest.raises(Refusal, match="may not exist") as caught:
        load_contract(file)
    assert (
        file.read_text(encoding="utf-8").splitlines()[(caught.value.line or 0) - 1].strip()
        == f"- name: {name}"
    )


def test_the_block_list_catches_whole_words_only() -> None:
    assert all(group.words or group.endings for group in block_list().groups)
    for name in (
        "real_name_level",
        "platform_serial",
        "plate_kind",
        "latest_flag",
        "replaced_on",
        "claimed_amt",
    ):
        assert forbidden(name) is None, name
    for name in ("lat", "LON", "guardian_name", "cell_id", "medical_record_no"):
        assert forbidden(name) is not None, name
