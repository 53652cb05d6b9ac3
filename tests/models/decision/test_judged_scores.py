"""Which rows a what-if stands on: out of time and of held-out subjects, whatever version is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from core.derivation import record_derivation
from core.errors import GateRefused, GsceneError
from core.table_store import TableStore
from features.entitlement import Entitlements
from features.feature_store import feature_recipe
from models.artefact import load_bundle
from models.decision.judged_scores import judged_scores
from models.labels import BAD, GOOD
from models.monthly_labels import label_recipe, label_table
from models.points import points_of
from models.sample import subject_share
from tests.models.explanation.asked_home import KIND, ROWS, AskedHome, matrix, order, plan, record
from tests.models.worlds import definition

SPLIT = {"kind": "by_time", "training_vintages": 2, "out_of_time_vintages": 1, "holdout_share": 0.4}
LABEL = {"kind": "account_dpd", "version": 1, "bad_dpd": 60}


def test_rows_are_out_of_time_and_of_held_out_subjects(tmp_path: Path) -> None:
    home = AskedHome(tmp_path / "home")
    home.fill()
    version = home.train("2026-06", record())
    bundle = load_bundle(home.home / version.bundle, version.bundle_sha256)
    store, feature_set = TableStore(home.settings.lake), plan().feature_sets["enterprise_invoice"]
    by_time = definition(feature_set=feature_set.name, split=SPLIT, label=LABEL)
    entitlements = Entitlements(KIND, store, home.state, plan().contracts, home.clock, 5)
    common = {"store": store, "state": home.state, "entitlements": entitlements, "threads": 1}
    with pytest.raises(GsceneError, match="no outcomes"):
        judged_scores(by_time, feature_set, [bundle], **common)
    # Outcomes over twelve months that end with the training's month.
    x, y = matrix(ROWS, seed=4)
    numbers = np.arange(ROWS, dtype=np.int32)
    frame = pd.DataFrame(x, columns=order()).assign(subject_no=numbers)
    labels = label_table(KIND, by_time.label)
    tables = {
        feature_set.table: frame[["subject_no", *order()]],
        labels: pd.DataFrame({"subject_no": numbers, "outcome": np.where(y == 1, BAD, GOOD)}),
    }
    for name, rows in tables.items():
        store.replace(name, "2025-06", pa.Table.from_pandas(rows, preserve_index=False))
    with pytest.raises(GateRefused, match="has not been made"):
        judged_scores(by_time, feature_set, [bundle], **common)
    recipes = {
        feature_set.table: feature_recipe(feature_set, plan().contracts),
        labels: label_recipe(by_time.label),
    }
    for name, recipe in recipes.items():
        record_derivation(home.state, store, home.clock, (name, "2025-06"), [], recipe)
    told = judged_scores(by_time, feature_set, [bundle, bundle], **common)
    held = subject_share(numbers, by_time.name) < 0.4
    assert told.months == ("2025-06",) and not told.seen
    assert told.sample.subject_no.tolist() == numbers[held].tolist() and 0 < held.sum() < ROWS
    assert told.sample.target.tolist() == y[held].tolist()
    want = points_of(bundle.calibrated(x[held], 1))
    for points in told.points:
        np.testing.assert_array_equal(points, np.rint(want))
