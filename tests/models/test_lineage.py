"""A model or a list whose purpose isn't allowed all the way down stops the definitions from loading, with file and line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import Refusal
from core.purpose import Purpose
from core.table_schema import TableSchema
from expectations.contract import load_contracts
from features.catalogue import FeatureSet, load_catalogue
from features.fact_definition import load_all_facts
from leads.lineage import check_list
from leads.policy import FOLDER as POLICIES
from leads.policy import load_policy
from models.definition import FOLDER, load_model_definition, load_model_definitions
from models.lineage import OUTCOME_COLUMNS, check_model, feature_sources

SCHEMAS = {name: contract.schema() for name, contract in load_contracts().items()}
SETS = load_catalogue(load_all_facts(SCHEMAS), SCHEMAS)
MODELS = load_model_definitions()
REGISTERS = ["consent_register", "suppression", "bk_customer", "bk_account_month", "mk_assignment"]


def without(table: str, column: str, purpose: Purpose) -> dict[str, TableSchema]:
    """The schemas with one purpose taken from one column."""
    columns = tuple(
        replace(c, purposes=tuple(p for p in c.purposes if p is not purpose)) if c.name == column else c
        for c in SCHEMAS[table].columns
    )
    return SCHEMAS | {table: replace(SCHEMAS[table], columns=columns)}


def written(tmp_path: Path, model: str, **changes: Any) -> Path:
    plain = yaml.safe_load((FOLDER / f"{model}.yaml").read_text(encoding="utf-8"))
    (tmp_path / f"{model}.yaml").write_text(
        yaml.safe_dump(plain | changes, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    return tmp_path


def refusal(model: str, told: str, schemas: dict[str, TableSchema], folder: Path = FOLDER) -> None:
    definition = load_model_definition(folder / f"{model}.yaml")
    with pytest.raises(Refusal, match=told) as caught:
        check_model(definition, SETS, schemas, folder)
    assert caught.value.file == str(folder / f"{model}.yaml")
    assert caught.value.line is not None and caught.value.line > 1 and caught.value.remedy


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_shipped_models_may_do_what_they_do(name: str) -> None:
    check_model(MODELS[name], SETS, SCHEMAS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_single_column_behind_a_model_can_stop_it(name: str) -> None:
    """Take the purpose from one column after the other: each must be told."""
    model = MODELS[name]
    feature_set: FeatureSet = SETS[model.feature_set]
    sources = {source for _, source in feature_sources(feature_set, Purpose(model.purpose))}
    sources |= set(OUTCOME_COLUMNS[model.label.kind])
    assert len(sources) > 3
    for table, column in sorted(sources):
        refusal(name, f"{table}.{column}", without(table, column, Purpose(model.purpose)))


def test_a_marketing_model_on_risk_only_features_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, "enterprise_acquisition", feature_set="enterprise_invoice")
    refusal("enterprise_acquisition", "no feature of enterprise_invoice may serve", SCHEMAS, folder)


def test_a_marketing_model_on_an_outcome_of_risk_is_refused() -> None:
    refusal("resident_acquisition", "mk_response.event,", without("mk_response", "event", Purpose.MARKETING))


def test_a_feature_set_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, "resident_risk", feature_set="enterprise_monthly")
    refusal("resident_risk", "no feature set enterprise_monthly of residents", SCHEMAS, folder)


@pytest.mark.parametrize(
    ("risk", "acquisition", "schemas", "told"),
    [
        ("resident_risk", "resident_risk", SCHEMAS, "marketing on residents is needed"),
        ("resident_acquisition", "resident_acquisition", SCHEMAS, "risk on residents is needed"),
        ("enterprise_risk", "resident_acquisition", SCHEMAS, "risk on residents is needed"),
        (
            "resident_risk", "resident_acquisition", without("bk_customer", "branch_id", Purpose.MARKETING),
            "bk_customer.branch_id may not serve marketing",
        ),
    ],
)  # fmt: skip
def test_a_list_on_models_or_registers_of_another_purpose_is_refused(
    risk: str, acquisition: str, schemas: dict[str, TableSchema], told: str
) -> None:
    policy = load_policy("resident_consumer_loan")
    check_list(policy, MODELS["resident_risk"], MODELS["resident_acquisition"], REGISTERS, SCHEMAS)
    with pytest.raises(Refusal, match=told) as caught:
        check_list(policy, MODELS[risk], MODELS[acquisition], REGISTERS, schemas)
    assert caught.value.file == str(POLICIES / "resident_consumer_loan.yaml") and caught.value.line
