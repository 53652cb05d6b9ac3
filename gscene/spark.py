"""`gscene spark`: a standalone Spark cluster on this machine's loopback."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.errors import GsceneError
from core.settings import Settings
from gscene.console import Reporter
from gscene.options import home_option, json_option
from gscene.stopping import stops_ignored, stops_interrupt

if TYPE_CHECKING:
    from features.spark_cluster import Cluster
    from features.spark_session import SparkPlace


@click.group()
def spark() -> None:
    """A Spark cluster on this machine, for features and scores of more subjects than one process should hold.

    本机 Spark 集群：启动、停止、状态。

    \b
    Examples:
      gscene spark up --home var/bank --cores 4 --memory 8g     until Ctrl-C, or `down` from elsewhere
      gscene run --home var/bank --spark-master spark://127.0.0.1:7077
      gscene spark status --home var/bank
      gscene spark down --home var/bank

    Needs the extra `spark` (make install EXTRAS="--extra spark") and Java 17; see docs/spark.md.
    """


@spark.command("up")
@click.option(
    "--port", type=click.IntRange(1024, 65535), default=7077, show_default=True, help="Port of the master."
)
@click.option(
    "--cores", type=click.IntRange(1), default=2, show_default=True, help="Cores of the worker. 核数。"
)
@click.option(
    "--memory",
    help="Memory that the worker may give to executors, such as 8g; spark_memory when left out. 内存。",
)
@home_option("demo")
def up(port: int, cores: int, memory: str | None, home: Path) -> None:
    """Start a master and a worker on 127.0.0.1 and keep them up until Ctrl-C.

    启动主节点和工作节点，仅本机可访问，按 Ctrl-C 停止。

    \b
    Example:
      gscene spark up --home var/bank --cores 4 --memory 8g
    """
    from features.spark_cluster import Cluster

    reporter = Reporter()
    place = _place(home)
    given = memory or place.memory
    if memory is not None:
        place = _place(home, memory)
    cluster = Cluster(place, port, cores, given)
    with stops_interrupt():
        _keep_up(reporter, cluster)


def _keep_up(reporter: Reporter, cluster: Cluster) -> None:
    try:
        with reporter.stage("starting Spark"):
            cluster.start()
        reporter.results({"master": cluster.url})
        reporter.say(f"{cluster.cores} cores, {cluster.memory}. Ctrl-C stops it. 按 Ctrl-C 停止。")
        while cluster.ended() is None:
            time.sleep(0.5)
        raise GsceneError(
            f"Spark's {cluster.ended()} ended by itself.", f"Its log says why: {cluster.place.folder / 'log'}"
        )
    except KeyboardInterrupt:
        reporter.say("Stopping.")
    finally:
        with stops_ignored():
            cluster.stop()


@spark.command("down")
@home_option("demo")
@json_option
def down(home: Path, as_json: bool) -> None:
    """End the cluster of this home folder, its executors included.

    停止集群。

    \b
    Example:
      gscene spark down --home var/bank
    """
    from features.spark_cluster import take_down

    reporter = Reporter(as_json)
    reporter.results({"stopped": take_down(_place(home))})
    reporter.finish()


@spark.command("status")
@home_option("demo")
@json_option
def status(home: Path, as_json: bool) -> int:
    """Whether the cluster of this home folder is up; exit code 1 where it isn't.

    查看集群状态。

    \b
    Example:
      gscene spark status --home var/bank --json
    """
    from features.spark_cluster import read_record

    reporter = Reporter(as_json)
    record = read_record(_place(home))
    up_now = record is not None and record.up
    told: dict[str, object] = {"up": up_now}
    if record is not None:
        told |= {"master": record.master, "cores": record.cores, "memory": record.memory}
        told |= {
            name: f"pid {mark.pid}" if mark.alive else "gone"
            for name, mark in sorted(record.processes.items())
        }
    reporter.results(told)
    reporter.finish()
    return 0 if up_now else 1


def _place(home: Path, memory: str | None = None) -> SparkPlace:
    from features.spark_session import SparkPlace

    settings = Settings.load(home)
    if not settings.home.is_dir():
        raise GsceneError(
            f"{home} does not exist.", "Run `gscene demo` first, or name another folder with --home."
        )
    return SparkPlace.of(settings if memory is None else replace(settings, spark_memory=memory))
