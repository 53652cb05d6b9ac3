"""`gscene migrate check`: the fifteen parity checks of one migration, from the rows of both sides to the lead list."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GsceneError
from core.months import CHINA_TIME, Month, require_past
from core.purpose import Purpose
from core.state import ParityCheck
from core.subject import SubjectKind
from features.catalogue import FeatureSet
from features.entitlement import families, family
from features.feature_parity import FactsBeside, feature_parity, features_of, fold_known_rows
from leads.carry_over import (
    carry_over,
    consent_basis,
    meaningless_consents,
    protected_subjects,
    register_kept,
)
from leads.list_parity import list_parity
from leads.monthly_list import UNTESTED_PROPENSITY
from leads.policy import LeadPolicy, load_policies
from models.artefact import load_bundle
from models.definition import ModelDefinition
from models.monthly_training import champion_or_newest
from models.score_parity import no_champion, score_parity
from models.scoring import score
from pipelines.build import LISTS
from pipelines.trial_intake import require_both_sides, take_in_trial
from pipelines.workplace import Workplace
from sources.adapter import Adapter
from sources.adapter_lint import fed_columns
from sources.migration.acts import keep_check
from sources.migration.crosswalk import Crosswalk
from sources.migration.definition import FeedOf, MigratedTable, MigrationDefinition
from sources.migration.finding import ParityFinding, not_row_verifiable
from sources.migration.links import UNLINKED, SubjectLinks
from sources.migration.parity_of_rows import (
    crosswalk_cardinality,
    key_coverage,
    key_versions,
    nulls,
    schema_kept,
    volume,
)
from sources.migration.parity_of_time import history_depth, lateness, restatement
from sources.migration.parity_of_values import codes_determined, dates_kept, numbers_equal, units_kept
from sources.migration.sides import SideReader, TableSides
from sources.migration.states import ON_TRIAL, definition_of, find, require_state
from sources.migration.vault import CrosswalkVault
from sources.versions import resolver

#: Registers that say who is protected; a migrated one is compared too.
REGISTERS = ("suppression", "consent_register")


def check_migration(workplace: Workplace, name: str, actor: str) -> ParityCheck:
    """Take in what waits on trial, run every check at this moment and write the outcome down; the state follows it.

    GateRefused before the knowledge cutoff of the last month of the dual run, and where a month isn't vouched for by a receipt.
    """
    with workplace.state.session() as session:
        migration = find(session, name)
        require_state(migration, "be checked", *ON_TRIAL)
        definition = definition_of(migration)
    require_past(workplace.clock, definition.dual_run.months[-1], workplace.settings.cutoff_days)
    take_in_trial(workplace, definition)
    parity = Parity(workplace, definition, crosswalk_of(workplace, definition), workplace.clock.now())
    findings = parity.findings()
    with workplace.state.session() as session:
        return keep_check(session, workplace.clock, find(session, name), actor, findings, parity.inputs)


def crosswalk_of(workplace: Workplace, definition: MigrationDefinition) -> Crosswalk | None:
    """The kept crosswalk of a migration, None where it has none."""
    with workplace.state.session() as session:
        kept = find(session, definition.migration).crosswalk
    if not definition.crosswalk or kept is None:
        return None
    vault = CrosswalkVault(workplace.settings.home, definition.migration)
    return vault.read(definition, str(kept["sha256"]))


@dataclass
class Parity:
    """One run: both sides of every table as known at `at`. `inputs`: content hash of everything that was compared, by name."""

    workplace: Workplace
    definition: MigrationDefinition
    crosswalk: Crosswalk | None
    at: datetime
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def months(self) -> list[str]:
        """Months of the dual run."""
        return [str(month) for month in self.definition.dual_run.months]

    @property
    def linked(self) -> bool:
        """Whether subjects of both sides can be told to be the same."""
        return self.definition.linking != "none"

    def findings(self) -> list[ParityFinding]:
        """All checks in order, waivers applied."""
        found = (
            []
            if self.crosswalk is None
            else [crosswalk_cardinality(self.crosswalk, self.definition.tolerances)]
        )
        found += [
            key_versions(str(kind), ids, self.definition.key_ver.new) for kind, ids in self._trial_ids()
        ]
        with self.workplace.progress.stage("compare tables", len(self.sides)) as stage:
            for sides in self.sides:
                found += self._of_table(sides)
                stage.advance(note=sides.table.name)
        with self.workplace.progress.stage(
            "compare features, scores, lists", len(self.definition.kinds)
        ) as stage:
            for kind in self.definition.kinds:
                found += self._of_results(kind) + self.protection(kind)
                stage.advance(note=str(kind))
        return sorted((self._waived(one) for one in found), key=lambda one: one.check)

    @cached_property
    def sides(self) -> list[TableSides]:
        """Both sides of every migrated table."""
        return [self._sides(table) for table in self.definition.tables]

    # -- rows ------------------------------------------------------------------------------------------------------

    def _of_table(self, sides: TableSides) -> list[ParityFinding]:
        limits = self.definition.tolerances
        return [
            *schema_kept(sides, limits),
            *volume(sides, limits, self.definition.regions),
            *key_coverage(sides, limits),
            *numbers_equal(sides, limits),
            *units_kept(sides, limits),
            *codes_determined(sides, limits),
            *dates_kept(sides, limits),
            *nulls(sides, limits),
            *history_depth(sides, limits, self.definition.cut_over_month),
            *lateness(sides, limits),
            *restatement(sides, limits),
        ]

    def _sides(self, table: MigratedTable) -> TableSides:
        place, schema = self.workplace, self.workplace.blueprint.schemas[table.table]
        require_both_sides(place, table, self.months)
        live, trial = place.registry(table.subject), place.trial_registry(table.subject)
        links = SubjectLinks(self.crosswalk) if self.linked else None
        numbers = (
            np.full(trial.size, UNLINKED, dtype=np.int32)
            if links is None
            else links.live_numbers(live, trial)
        )
        names = [canonical_columns(place.blueprint.adapters, feeds) for feeds in (table.old, table.new)]
        readers = (
            SideReader(place.store, place.state, "raw", _sources(table.old), None, None, names[0]),
            SideReader(place.store, place.state, "trial", _sources(table.new), numbers, links, names[1]),
        )
        old, new = (
            reader.read(table, schema, fed_by_all(place.blueprint.adapters, feeds), self.months, self.at)
            for reader, feeds in zip(readers, (table.old, table.new), strict=True)
        )
        for month in self.months:
            for folder in ("raw", "trial"):
                name = f"{folder}/{table.name}"
                self.inputs[f"{name}/{month}"] = place.store.content_hash(name, month)
        return TableSides(table, schema, old, new, self.linked, table.key(schema))

    def _trial_ids(self) -> Iterator[tuple[SubjectKind, pa.Array]]:
        """Pseudonyms of the new side's subjects, by kind."""
        for kind in self.definition.kinds:
            numbers = [s.new.own_subject for s in self.sides if s.table.subject is kind]
            yield kind, self.workplace.trial_registry(kind).subject_ids(np.unique(np.concatenate(numbers)))

    # -- features, scores, lists -----------------------------------------------------------------------------------

    def _of_results(self, kind: SubjectKind) -> list[ParityFinding]:
        sides = [one for one in self.sides if one.table.subject is kind]
        migrated = {one.table.table for one in sides}
        found: list[ParityFinding] = []
        for feature_set in self.workplace.blueprint.feature_sets.values():
            if feature_set.subject is kind and migrated & {f.table for f in feature_set.facts.values()}:
                found += self._of_features(feature_set, sides)
        return found

    def _of_features(self, feature_set: FeatureSet, sides: list[TableSides]) -> list[ParityFinding]:
        limits, models = self.definition.tolerances, self._models(feature_set, Purpose.RISK)
        policies = [(policy, model) for model in models for policy in _policies(model)]
        if not self.linked:
            return [
                not_row_verifiable("PC12", feature_set.name, "features"),
                *(not_row_verifiable("PC13", model.name, "scores") for model in models),
                *(not_row_verifiable("PC14", policy.policy, "list") for policy, _ in policies),
            ]
        with self._both_features(feature_set, sides) as (old, new):
            found = feature_parity(old, new, feature_set.name, limits)
            for model in models:
                found += self._of_scores(model, feature_set, old, new)
        return found

    def _of_scores(
        self, model: ModelDefinition, feature_set: FeatureSet, old: pd.DataFrame, new: pd.DataFrame
    ) -> list[ParityFinding]:
        both = [self._scored(model, frame) for frame in (old, new)]
        mine, theirs = both
        if mine is None or theirs is None:
            return [no_champion(model.name)]
        limits, policies = self.definition.tolerances, _policies(model)
        worst = next((p.risk_gate.worst_grade for p in policies if p.risk_gate is not None), None)
        found = score_parity(
            mine["pd"].to_numpy(), theirs["pd"].to_numpy(), mine["grade"].to_numpy(), theirs["grade"].to_numpy(),
            model.name, limits, worst,
        )  # fmt: skip
        for policy in policies:
            by_old, by_new = (
                scores.assign(propensity=self._propensity(policy, frame))
                for scores, frame in ((mine, old), (theirs, new))
            )
            found.append(list_parity(by_old, by_new, policy, self.definition.list_size, limits))
        return found

    def _scored(self, model: ModelDefinition, features: pd.DataFrame) -> pd.DataFrame | None:
        """Scores of the champion, or of the newest version where none is live yet; None where none was trained. They are compared
        and forgotten, never published, so nobody's sign-off is asked for."""
        try:
            version = champion_or_newest(self.workplace.state, model.name, self.definition.cut_over_month)
        except GsceneError:
            return None
        self.inputs[f"models/{model.name}"] = version.bundle_sha256
        bundle = load_bundle(self.workplace.settings.home / version.bundle, version.bundle_sha256)
        return score(bundle, features, threads=self.workplace.settings.threads)

    def _propensity(self, policy: LeadPolicy, features: pd.DataFrame) -> np.ndarray:
        name = LISTS[policy.policy][2]
        models = self.workplace.blueprint.models
        scored = self._scored(models[name], features) if name in models else None
        return np.full(len(features), UNTESTED_PROPENSITY) if scored is None else scored["pd"].to_numpy()

    def _models(self, feature_set: FeatureSet, purpose: Purpose) -> list[ModelDefinition]:
        models = self.workplace.blueprint.models.values()
        return [m for m in models if m.feature_set == feature_set.name and m.purpose == purpose]

    @contextmanager
    def _both_features(
        self, feature_set: FeatureSet, sides: list[TableSides]
    ) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """Features of subjects that both sides know, from scratch facts that end with the check."""
        scratch = CrosswalkVault(self.workplace.settings.home, self.definition.migration).folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        as_of, days = self.definition.dual_run.months[-1], self.workplace.settings.cutoff_days
        subjects = common_subjects(sides)
        frames = []
        try:
            for side in ("old", "new"):
                store = FactsBeside(scratch / side, self.workplace.store)
                fold_side(store, feature_set, sides, side, self.months)
                frames.append(features_of(store, feature_set, as_of, subjects, days))
            yield frames[0], frames[1]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    # -- protection ------------------------------------------------------------------------------------------------

    def protection(self, kind: SubjectKind) -> list[ParityFinding]:
        """PC15 of one kind, from the registers as they are now."""
        live = self.workplace.registry(kind)
        raw = [self._register(f"raw/{kind}/{name}") for name in REGISTERS]
        protected = protected_subjects(*raw)
        ids = live.subject_ids(protected)
        found = [carry_over(str(kind), ids, self.definition.linking, self.crosswalk)]
        found += [
            register_kept(str(kind), name, *self._register_sides(sides, name))
            for sides in self.sides
            for name in REGISTERS
            if (sides.table.subject, sides.table.table) == (kind, name) and sides.linked
        ]
        if raw[1] is not None:
            schema = self.workplace.blueprint.schemas["consent_register"]
            standing = resolver(schema, self.workplace.state, f"raw/{kind}/consent_register")(raw[1], self.at)
            migrated = {family(table.table) for table in self.definition.tables}
            basis = consent_basis(standing, migrated, families(self.workplace.blueprint.contracts))
            found.append(meaningless_consents(str(kind), basis))
        return found

    def _register(self, table: str) -> pa.Table | None:
        """All versions of all months; None where nothing was ever delivered."""
        store = self.workplace.store
        return store.read(table) if store.exists(table) else None

    def _register_sides(self, sides: TableSides, name: str) -> tuple[list[int], list[int]]:
        chosen = []
        for side in (sides.old, sides.new):
            rows = side.rows
            if name == "consent_register":
                rows = rows.filter(rows.column("withdrawn_at").is_valid())
            chosen.append(pc.unique(rows.column("subject_no")).to_pylist())
        return chosen[0], chosen[1]

    def _waived(self, finding: ParityFinding) -> ParityFinding:
        today = self.at.astimezone(CHINA_TIME).date()
        waiver = self.definition.waiver(finding.check, finding.table, today) if finding.blocks else None
        if waiver is None:
            return finding
        return finding.waived(f"{waiver.who}, until {waiver.until}: {waiver.reason}")


def fed_by_all(adapters: Mapping[str, Adapter], feeds: tuple[FeedOf, ...]) -> frozenset[str]:
    """Canonical columns that every one of these feeds fills, subject and period left aside."""
    filled = [frozenset(fed_columns(adapters[feed.adapter])) for feed in feeds]
    return frozenset.intersection(*filled) - {"subject_id", "period"}


def canonical_columns(adapters: Mapping[str, Adapter], feeds: tuple[FeedOf, ...]) -> dict[str, str]:
    """Canonical column by the source column that it is read from."""
    rules = [(name, rule) for feed in feeds for name, rule in adapters[feed.adapter].columns.items()]
    return {rule.source_column: name for name, rule in rules if rule.source_column is not None}


def common_subjects(sides: list[TableSides]) -> np.ndarray:
    """Live numbers of subjects that both sides know in any table, sorted."""
    found = [
        np.intersect1d(
            one.old.rows.column("subject_no").to_numpy(), one.new.rows.column("subject_no").to_numpy()
        )
        for one in sides
    ]
    return np.unique(np.concatenate(found)).astype(np.int32)


def fold_side(
    store: FactsBeside, feature_set: FeatureSet, sides: list[TableSides], side: str, months: list[str]
) -> None:
    """Facts of the dual run's months from one side's rows; rows of subjects that nothing links are left aside."""
    for one in sides:
        rows = (one.old if side == "old" else one.new).rows
        rows = rows.filter(pc.not_equal(rows.column("subject_no"), UNLINKED))
        for definition in feature_set.facts.values():
            # Linked facts stay the bank's own on both sides.
            if definition.table == one.table.table and not definition.upstream:
                for month in months:
                    fold_known_rows(store, definition, one.schema, rows, Month.parse(month))


def _sources(feeds: tuple[FeedOf, ...]) -> frozenset[str]:
    return frozenset(feed.source for feed in feeds)


def _policies(model: ModelDefinition) -> list[LeadPolicy]:
    """Lead policies whose risk gate or value stands on this model."""
    return [
        policy for name, policy in load_policies().items() if name in LISTS and LISTS[name][1] == model.name
    ]
