"""A home with stored features of some firms, and a live signed model over them whose reasons can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.clock import SystemClock
from core.derivation import record_derivation
from core.months import Month
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from features.entitlement import Entitlements
from features.feature_store import feature_recipe
from models.explanation.explain import explain
from models.labels import BAD, GOOD
from models.monthly_labels import label_recipe, label_table
from models.monthly_scores import score_monthly
from models.sample import Sample
from models.training import train_judged
from models.training_record import TrainingInputs, TrainingRecord
from pipelines.workplace import Blueprint, blueprint
from tests.models.signing import NAME, SignedHome
from tests.models.worlds import definition

KIND, AS_OF, ROWS = SubjectKind.ENTERPRISE, Month(2026, 8), 260
NAMES = ["out_amt_12m", "out_void_share_12m", "out_yoy_12m", "customers_12m", "out_ticket_12m"]
TOKENS = [f"k1:{number:04d}" for number in range(ROWS)]


@cache
def plan() -> Blueprint:
    """The shipped definitions with a small model over five features of invoices."""
    shipped = blueprint()
    whole = shipped.feature_sets["enterprise_invoice"]
    few = replace(whole, features=tuple(f for f in whole.features if f.name in NAMES))
    return replace(
        shipped,
        feature_sets=shipped.feature_sets | {few.name: few},
        models={
            NAME: definition(feature_set=few.name, split={"kind": "repeated_cv", "folds": 2, "repeats": 1})
        },
    )


def matrix(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 5) in the order of the feature set, and outcomes."""
    draw = np.random.default_rng(seed)
    columns = {
        "out_amt_12m": draw.lognormal(10, 1, rows), "out_void_share_12m": draw.uniform(0, 0.4, rows),
        "out_yoy_12m": draw.normal(1, 0.4, rows), "customers_12m": draw.poisson(6, rows).astype(float),
        "out_ticket_12m": draw.lognormal(5, 1, rows),
    }  # fmt: skip
    x = np.column_stack([columns[name] for name in order()])
    odds = (
        9.0 * columns["out_void_share_12m"]
        - 2.0 * columns["out_yoy_12m"]
        - np.log(columns["out_amt_12m"])
        + 9.0
    )
    odds += 0.4 * np.log(columns["out_ticket_12m"]) - 0.2 * columns["customers_12m"]
    return x, (draw.random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int8)


def order() -> list[str]:
    """Names in the order of the feature set."""
    return plan().feature_sets["enterprise_invoice"].names


@cache
def record() -> TrainingRecord:
    """Trained on other firms."""
    x, y = matrix(600, seed=1)
    sample = Sample(pd.DataFrame(x, columns=order()), np.arange(600), np.full(600, "2026-06"), y)
    model, feature_set = plan().models[NAME], plan().feature_sets["enterprise_invoice"]
    made, judged = train_judged(
        model, sample, feature_set.signs, TrainingInputs("2026-06", {}, feature_set.sha256)
    )
    return replace(made, explanation=explain(made, judged))


class AskedHome(SignedHome):
    """The home; firms are numbered in the order of TOKENS."""

    def fill(self) -> None:
        """Registry, features of the month, and their receipt."""
        store, feature_set = TableStore(self.settings.lake), plan().feature_sets["enterprise_invoice"]
        numbers = SubjectRegistry(store, KIND).numbers(pa.array(TOKENS))
        x, _ = matrix(ROWS, seed=2)
        frame = pd.DataFrame(x, columns=order()).assign(subject_no=numbers)
        table = pa.Table.from_pandas(
            frame[["subject_no", *order()]].astype({"subject_no": "int32"}), preserve_index=False
        )
        store.replace(feature_set.table, str(AS_OF), table)
        recipe = feature_recipe(feature_set, plan().contracts)
        record_derivation(self.state, store, self.clock, (feature_set.table, str(AS_OF)), [], recipe)


@contextmanager
def small_plan() -> Iterator[None]:
    """Commands see the small model instead of the shipped ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.workplace.blueprint", plan)
        yield


def made(folder: Path) -> AskedHome:
    """With a live version."""
    home = AskedHome(folder, start=SystemClock().now())
    home.fill()
    home.live("2026-06", record())
    return home


class DecidedHome(AskedHome):
    """The same with outcomes of the training's month and published scores, for decisions."""

    def fill(self) -> None:
        """Features of the training's month and their outcomes too."""
        super().fill()
        store, model = TableStore(self.settings.lake), plan().models[NAME]
        feature_set, month = plan().feature_sets["enterprise_invoice"], "2026-06"
        x, y = matrix(ROWS, seed=2)
        frame = pd.DataFrame(x, columns=order()).assign(subject_no=np.arange(ROWS, dtype=np.int32))
        store.replace(
            feature_set.table,
            month,
            pa.Table.from_pandas(frame[["subject_no", *order()]], preserve_index=False),
        )
        outcome = pd.DataFrame(
            {"subject_no": np.arange(ROWS, dtype=np.int32), "outcome": np.where(y == 1, BAD, GOOD)}
        )
        labels = label_table(KIND, model.label)
        store.replace(labels, month, pa.Table.from_pandas(outcome, preserve_index=False))
        recipes = {
            feature_set.table: feature_recipe(feature_set, plan().contracts),
            labels: label_recipe(model.label),
        }
        for table, recipe in recipes.items():
            record_derivation(self.state, store, self.clock, (table, month), [], recipe)

    def score(self) -> None:
        """As a run does."""
        store = TableStore(self.settings.lake)
        score_monthly(
            plan().models[NAME], plan().feature_sets["enterprise_invoice"], AS_OF, store=store, state=self.state,
            settings=self.settings, registry=SubjectRegistry(store, KIND), clock=self.clock,
            entitlements=Entitlements(KIND, store, self.state, plan().contracts, self.clock, self.settings.cutoff_days),
        )  # fmt: skip
