"""`gscene up`: the Dagster and MLflow pages of one home folder, on loopback only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import click

from core.errors import GsceneError
from core.settings import Settings
from gscene.console import Reporter
from gscene.options import home_option
from gscene.stopping import stops_ignored, stops_interrupt

CHECKOUT = Path(__file__).resolve().parents[1]

#: Seconds until a server must answer.
START_LIMIT = 120


@click.command()
@home_option("demo")
@click.option("--dagster-port", default=3000, show_default=True, help="Port of the Dagster pages.")
@click.option("--mlflow-port", default=5000, show_default=True, help="Port of the MLflow pages.")
def up(home: Path, dagster_port: int, mlflow_port: int) -> None:
    """Show Dagster and MLflow in the browser until Ctrl-C.

    启动 Dagster 和 MLflow 页面，仅本机可访问。

    Both listen on 127.0.0.1 only: neither has a login that could face a network.
    """
    reporter = Reporter()
    settings = Settings.load(home)
    if not settings.home.is_dir():
        raise GsceneError(
            f"{home} does not exist.", "Run `gscene demo` first, or name another folder with --home."
        )
    for port in (dagster_port, mlflow_port):
        _require_free(port)
    from pipelines.launch import prepare_instance

    environment = {
        **os.environ,
        "DAGSTER_HOME": str(prepare_instance(settings.dagster_home)),
        "GSCENE_HOME": str(settings.home),
    }
    with stops_interrupt():
        _serve(reporter, settings, environment, dagster_port, mlflow_port)


def _serve(
    reporter: Reporter, settings: Settings, environment: dict[str, str], dagster_port: int, mlflow_port: int
) -> None:
    addresses = {"Dagster": f"http://127.0.0.1:{dagster_port}", "MLflow": f"http://127.0.0.1:{mlflow_port}"}
    commands = {
        "Dagster": ["dagster", "dev", "-w", str(CHECKOUT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(dagster_port)],
        "MLflow": ["mlflow", "server", "--backend-store-uri", settings.mlflow_uri,
                   "--artifacts-destination", str(settings.mlflow_artifacts),
                   "--host", "127.0.0.1", "--port", str(mlflow_port), "--workers", "1"],
    }  # fmt: skip
    servers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            servers[name] = _start(command, environment)
        with reporter.stage("starting Dagster and MLflow", len(servers)) as stage:
            for name, server in servers.items():
                _wait(addresses[name], server)
                stage.advance(note=addresses[name])
        reporter.results(addresses)
        reporter.say("Ctrl-C stops both. 按 Ctrl-C 停止。")
        while all(server.poll() is None for server in servers.values()):
            time.sleep(0.5)
        raise GsceneError("a server stopped by itself.", "Its last lines above say why.")
    except KeyboardInterrupt:
        reporter.say("Stopping.")
    finally:
        with stops_ignored():
            for server in servers.values():
                _stop(server)


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    beside = Path(sys.executable).parent / command[0]
    program = str(beside) if beside.exists() else shutil.which(command[0]) or command[0]
    # A session of its own, so that its children can be stopped with it.
    return subprocess.Popen(
        [program, *command[1:]],
        env=environment,
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise GsceneError(
                f"the server for {address} ended with code {server.returncode}.", "See the lines above."
            )
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise GsceneError(
        f"{address} did not answer within {START_LIMIT} s.", "Look whether the machine is out of memory."
    )


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise GsceneError(
                f"port {port} is taken.",
                "Stop what uses it, or choose others with --dagster-port and --mlflow-port.",
            ) from None
