"""Adverse events that ended more than five years ago count in no feature, whatever a source still sends; undelivered tables are
missing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.months import Month, month_range
from core.subject import SubjectKind
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.contract import load_contracts
from features.as_of import feature_table
from features.catalogue import FeatureSet, load_catalogue
from features.fact_definition import load_all_facts
from features.feature_entry import ADVERSE_YEARS
from features.fold import fold_month
from sources.versions import KnownDelivery, Resolver

ENDED = date(2021, 3, 15)


@pytest.fixture(scope="module")
def schemas() -> dict[str, TableSchema]:
    return {name: contract.schema() for name, contract in load_contracts().items()}


@pytest.fixture(scope="module")
def enterprise(schemas: dict[str, TableSchema]) -> FeatureSet:
    return load_catalogue(load_all_facts(schemas), schemas)["enterprise_monthly"]


def _register(store: TableStore, feature_set: FeatureSet, schema: TableSchema, months: list[Month]) -> None:
    """A register that goes on sending, month after month, an abnormal listing (subject 0) that was removed long ago, one
    (subject 1) that stands, and a penalty (subject 2) of the same day without an end."""
    facts = feature_set.facts["reg_adverse"]
    for month in months:
        known_at = datetime(month.year, month.month, 28, tzinfo=UTC)
        rows = [
            {"subject_no": 0, "event_id": "a", "listing": "abnormal", "listed_date": date(2019, 1, 1), "removed_date": ENDED},
            {"subject_no": 1, "event_id": "b", "listing": "abnormal", "listed_date": date(2019, 1, 1)},
            {"subject_no": 2, "event_id": "c", "listing": "admin_penalty", "listed_date": ENDED},
        ]  # fmt: skip
        envelope = {"received_at": known_at, "delivery_no": month.index, "revision": 1}
        told = [row | envelope | {"row_no": place + 1} for place, row in enumerate(rows)]
        target = schema.arrow_with_envelope()
        wanted = pa.schema([field.with_nullable(True) for field in target])
        raw = pa.Table.from_pylist(told, schema=wanted)
        delivery = {month.index: KnownDelivery(month.index, "s", str(month), 1, True, known_at)}
        store.replace(
            facts.fact_table, str(month), fold_month(raw, facts, schema, Resolver(schema, delivery), month)
        )


def test_an_event_that_ended_long_ago_leaves_every_feature(
    enterprise: FeatureSet, schemas: dict[str, TableSchema], tmp_path: Path
) -> None:
    store, first = TableStore(tmp_path), Month(2023, 1)
    last_with = Month(2026, 1)
    _register(store, enterprise, schemas["reg_adverse"], month_range(first, Month(2026, 3)))
    adverse = [f.name for f in enterprise.features if f.facts == "reg_adverse" and "since" not in f.name]
    assert len(adverse) > 8
    for as_of in (Month(2024, 2), last_with, last_with.plus(1), Month(2026, 3)):
        made = feature_table(store, enterprise, as_of).to_pandas().set_index("subject_no")
        # 36 months counted and 24 looked back: 59 months after its end, well within the five years, it has left.
        counts = as_of <= last_with
        assert (made.loc[0, "adverse_abnormal_24m"] > 0) == counts
        assert (made.loc[2, "adverse_penalties_24m"] > 0) == counts
        assert (made.loc[0, adverse] == 0).all() or counts
        assert (made.loc[2, adverse] == 0).all() or counts
        sent = min(24, as_of.index - first.index + 1)
        assert made.loc[1, "adverse_abnormal_24m"] == made.loc[1, "adverse_still_abnormal_24m"] == sent


def test_every_adverse_feature_of_the_catalogue_has_left_within_its_years(
    schemas: dict[str, TableSchema],
) -> None:
    seen = 0
    for feature_set in load_catalogue(load_all_facts(schemas), schemas).values():
        for feature in feature_set.features:
            for facts, measure in feature.sides:
                months = feature_set.facts[facts].measures[measure].months_counted
                if months is not None:
                    assert feature.ageing is not None and feature.ageing <= ADVERSE_YEARS
                    assert months + feature.months_back - 1 <= 12 * feature.ageing, feature.name
                    seen += 1
    assert seen > 80


def test_a_table_that_was_never_delivered_gives_missing_features(
    enterprise: FeatureSet, schemas: dict[str, TableSchema], tmp_path: Path
) -> None:
    store, as_of = TableStore(tmp_path), Month(2024, 2)
    _register(store, enterprise, schemas["reg_adverse"], [as_of])
    made = feature_table(store, enterprise, as_of).to_pandas().set_index("subject_no")
    for feature in enterprise.features:
        values = made[feature.name].to_numpy()
        if all(facts != "reg_adverse" for facts, _ in feature.sides):
            # The number of months with a record is known even so: none.
            assert np.isnan(values).all() or (feature.formula == "records" and (values == 0).all()), (
                feature.name
            )


def test_the_enterprise_catalogue_is_broad(enterprise: FeatureSet) -> None:
    tables = {enterprise.facts[facts].table for feature in enterprise.features for facts, _ in feature.sides}
    assert len(enterprise.features) >= 150
    assert tables >= {
        "tax_vat_return", "tax_cit_return", "tax_payment", "tax_credit_rating", "tax_arrears", "tax_inspection", "tax_event",
        "si_employer_month", "hpf_employer_month", "util_bill", "util_payment", "util_arrears_month", "util_disconnection",
        "util_account", "gov_award", "reg_enterprise", "reg_adverse",
    }  # fmt: skip
    assert {feature.window for feature in enterprise.features} >= {1, 3, 6, 12, 24}
    assert enterprise.subject is SubjectKind.ENTERPRISE
