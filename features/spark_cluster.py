"""A standalone Spark cluster on this machine: one master, one worker, both on loopback, both gone when whoever started them goes.

Every process that wants to use it needs the secret in `<home>/spark/conf`, which only the owner of the home can read: another
user of the machine can't run code here through it. Linux only.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from core.errors import GsceneError
from features.spark_session import LOOPBACK, SparkPlace, require_spark

#: Seconds until master and worker must have found each other.
START_LIMIT = 120

#: Seconds given to a process to end by itself.
STOP_LIMIT = 15

_MASTER, _WORKER = "org.apache.spark.deploy.master.Master", "org.apache.spark.deploy.worker.Worker"

#: Said once by a worker in its log.
_REGISTERED = "Successfully registered with master"

#: `prctl` option: the signal that the kernel sends to a process when its parent dies.
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessMark:
    """A process by number and start (clock ticks since boot), so that a number given to another process isn't mistaken for it."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """The process that has the number now; started 0 where there is none."""
        return cls(pid, _started(pid))

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.started > 0 and _started(self.pid) == self.started


@dataclass(frozen=True)
class ClusterRecord:
    """What `<home>/spark/cluster.json` says of a cluster that was started."""

    master: str
    cores: int
    memory: str
    processes: dict[str, ProcessMark]

    @property
    def up(self) -> bool:
        """Whether master and worker run."""
        return all(self.processes[name].alive for name in ("master", "worker"))


def read_record(place: SparkPlace) -> ClusterRecord | None:
    """The cluster last started for this home; None where there is none or it was taken down."""
    try:
        plain = json.loads(_record(place).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    marks = {name: ProcessMark(**mark) for name, mark in plain.pop("processes").items()}
    return ClusterRecord(**plain, processes=marks)


class Cluster:
    """A cluster that this process started and takes down."""

    def __init__(self, place: SparkPlace, port: int, cores: int, memory: str) -> None:
        self.place, self.cores, self.memory = place, cores, memory
        self.url = f"spark://{LOOPBACK}:{port}"
        self.port = port
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start master and worker and wait until they have found each other; GsceneError where one is up already or a part is
        missing. Whatever was started is down again when this fails."""
        require_spark(os.environ)
        old = read_record(self.place)
        if old is not None and old.up:
            raise GsceneError(
                f"a cluster is up already at {old.master}.", "Use it, or end it with gscene spark down."
            )
        _require_free(self.port)
        _configure(self.place)
        at = ["--host", LOOPBACK, "--webui-port", "0"]
        try:
            self._start("master", [_MASTER, *at, "--port", str(self.port)])
            self._await("master", lambda: _listens(self.port))
            self._start(
                "worker",
                [_WORKER, *at, "--cores", str(self.cores), "--memory", self.memory, self.url],
            )
            self._await("worker", lambda: _REGISTERED in self._log("worker").read_text(errors="replace"))
        except BaseException:
            self.stop()
            raise
        marks = {"supervisor": ProcessMark.of(os.getpid())}
        marks |= {name: ProcessMark.of(process.pid) for name, process in self._processes.items()}
        told = ClusterRecord(self.url, self.cores, self.memory, marks)
        _record(self.place).write_text(json.dumps(asdict(told), indent=1) + "\n", encoding="utf-8")

    def ended(self) -> str | None:
        """Name of a part that ended by itself, if one did."""
        return next((name for name, process in self._processes.items() if process.poll() is not None), None)

    def stop(self) -> None:
        """End both with their executors, forget the secret and what they wrote beside logs; nothing where nothing was started,
        as another cluster of this home may be up."""
        if not self._processes:
            return
        for process in reversed(self._processes.values()):
            _end(process.pid, lambda process=process: process.poll() is None)
        _forget(self.place)

    def _start(self, name: str, command: list[str]) -> None:
        home = spark_home()
        log = self._log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as told:
            self._processes[name] = subprocess.Popen(
                [str(home / "bin" / "spark-class"), *command],
                env=_environment(self.place, home),
                cwd=self.place.folder,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def _await(self, name: str, there) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + START_LIMIT
        while time.monotonic() < end and self._processes[name].poll() is None:
            if there():
                return
            time.sleep(0.2)
        raise GsceneError(f"Spark's {name} did not start.", f"Its log says why: {self._log(name)}")

    def _log(self, name: str) -> Path:
        return self.place.folder / "log" / f"{name}.log"


def take_down(place: SparkPlace) -> bool:
    """End the cluster of this home, whoever started it; False where none was up."""
    record = read_record(place)
    if record is None:
        return False
    was_up = any(mark.alive for mark in record.processes.values())
    supervisor = record.processes["supervisor"]
    if supervisor.alive:
        os.kill(supervisor.pid, signal.SIGTERM)
        _wait_for_end(lambda: supervisor.alive, 3 * STOP_LIMIT)
    for name in ("worker", "master"):
        mark = record.processes[name]
        if mark.alive:
            _end(mark.pid, lambda mark=mark: mark.alive)
    _forget(place)
    return was_up


def spark_home() -> Path:
    """Folder of the Spark that comes with PySpark."""
    spec = find_spec("pyspark")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def _configure(place: SparkPlace) -> None:
    """Write a new secret and the cluster's few settings, for the owner's eyes only."""
    place.configuration.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = {
        "spark.authenticate": "true",
        "spark.authenticate.secret": secrets.token_hex(32),
        # Submitting jobs over HTTP knows no secret.
        "spark.master.rest.enabled": "false",
        "spark.ui.killEnabled": "false",
        "spark.worker.cleanup.enabled": "true",
    }
    file = place.configuration / "spark-defaults.conf"
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as written:
        written.writelines(f"{name} {value}\n" for name, value in settings.items())


def _environment(place: SparkPlace, home: Path) -> dict[str, str]:
    kept = ("PATH", "HOME", "JAVA_HOME", "LANG", "LC_ALL", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(place.configuration),
        # Without this the pages of master and worker would listen on every address.
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_LOCAL_DIRS": str(place.folder / "executors"),
        "SPARK_WORKER_DIR": str(place.folder / "work"),
        "SPARK_DAEMON_MEMORY": "512m",
        "SPARK_DAEMON_JAVA_OPTS": "-Djava.net.preferIPv4Stack=true",
        "PYSPARK_PYTHON": sys.executable,
    }


def _die_with_parent() -> None:
    """In the child: end when the supervisor is killed, too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(pid: int, alive) -> None:  # type: ignore[no-untyped-def]
    """End a process group: asked first, then made to."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if not alive():
            return
        try:
            os.killpg(pid, sign)
        except ProcessLookupError:
            return
        _wait_for_end(alive, STOP_LIMIT)


def _wait_for_end(alive, seconds: float) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while alive() and time.monotonic() < end:
        time.sleep(0.1)


def _forget(place: SparkPlace) -> None:
    for folder in (place.configuration, place.folder / "work", place.folder / "executors"):
        shutil.rmtree(folder, ignore_errors=True)
    _record(place).unlink(missing_ok=True)


def _record(place: SparkPlace) -> Path:
    return place.folder / "cluster.json"


def _started(pid: int) -> int:
    """Start of a process in clock ticks since boot; 0 where there is none, or only its remains."""
    try:
        # The name in brackets may hold blanks; what follows it doesn't.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _require_free(port: int) -> None:
    if _listens(port):
        raise GsceneError(f"port {port} is taken.", "Stop what uses it, or choose another with --port.")
