"""The job `pull`: a data engineer brings deliveries in from the Dagster pages. Pulls alone are retried by Dagster."""

import os
from collections.abc import Mapping

import dagster as dg

from pipelines.workplace import Workplace
from sources.connectors.connection import load_connections
from sources.connectors.failure import UNAVAILABLE
from sources.connectors.our_side import OurSide


def our_side(workplace: Workplace, environment: Mapping[str, str]) -> OurSide:
    """The home folder as connections see it; `environment` may hold secrets that connections name."""
    return OurSide(
        home=workplace.settings.home,
        archive=workplace.settings.archive,
        state=workplace.state,
        clock=workplace.clock,
        adapters=workplace.blueprint.adapters,
        environment=environment,
        progress=workplace.progress,
    )


class PullConfig(dg.Config):
    """Names of connections; none: all."""

    connections: list[str] = []


@dg.op(
    retry_policy=dg.RetryPolicy(max_retries=2, delay=300, jitter=dg.Jitter.PLUS_MINUS),
    description="Brings new deliveries of all connections into inbox and ledger. 拉取各连接的新交付。",
)
def pull_deliveries(
    context: dg.OpExecutionContext, config: PullConfig, workplace: dg.ResourceParam[Workplace]
) -> None:
    """One pull; a connection that wasn't to be had fails the run after the others are done, and is tried again."""
    # Clients of SSH, HTTP and PostgreSQL: half a second that loading the definitions needn't take.
    from sources.connectors.pull import pull_all

    found = load_connections(workplace.settings.home)
    names = config.connections or list(found)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise dg.Failure(f"There is no connection {', '.join(unknown)}.", allow_retries=False)
    pulled = pull_all(our_side(workplace, os.environ), [found[name] for name in names])
    for one in pulled:
        context.log.info(
            f"{one.connection}: {one.state}, {len(one.new)} new deliveries, {one.bytes} bytes, "
            f"{len(one.refused)} refused"
        )
    wrong = [one for one in pulled if not one.well]
    if wrong:
        unavailable = any(one.state == UNAVAILABLE for one in wrong)
        told = "; ".join(
            f"{one.connection}: {one.problem or one.state} {one.remedy}".rstrip() for one in wrong
        )
        raise dg.Failure(told, allow_retries=unavailable)


@dg.job(description="Pull deliveries over all connections. 从所有连接拉取交付。")
def pull() -> None:
    """The job."""
    pull_deliveries()


def pull_schedule() -> dg.ScheduleDefinition:
    """Every night; stopped until somebody starts it."""
    return dg.ScheduleDefinition(
        name="pull_schedule",
        job=pull,
        cron_schedule="0 1 * * *",
        execution_timezone="Asia/Shanghai",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
