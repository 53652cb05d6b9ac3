"""Train one model as of a month from stored features and outcomes, keep its bundle and report, and record it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from sqlalchemy import select

from core import audit
from core.clock import Clock
from core.definition_file import Bilingual
from core.derivation import require_fresh_content
from core.errors import GsceneError, SignOffRefused
from core.months import Month
from core.progress import Progress
from core.purpose import Purpose
from core.settings import Settings
from core.state import ModelVersion, StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlements
from features.feature_store import UsableFeatures, feature_recipe, usable_features
from features.ineligible import NO_ROW, keep
from models.artefact import write_bundle
from models.definition import (
    AccountDpdLabel,
    BankOutcomeLabel,
    CampaignResponseLabel,
    ModelDefinition,
    TimeSplit,
)
from models.demo_sign_off import sign_automatically
from models.evidence import keep_report
from models.explanation.explain import explain
from models.lifecycle import enter
from models.lineage import data_sources
from models.monthly_labels import label_recipe, label_table, read_labels
from models.outbox import put_training, sync
from models.registry import LedgerEntry, training_entry
from models.report.circumstances import Circumstances
from models.report.files import training_files, write_files
from models.sample import Sample, build_sample
from models.sampling.sample_report import sample_report
from models.sign_off import NOT_APPROVED, version_to_score
from models.sign_off_policy import load_sign_off_policy
from models.training import JudgedRows, train_judged
from models.training_record import TrainingInputs, TrainingRecord
from models.validation.of_training import validate_training
from models.validation.summary import keep_findings
from models.validation.surroundings import surroundings
from models.vintages import VintagePlan, plan_vintages
from sources.erased import last_erasure, require_no_erasure_since

#: Months of campaigns that an acquisition model learns from.
CAMPAIGN_MONTHS = 12

#: Told to MLflow of a training that people sign or don't; the tag `gscene.state` of its version says how far that has come.
APPROVED_LATER = Bilingual(zh="以签署记录为准", en="as its sign-off says")


@dataclass(frozen=True)
class Trained:
    """A training with the places of its bundle and report, and its row in the MLflow ledger: None while that waits in the outbox,
    with the kind of error that it waits for."""

    record: TrainingRecord
    bundle: Path
    bundle_sha256: str
    report: Path
    ledger: LedgerEntry | None
    waits_for_mlflow: str | None


def vintages_of(
    definition: ModelDefinition, as_of: Month, first: Month | None = None
) -> tuple[list[Month], VintagePlan | None]:
    """As-of months whose features and outcomes a training in month `as_of` needs, and the plan of a split by time."""
    label = definition.label
    if isinstance(label, AccountDpdLabel) and isinstance(definition.split, TimeSplit):
        plan = plan_vintages(definition.split, label.window_months, as_of, first)
        return list(plan.all), plan
    if isinstance(label, BankOutcomeLabel):
        return [as_of], None
    assert isinstance(label, CampaignResponseLabel)
    newest = as_of.plus(-(2 + label.response_days // 31))
    months = [newest.plus(-back) for back in reversed(range(CAMPAIGN_MONTHS))]
    return [month for month in months if first is None or month >= first], None


def train_monthly(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    clock: Clock,
    progress: Progress,
    entitlements: Entitlements,
    registry: SubjectRegistry | None = None,
) -> Trained:
    """Train with what was known in month `as_of`; running it again on the same data gives the same bundle and one record.

    `registry` lets the evaluation vault be asked for groups; without it fairness isn't tested.

    The sample holds only subjects who may be used for the model's purpose now, and of them only sources that may. Raises
    GsceneError where features or outcomes of a vintage are missing, GateRefused where they are stale.
    """
    erasures = last_erasure(state)
    drawn = training_sample(
        definition, feature_set, as_of, store=store, state=state, entitlements=entitlements
    )
    table = label_table(definition.subject, definition.label)
    tables = {name: store.version(name) for name in (feature_set.table, table)}
    record, judged = train_on_sample(
        definition, feature_set, drawn, tables, threads=settings.threads, progress=progress
    )
    usable, use = drawn.usable, entitlements.for_use(as_of)
    around = surroundings(
        judged.sample, usable.frame, feature_set, Purpose(definition.purpose), use, store, settings, clock, registry
    )  # fmt: skip
    record = replace(record, findings=tuple(validate_training(record, judged, around, settings.threads)))
    require_no_erasure_since(state, erasures, definition.name)
    with state.session() as session:
        keep(session, f"models/{definition.subject}/{definition.name}", str(as_of), usable.ineligible)
    titles = {feature.name: feature.title for feature in feature_set.features}
    sources = data_sources(definition, feature_set)
    return keep_training(record, titles, sources, state=state, settings=settings, clock=clock)


@dataclass(frozen=True)
class DrawnSample:
    """What a training in a month learns from: its sample, the plan of a split by time, and outcomes and features before the
    join."""

    as_of: Month
    sample: Sample
    plan: VintagePlan | None
    outcomes: pd.DataFrame
    usable: UsableFeatures


def training_sample(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    store: TableStore,
    state: StateDatabase,
    entitlements: Entitlements,
) -> DrawnSample:
    """Features joined to outcomes of every vintage; errors as in `train_monthly`."""
    months, plan = vintages_of(definition, as_of, _first_month(store, feature_set))
    table = label_table(definition.subject, definition.label)
    months = [month for month in months if str(month) in store.partitions(table)] if plan is None else months
    features = feature_recipe(feature_set, entitlements.contracts)
    recipes = {feature_set.table: features, table: label_recipe(definition.label)}
    for name, recipe in recipes.items():
        for month in months:
            require_fresh_content(state, store, (name, str(month)), recipe)
    outcomes = read_labels(store, definition.subject, definition.label, months)
    use = entitlements.for_use(as_of)
    usable = usable_features(store, feature_set, months, Purpose(definition.purpose), use)
    sample = build_sample(usable.frame, outcomes)
    sample = replace(sample, steps=_barred(usable) | sample.steps)
    return DrawnSample(as_of, sample, plan, outcomes, usable)


def train_on_sample(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    drawn: DrawnSample,
    tables: dict[str, int],
    *,
    threads: int,
    progress: Progress,
) -> tuple[TrainingRecord, JudgedRows]:
    """Train on a drawn sample; `tables`: table name -> version read."""
    inputs = TrainingInputs(str(drawn.as_of), tables, feature_set.sha256)
    phrases = {feature.name: feature.phrase for feature in feature_set.features}
    record, judged = train_judged(
        definition, drawn.sample, feature_set.signs, inputs,
        plan=drawn.plan, phrases=phrases, threads=threads, progress=progress,
    )  # fmt: skip
    about_sample = sample_report(
        definition.label,
        drawn.sample,
        drawn.outcomes,
        record.steps,
        plan=drawn.plan,
        population=drawn.usable.frame,
        seed=definition.seed,
        threads=threads,
    )
    return replace(record, sample=about_sample, explanation=explain(record, judged, threads)), judged


def _barred(usable: UsableFeatures) -> dict[str, int]:
    """Rows of features that no consent lets in, by reason: the first steps of a sample."""
    return {
        f"feature rows without entitlement: {reason}": rows
        for _, source, reason, rows in usable.ineligible.rows
        if source == NO_ROW
    }


def champion_or_newest(state: StateDatabase, name: str, by: Month) -> ModelVersion:
    """The version that is live for a month, else the newest training up to it; GsceneError where there is none."""
    with state.session() as session:
        try:
            return version_to_score(session, name, by)
        except SignOffRefused:
            pass
    query = (
        select(ModelVersion)
        .where(ModelVersion.name == name, ModelVersion.training_month <= str(by))
        .order_by(ModelVersion.training_month.desc(), ModelVersion.model_no.desc())
    )
    with state.session() as session:
        found = session.scalars(query).first()
    if found is None:
        raise GsceneError(f"{name} has not been trained by {by}.", f"Run the asset models/…/{name} first.")
    return found


def _first_month(store: TableStore, feature_set: FeatureSet) -> Month | None:
    """The earliest as-of month for which half the look-back of the features lies in the data."""
    starts = [store.partitions(definition.raw_table)[:1] for definition in feature_set.facts.values()]
    first = min((Month.parse(months[0]) for months in starts if months), default=None)
    return first.plus(min(feature_set.months_back, 12) // 2 - 1) if first is not None else None


def keep_training(
    record: TrainingRecord,
    titles: dict[str, Bilingual],
    sources: Sequence[str] = (),
    *,
    state: StateDatabase,
    settings: Settings,
    clock: Clock,
) -> Trained:
    """Write bundle and report, enter the version in dev, and tell MLflow if it answers. Only a demo touches a signing key.

    `titles` of features and `sources` (contract tables) are what the report tells beside the record.
    """
    definition, as_of = record.definition, record.inputs.training_month
    building = settings.bundles / definition.name / f".{as_of}.building"
    notice = NOT_APPROVED if settings.demo else None
    sha256 = write_bundle(record, building, notice)
    bundle = settings.bundles / definition.name / f"{as_of}-{sha256[:12]}"
    if bundle.exists():
        for file in building.iterdir():
            file.unlink()
        building.rmdir()
    else:
        building.rename(bundle)
    policy = load_sign_off_policy(settings)
    told = Circumstances(
        titles, tuple(sources), policy.models.get(definition.name), policy.review_every_days, sha256, notice
    )
    written = training_files(record, told)
    report = write_files(written, settings.out / "reports" / definition.name, as_of)
    keep_findings(bundle, record.findings)
    keep_report(bundle, written)
    version = record_version(record, bundle, sha256, state=state, settings=settings, clock=clock)
    if settings.demo:
        sign_automatically(state, settings, clock, version)
    # Whether or not MLflow answers, the training is kept; what it couldn't be told waits in the outbox.
    synced = sync(state, settings, clock)
    with state.session() as session:
        version = session.get_one(ModelVersion, version.model_no)
    entry = None
    if version.mlflow_run_id is not None and version.mlflow_version is not None:
        entry = LedgerEntry.of(version.name, version.mlflow_run_id, version.mlflow_version)
    return Trained(record, bundle, sha256, report, entry, synced.failure)


def record_version(
    record: TrainingRecord,
    bundle: Path,
    sha256: str,
    *,
    state: StateDatabase,
    settings: Settings,
    clock: Clock,
) -> ModelVersion:
    """The version in the state database; a repeated training finds the row of the first."""
    definition, as_of = record.definition, record.inputs.training_month
    with state.session() as session:
        known = session.scalars(
            select(ModelVersion).where(
                ModelVersion.name == definition.name,
                ModelVersion.training_month == as_of,
                ModelVersion.bundle_sha256 == sha256,
            )
        ).first()
        if known is not None:
            return known
        version = ModelVersion(
            name=definition.name,
            training_month=as_of,
            bundle=str(bundle.relative_to(settings.home)),
            bundle_sha256=sha256,
            ships=str(record.ships),
            metrics=record.metrics(),
            trained_at=clock.now(),
        )
        session.add(version)
        session.flush()
        enter(session, clock, version)
        approval = NOT_APPROVED if settings.demo else APPROVED_LATER
        put_training(
            session, clock, version, training_entry(record, sha256, f"{approval.zh} / {approval.en}")
        )
        details: Mapping[str, str] = {"bundle_sha256": sha256, "ships": str(record.ships)}
        audit.record(session, clock, "training", "model.trained", f"{definition.name}/{as_of}", details)
    return version
