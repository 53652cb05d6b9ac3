"""A training is repeated only where its tables and libraries are those of its card; the whole way is in tests/pipelines."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import Refusal
from core.months import Month
from core.table_store import TableStore
from models.artefact import load_bundle, write_bundle
from models.bundle_card import BundleCard
from models.definition import ModelDefinition
from models.reproduction import require_libraries, require_tables
from tests.models.worlds import trained

TABLE, MONTH = "features/enterprise/tiny", Month(2026, 6)


def card_of(folder: Path, version: int = 0, **libraries: str) -> BundleCard:
    record = trained()
    inputs = replace(record.inputs, tables={TABLE: version})
    write_bundle(replace(record, inputs=inputs, libraries=record.libraries | libraries), folder / "bundle")
    return load_bundle(folder / "bundle").card


def check(card: BundleCard, store: TableStore) -> None:
    require_tables(card, ModelDefinition.model_validate(card.record["definition"]), MONTH, store)


def test_the_definition_of_a_card_is_the_one_that_was_trained(tmp_path: Path) -> None:
    card = card_of(tmp_path)
    assert ModelDefinition.model_validate(card.record["definition"]).sha256 == card.definition_sha256
    require_libraries(card)


def test_another_version_of_a_library_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"lightgbm 0\.1 \(here") as refusal:
        require_libraries(card_of(tmp_path, lightgbm="0.1"))
    assert refusal.value.code == "REFUSED/REPRODUCTION"


def test_tables_have_to_hold_what_they_held(tmp_path: Path) -> None:
    store = TableStore(tmp_path / "lake")
    with pytest.raises(Refusal, match="isn't there any more"):
        check(card_of(tmp_path), store)
    made = store.replace(TABLE, "2026-06", pa.table({"subject_no": [1, 2], "late_6m": [0.0, 1.0]}))
    card = card_of(tmp_path, made)
    check(card, store)
    store.replace(TABLE, "2026-07", pa.table({"subject_no": [1], "late_6m": [2.0]}))
    check(card, store)  # a later month is no input
    store.replace(TABLE, "2026-06", pa.table({"subject_no": [1, 2], "late_6m": [0.0, 9.0]}))
    with pytest.raises(Refusal, match="has changed since version"):
        check(card, store)
