"""The real invoices: every invoice feature of 425 companies is the same on Spark."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from core.months import Month, month_range
from expectations.contract import load_contracts
from features.as_of import feature_table
from features.catalogue import load_catalogue
from features.fact_definition import load_all_facts
from features.fold import fold_month
from features.look_back import fold_looking_back
from features.spark_engine import spark_features
from features.spark_session import SparkPlace, open_session
from sources.sme_invoices import collect
from sources.versions import resolver
from tests.features.spark_parity import apart
from tests.sources.test_sme_invoices import Home, part_of

pytestmark = [pytest.mark.java, pytest.mark.slow, pytest.mark.shared_data]

pytest.importorskip("pyspark", reason="needs the extra spark: pip install 'gscene[spark]'")
if shutil.which("java") is None:
    if os.environ.get("CI"):
        raise RuntimeError("CI must have Java 17: apt-get install openjdk-17-jre-headless")
    pytest.skip("needs Java 17", allow_module_level=True)

#: Fourteen months, 38 % of the rows: enough for every window and for the same months a year before.
MONTHS = month_range(Month(2017, 11), Month(2018, 12))


def test_every_invoice_feature_is_the_same_on_spark(shared_data: Path, tmp_path: Path) -> None:
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    feature_set = load_catalogue(load_all_facts(schemas), schemas)["enterprise_invoice"]
    home = Home(tmp_path / "home")
    home.take_in(
        collect(
            part_of(shared_data / "sme_invoices", tmp_path / "sme", [str(month) for month in MONTHS]),
            tmp_path / "inbox",
        )
    )
    for definition in feature_set.facts.values():
        schema = schemas[definition.table]
        raw = {
            Month.parse(month): (
                home.store.read(definition.raw_table, [month]).sort_by("subject_no"),
                resolver(schema, home.state, definition.raw_table, month),
            )
            for month in home.store.partitions(definition.raw_table)
        }
        for month, (rows, rule) in raw.items():
            since = month.plus(-definition.look_back)
            inside = {each: raw[each] for each in raw if since <= each <= month}
            facts = (
                fold_looking_back(inside, month, definition, schema)
                if definition.look_back
                else fold_month(rows, definition, schema, rule, month)
            )
            home.store.replace(definition.fact_table, str(month), facts)
    session = open_session(SparkPlace("local[2]", "1g", tmp_path / "spark"))
    try:
        for as_of in MONTHS[-2:]:
            ours = feature_table(home.store, feature_set, as_of).to_pandas().set_index("subject_no")
            theirs = (
                spark_features(session, home.store, feature_set, as_of).toPandas().set_index("subject_no")
            )
            assert apart(ours, theirs.sort_index()) == []
            assert len(ours) > 350
            told_apart = ours.nunique() > 1
            assert told_apart.mean() > 0.9, f"says nothing about {list(told_apart[~told_apart].index)}"
    finally:
        session.stop()
