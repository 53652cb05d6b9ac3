"""The MLflow ledger: one run per training, with parameters, metrics, tags and files, and a registered model
version.

MLflow records; it never decides and never scores: scoring loads our own bundle. Only the LightGBM Booster is
logged as an MLflow model, which stores it as text; nothing here writes or reads a pickle.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.telemetry import quiet
from models.artefact import Bundle
from models.training_record import TrainingRecord

#: Tag that names a training; `runs/create` isn't idempotent, so it is looked up first.
RUN_KEY = "gscene.run_key"

ALIAS = "candidate"


@dataclass(frozen=True)
class LedgerEntry:
    """Where a training stands in MLflow; urls are paths below the address of the MLflow server."""

    run_id: str
    model_version: str
    experiment_id: str
    run_url: str
    model_url: str
    created: bool


class MlflowLedger:
    """Writes trainings to one MLflow backend (`sqlite:///…` or a server's URL), files below `artifact_root`."""

    def __init__(self, uri: str, artifact_root: Path | None = None) -> None:
        self.uri = uri
        self.artifact_root = artifact_root

    def record(self, record: TrainingRecord, bundle: Bundle, report: Path | None = None) -> LedgerEntry:
        """Log a training once: the same bundle logged again is found, finished if it wasn't, and not doubled.

        A retraining of the same model and month that gives another bundle gets a run of its own (parameters
        in MLflow can't change) and marks the earlier ones as superseded.
        """
        client = self._client()
        definition = record.definition
        experiment = self._experiment(client, f"gscene/{definition.subject}")
        key = f"{definition.name}/{record.inputs.training_month}"
        runs = client.search_runs([experiment], filter_string=f"tags.`{RUN_KEY}` = '{key}'")
        same = [run for run in runs if run.data.tags.get("gscene.bundle_sha256") == bundle.sha256]
        if same and same[0].info.status == "FINISHED":
            version = self._version_of(client, definition.name, same[0].info.run_id)
            if version is not None:
                return self._entry(same[0].info.run_id, version, experiment, definition.name, created=False)
        run_id = (
            same[0].info.run_id
            if same
            else client.create_run(
                experiment,
                run_name=f"{definition.name} {record.inputs.training_month}",
                tags={RUN_KEY: key, "gscene.bundle_sha256": bundle.sha256},
            ).info.run_id
        )
        self._fill(client, run_id, record, bundle, report)
        version = self._register(client, run_id, record, bundle)
        client.set_terminated(run_id, "FINISHED")
        for run in runs:
            if run.info.run_id != run_id:
                client.set_tag(run.info.run_id, "gscene.superseded_by", run_id)
        return self._entry(run_id, version, experiment, definition.name, created=not same)

    def _fill(
        self, client: Any, run_id: str, record: TrainingRecord, bundle: Bundle, report: Path | None
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        definition = record.definition
        # The run's own start, so that finishing a run that broke off writes the same points again instead of
        # new ones.
        start = client.get_run(run_id).info.start_time
        metrics = [Metric(key, value, start, 0) for key, value in record.metrics().items()]
        parameters = {
            **{f"lightgbm.{key}": value for key, value in record.lightgbm_settings.items()},
            "lightgbm.rounds_used": record.booster.rounds,
            **{f"scorecard.{key}": value for key, value in definition.scorecard.model_dump().items()},
            **{f"split.{key}": value for key, value in definition.split.model_dump(mode="json").items()},
            **{f"label.{key}": value for key, value in definition.label.model_dump(mode="json").items()},
            "central_tendency": record.candidates[record.ships].calibration.central_tendency,
            "features": len(record.features),
        }
        tags = {
            "gscene.model": definition.name,
            "gscene.purpose": str(definition.purpose),
            "gscene.training_month": record.inputs.training_month,
            "gscene.ships": str(record.ships),
            "gscene.definition_sha256": definition.sha256,
            "gscene.feature_set": definition.feature_set,
            "gscene.feature_set_sha256": record.inputs.feature_set_sha256,
            "mlflow.note.content": f"{definition.title.zh} / {definition.title.en}\n\n{record.choice.reason_en}",
            **{f"gscene.data.{table}": str(version) for table, version in record.inputs.tables.items()},
            **{f"gscene.count.{_plain(step)}": str(count) for step, count in record.steps.items()},
        }
        client.log_batch(
            run_id,
            metrics=metrics,
            params=[Param(key, str(value)) for key, value in parameters.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        for file in sorted(bundle.path.iterdir()):
            client.log_artifact(run_id, str(file), "bundle")
        if report is not None:
            client.log_artifact(run_id, str(report))

    def _register(self, client: Any, run_id: str, record: TrainingRecord, bundle: Bundle) -> str:
        """Log the Booster under the run and register it; gives the version, with the alias `candidate` on it."""
        name = record.definition.name
        version = self._version_of(client, name, run_id)
        if version is None:
            import mlflow
            from mlflow.models import ModelSignature
            from mlflow.types import ColSpec, Schema

            signature = ModelSignature(
                inputs=Schema([ColSpec("double", feature) for feature in record.names]),
                outputs=Schema([ColSpec("double")]),
            )
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            with mlflow.start_run(run_id=run_id):
                logged = mlflow.lightgbm.log_model(
                    bundle.booster.booster,
                    name=name,
                    signature=signature,
                    # Given, because inferring them imports everything again and takes 9 s.
                    pip_requirements=[f"lightgbm=={record.libraries['lightgbm']}"],
                )
            self._registered(client, record)
            version = client.create_model_version(
                name, logged.model_uri, run_id, model_id=logged.model_id
            ).version
        tags = {
            "gscene.ships": str(record.ships),
            "gscene.bundle_sha256": bundle.sha256,
            "gscene.training_month": record.inputs.training_month,
        }
        for key, value in tags.items():
            client.set_model_version_tag(name, version, key, value)
        client.set_registered_model_alias(name, ALIAS, version)
        return str(version)

    def _registered(self, client: Any, record: TrainingRecord) -> None:
        from mlflow.exceptions import MlflowException

        title = record.definition.title
        try:
            client.create_registered_model(record.definition.name, description=f"{title.zh} / {title.en}")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version_of(self, client: Any, name: str, run_id: str) -> str | None:
        found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        return str(found[0].version) if found else None

    def _experiment(self, client: Any, name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        root = None if self.artifact_root is None else (self.artifact_root / name).resolve().as_uri()
        return str(client.create_experiment(name, artifact_location=root))

    def _client(self) -> Any:
        # Before the import: MLflow reads these switches when it loads.
        quiet(os.environ)
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    @staticmethod
    def _entry(run_id: str, version: str, experiment: str, name: str, *, created: bool) -> LedgerEntry:
        return LedgerEntry(
            run_id=run_id,
            model_version=version,
            experiment_id=experiment,
            run_url=f"/#/experiments/{experiment}/runs/{run_id}",
            model_url=f"/#/models/{name}/versions/{version}",
            created=created,
        )


def _plain(step: str) -> str:
    """A step's name with only the characters that MLflow takes in a key."""
    return "".join(c if (c.isalnum() and c.isascii()) or c in "_-. /" else "_" for c in step)
