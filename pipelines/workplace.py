"""One opened home folder: everything an asset or a command needs, made once and handed over."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from core.clock import Clock, SystemClock
from core.progress import Progress, SilentProgress
from core.settings import Settings
from core.state import StateDatabase
from core.subject import SubjectKind, TableOwner
from core.subject_registry import SubjectRegistry
from core.table_schema import TableSchema
from core.table_store import TableStore
from expectations.contract import Contract, load_contracts
from expectations.plausibility import Probe, load_probes
from features.catalogue import FeatureSet, load_catalogue
from features.engine import FeatureEngine, LocalEngine
from features.entitlement import Entitlements
from features.fact_definition import FactDefinition, load_all_facts
from models.batch_scoring import BatchScorer, LocalScorer
from models.definition import ModelDefinition, load_model_definitions
from models.lineage import check_model
from rights.installation import Installation
from sources.adapter import Adapter, load_adapters


@dataclass(frozen=True)
class Blueprint:
    """All definitions of the checkout, loaded and checked against each other."""

    contracts: dict[str, Contract]
    adapters: dict[str, Adapter]
    facts: dict[tuple[SubjectKind, str], FactDefinition]
    feature_sets: dict[str, FeatureSet]
    models: dict[str, ModelDefinition]
    probes: dict[str, tuple[Probe, ...]]

    @property
    def schemas(self) -> dict[str, TableSchema]:
        """Schema of every contract by table."""
        return {name: contract.schema() for name, contract in self.contracts.items()}


@cache
def blueprint() -> Blueprint:
    """Load every definition once a process; a mistake in any file is a Refusal that names it."""
    contracts = load_contracts()
    schemas = {name: contract.schema() for name, contract in contracts.items()}
    facts = load_all_facts(schemas)
    feature_sets, models = load_catalogue(facts, schemas), load_model_definitions()
    for model in models.values():
        check_model(model, feature_sets, schemas)
    return Blueprint(
        contracts=contracts,
        adapters=load_adapters(schemas),
        facts=facts,
        feature_sets=feature_sets,
        models=models,
        probes=load_probes(),
    )


@dataclass
class Workplace:
    """A home folder with its store, state and subject numbers."""

    settings: Settings
    store: TableStore
    state: StateDatabase
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(default_factory=SilentProgress)
    _registries: dict[TableOwner, SubjectRegistry] = field(default_factory=dict)

    @classmethod
    def open(cls, home: Path, clock: Clock | None = None, progress: Progress | None = None) -> Workplace:
        """Open (and where needed create) the home folder and bring its state database up to date."""
        settings = Settings.load(home)
        settings.home.mkdir(parents=True, exist_ok=True)
        state = StateDatabase(settings.state_url)
        state.migrate()
        return cls(
            settings,
            TableStore(settings.lake),
            state,
            clock or SystemClock(),
            progress or SilentProgress(),
        )

    @property
    def blueprint(self) -> Blueprint:
        """The definitions of the checkout."""
        return blueprint()

    @property
    def engine(self) -> FeatureEngine:
        """Who computes features, as the settings say; GsceneError where the settings of Spark are wrong."""
        if self.settings.engine == "local":
            return LocalEngine(self.settings.chunk_subjects)
        from features.spark_chunks import SparkEngine
        from features.spark_session import SparkPlace

        return SparkEngine(SparkPlace.of(self.settings), self.settings.chunk_subjects)

    @property
    def scorer(self) -> BatchScorer:
        """Who scores, on the same engine."""
        if self.settings.engine == "local":
            return LocalScorer(self.settings.threads)
        from features.spark_session import SparkPlace
        from models.spark_scoring import SparkScorer

        return SparkScorer(SparkPlace.of(self.settings))

    def on_engine(self, engine: str | None, spark_master: str | None = None) -> Workplace:
        """The same home with another engine or master than its settings say; None: as they say."""
        if engine is None and spark_master is None:
            return self
        settings = replace(
            self.settings,
            engine=engine or "spark",
            spark_master=spark_master or self.settings.spark_master,
        )
        if settings.engine == "spark":
            from features.spark_session import SparkPlace, require_spark

            # Told before anything is taken in, not an hour later.
            SparkPlace.of(settings)
            require_spark(os.environ)
        return replace(self, settings=settings)

    def entitlements(self, kind: SubjectKind) -> Entitlements:
        """Who of one kind may be used for what."""
        return Entitlements(
            kind, self.store, self.state, self.blueprint.contracts, self.clock, self.settings.cutoff_days
        )

    def installation(self) -> Installation:
        """The home with its definitions, for access and erasure."""
        plan = self.blueprint
        return Installation(
            self.settings, self.store, self.state, self.clock, self.progress, plan.contracts, plan.adapters,
            plan.feature_sets, plan.models,
        )  # fmt: skip

    def registry(self, owner: TableOwner) -> SubjectRegistry:
        """Subject numbers of one kind; those of `shared` stay empty, as no row of a shared table is about a subject."""
        return self._registries.setdefault(owner, SubjectRegistry(self.store, owner))

    def trial_registry(self, owner: TableOwner) -> SubjectRegistry:
        """Subject numbers of one kind on the trial lane."""
        return SubjectRegistry(self.store, owner, "trial")
