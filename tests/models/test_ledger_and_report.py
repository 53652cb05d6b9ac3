"""The MLflow ledger records a training once, with its bundle and report, and keeps no pickle."""

import json
from dataclasses import replace
from pathlib import Path

from models.artefact import load_bundle, write_bundle
from models.evidence import REPORT_FILES, keep_report
from models.registry import RUN_KEY, MlflowLedger, TrainingEntry, training_entry
from models.report.circumstances import Circumstances
from models.report.files import training_files
from models.training_record import TrainingRecord
from tests.models.worlds import trained


def entry(record: TrainingRecord, sha256: str) -> TrainingEntry:
    """As it comes out of the outbox."""
    plain = json.loads(json.dumps(training_entry(record, sha256, "as its sign-off says").plain()))
    return TrainingEntry.of_plain(plain)


def test_the_ledger_records_once_and_keeps_no_pickle(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    ledger = MlflowLedger(uri, tmp_path / "files")
    sha256 = write_bundle(trained(), tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle", sha256)
    folder = keep_report(tmp_path / "bundle", training_files(trained(), Circumstances(bundle_sha256=sha256)))
    reports = [folder / name for name in REPORT_FILES]
    first = ledger.record(entry(trained(), sha256), bundle, reports)
    again = ledger.record(entry(trained(), sha256), bundle, reports)
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
        *REPORT_FILES,
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
