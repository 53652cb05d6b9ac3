"""What Spark needs, and where it may compute, is told before anything starts; needs neither Spark nor Java."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import GsceneError
from core.settings import Settings
from features.spark_cluster import ProcessMark
from features.spark_session import SparkPlace, java_version, require_spark


def java(folder: Path, told: str) -> dict[str, str]:
    """An environment whose Java says this of its version."""
    folder.mkdir(exist_ok=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho '{told}' >&2\n", encoding="utf-8")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/bin"}


def settings(home: Path, text: str) -> Settings:
    (home / "gscene.yaml").write_text(text, encoding="utf-8")
    return Settings.load(home)


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_441"', 8),
        ('openjdk version "21" 2025', 21),
    ],
)
def test_the_version_of_java_is_read(tmp_path: Path, told: str, version: int) -> None:
    assert java_version(java(tmp_path, told)) == version


def test_java_home_goes_before_the_path(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    java(tmp_path / "home" / "bin", 'openjdk version "21.0.1"')
    assert (
        java_version({"JAVA_HOME": str(tmp_path / "home"), **java(tmp_path, 'openjdk version "17.0.1"')})
        == 21
    )


def test_a_missing_or_old_java_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    for environment, told in (
        ({"PATH": ""}, "there is none"),
        (java(tmp_path, 'version "11.0.2"'), "this one is 11"),
    ):
        with pytest.raises(GsceneError, match=told) as refused:
            require_spark(environment)
        assert "openjdk-17" in refused.value.remedy
    require_spark(java(tmp_path, 'version "17.0.2"'))


def test_a_missing_pyspark_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(GsceneError, match="isn't installed") as refused:
        require_spark({})
    assert "--extra spark" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("spark_master: local", "spark_master is local"),
        ("spark_master: local[0]", "spark_master is"),
        ("spark_master: yarn", "spark_master is yarn"),
        ("spark_master: spark://10.0.0.4:7077", "lies on another machine"),
        ("spark_memory: lots", "spark_memory is lots"),
        ("engine: duckdb", "no engine duckdb"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(GsceneError, match=told.replace("[", r"\[")) as refused:
        SparkPlace.of(settings(tmp_path, text))
    assert refused.value.remedy


def test_settings_say_who_computes(tmp_path: Path) -> None:
    assert settings(tmp_path, "threads: 1").engine == "local"
    chosen = settings(tmp_path, "engine: spark\nspark_master: spark://127.0.0.1:7077\nspark_memory: 512m")
    place = SparkPlace.of(chosen)
    assert (chosen.engine, place.master, place.memory, place.on_cluster) == (
        "spark", "spark://127.0.0.1:7077", "512m", True,
    )  # fmt: skip
    assert not SparkPlace.of(replace(chosen, spark_master="local[2]")).on_cluster


def test_a_process_number_given_to_another_process_is_not_mistaken() -> None:
    import os

    me = ProcessMark.of(os.getpid())
    assert me.alive and not replace(me, started=me.started - 1).alive
    assert not ProcessMark.of(4_194_305).alive, "no such process"
