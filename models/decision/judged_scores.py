"""Rows with known outcomes that a version, or two, are judged on for what-if and swap sets; made anew each time, never kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.derivation import require_fresh_content
from core.errors import GsceneError
from core.months import Month
from core.purpose import Purpose
from core.state import StateDatabase
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlements
from features.feature_store import feature_recipe, usable_features
from models.artefact import Bundle
from models.definition import ModelDefinition, TimeSplit
from models.monthly_labels import label_recipe, label_table, read_labels
from models.monthly_training import vintages_of
from models.points import points_of, probability
from models.sample import Sample, build_sample, split_by_time


@dataclass(frozen=True)
class JudgedScores:
    """`sample` and, by version in the order asked, integer `points` and `pd` (n,). `seen`: the models have learned from the rows,
    as after cross-validation, so the rates are too good."""

    sample: Sample
    points: tuple[np.ndarray, ...]
    pd: tuple[np.ndarray, ...]
    months: tuple[str, ...]
    seen: bool


def judged_scores(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    bundles: list[Bundle],
    *,
    store: TableStore,
    state: StateDatabase,
    entitlements: Entitlements,
    threads: int,
) -> JudgedScores:
    """Out-of-time rows of held-out subjects, as of the newest of the versions; all labelled rows where the split isn't by time.

    A subject is held out by its number and the model's name: in every training of the model, so that none of the versions has
    learned from it. GsceneError where there are no rows with outcomes, GateRefused for stale ones.
    """
    as_of = max(Month.parse(bundle.card.training_month) for bundle in bundles)
    months, plan = vintages_of(definition, as_of)
    table = label_table(definition.subject, definition.label)
    months = list(plan.out_of_time) if plan is not None else months
    months = [month for month in months if str(month) in store.partitions(table)]
    if not months:
        raise GsceneError(
            f"there are no outcomes for {definition.name} as of {as_of}.", f"Run the asset {table} first."
        )
    recipes = {
        feature_set.table: feature_recipe(feature_set, entitlements.contracts),
        table: label_recipe(definition.label),
    }
    for name, recipe in recipes.items():
        for month in months:
            require_fresh_content(state, store, (name, str(month)), recipe)
    frame = usable_features(store, feature_set, months, Purpose.RISK, entitlements.for_use(as_of)).frame
    sample = build_sample(frame, read_labels(store, definition.subject, definition.label, months))
    if plan is not None:
        assert isinstance(definition.split, TimeSplit)
        sample = split_by_time(sample, plan, definition.split.holdout_share, definition.name).out_of_time
    if not sample.decided.any():
        raise GsceneError(
            f"no row of {definition.name} has a decided outcome.", "Wait for outcomes to mature."
        )
    calibrated = [bundle.calibrated(_matrix(sample.features, bundle), threads) for bundle in bundles]
    return JudgedScores(
        sample,
        tuple(whole_points(each) for each in calibrated),
        tuple(probability(each) for each in calibrated),
        tuple(str(month) for month in months),
        plan is None,
    )


def whole_points(calibrated: np.ndarray) -> np.ndarray:
    """Points as score tables hold them."""
    return np.rint(points_of(calibrated)).astype(np.int32)


def _matrix(features: pd.DataFrame, bundle: Bundle) -> np.ndarray:
    absent = [name for name in bundle.names if name not in features.columns]
    if absent:
        raise GsceneError(
            f"the features lack {len(absent)} columns of {bundle.name} {bundle.version}: {', '.join(absent[:5])}.",
            "Compare versions that were trained on the present feature set.",
        )
    return features[bundle.names].to_numpy(dtype=np.float64)
