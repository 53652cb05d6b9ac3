"""The catalogue: a wrong entry is refused by file and line; the shipped one loads; and it agrees with plain SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import duckdb_baseline
from benchmarks.world import TABLES, make_world
from core.errors import Refusal
from core.months import Month, month_range
from core.purpose import Purpose
from core.subject import SubjectKind
from core.table_schema import Column, ColumnType, TableSchema
from core.table_store import TableStore
from expectations.contract import load_contracts
from features.as_of import feature_table
from features.catalogue import PROTECTED, FeatureSet, load_catalogue, load_feature_set
from features.fact_definition import FactDefinition, load_all_facts, load_facts
from features.fold import fold_month
from features.windows import FORMULAS
from sources.versions import KnownDelivery, Resolver

BOTH, RISK = (Purpose.RISK, Purpose.MARKETING), (Purpose.RISK,)
SCHEMA = TableSchema(
    "bill",
    (
        Column("subject_id", ColumnType.SUBJECT, purposes=BOTH),
        Column("period", ColumnType.MONTH, purposes=BOTH),
        Column("amt", ColumnType.MONEY, purposes=RISK),
        Column("visits", ColumnType.INT, purposes=BOTH),
        Column("hukou_type", ColumnType.STRING, purposes=BOTH),
        Column("due", ColumnType.DATE, purposes=RISK),
        Column("payer", ColumnType.SUBJECT, nullable=True, purposes=RISK),
        Column("paid", ColumnType.DATE, purposes=BOTH),
    ),
    ("subject_id", "period"),
)
FACTS: dict[str, Any] = {
    "facts": "bill",
    "subject": "resident",
    "table": "bill",
    "title": {"zh": "账单", "en": "bills"},
    "derive": {"days_late": {"days_from": "due", "to": "paid"}},
    "measures": {
        "n": {"agg": "count"},
        "amt": {"agg": "sum", "column": "amt"},
        "visits": {"agg": "sum", "column": "visits"},
        "rural": {"agg": "count", "where": {"hukou_type": "rural"}},
        "payer": {"agg": "identity", "column": "payer"},
        "late": {"agg": "count", "where": {"days_late": {"gt": 0}}},
        "overdue": {"agg": "count", "where": {"days_late": {"gt": 0}}, "adverse": "month"},
        "listed": {"agg": "count", "adverse": {"end": "paid", "date": "due", "months": 36}},
    },
}
GOOD: dict[str, Any] = {
    "name": "visits_{w}m", "facts": "bill", "measure": "visits", "formula": "sum", "windows": [3, 12], "unit": "visits",
    "purposes": ["risk", "marketing"], "risk": 0, "fairness": "none", "ageing": "none",
    "missing": {"zh": "没有记录", "en": "no record"},
    "zh": "近{w}个月到访次数", "en": "visits in the last {w} months", "phrase": "VISITS",
}  # fmt: skip


def load(tmp_path: Path, *entries: dict[str, Any]) -> FeatureSet:
    definition = FactDefinition.model_validate(FACTS)
    path = tmp_path / "bill_monthly.yaml"
    body = {"feature_set": "bill_monthly", "subject": "resident", "title": {"zh": "账单", "en": "bills"}}
    lines = yaml.safe_dump(body, allow_unicode=True, sort_keys=False)
    lines += "features:\n" + yaml.safe_dump(list(entries), allow_unicode=True, sort_keys=False)
    path.write_text(lines, encoding="utf-8")
    return load_feature_set(path, {(SubjectKind.RESIDENT, "bill"): definition}, {"bill": SCHEMA})


def line_of_entry(tmp_path: Path, number: int) -> int:
    lines = (tmp_path / "bill_monthly.yaml").read_text(encoding="utf-8").splitlines()
    return [at for at, line in enumerate(lines, 1) if line.startswith("- ")][number]


def test_windows_are_written_out_in_names_and_texts(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD)
    assert loaded.names == ["visits_3m", "visits_12m"]
    assert [f.window for f in loaded.features] == [3, 12]
    assert [f.title.en for f in loaded.features] == [
        "visits in the last 3 months",
        "visits in the last 12 months",
    ]
    assert loaded.features[1].title.zh == "近12个月到访次数"
    assert loaded.months_back == 12


def test_look_back_counts_the_months_before_the_window(tmp_path: Path) -> None:
    entries = [
        {**GOOD, "name": "a_{w}m", "formula": "ratio_previous", "windows": [6]},
        {**GOOD, "name": "b_{w}m", "formula": "year_on_year", "windows": [3]},
    ]
    assert [f.months_back for f in load(tmp_path, *entries).features] == [12, 15]


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        ({"measure": "amt", "purposes": ["risk"]}, 0.01),
        ({"measure": "amt", "purposes": ["risk"], "formula": "slope"}, 1.0),
        ({"measure": "amt", "purposes": ["risk"], "formula": "share_of", "over": "amt"}, 1.0),
        ({"measure": "amt", "purposes": ["risk"], "formula": "share_of", "over": "n"}, 0.01),
        ({"measure": "n", "purposes": ["risk"], "formula": "share_of", "over": "amt"}, 100.0),
        ({}, 1.0),
    ],
)
def test_amounts_come_out_in_yuan(changes: dict[str, Any], scale: float, tmp_path: Path) -> None:
    assert load(tmp_path, {**GOOD, **changes}).features[0].scale == scale


REFUSED = {
    "a purpose that a column forbids": ({"measure": "amt"}, "claims the purpose marketing"),
    "a purpose that a derived column forbids": ({"measure": "late"}, "claims the purpose marketing"),
    "a purpose that the whole forbids": (
        {"formula": "share_of", "over": "amt"},
        "claims the purpose marketing",
    ),
    "an unknown measure": ({"measure": "nothing"}, "no measure nothing"),
    "an unknown whole": ({"formula": "share_of", "over": "nothing"}, "no measure nothing"),
    "unknown facts": ({"facts": "nothing"}, "no facts nothing"),
    "a protected column": ({"measure": "rural"}, "protected column hukou_type"),
    "no {w} for several windows": ({"name": "visits"}, "needs {w}"),
    "a window of no month": ({"windows": [0]}, "1 to 60 months"),
    "no window": ({"windows": []}, "windows"),
    "an unknown formula": ({"formula": "magic"}, "formula"),
    "share_of without a whole": ({"formula": "share_of"}, "over"),
    "a whole without share_of": ({"over": "amt"}, "over"),
    "an unknown figure": ({"measure": "amt", "purposes": ["risk"], "per": "nothing"}, "no parameter nothing"),
    "a count held against a figure": ({"per": "provincial_average_wage"}, "divides an amount"),
    "a ratio held against a figure": (
        {"measure": "amt", "purposes": ["risk"], "formula": "cv", "per": "provincial_average_wage"},
        "divides an amount",
    ),
    "an identity in a sum": ({"measure": "payer", "purposes": ["risk"]}, "take an identity"),
    "an amount as an identity": ({"formula": "changes"}, "take an identity"),
    "no purpose": ({"purposes": []}, "purposes"),
    "no fairness class": ({"fairness": None}, "fairness"),
    "an unknown fairness class": ({"fairness": "fair"}, "fairness"),
    "a possible proxy without a reason": ({"fairness": "review"}, "fairness_why"),
    "a reason without a doubt": ({"fairness_why": {"zh": "无", "en": "none"}}, "fairness_why"),
    "no ageing": ({"ageing": None}, "ageing"),
    "ageing of six years": ({"ageing": 6}, "ageing"),
    "an adverse event that never ages": (
        {"measure": "overdue", "purposes": ["risk"]},
        "stands on an adverse event",
    ),
    "ageing of what isn't adverse": ({"ageing": 5}, "marked `adverse`"),
    "a window beyond the ageing": (
        {"measure": "overdue", "purposes": ["risk"], "ageing": 1, "windows": [12, 13]},
        "13 months after their end, more than 1 years",
    ),
    "a look-back beyond the ageing": (
        {
            "measure": "overdue",
            "purposes": ["risk"],
            "ageing": 1,
            "windows": [7],
            "formula": "ratio_previous",
        },
        "looks back 14 months",
    ),
    "a counted end beyond the ageing": (
        {"measure": "listed", "purposes": ["risk"], "ageing": 5, "windows": [26]},
        "61 months after their end",
    ),
    "an adverse whole that never ages": (
        {"formula": "share_of", "over": "overdue", "purposes": ["risk"]},
        "stands on an adverse event",
    ),
    "two of one name": ({"name": "other_{w}m"}, "other_3m is given twice"),
    "no such purpose": ({"purposes": ["fun"]}, "purposes"),
    "a sign of 2": ({"risk": 2}, "risk"),
    "an unknown entry": ({"colour": "red"}, "colour"),
    "one language": ({"missing": {"en": "no record"}}, "missing.zh"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_entry_is_refused_by_file_and_line(what: str, tmp_path: Path) -> None:
    changes, told = REFUSED[what]
    other = {**GOOD, "name": "other_{w}m"}
    with pytest.raises(Refusal) as caught:
        load(tmp_path, other, {**GOOD, **changes})
    refusal = caught.value
    assert refusal.code == "REFUSED/DEFINITION" and told in str(refusal) and refusal.remedy
    assert refusal.file == str(tmp_path / "bill_monthly.yaml")
    assert refusal.line is not None and refusal.line >= line_of_entry(tmp_path, 1), (
        "the second entry, not the first"
    )


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="visits_3m") as caught:
        load(tmp_path, GOOD, {**GOOD, "name": "visits_3m", "windows": [3]})
    assert caught.value.line is not None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"measures": {"n": {"agg": "sum", "column": "nothing"}}}, "names the column nothing"),
        ({"measures": {"n": {"agg": "count", "where": {"nothing": True}}}}, "names the column nothing"),
        ({"derive": {"days_late": {"days_from": "amt", "to": "paid"}}}, "amt isn't one"),
        ({"measures": {"n": {"agg": "sum"}}}, "needs a column"),
        ({"measures": {"n": {"agg": "identity", "column": "hukou_type"}}}, "needs a pseudonym"),
        ({"measures": {"n": {"agg": "hhi", "column": "amt"}}}, "needs `by`"),
        ({"measures": {"n": {"agg": "code_rank", "column": "hukou_type"}}}, "needs `ranks`"),
        ({"measures": {"n": {"agg": "count", "where": {"amt": {"gt": 1, "lt": 2}}}}}, "where.amt"),
        ({"measures": {"n": {"agg": "count", "adverse": {"end": "amt", "months": 9}}}}, "isn't a date"),
        (
            {"measures": {"n": {"agg": "count", "adverse": {"end": "nothing", "months": 9}}}},
            "names the column nothing",
        ),
        ({"measures": {"n": {"agg": "count", "adverse": {"months": 9}}}}, "end, of its date"),
        ({"measures": {"n": {"agg": "count", "adverse": {"end": "paid", "months": 61}}}}, "months"),
    ],
)
def test_wrong_facts_are_refused_by_file_and_line(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.yaml"
    path.write_text(yaml.safe_dump({**FACTS, **changes}, allow_unicode=True), encoding="utf-8")
    with pytest.raises(Refusal, match=told) as caught:
        load_facts(path, SCHEMA)
    assert caught.value.file == str(path) and caught.value.line is not None and caught.value.line > 1


def test_ageing_holds_to_the_month(tmp_path: Path) -> None:
    """36 months counted and a window of 25: the last month that still counts is the 60th of five years."""
    entry = {
        **GOOD,
        "name": "listed",
        "measure": "listed",
        "purposes": ["risk"],
        "ageing": 5,
        "windows": [25],
    }
    assert load(tmp_path, entry).features[0].ageing == 5


def test_defaults_of_a_file_stand_in_each_entry_that_says_nothing_else(tmp_path: Path) -> None:
    said = {"fairness": "excluded_from_reasons", "fairness_why": {"zh": "不可改变", "en": "can't be changed"}}
    bare = {key: value for key, value in GOOD.items() if key not in ("fairness", "unit")}
    path = tmp_path / "bill_monthly.yaml"
    body = {
        "feature_set": "bill_monthly", "subject": "resident", "title": {"zh": "账单", "en": "bills"},
        "defaults": {"fairness": "none", "unit": "trips"}, "features": [bare, {**bare, **said, "name": "b_{w}m", "unit": "goes"}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False), encoding="utf-8")
    definition = FactDefinition.model_validate(FACTS)
    made = load_feature_set(path, {(SubjectKind.RESIDENT, "bill"): definition}, {"bill": SCHEMA})
    assert [(f.fairness, f.unit) for f in made.features[::2]] == [
        ("none", "trips"),
        ("excluded_from_reasons", "goes"),
    ]


def _files(tmp_path: Path, **files: dict[str, Any]) -> dict[str, FeatureSet]:
    for name, body in files.items():
        path = tmp_path / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False), encoding="utf-8")
    definition = FactDefinition.model_validate(FACTS)
    return load_catalogue({(SubjectKind.RESIDENT, "bill"): definition}, {"bill": SCHEMA}, tmp_path)


BODY = {
    "feature_set": "bills",
    "subject": "resident",
    "title": {"zh": "账单", "en": "bills"},
    "features": [GOOD],
}


def test_a_set_may_stand_in_several_files_of_a_folder(tmp_path: Path) -> None:
    more = {**BODY, "features": [{**GOOD, "name": "more_{w}m"}], "section": {"zh": "其他", "en": "more"}}
    made = _files(tmp_path, bills__a=BODY, bills__b=more, other={**BODY, "feature_set": "other"})
    assert {name: len(feature_set.names) for name, feature_set in made.items()} == {"bills": 4, "other": 2}
    assert made["bills"].features[2].section is not None and made["bills"].features[2].section.en == "more"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"title": {"zh": "账", "en": "bills"}}, "another set"),
        ({"subject": "enterprise"}, "another set"),
        ({"feature_set": "elsewhere"}, "another set"),
        ({}, "visits_3m is given twice"),
    ],
)
def test_files_of_a_set_that_disagree_are_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=told) as caught:
        _files(tmp_path, bills__a=BODY, bills__b={**BODY, **changes})
    assert str(caught.value.file).endswith("b.yaml") and caught.value.line is not None


def test_a_set_in_another_sets_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="the place of the feature set other"):
        _files(tmp_path, other=BODY)


# -- what is shipped ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas() -> dict[str, TableSchema]:
    return {name: contract.schema() for name, contract in load_contracts().items()}


@pytest.fixture(scope="module")
def catalogue(schemas: dict[str, TableSchema]) -> dict[str, FeatureSet]:
    return load_catalogue(load_all_facts(schemas), schemas)


def test_the_shipped_catalogue_is_whole(
    catalogue: dict[str, FeatureSet], schemas: dict[str, TableSchema]
) -> None:
    assert set(catalogue) >= {
        "resident_monthly",
        "resident_bank",
        "enterprise_monthly",
        "enterprise_invoice",
        "enterprise_bank",
    }
    for name, feature_set in catalogue.items():
        assert len(set(feature_set.names)) == len(feature_set.names) > 20, name
        for feature in feature_set.features:
            assert "{" not in feature.name + feature.title.zh + feature.title.en
            assert feature.title.zh and feature.title.en and feature.missing.zh and feature.missing.en
            assert feature.formula in FORMULAS
            facts = feature_set.facts[feature.facts]
            behind = {(facts.table, column) for column in facts.columns_of(feature.measure)}
            if feature.over is not None:
                whole = feature_set.facts[feature.over_facts]
                behind |= {(whole.table, column) for column in whole.columns_of(feature.over)}
            for table, column in behind:
                allowed = schemas[table].column(column).purposes
                assert feature.purposes <= set(allowed), (feature.name, column)
                assert not any(word in column for word in PROTECTED), (feature.name, column)


def test_marketing_sees_fewer_features_than_risk(catalogue: dict[str, FeatureSet]) -> None:
    for feature_set in catalogue.values():
        assert set(feature_set.for_purpose(Purpose.MARKETING)) < set(feature_set.names)


def test_residents_have_more_than_120_features_and_possible_proxies_are_for_review(
    catalogue: dict[str, FeatureSet],
) -> None:
    features = [f for name in ("resident_monthly", "resident_bank") for f in catalogue[name].features]
    assert len({f.name for f in features}) >= 120
    proxies = ("traffic_", "vehicle_", "school_", "event_school", "si_flexible", "si_employer_paid_share")
    for feature in features:
        assert (feature.fairness == "review") == feature.name.startswith(proxies), feature.name
        assert feature.fairness == "none" or feature.fairness_why is not None
    # What happens in somebody's life is for offering, never for judging.
    assert {f.purposes for f in features if f.name.startswith("event_")} == {frozenset({Purpose.MARKETING})}
    assert not any(
        Purpose.MARKETING in f.purposes for f in features if f.name.startswith(("iit_", "util_", "loan_"))
    )


def test_nobody_has_a_row_among_residents_who_agreed_to_no_source(catalogue: dict[str, FeatureSet]) -> None:
    """What the bank itself knows needs no consent in the register: it would give everybody a row, so it is a set apart."""
    contracts = load_contracts()
    demands = {
        facts.table: contracts[facts.table].consent_kind
        for facts in catalogue["resident_monthly"].facts.values()
    }
    assert len(demands) > 10 and set(demands.values()) == {"separate", "written"}
    own = {contracts[facts.table].consent_kind for facts in catalogue["resident_bank"].facts.values()}
    assert own == {"none"}


def test_an_amount_is_held_against_a_figure(tmp_path: Path) -> None:
    entry = {
        **GOOD,
        "measure": "amt",
        "purposes": ["risk"],
        "formula": "mean",
        "per": "provincial_average_wage",
    }
    feature = load(tmp_path, entry).features[0]
    assert feature.scale_at(Month(2026, 8), np.datetime64("2026-09-05")) == pytest.approx(0.01 / 7_000)
    # Before the first figure of the file.
    assert np.isnan(feature.scale_at(Month(2009, 12), np.datetime64("2026-09-05")))


def test_the_hash_tells_a_changed_definition(tmp_path: Path) -> None:
    same = load(tmp_path, GOOD).sha256
    assert load(tmp_path, {**GOOD, "en": "other words {w}"}).sha256 == same, "words decide no value"
    changes: list[dict[str, Any]] = [
        {"windows": [3, 6]},
        {"formula": "mean"},
        {"measure": "n", "purposes": ["risk"]},
    ]
    assert len({same, *(load(tmp_path, {**GOOD, **change}).sha256 for change in changes)}) == 4


# -- beside plain SQL --------------------------------------------------------------------------------------------------


def test_the_shipped_resident_features_agree_with_sql(
    catalogue: dict[str, FeatureSet], schemas: dict[str, TableSchema], tmp_path: Path
) -> None:
    """300 residents, 24 months with corrections; two independent ways from the same raw rows to the same numbers."""
    first, months = Month(2024, 1), 24
    as_of = first.plus(months - 1)
    make_world(tmp_path, 300, first, months)
    store, feature_set = TableStore(tmp_path), catalogue["resident_monthly"]
    for definition in feature_set.facts.values():
        if definition.table not in TABLES:
            continue
        schema = schemas[definition.table]
        for month in month_range(first, as_of):
            rows = store.read(definition.raw_table, [str(month)])
            known = {
                number: KnownDelivery(number, "city", str(month), revision, False, at)
                for number, revision, at in {
                    (r["delivery_no"], r["revision"], r["received_at"])
                    for r in rows.select(["delivery_no", "revision", "received_at"]).to_pylist()
                }
            }
            store.replace(
                definition.fact_table,
                str(month),
                fold_month(rows, definition, schema, Resolver(schema, known)),
            )
    ours = feature_table(store, feature_set, as_of).to_pandas().set_index("subject_no").sort_index()
    sql = duckdb_baseline.query(store, feature_set, schemas, as_of, versions=True)
    theirs = duckdb_baseline.run(sql, threads=1).set_index("subject_no").sort_index()
    formula = {feature.name: feature.formula for feature in feature_set.features}
    assert len(theirs.columns) > 40
    pd.testing.assert_index_equal(ours.index, theirs.index, exact=False)
    told_apart = 0
    for name in theirs.columns:
        found = ours[name].to_numpy()
        expected = theirs[name].to_numpy(dtype=float, na_value=np.nan)
        if formula[name] == "records":
            # A left join knows no subject without rows; we say that it has none.
            expected = np.nan_to_num(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, equal_nan=True, err_msg=name)
        told_apart += len(np.unique(found[~np.isnan(found)])) > 1
    assert told_apart > 0.9 * len(theirs.columns), (
        "features that are the same for everyone would prove little"
    )
    # Facts whose table nobody ever delivered are missing, not zero, and no error.
    undelivered = [f for f in feature_set.features if not {f.facts, f.over_facts} & set(TABLES)]
    assert len(undelivered) > 80
    for feature in undelivered:
        values = ours[feature.name]
        assert (values == 0).all() if feature.formula == "records" else values.isna().all(), feature.name
