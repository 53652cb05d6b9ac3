"""Sensors: what arrives starts what depends on it. Stopped until somebody starts them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg

from core.settings import Settings
from core.state import StateDatabase
from core.table_store import TableStore
from features.fact_store import linked_months, stale_months
from features.linked_facts import LinkedFacts
from models.monitoring.kept import Wanted, wanted_since
from pipelines.asset_style import asset_key
from pipelines.workplace import blueprint
from sources.month_intake import waiting_months


def waiting_deliveries(home: Callable[[], Path]) -> dg.SensorDefinition:
    """Start the intake of every month that has deliveries waiting in the ledger, late and corrected ones included."""

    @dg.sensor(
        name="waiting_deliveries",
        job_name="intake",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Takes in deliveries that wait in the ledger. 自动接收台账中等待的交付。",
    )
    def sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings = Settings.load(home())
        state = _state(settings)
        if state is None:
            yield _no_home(settings)
            return
        waiting = waiting_months(state)
        if not waiting:
            joins = list(_joins(TableStore(settings.lake), state))
            yield from joins
            if not joins:
                yield dg.SkipReason("no delivery waits")
        for (kind, table), months in waiting.items():
            facts = [f.facts for (of, _), f in blueprint().facts.items() if of is kind and f.table == table]
            for month, last_delivery in months.items():
                yield dg.RunRequest(
                    # Dagster drops a key it has seen; a later delivery of the same month is another key.
                    run_key=f"{kind}/{table}/{month}/{last_delivery}",
                    partition_key=str(month),
                    asset_selection=[
                        asset_key("raw", kind, table),
                        *(asset_key("facts", kind, f) for f in facts),
                    ],
                )

    return sensor


def _state(settings: Settings) -> StateDatabase | None:
    """The home's state database, migrated; None where there is no home yet."""
    if not settings.home.is_dir():
        return None
    state = StateDatabase(settings.state_url)
    state.migrate()
    return state


def _no_home(settings: Settings) -> dg.SkipReason:
    return dg.SkipReason(f"{settings.home} does not exist yet")


def _joins(store: TableStore, state: StateDatabase) -> Iterator[dg.RunRequest]:
    """Months of linked facts that lag behind what was taken in; asked for when nothing waits, so that both sides are there."""
    for definition in blueprint().facts.values():
        if isinstance(definition, LinkedFacts):
            for month in stale_months(store, state, definition):
                inputs = [store.content_hash(*each) for each in linked_months(store, definition, month)]
                yield dg.RunRequest(
                    run_key=f"{definition.fact_table}/{month}/{'/'.join(inputs)}",
                    partition_key=str(month),
                    asset_selection=[asset_key("facts", definition.subject, definition.facts)],
                )


def monitoring_triggers(home: Callable[[], Path]) -> dg.SensorDefinition:
    """Start the training that monitoring asked for, and name the reviews that people have to do. It never signs or promotes: what
    is trained stands in dev until people have signed it."""

    @dg.sensor(
        name="monitoring_triggers",
        asset_selection=dg.AssetSelection.groups("labels", "models"),
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Retraining and reviews that monitoring asks for. 监测触发的重训与复核请求，从不自行上线。",
    )
    def sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        settings = Settings.load(home())
        state = _state(settings)
        if state is None:
            yield _no_home(settings)
            return
        found = wanted_since(state, int(context.cursor or 0))
        trainings = {_training_key(each): each for each in found if each.response == "retrain"}
        known = blueprint().models
        for key, each in trainings.items():
            if each.model in known:
                yield _training(key, each)
        reviews = [
            f"{each.version} of {each.month}: {each.code}" for each in found if each.response == "review"
        ]
        if reviews:
            context.log.warning("review wanted / 请求复核: " + "; ".join(reviews))
        if not trainings:
            told = "review wanted: " + "; ".join(reviews) if reviews else "monitoring asks for nothing new"
            yield dg.SkipReason(told)
        if found:
            context.update_cursor(str(found[-1].event_no))

    return sensor


def _training_key(wanted: Wanted) -> str:
    """One run per version and month, however many reasons: Dagster drops a key it has seen, also where its cursor was reset."""
    return f"retrain/{wanted.version}/{wanted.month}"


def _training(key: str, wanted: Wanted) -> dg.RunRequest:
    model = blueprint().models[wanted.model]
    return dg.RunRequest(
        run_key=key,
        partition_key=wanted.month,
        asset_selection=[
            asset_key("labels", model.subject, model.label.kind),
            asset_key("models", model.subject, model.name),
        ],
        tags={"gscene/reason": wanted.code, "gscene/version": wanted.version},
    )
