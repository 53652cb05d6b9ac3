"""A changed catalogue: the next run makes facts and features anew by itself, every month as it was known then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from core.subject import SubjectKind
from features.catalogue import FeatureSet
from pipelines.catch_up import make_features_anew, take_in_waiting
from pipelines.workplace import Blueprint, blueprint
from tests.pipelines.invoice_home import (
    FACTS,
    FACTS_KEY,
    FEATURES,
    FEATURES_KEY,
    MONTHS,
    RAW_KEY,
    InvoiceHome,
    invoices,
)

SET, KIND = "enterprise_invoice", SubjectKind.ENTERPRISE


def without_one(plan: Blueprint) -> Blueprint:
    """The definitions before a feature and the measure that only it looks at were added."""
    whole = plan.feature_sets[SET]
    gone = next(
        feature
        for feature in whole.features
        if sum((feature.facts, feature.measure) in other.sides for other in whole.features) == 1
    )
    facts = whole.facts[gone.facts]
    measures = {name: measure for name, measure in facts.measures.items() if name != gone.measure}
    fewer = facts.model_copy(update={"measures": measures})
    kept = tuple(feature for feature in whole.features if feature is not gone)
    smaller = FeatureSet(whole.name, whole.subject, whole.title, kept, {**whole.facts, gone.facts: fewer})
    return replace(
        plan,
        facts={**plan.facts, (KIND, gone.facts): fewer},
        feature_sets={**plan.feature_sets, SET: smaller},
    )


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> dict[str, Blueprint]:
    """`now` is what the checkout says; change it to change the definitions."""
    shipped = blueprint()
    held = {"now": without_one(shipped), "shipped": shipped}
    for module in ("pipelines.workplace", "pipelines.build"):
        monkeypatch.setattr(f"{module}.blueprint", lambda: held["now"])
    return held


def test_an_added_feature_is_made_for_every_month_as_it_was_known_then(
    tmp_path: Path, plans: dict[str, Blueprint]
) -> None:
    home = InvoiceHome(tmp_path / "home")
    for month in MONTHS:
        home.deliver(month, invoices(month))
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    home.run(FEATURES_KEY, first=MONTHS[0], last=MONTHS[-1])
    # A correction that came long after the first month's cutoff.
    home.deliver(
        MONTHS[0], invoices(MONTHS[0], net="9.00"), revision=2, at=datetime(2024, 11, 20, tzinfo=UTC)
    )
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0])
    before = {month: home.store.read(FEATURES, [str(month)]).to_pandas() for month in MONTHS}
    assert make_features_anew(home.workplace) == {}, "a correction is no other definition"

    plans["now"] = plans["shipped"]
    take_in_waiting(home.workplace)
    assert home.store.partitions(FACTS) == [str(month) for month in MONTHS]
    assert make_features_anew(home.workplace) == {FEATURES: MONTHS}
    assert home.store.partitions(FEATURES) == [str(month) for month in MONTHS]
    new = set(plans["shipped"].feature_sets[SET].names) - set(before[MONTHS[0]].columns)
    assert len(new) == 1
    for month, old in before.items():
        table = home.store.read(FEATURES, [str(month)]).to_pandas()
        assert np.array_equal(
            table[old.columns].drop(columns="period"), old.drop(columns="period"), equal_nan=True
        )
        assert table[next(iter(new))].notna().any()
    assert make_features_anew(home.workplace) == {}
    home.close()


def test_months_that_a_killed_run_left_are_found_again(tmp_path: Path, plans: dict[str, Blueprint]) -> None:
    home = InvoiceHome(tmp_path / "home")
    for month in MONTHS:
        home.deliver(month, invoices(month))
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    home.run(FEATURES_KEY, first=MONTHS[0], last=MONTHS[-1])
    plans["now"] = plans["shipped"]
    take_in_waiting(home.workplace)
    home.run(FEATURES_KEY, first=MONTHS[1])
    assert home.store.partitions(FEATURES) == [str(MONTHS[1])]
    assert make_features_anew(home.workplace) == {FEATURES: [MONTHS[0], MONTHS[2]]}
    assert home.store.partitions(FEATURES) == [str(month) for month in MONTHS]
    home.close()


def test_a_home_without_features_has_nothing_to_make_anew(tmp_path: Path) -> None:
    home = InvoiceHome(tmp_path / "home")
    assert make_features_anew(home.workplace) == {}
    home.close()
