"""Monitor one model in one as-of month from stored scores, features and outcomes, with what was known then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.clock import Clock
from core.derivation import require_fresh_content
from core.errors import GsceneError
from core.months import Month, knowledge_cutoff, require_past
from core.purpose import Purpose
from core.settings import Settings
from core.state import StateDatabase
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlements
from features.feature_store import feature_recipe, usable_features
from models.artefact import Bundle, load_bundle
from models.definition import AccountDpdLabel, CampaignResponseLabel, Label, ModelDefinition
from models.lifecycle import name_of, versions_of
from models.monitoring.backtest import backtest, realised
from models.monitoring.drift import (
    FeatureReference,
    feature_drift,
    feature_reference,
    grade_moves,
    grade_shares,
    score_drift,
    source_drift,
    without_source,
)
from models.monitoring.early_delinquency import (
    MONTHS,
    TABLE,
    early_delinquency,
    early_outcomes,
    known_accounts,
)
from models.monitoring.early_performance import expected_performance
from models.monitoring.measure import Measure, Monitored
from models.monthly_labels import label_recipe, label_table, read_labels
from models.monthly_scores import score_table
from models.scoring import score
from models.sign_off import DEMO_MARK

#: Mature vintages looked at, newest last.
VINTAGES = 12

#: Measures of the newest mature vintage that thresholds look at, by the name they get as the month's own.
NEWEST = {
    "vintage_understated": "understated", "vintage_grades_understated": "grades_understated", "vintage_auc_fall": "auc_fall",
}  # fmt: skip


@dataclass(frozen=True)
class _Population:
    """Scores of a month as a frame (subject_no, pd, points, grade), and its features by the model's names."""

    scores: pd.DataFrame
    matrix: np.ndarray


def monitoring_table(definition: ModelDefinition) -> str:
    """Table-store name of a model's monitored months."""
    return f"monitoring/{definition.subject}/{definition.name}"


def read_monitored(
    store: TableStore, definition: ModelDefinition, up_to: Month | None = None
) -> dict[str, Monitored]:
    """Stored months by name, ascending, none later than `up_to`."""
    table = monitoring_table(definition)
    there = store.partitions(table) if store.exists(table) else []
    months = [month for month in sorted(there) if up_to is None or month <= str(up_to)]
    return {
        month: Monitored.of_rows(definition.name, month, store.read(table, [month]).to_pylist())
        for month in months
    }


def months_to_show(label: Label) -> int:
    """Months after an as-of month until its outcomes have shown."""
    match label:
        case AccountDpdLabel():
            return label.window_months
        case CampaignResponseLabel():
            return 2 + label.response_days // 31
        case _:
            return 0


def monitor_month(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    clock: Clock,
    entitlements: Entitlements,
) -> Monitored:
    """Everything measured of one month. GateRefused before its knowledge cutoff has passed, or where scores, features or outcomes
    are stale; GsceneError where nothing was scored.

    Drift is measured against everyone scored with the same version's features at its training month: the labelled sample isn't
    the population. Nothing later than `as_of` is read: an old month gives the same today as then, unless a consent was
    withdrawn.
    """
    require_past(clock, as_of, settings.cutoff_days)
    scores = _scores(store, definition, as_of)
    require_fresh_content(state, store, (score_table(definition), str(as_of)))
    version = str(scores["model_version"].iloc[0])
    bundle = _bundle(state, settings, definition.name, version)
    use = entitlements.for_use(as_of)
    purpose, names = Purpose(definition.purpose), bundle.names
    sources = _sources(feature_set, names)
    recipe = feature_recipe(feature_set, entitlements.contracts)

    def population(month: Month) -> np.ndarray | None:
        if str(month) not in store.partitions(feature_set.table):
            return None
        require_fresh_content(state, store, (feature_set.table, str(month)), recipe)
        frame = usable_features(store, feature_set, [month], purpose, use).frame
        return frame[names].to_numpy(dtype=np.float64)

    trained = Month.parse(bundle.card.training_month)
    matrix = population(trained)
    reference: FeatureReference | None = None
    then = None
    if matrix is not None and len(matrix):
        reference = feature_reference(matrix, names, sources)
        frame = pd.DataFrame(matrix, columns=names).assign(subject_no=np.arange(len(matrix), dtype=np.int32))
        then = score(bundle, frame, threads=settings.threads)
    # One month's features at a time: two populations side by side would double the memory.
    del matrix
    now = population(as_of)
    assert now is not None, "scores are fresh, so their features are there"
    earlier = read_monitored(store, definition, as_of.plus(-1))
    found = [
        *_score_drift(store, definition, as_of, scores, then, bundle.scale.count),
        *([Measure("features_moved", None)] if reference is None else feature_drift(reference, now)),
        *source_drift(
            None if reference is None else reference.without, without_source(now, names, sources), len(now)
        ),
        _ungraded(store, feature_set, as_of, len(scores)),
        *expected_performance(
            scores["pd"].to_numpy(), None if then is None else then["pd"].to_numpy(dtype=np.float64)
        ),
        *_early(definition, as_of, store, state, entitlements, earlier, version),
        *_outcomes(definition, as_of, store, state, bundle),
    ]
    return Monitored(
        definition.name, str(as_of), version, bundle.sha256, "" if then is None else str(trained),
        knowledge_cutoff(as_of, settings.cutoff_days).isoformat(timespec="seconds"), tuple(found),
    )  # fmt: skip


def _scores(store: TableStore, definition: ModelDefinition, month: Month) -> pd.DataFrame:
    """Scores as they were given then: those of earlier months stay what they were when their features are made anew."""
    table = score_table(definition)
    if not store.exists(table) or str(month) not in store.partitions(table):
        raise GsceneError(
            f"{definition.name} has no scores of {month}.", f"Run the asset {table} for {month} first."
        )
    scores = store.read(table, [str(month)]).to_pandas()
    if not len(scores):
        raise GsceneError(
            f"{definition.name} scored nobody in {month}.", "Look at the consents: gscene subject, and the asset's counts."
        )  # fmt: skip
    return scores


def _bundle(state: StateDatabase, settings: Settings, name: str, told: str) -> Bundle:
    """The bundle of the version that scores name."""
    with state.session() as session:
        found = [
            version
            for version in versions_of(session, name)
            if name_of(version) == told.removesuffix(DEMO_MARK)
        ]
    if not found:
        raise GsceneError(f"the scores name {told}, which isn't in the inventory.", "Score the month again.")
    return load_bundle(settings.home / found[-1].bundle, found[-1].bundle_sha256)


def _score_drift(
    store: TableStore,
    definition: ModelDefinition,
    as_of: Month,
    scores: pd.DataFrame,
    then: pd.DataFrame | None,
    grades: int,
) -> list[Measure]:
    """Scores and grades against the reference and the month before; the latter only where the same version scored it."""
    points = scores["points"].to_numpy(dtype=np.float64)
    found = [
        Measure("scored", float(len(scores)), len(scores)),
        Measure("mean_pd", float(scores["pd"].mean()), len(scores)),
        Measure("score_psi_reference", None)
        if then is None
        else score_drift("score_psi_reference", then["points"].to_numpy(dtype=np.float64), points),
    ]
    grade_share = grade_shares(scores["grade"].to_numpy(dtype=np.int64), grades)
    month = str(as_of.plus(-1))
    if month in store.partitions(score_table(definition)):
        before = _scores(store, definition, as_of.plus(-1))
        if before["model_version"].iloc[0] == scores["model_version"].iloc[0]:
            drift = score_drift(
                "score_psi_previous", before["points"].to_numpy(dtype=np.float64), points, month
            )
            return [*found, drift, *grade_share, *grade_moves(before, scores, grades)]
    return [*found, Measure("score_psi_previous", None, about=month), *grade_share]


def _ungraded(store: TableStore, feature_set: FeatureSet, as_of: Month, scored: int) -> Measure:
    """Share of subjects with stored features who got no score, because no source of theirs may be used for the purpose."""
    rows = store.rows(feature_set.table, str(as_of))
    return Measure("ungraded_share", (rows - scored) / rows if rows else None, rows, events=rows - scored)


def _early(
    definition: ModelDefinition,
    as_of: Month,
    store: TableStore,
    state: StateDatabase,
    entitlements: Entitlements,
    earlier: Mapping[str, Monitored],
    version: str,
) -> list[Measure]:
    vintage = as_of.plus(-MONTHS)
    raw = f"raw/{definition.subject}/{TABLE}"
    if not isinstance(definition.label, AccountDpdLabel) or not store.exists(raw):
        return []
    if str(vintage) not in store.partitions(score_table(definition)):
        return []
    scores = _scores(store, definition, vintage)
    cutoff = pd.Timestamp(knowledge_cutoff(as_of, entitlements.cutoff_days))
    schema = entitlements.contracts[TABLE].schema()
    use = entitlements.for_use(as_of)
    accounts, known = known_accounts(store, state, schema, definition.subject, vintage, cutoff, use)
    if not known:
        return []
    outcomes = early_outcomes(accounts, vintage, definition.label, known)
    same = [each for each in earlier.values() if each.model_version == version]
    return early_delinquency(scores, outcomes, vintage, same)


def _outcomes(
    definition: ModelDefinition, as_of: Month, store: TableStore, state: StateDatabase, bundle: Bundle
) -> list[Measure]:
    """The vintages whose window had closed by `as_of`, as they were scored then; the newest one's measures once more as the
    month's own, for the thresholds."""
    label = definition.label
    table, wait = label_table(definition.subject, label), months_to_show(label)
    labelled = set(store.partitions(table)) if store.exists(table) else set()
    ready = [
        Month.parse(month)
        for month in sorted(labelled & set(store.partitions(score_table(definition))))
        if Month.parse(month).plus(wait) <= as_of
    ]
    trained, found = _trained_auc(bundle), []
    for vintage in ready[-VINTAGES:]:
        require_fresh_content(state, store, (table, str(vintage)), label_recipe(label))
        scores = _scores(store, definition, vintage)
        outcomes = read_labels(store, definition.subject, label, [vintage])
        found += backtest(realised(str(vintage), scores, outcomes), trained)
    tendency = bundle.card.calibration.central_tendency
    newest = [each for each in found if ready and each.about == str(ready[-1])]
    promoted = [
        Measure(NEWEST[each.measure], each.value, each.n, each.about, events=each.events)
        for each in newest
        if each.measure in NEWEST
    ]
    promoted += [
        Measure("oe_high", each.high, each.n, each.about, events=each.events)
        for each in newest
        if each.measure == "vintage_oe"
    ]
    return [
        Measure("reference_pd", tendency),
        Measure("trained_auc", trained),
        Measure("mature_vintages", float(len(ready[-VINTAGES:]))),
        *promoted,
        *found,
    ]


def _trained_auc(bundle: Bundle) -> float | None:
    """AUC of what ships on the rows it was judged on, as its card says."""
    record = bundle.card.record
    candidate = record["candidates"][str(bundle.card.ships)]
    judged = candidate["performance"].get(record["judged_on"])
    return None if judged is None else float(judged["auc"]["auc"])


def _sources(feature_set: FeatureSet, names: list[str]) -> dict[str, list[str]]:
    """Source table -> the model's features that stand on it."""
    wanted, sources = set(names), {}  # type: ignore[var-annotated]
    for feature in feature_set.features:
        if feature.name in wanted:
            for facts in sorted({facts for facts, _ in feature.sides}):
                sources.setdefault(feature_set.facts[facts].table, []).append(feature.name)
    return sources
