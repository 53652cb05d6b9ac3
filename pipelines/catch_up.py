"""Bring one installation up to date as of a month: what waits in the ledger, then features, outcomes, models, scores and lists.

The order of Dagster runs that a person would start by hand; each is a run of its own in the event log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import dagster as dg

from core.errors import GateRefused, GsceneError, Refusal, SignOffRefused, TooFewOutcomes
from core.months import Month, require_past
from core.subject import TableOwner
from expectations.receipts import require_receipt
from features.fact_definition import FactDefinition
from features.fact_store import months_in_step, stale_months
from features.feature_store import outdated_months
from features.linked_facts import LinkedFacts
from models.definition import ModelDefinition
from models.monthly_labels import source_tables
from models.monthly_training import vintages_of
from models.sign_off import require_sign_off
from pipelines.asset_style import asset_key
from pipelines.build import LISTS
from pipelines.launch import launch
from pipelines.monitoring_assets import monitoring_name
from pipelines.screening_assets import screening_name
from pipelines.workplace import Workplace
from sources.erased import require_finished
from sources.month_intake import accepted_rows, waiting_months
from sources.versions import accepted_by_period


@dataclass(frozen=True)
class CaughtUp:
    """What was brought up to date: models trained, lists made; why a model couldn't be trained, by name; what its sign-off lacks
    where it couldn't score; and as-of months whose features were made anew because their definition had changed, by feature
    table."""

    models: list[str]
    lists: list[str]
    untrained: dict[str, str]
    unsigned: dict[str, SignOffRefused] = field(default_factory=dict)
    made_anew: dict[str, list[Month]] = field(default_factory=dict)


def take_in_waiting(workplace: Workplace) -> None:
    """Take in every delivery that waits and fold its month; tables with the same months share one run. Then join what linked
    facts have of these months.

    Every delivery is tried; the first Refusal is raised when all have been and the months of the others are folded.
    """
    runs: dict[tuple[Month, Month], list[dg.AssetKey]] = {}
    for (kind, table), months in _unfinished(workplace).items():
        facts = _facts_of(workplace, kind, table)
        keys = [asset_key("raw", kind, table), *(asset_key("facts", kind, f.facts) for f in facts)]
        runs.setdefault((months[0], months[-1]), []).extend(keys)
    refused: Refusal | None = None
    for (first, last), keys in sorted(runs.items()):
        refusal = _take_in(workplace, keys, first, last)
        refused = refused or refusal
    _join(workplace)
    if refused is not None:
        raise refused


def _join(workplace: Workplace) -> None:
    """Join the months of linked facts that lag behind either side."""
    for definition in workplace.blueprint.facts.values():
        if isinstance(definition, LinkedFacts):
            months = stale_months(workplace.store, workplace.state, definition)
            for first, last in _spans(months):
                launch(workplace, [asset_key("facts", definition.subject, definition.facts)], first, last)


def _unfinished(workplace: Workplace) -> dict[tuple[TableOwner, str], list[Month]]:
    """Months with deliveries that wait, and months that an interrupted run left without a receipt or without their facts."""
    found = {
        (kind, table): _with_followers(workplace, kind, table, months)
        for (kind, table), months in waiting_months(workplace.state).items()
    }
    for contract in workplace.blueprint.contracts.values():
        for kind in contract.owners:
            table, facts = contract.raw_table(kind), _facts_of(workplace, kind, contract.table)
            accepted = accepted_by_period(workplace.state, table) if facts else {}
            rows = accepted_rows(workplace.state, kind, contract.table)
            with_rows = set(workplace.store.partitions(table))
            for period in sorted({*with_rows, *(each for each, numbers in accepted.items() if numbers)}):
                month = Month.parse(period)
                try:
                    if period in with_rows:
                        require_receipt(workplace.state, workplace.store, table, period)
                    for definition in facts:
                        months_in_step(workplace.store, workplace.state, definition, month, month)
                except GateRefused:
                    # Rows that no delivery brought are not ours to bless: the gate stays shut until they are gone.
                    if period in with_rows and workplace.store.rows(table, period) != rows.get(period, 0):
                        continue
                    found.setdefault((kind, contract.table), set()).add(month)
    return {key: sorted(months) for key, months in sorted(found.items())}


def _with_followers(
    workplace: Workplace, kind: TableOwner, table: str, months: Iterable[Month]
) -> set[Month]:
    """The months, and the delivered ones after them whose facts look back on them."""
    found = set(months)
    for definition in _facts_of(workplace, kind, table):
        there = set(workplace.store.partitions(definition.raw_table))
        every = {month.plus(ahead) for month in months for ahead in range(1, definition.look_back + 1)}
        found |= {month for month in every if str(month) in there}
    return found


def _facts_of(workplace: Workplace, kind: TableOwner, table: str) -> list[FactDefinition]:
    return [
        definition
        for (subject, _), definition in workplace.blueprint.facts.items()
        if subject is kind and definition.table == table
    ]


def _take_in(workplace: Workplace, keys: Sequence[dg.AssetKey], first: Month, last: Month) -> Refusal | None:
    """One run, repeated without what it refused until it goes through; returns the first Refusal.

    A Refusal ends a run, and months it had taken in by then would not wait any more: left so, they would never be folded.
    """
    refused: Refusal | None = None
    while True:
        waiting = waiting_months(workplace.state)
        try:
            launch(workplace, keys, first, last)
        except Refusal as refusal:
            if waiting_months(workplace.state) == waiting:
                raise
            refused = refused or refusal
        else:
            return refused


def bring_up_to_date(workplace: Workplace, as_of: Month) -> CaughtUp:
    """Everything that the delivered tables allow, as of one month. Raises what an asset raises; GateRefused while the
    month's knowledge cutoff lies ahead, because what would be known by then isn't known yet."""
    require_finished(workplace.state)
    require_past(workplace.clock, as_of, workplace.settings.cutoff_days)
    take_in_waiting(workplace)
    models = [model for model in workplace.blueprint.models.values() if _has_sources(workplace, model)]
    if not models:
        raise GsceneError(
            f"{workplace.settings.home} holds no delivered rows that a model could learn from.",
            "Bring deliveries first: gscene demo, or gscene run --sme-invoices DIR.",
        )
    made_anew = make_features_anew(workplace)
    _vintages(workplace, models, as_of)
    untrained: dict[str, str] = {}
    for model in models:
        try:
            launch(workplace, [asset_key("models", model.subject, model.name)], as_of, as_of)
        except TooFewOutcomes as few:
            untrained[model.name] = str(few)
    trained = [model for model in models if model.name not in untrained]
    if not trained:
        raise GsceneError(
            "no model could be trained. " + " ".join(untrained.values()),
            "Bring more subjects or more months.",
        )
    unsigned = _unsigned(workplace, trained, as_of)
    scored = {model.name: model.subject for model in trained if model.name not in unsigned}
    if scored:
        keys = [asset_key("scores", kind, name) for name, kind in scored.items()]
        launch(workplace, keys, as_of, as_of)
        watched = [asset_key("reports", kind, monitoring_name(name)) for name, kind in scored.items()]
        launch(workplace, watched, as_of, as_of)
    lists = [
        (name, scored[risk])
        for name, (_, risk, acquisition, _) in LISTS.items()
        if {risk, acquisition} - {None} <= set(scored)
    ]
    if lists:
        launch(workplace, [asset_key("leads", kind, name) for name, kind in lists], as_of, as_of)
    screened = {asset_key("reports", m.subject, screening_name(m.feature_set)) for m in models}
    launch(workplace, sorted(screened), as_of, as_of)
    return CaughtUp(
        [model.name for model in trained], [name for name, _ in lists], untrained, unsigned, made_anew
    )


def make_features_anew(workplace: Workplace) -> dict[str, list[Month]]:
    """Every as-of month whose features were made by another definition, as it was known then; returns them by feature table.

    A month that an interrupted run left undone keeps the record of its old definition, so the next run finds it again.
    """
    found: dict[str, list[Month]] = {}
    for feature_set in workplace.blueprint.feature_sets.values():
        contracts = workplace.blueprint.contracts
        months = outdated_months(workplace.store, workplace.state, feature_set, contracts)
        if months:
            found[feature_set.table] = months
            key = asset_key("features", feature_set.subject, feature_set.name)
            for first, last in _spans(months):
                launch(workplace, [key], first, last)
    return found


def _spans(months: Sequence[Month]) -> list[tuple[Month, Month]]:
    """Runs of months without a gap, each as its first and last."""
    starts = [month for month in months if month.plus(-1) not in months]
    ends = [month for month in months if month.plus(1) not in months]
    return list(zip(starts, ends, strict=True))


def _unsigned(
    workplace: Workplace, models: Sequence[ModelDefinition], as_of: Month
) -> dict[str, SignOffRefused]:
    """What the sign-off of each model lacks; those aren't asked to score, as the gate would refuse them."""
    found: dict[str, SignOffRefused] = {}
    for model in models:
        try:
            require_sign_off(workplace.state, workplace.settings, model.name, as_of, workplace.clock)
        except SignOffRefused as refused:
            found[model.name] = refused
    return found


def _has_sources(workplace: Workplace, model: ModelDefinition) -> bool:
    feature_set = workplace.blueprint.feature_sets[model.feature_set]
    tables = [f"raw/{model.subject}/{table}" for table in source_tables(model.label)]
    facts = [definition.raw_table for definition in feature_set.facts.values()]
    return all(map(workplace.store.partitions, tables)) and any(map(workplace.store.partitions, facts))


def _vintages(workplace: Workplace, models: Sequence[ModelDefinition], as_of: Month) -> None:
    """Features and outcomes of every vintage that the models need, and the features of the month itself."""
    runs: dict[tuple[Month, Month], set[dg.AssetKey]] = {}
    for model in models:
        feature_set = workplace.blueprint.feature_sets[model.feature_set]
        starts = [workplace.store.partitions(d.raw_table)[:1] for d in feature_set.facts.values()]
        first = min((Month.parse(months[0]) for months in starts if months), default=as_of)
        months = [month for month in vintages_of(model, as_of)[0] if month >= first]
        features = asset_key("features", model.subject, model.feature_set)
        if months:
            labels = asset_key("labels", model.subject, model.label.kind)
            runs.setdefault((months[0], months[-1]), set()).update({features, labels})
        runs.setdefault((as_of, as_of), set()).add(features)
    for (start, end), keys in sorted(runs.items()):
        launch(workplace, sorted(keys), start, end)
