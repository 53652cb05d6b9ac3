"""`--engine spark` and `gscene spark` say what is missing before they start anything."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from core.state import Delivery
from features.spark_cluster import ClusterRecord, ProcessMark
from pipelines.workplace import Workplace
from tests.gscene.command import gscene, sme_folder


@pytest.fixture
def without_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.spark_session.java_version", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


@pytest.mark.usefixtures("without_java")
def test_a_run_on_spark_without_java_is_refused_before_anything_is_taken_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sme_folder(tmp_path / "sme", ["2020-01"])
    said = gscene(
        capsys, "run", "--sme-invoices", folder, "--home", tmp_path / "home", "--engine", "spark", "--json"
    )
    assert said.code == 1 and "needs Java 17" in said.json["error"] and "openjdk-17" in said.json["remedy"]
    with Workplace.open(tmp_path / "home").state.session() as session:
        assert session.query(Delivery).count() == 0


@pytest.mark.usefixtures("without_java")
def test_a_cluster_without_java_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = gscene(capsys, "spark", "up", "--home", tmp_path)
    assert said.code == 1 and "needs Java 17" in said.err
    assert not (tmp_path / "spark" / "conf").exists()


def test_a_second_cluster_is_refused_and_the_first_keeps_its_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.spark_cluster.require_spark", lambda _: None)
    secret, mark = tmp_path / "spark" / "conf" / "spark-defaults.conf", ProcessMark.of(os.getpid())
    secret.parent.mkdir(parents=True)
    secret.write_text("kept")
    up = ClusterRecord(
        "spark://127.0.0.1:7077", 2, "1g", dict.fromkeys(("supervisor", "master", "worker"), mark)
    )
    (tmp_path / "spark" / "cluster.json").write_text(json.dumps(asdict(up)))
    said = gscene(capsys, "spark", "up", "--home", tmp_path)
    assert said.code == 1 and "up already at spark://127.0.0.1:7077" in said.err
    assert secret.read_text() == "kept"
    assert gscene(capsys, "spark", "status", "--home", tmp_path, "--json").json["up"] is True


def test_a_master_on_another_machine_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = gscene(capsys, "run", "--home", tmp_path, "--spark-master", "spark://10.0.0.4:7077", "--json")
    assert said.code == 1 and "lies on another machine" in said.json["error"]


def test_no_cluster_is_told_by_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = gscene(capsys, "spark", "status", "--home", tmp_path, "--json")
    assert said.code == 1 and said.json == {"up": False}
    said = gscene(capsys, "spark", "down", "--home", tmp_path, "--json")
    assert said.code == 0 and said.json == {"stopped": False}
