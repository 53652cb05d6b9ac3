"""Segments as they stood in the month and for entitled subjects alone; groups from the vault; sources of each feature."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml

from core.clock import FixedClock
from core.purpose import Purpose
from core.settings import Settings
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import load_contracts
from features.consent_registers import Registers, consents_of, suppressions_of
from features.entitlement import Entitlement
from models.sample import Sample
from models.validation.surroundings import segments, surroundings
from pipelines.workplace import blueprint

KIND = SubjectKind.ENTERPRISE
NOW = datetime(2026, 7, 6, tzinfo=UTC)
MONTHS = ("2026-05", "2026-06")


def entitlement(entitled: tuple[int, ...], subjects: int) -> Entitlement:
    """Written consent to risk for some subjects of a register."""
    schema = pa.schema(
        [("subject_no", pa.int32()), ("consent_id", pa.string()), ("purpose", pa.string()), ("kind", pa.string()),
         ("granted_at", pa.date32()), ("valid_to", pa.date32()), ("withdrawn_at", pa.date32()), ("source_codes", pa.string())]
    )  # fmt: skip
    rows = [
        {"subject_no": number, "consent_id": f"C{number}", "purpose": "risk", "kind": "written",
         "granted_at": date(2025, 1, 1), "valid_to": date(2027, 12, 31), "withdrawn_at": None, "source_codes": None}
        for number in entitled
    ]  # fmt: skip
    registers = Registers(consents_of(pa.Table.from_pylist(rows, schema=schema)), suppressions_of(None))
    return Entitlement(registers, load_contracts(), date(2026, 7, 5), subjects)


def register_month(store: TableStore, month: str, rows: list[tuple[int, str | None, str | None]]) -> None:
    numbers, region, industry = zip(*rows, strict=True)
    table = pa.table(
        {
            "subject_no": pa.array(numbers, pa.int32()),
            "region_cd": pa.array(region, pa.string()),
            "industry_cd": pa.array(industry, pa.string()),
            "subject_type": pa.array(["E"] * len(rows), pa.string()),
            "received_at": pa.array([NOW] * len(rows), pa.timestamp("us", tz="UTC")),
        }
    )
    store.replace(f"raw/{KIND}/reg_enterprise", month, table)


def judged(names: list[str]) -> Sample:
    """Subjects 0 … 3 in two months, one feature missing."""
    matrix = np.ones((8, len(names)))
    return Sample(
        pd.DataFrame(matrix, columns=names), np.tile(np.arange(4, dtype=np.int32), 2), np.repeat(MONTHS, 4), np.zeros(8)
    )  # fmt: skip


def test_segments_are_those_of_the_month_and_of_entitled_subjects(tmp_path: Path) -> None:
    store = TableStore(tmp_path)
    register_month(store, "2026-05", [(0, "530102", "F5211"), (1, "532502", "C1310"), (2, "530102", "A0111")])
    register_month(store, "2026-06", [(0, "532502", None), (2, "530103", "A0111")])
    found = segments(judged(["x"]), KIND, Purpose.RISK, entitlement((0, 1, 3), 4), store)
    # Subject 0 moved in June; its industry is still the one told in May; 2 isn't entitled, 3 stands in no register.
    assert found["region"].tolist() == ["5301", "5325", "", "", "5325", "5325", "", ""]
    assert found["industry"].tolist() == ["F", "C", "", "", "F", "C", "", ""]
    assert set(found) == {"region", "industry", "subject_type"}
    nobody = segments(judged(["x"]), KIND, Purpose.RISK, entitlement((), 4), store)
    assert set(nobody["region"]) == {""}


def test_groups_come_from_the_vault_and_sources_from_the_catalogue(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path)
    store = TableStore(settings.lake)
    registry = SubjectRegistry(store, KIND)
    registry.numbers(pa.array(["k1:a", "k1:b", "k1:c", "k1:d"]), pa.array(["1", "2", "3", "4"]))
    vault = tmp_path / "evaluation_vault"
    vault.mkdir()
    head = {
        "purpose": "evaluation", "subject": "enterprise",
        "attributes": [{"name": "owner_sex", "title": {"zh": "经营者性别", "en": "Sex of the owner"}, "lawful_basis": "PIA 7",
                        "approved_by": "c-1", "valid_until": date(2027, 1, 1)}],
    }  # fmt: skip
    (vault / "enterprise.yaml").write_text(yaml.safe_dump(head, allow_unicode=True), encoding="utf-8")
    pd.DataFrame({"subject_id": ["k1:b", "k1:d"], "owner_sex": ["f", "m"]}).to_parquet(
        vault / "enterprise.parquet"
    )
    feature_set = blueprint().feature_sets["enterprise_monthly"]
    rows = judged(feature_set.names)
    index = pd.MultiIndex.from_arrays([rows.subject_no, rows.as_of], names=["subject_no", "as_of"])
    features = rows.features.set_axis(index, axis=0)
    around = surroundings(
        rows,
        features,
        feature_set,
        Purpose.RISK,
        entitlement((0, 1), 4),
        store,
        settings,
        FixedClock(NOW),
        registry,
    )
    assert around.groups["owner_sex"].tolist() == ["", "f", "", "m"] * 2
    assert {"tax_vat_return", "util_bill"} <= set(around.sources)
    assert set().union(*around.sources.values()) == set(feature_set.names)
    assert around.money and set(around.money) <= set(feature_set.names)
    assert np.isfinite(around.earlier[1][4:]).all() and np.isnan(around.earlier[1][:4]).all()
    closed = surroundings(
        rows,
        features,
        feature_set,
        Purpose.RISK,
        entitlement((0, 1), 4),
        store,
        settings,
        FixedClock(NOW),
        None,
    )
    assert closed.groups == {}
