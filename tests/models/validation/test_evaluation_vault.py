"""The vault opens for evaluation alone, says why it may hold what it holds, and no feature or fact can read it."""

import ast
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from core.errors import Refusal
from core.purpose import Purpose
from core.subject import SubjectKind
from models.validation.evaluation_vault import EvaluationVault, open_vault
from pipelines.workplace import blueprint

TODAY = date(2026, 11, 24)
CHECKOUT = Path(__file__).parents[3]


def write(
    folder: Path, until: str = "2027-06-30", purpose: str = "evaluation", subject: str = "resident"
) -> Path:
    head = {
        "purpose": purpose,
        "subject": subject,
        "attributes": [
            {"name": "sex", "title": {"zh": "性别", "en": "Sex"}, "lawful_basis": "PIPL art. 24, PIA 2026-03",
             "approved_by": "compliance-7", "valid_until": date.fromisoformat(until)}
        ],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resident.yaml").write_text(yaml.safe_dump(head, allow_unicode=True), encoding="utf-8")
    pd.DataFrame({"subject_id": ["k1", "k2", "k3"], "sex": ["f", "m", None]}).to_parquet(
        folder / "resident.parquet"
    )
    return folder


def opened(
    folder: Path, purpose: Purpose = Purpose.EVALUATION, learned: tuple[str, ...] = ()
) -> EvaluationVault | None:
    return open_vault(folder, SubjectKind.RESIDENT, purpose, TODAY, learned)


def test_groups_of_asked_subjects(tmp_path: Path) -> None:
    vault = opened(write(tmp_path))
    assert vault is not None and vault.attributes == ["sex"]
    assert vault.groups("sex", np.array(["k2", "nobody", "k3", "k1"])).tolist() == ["m", "", "", "f"]
    assert opened(tmp_path / "none") is None


@pytest.mark.parametrize("purpose", [Purpose.RISK, Purpose.MARKETING, Purpose.MIGRATION_CHECK])
def test_no_other_purpose_opens_it(tmp_path: Path, purpose: Purpose) -> None:
    with pytest.raises(Refusal, match="may not be read for the purpose"):
        opened(write(tmp_path), purpose)


@pytest.mark.parametrize(
    ("changes", "learned", "what"),
    [({"until": "2026-11-23"}, (), "run out"), ({"purpose": "risk"}, (), "purpose"), ({}, ("sex",), "learned from sex"),
     ({"subject": "enterprise"}, (), "another subject kind")],
)  # fmt: skip
def test_what_makes_it_unlawful_is_refused(
    tmp_path: Path, changes: dict[str, str], learned: tuple[str, ...], what: str
) -> None:
    with pytest.raises(Refusal, match=what):
        opened(write(tmp_path, **changes), learned=learned)


def test_columns_nobody_approved_and_subjects_given_twice_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    extra = pd.DataFrame({"subject_id": ["k1"], "sex": ["f"], "religion": ["x"]})
    extra.to_parquet(tmp_path / "resident.parquet")
    with pytest.raises(Refusal, match="columns"):
        opened(tmp_path)
    pd.DataFrame({"subject_id": ["k1", "k1"], "sex": ["f", "m"]}).to_parquet(tmp_path / "resident.parquet")
    with pytest.raises(Refusal, match="twice"):
        opened(tmp_path)


def test_only_validation_may_import_it() -> None:
    """A feature, a lead list or an adapter that could open the vault would end what it is for."""
    importers = set()
    for folder in (
        "core",
        "sources",
        "expectations",
        "features",
        "models",
        "leads",
        "rights",
        "pipelines",
        "gscene",
    ):
        for file in (CHECKOUT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if any(name.endswith("evaluation_vault") for name in named):
                    importers.add(file.relative_to(CHECKOUT).as_posix())
    assert importers == {"models/validation/surroundings.py"}


def test_no_fact_or_table_names_a_vault() -> None:
    plan = blueprint()
    tables = {definition.raw_table for definition in plan.facts.values()} | {
        feature_set.table for feature_set in plan.feature_sets.values()
    }
    assert not [name for name in tables if "vault" in name]
