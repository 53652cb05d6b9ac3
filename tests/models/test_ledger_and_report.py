"""The MLflow ledger records a training once; the report holds everything in one file and nothing of anybody."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.definition_file import Bilingual
from models.artefact import load_bundle, write_bundle
from models.registry import RUN_KEY, MlflowLedger, TrainingEntry, training_entry
from models.report import render_report, write_report
from models.training_record import TrainingRecord
from tests.models.worlds import matrix, trained


def entry(record: TrainingRecord, sha256: str) -> TrainingEntry:
    """As it comes out of the outbox."""
    plain = json.loads(json.dumps(training_entry(record, sha256, "as its sign-off says").plain()))
    return TrainingEntry.of_plain(plain)


@pytest.fixture(scope="module")
def report_text() -> str:
    return render_report(
        trained(), {"late_6m": Bilingual(zh="近6个月逾期<次数>", en="late in 6 months")}, "a" * 64
    )


def test_the_report_loads_nothing_and_speaks_both_languages(report_text: str) -> None:
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)|url\(([^)]+)\)|@import""", report_text)
    assert len(addresses) == 4
    assert all(address.startswith("data:image/svg+xml;base64,") for address, _ in addresses)
    assert "<script" not in report_text
    for word in (
        "样本",
        "Sample",
        "校准",
        "Calibration",
        "局限",
        "Limits",
        trained().choice.reason_en.replace("'", "&#39;"),
    ):
        assert word in report_text
    assert "近6个月逾期&lt;次数&gt;" in report_text


def test_the_report_is_the_same_each_time(report_text: str, tmp_path: Path) -> None:
    titles = {"late_6m": Bilingual(zh="近6个月逾期<次数>", en="late in 6 months")}
    file = write_report(trained(), tmp_path / "deep" / "report.html", titles, "a" * 64)
    assert file.read_text(encoding="utf-8") == report_text
    assert len(report_text) < 1_000_000


def test_the_report_holds_no_value_of_a_row(report_text: str) -> None:
    x, _ = matrix(300)
    sales = x[~np.isnan(x[:, 1]), 1]
    assert not [value for value in sales if f"{value:.4f}"[:9] in report_text]


def test_a_record_without_judged_rows_can_be_reported() -> None:
    record = trained()
    bare = {
        kind: replace(candidate, performance={"out_of_time": None}, spread=None, roc=())
        for kind, candidate in record.candidates.items()
    }
    text = render_report(replace(record, candidates=bare, judged_on="out_of_time", score_bands=(), grades=()))
    assert "样本不足" in text


def test_the_ledger_records_once_and_keeps_no_pickle(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    ledger = MlflowLedger(uri, tmp_path / "files")
    sha256 = write_bundle(trained(), tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle", sha256)
    report = write_report(trained(), tmp_path / "report.html")
    first = ledger.record(entry(trained(), sha256), bundle, report)
    again = ledger.record(entry(trained(), sha256), bundle, report)
    ledger.set_aliases("tiny_risk", {"candidate": first.model_version, "champion": None})
    assert first.created and not again.created
    assert (again.run_id, again.model_version) == (first.run_id, first.model_version)

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("gscene/enterprise")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.run_id for run in runs] == [first.run_id]
    run = runs[0]
    assert run.info.status == "FINISHED"
    assert run.data.tags[RUN_KEY] == "tiny_risk/2026-06"
    assert run.data.tags["gscene.data.features/enterprise/tiny"] == "3"
    assert run.data.tags["gscene.definition_sha256"] == trained().definition.sha256
    assert (
        run.data.metrics["scorecard.cross_validation.auc"]
        == trained().metrics()["scorecard.cross_validation.auc"]
    )
    assert run.data.params["split.repeats"] == "2"
    version = client.get_model_version_by_alias("tiny_risk", "candidate")
    assert (str(version.version), version.tags["gscene.ships"]) == (first.model_version, str(trained().ships))

    files = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {
        "model.json",
        "lightgbm.txt",
        "scorecard.json",
        "golden.json",
        "report.html",
        "MLmodel",
        "model.lgb",
    } <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]


def test_a_run_that_broke_off_is_finished_and_another_bundle_supersedes(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    ledger = MlflowLedger(uri, tmp_path / "files")
    bundle = load_bundle(tmp_path / "a", write_bundle(trained(), tmp_path / "a"))
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.create_experiment(
        "gscene/enterprise", artifact_location=(tmp_path / "files").as_uri()
    )
    broken = client.create_run(
        experiment, tags={RUN_KEY: "tiny_risk/2026-06", "gscene.bundle_sha256": bundle.sha256}
    ).info.run_id
    assert ledger.record(entry(trained(), bundle.sha256), bundle).run_id == broken

    other = replace(trained(), inputs=replace(trained().inputs, tables={"features/enterprise/tiny": 4}))
    sha256 = write_bundle(other, tmp_path / "b")
    second = ledger.record(entry(other, sha256), load_bundle(tmp_path / "b", sha256))
    assert second.run_id != broken
    ledger.set_aliases("tiny_risk", {"candidate": second.model_version})
    assert client.get_run(broken).data.tags["gscene.superseded_by"] == second.run_id
    assert (
        str(client.get_model_version_by_alias("tiny_risk", "candidate").version)
        == second.model_version
        == "2"
    )
