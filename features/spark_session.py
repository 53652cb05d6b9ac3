"""How an installation reaches Apache Spark: on this machine's cores, or on a standalone cluster; on loopback, without pages.

Needs the extra `spark` and Java 17; what is missing is a GsceneError that says how to get it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core.errors import GsceneError
from core.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Spark 4 runs on nothing older.
OLDEST_JAVA = 17

LOOPBACK = "127.0.0.1"

#: Seconds within which a cluster must give an executor: without this a job that asks for too much memory waits for ever.
EXECUTOR_LIMIT = 60

_LOCAL = re.compile(r"local\[([1-9]\d*|\*)\]")


@dataclass(frozen=True)
class SparkPlace:
    """Where Spark computes and where it may write: `master` is `local[2]` or `spark://host:port`; `memory` as in `2g`, of the
    driver and of each executor; `folder` holds scratch files and the cluster's secret."""

    master: str
    memory: str
    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> SparkPlace:
        """As the settings say; GsceneError for a master or an amount of memory that Spark wouldn't understand."""
        master, memory = settings.spark_master, settings.spark_memory
        address = urlsplit(master)
        if not _LOCAL.fullmatch(master) and not (address.scheme == "spark" and address.netloc):
            raise GsceneError(
                f"spark_master is {master}.",
                "Write local[2] (2 cores of this machine) or spark://127.0.0.1:7077.",
            )
        if address.scheme == "spark" and address.hostname not in (LOOPBACK, "localhost"):
            raise GsceneError(
                f"{master} lies on another machine; gscene talks to Spark on this machine only.",
                "Start a cluster here with `gscene spark up`, or see docs/spark.md for what several machines need.",
            )
        if not re.fullmatch(r"[1-9]\d*[mg]", memory):
            raise GsceneError(f"spark_memory is {memory}.", "Write an amount such as 512m or 2g.")
        return cls(master, memory, settings.spark)

    @property
    def scratch(self) -> Path:
        """Folder of files that live as long as one computation."""
        return self.folder / "scratch"

    @property
    def configuration(self) -> Path:
        """SPARK_CONF_DIR of a cluster started here: who can read it may use the cluster."""
        return self.folder / "conf"

    @property
    def on_cluster(self) -> bool:
        """Whether executors are processes of a cluster."""
        return not self.master.startswith("local")


def require_spark(environment: Mapping[str, str]) -> None:
    """GsceneError where PySpark or a Java that is new enough is missing."""
    if importlib.util.find_spec("pyspark") is None:
        raise GsceneError(
            "the engine spark needs PySpark, which isn't installed.",
            'Run make install EXTRAS="--extra spark", or go on with the engine local.',
        )
    found = java_version(environment)
    if found is None or found < OLDEST_JAVA:
        seen = "there is none" if found is None else f"this one is {found}"
        raise GsceneError(
            f"the engine spark needs Java {OLDEST_JAVA} or newer; {seen}.",
            "Install one (Debian: apt-get install openjdk-17-jre-headless) or point JAVA_HOME at it.",
        )


def java_version(environment: Mapping[str, str]) -> int | None:
    """Major version of the Java that Spark would start; None where there is none."""
    home = environment.get("JAVA_HOME")
    program = shutil.which("java", path=str(Path(home) / "bin") if home else environment.get("PATH", ""))
    if program is None:
        return None
    told = subprocess.run(
        [program, "-version"], env=dict(environment), capture_output=True, text=True, check=False
    ).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(version.group(1)) if version else None


def open_session(place: SparkPlace) -> SparkSession:
    """The session of this process at `place`, started where there is none. GsceneError where Spark or its cluster is missing, or
    where a session at another master is open: a process has one."""
    require_spark(os.environ)
    place.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    if place.on_cluster and place.configuration.is_dir():
        # The secret stands in this folder's spark-defaults.conf; as an argument it would be seen in the list of processes.
        os.environ["SPARK_CONF_DIR"] = str(place.configuration)
    os.environ["SPARK_LOCAL_IP"] = LOOPBACK
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from py4j.protocol import Py4JError
    from pyspark.sql import SparkSession

    open_one = SparkSession.getActiveSession()
    if open_one is not None:
        if open_one.sparkContext.master != place.master:
            raise GsceneError(
                f"this process already computes on {open_one.sparkContext.master}.",
                "Use one master per process.",
            )
        return open_one
    builder = SparkSession.builder.master(place.master).appName("gscene")
    for name, value in _configuration(place).items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except (Py4JError, RuntimeError) as error:
        raise _unreachable(place) from error
    session.sparkContext.setLogLevel("ERROR")
    if place.on_cluster:
        _await_executor(session, place)
    return session


def _configuration(place: SparkPlace) -> dict[str, str]:
    ipv4 = "-Djava.net.preferIPv4Stack=true"
    return {
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.driver.memory": place.memory,
        "spark.executor.memory": place.memory,
        "spark.driver.extraJavaOptions": ipv4,
        "spark.executor.extraJavaOptions": ipv4,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(place.scratch),
        "spark.sql.warehouse.dir": str(place.scratch / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "8",
        # Our files split numbers into byte streams (half the size, a third less time for Arrow); Spark's vectorised reader can't.
        "spark.sql.parquet.enableVectorizedReader": "false",
        # Of two versions of one month the later is kept; they are sorted by when they became known.
        "spark.sql.mapKeyDedupPolicy": "LAST_WIN",
    }


def _await_executor(session: SparkSession, place: SparkPlace) -> None:
    import time

    from py4j.protocol import Py4JError

    end = time.monotonic() + EXECUTOR_LIMIT
    while time.monotonic() < end:
        try:
            # The driver counts as one.
            if session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() > 1:
                return
        except Py4JError:
            break
        time.sleep(0.2)
    session.stop()
    raise _unreachable(place)


def _unreachable(place: SparkPlace) -> GsceneError:
    return GsceneError(
        f"{place.master} gives no executor with {place.memory} of memory.",
        "Look with `gscene spark status`: is it up, is it free, has each worker so much memory?",
    )
