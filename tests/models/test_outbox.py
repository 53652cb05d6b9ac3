"""A training ends whether or not MLflow answers; once it does, each is there exactly once, and aliases follow the sign-off."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.model_state import ModelOutbox
from core.state import ModelVersion
from models.monthly_training import Trained, keep_training
from models.outbox import sync, waiting
from models.registry import MlflowLedger
from tests.models.signing import NAME, WHY, SignedHome
from tests.models.worlds import trained


@dataclass
class Server:
    """A real MLflow server on loopback, that can be stopped and started on the same files."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}",
            "--artifacts-destination", str(self.folder / "files"), "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", "1",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ends_at = time.monotonic() + 120
        while time.monotonic() < ends_at:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.3)
        raise RuntimeError("the MLflow server didn't start")

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Server(tmp_path / "mlflow", port)
    made.folder.mkdir()
    yield made
    made.stop()


def home_with(folder: Path, uri: str) -> SignedHome:
    home = SignedHome(folder / "home")
    (home.home / "gscene.yaml").write_text(f"mlflow_uri: {uri}\n")
    return home


def train(home: SignedHome, month: str) -> Trained:
    record = replace(trained(), inputs=replace(trained().inputs, training_month=month))
    return keep_training(record, {}, state=home.state, settings=home.settings, clock=home.clock)


def runs(uri: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("gscene/enterprise")
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def aliases(uri: str) -> dict[str, str]:
    """Training month by alias."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_registered_model(NAME).aliases
    return {
        alias: client.get_model_version(NAME, str(number)).tags["gscene.training_month"]
        for alias, number in found.items()
    }


@pytest.mark.slow
def test_a_server_that_is_down_holds_nothing_up_and_is_filled_once(tmp_path: Path, server: Server) -> None:
    home = home_with(tmp_path, server.uri)
    first = train(home, "2026-06")
    assert first.ledger is None and first.waits_for_mlflow, "the training is kept, its entry waits"
    assert waiting(home.state) == 2
    assert first.bundle.is_dir() and first.report.is_file()

    server.start()
    assert train(home, "2026-07").ledger is not None, "the next run fills what waits"
    assert waiting(home.state) == 0
    assert [run.data.tags["gscene.training_month"] for run in reversed(runs(server.uri))] == [
        "2026-06",
        "2026-07",
    ]
    again = sync(home.state, home.settings, home.clock)
    assert (again.done, again.waiting) == (0, 0)
    train(home, "2026-06")
    assert len(runs(server.uri)) == 2, "the same training again is found, not doubled"
    assert aliases(server.uri) == {"candidate": "2026-07"}

    server.stop()
    with home.state.session() as session:
        version = session.scalars(select(ModelVersion).where(ModelVersion.training_month == "2026-06")).one()
    home.desk.submit(version, "Author A", WHY)
    home.desk.validate(version, "Validator B", WHY)
    home.desk.approve(version, "Approver C", WHY, home.key, pia="PIA-2026-07")
    home.desk.promote(version, "Operator D", WHY)
    assert home.gate()[0].model_no == version.model_no, "scoring never asks MLflow"
    held = sync(home.state, home.settings, home.clock)
    assert held.done == 0 and held.failure is not None
    server.start()
    assert sync(home.state, home.settings, home.clock).waiting == 0
    assert aliases(server.uri) == {"candidate": "2026-07", "champion": "2026-06"}
    with home.state.session() as session:
        entries = list(session.scalars(select(ModelOutbox)))
    assert all(entry.done_at is not None and entry.failure is None for entry in entries)
    assert any(entry.attempts > 1 for entry in entries)


def test_killed_between_mlflow_and_the_outbox_it_is_not_entered_twice(tmp_path: Path) -> None:
    """On SQLite: MLflow has the run, the outbox doesn't know yet."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    home = home_with(tmp_path, uri)
    assert train(home, "2026-06").ledger is not None
    with home.state.session() as session:
        for entry in session.scalars(select(ModelOutbox)):
            entry.done_at = None
        for version in session.scalars(select(ModelVersion)):
            version.mlflow_run_id = version.mlflow_version = None
    assert sync(home.state, home.settings, home.clock).waiting == 0
    assert len(runs(uri)) == 1
    with home.state.session() as session:
        version = session.scalars(select(ModelVersion)).one()
    assert version.mlflow_run_id == runs(uri)[0].info.run_id and version.mlflow_version == "1"


def test_aliases_follow_every_step_of_the_sign_off(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    home = home_with(tmp_path, uri)

    def told() -> dict[str, str]:
        assert sync(home.state, home.settings, home.clock).waiting == 0
        return aliases(uri)

    first, second = home.live("2026-06"), home.approved("2026-09")
    assert told() == {"candidate": "2026-09", "challenger": "2026-09", "champion": "2026-06"}
    home.desk.promote(second, "Operator D", WHY)
    assert told() == {"candidate": "2026-09", "challenger": "2026-06", "champion": "2026-09"}
    home.desk.rollback(NAME, "Operator D", WHY)
    assert told() == {"candidate": "2026-09", "champion": "2026-06"}
    home.desk.retire(first, "Risk Head", WHY)
    assert told() == {"candidate": "2026-09"}


def test_a_bundle_that_was_tampered_with_is_not_entered_and_holds_up_no_other(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    home = home_with(tmp_path, uri)
    bad = home.train("2026-06")
    home.train("2026-07")
    card = home.home / bad.bundle / "model.json"
    card.write_bytes(card.read_bytes().replace(b"2026-06", b"2026-05"))
    done = sync(home.state, home.settings, home.clock)
    assert (done.failure, done.waiting) == ("Refusal", 2)
    assert [run.data.tags["gscene.training_month"] for run in runs(uri)] == ["2026-07"]


def test_a_mistake_of_ours_is_not_taken_for_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    home.train()
    monkeypatch.setattr(MlflowLedger, "record", lambda *_: (_ for _ in ()).throw(KeyError("name")))
    with pytest.raises(KeyError):
        sync(home.state, home.settings, home.clock)
