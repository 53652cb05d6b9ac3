"""Sensors: what arrives starts what depends on it. Stopped until somebody starts them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg

from core.settings import Settings
from core.state import StateDatabase
from core.table_store import TableStore
from features.fact_store import linked_months, stale_months
from features.linked_facts import LinkedFacts
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
        if not settings.home.is_dir():
            yield dg.SkipReason(f"{settings.home} does not exist yet")
            return
        state = StateDatabase(settings.state_url)
        state.migrate()
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
