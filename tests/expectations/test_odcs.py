"""Every contract file is a valid document of the Open Data Contract Standard, by the standard's own schema and reader."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft201909Validator
from open_data_contract_standard.model import OpenDataContractStandard

from expectations.contract import FOLDER, load_contract
from expectations.odcs import API_VERSION

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def standard() -> Draft201909Validator:
    return Draft201909Validator(json.loads(OpenDataContractStandard.json_schema()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_standard_accepts_the_file(file: Path, standard: Draft201909Validator) -> None:
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert [error.message for error in standard.iter_errors(written)] == []
    document, contract = OpenDataContractStandard.from_file(str(file)), load_contract(file)
    assert document.apiVersion == API_VERSION and document.version == contract.version
    assert document.schema_ is not None
    table = document.schema_[0]
    assert table.properties is not None
    assert [column.name for column in table.properties] == list(contract.columns)
    for column in table.properties:
        ours = contract.columns[str(column.name)]
        assert column.required is not ours.nullable
        assert [code.value for code in column.enum or []] == list(ours.codes)
    key = sorted((c for c in table.properties if c.primaryKey), key=lambda c: c.primaryKeyPosition or 0)
    assert [column.name for column in key] == list(contract.business_key)


def test_the_standard_would_refuse_another_document(standard: Draft201909Validator) -> None:
    written = yaml.safe_load(FILES[0].read_text(encoding="utf-8"))
    assert list(standard.iter_errors(written | {"owner": "somebody"}))
    assert list(standard.iter_errors({key: value for key, value in written.items() if key != "id"}))
