"""The MLflow ledger: one run per training, with parameters, metrics, tags and files, and a registered model
version.

MLflow records; it never decides and never scores: scoring loads our own bundle. Only the LightGBM Booster is
logged as an MLflow model, which stores it as text; nothing here writes or reads a pickle.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.telemetry import quiet
from models.artefact import Bundle
from models.training_record import TrainingRecord

#: Tag that names a training; `runs/create` isn't idempotent, so it is looked up first.
RUN_KEY = "gscene.run_key"


@dataclass(frozen=True)
class TrainingEntry:
    """What MLflow is told of one training, as plain data: it can wait in the outbox until MLflow answers."""

    name: str
    month: str
    title: str
    subject: str
    features: list[str]
    lightgbm: str
    metrics: dict[str, float]
    parameters: dict[str, str]
    tags: dict[str, str]
    version_tags: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> TrainingEntry:
        """Back from JSON."""
        return cls(**plain)


def training_entry(record: TrainingRecord, bundle_sha256: str, approval: str) -> TrainingEntry:
    """The entry of a training; `approval` says in words whether people approve what is scored with it."""
    definition, month = record.definition, record.inputs.training_month
    parameters = {
        **{f"lightgbm.{key}": value for key, value in record.lightgbm_settings.items()},
        "lightgbm.rounds_used": record.booster.rounds,
        **{f"scorecard.{key}": value for key, value in definition.scorecard.model_dump().items()},
        **{f"split.{key}": value for key, value in definition.split.model_dump(mode="json").items()},
        **{f"label.{key}": value for key, value in definition.label.model_dump(mode="json").items()},
        "central_tendency": record.candidates[record.ships].calibration.central_tendency,
        "features": len(record.features),
    }
    both = {"gscene.ships": str(record.ships), "gscene.training_month": month, "gscene.approval": approval}
    tags = {
        "gscene.model": definition.name,
        "gscene.purpose": str(definition.purpose),
        **both,
        "gscene.definition_sha256": definition.sha256,
        "gscene.feature_set": definition.feature_set,
        "gscene.feature_set_sha256": record.inputs.feature_set_sha256,
        "mlflow.note.content": f"{definition.title.zh} / {definition.title.en}\n\n{record.choice.reason_en}",
        **{f"gscene.data.{table}": str(version) for table, version in record.inputs.tables.items()},
        **{f"gscene.count.{_plain(step)}": str(count) for step, count in record.steps.items()},
    }
    return TrainingEntry(
        definition.name, month, f"{definition.title.zh} / {definition.title.en}", str(definition.subject), record.names,
        record.libraries["lightgbm"], record.metrics(), {key: str(value) for key, value in parameters.items()}, tags,
        both | {"gscene.bundle_sha256": bundle_sha256},
    )  # fmt: skip


@dataclass(frozen=True)
class LedgerEntry:
    """Where a training stands in MLflow; urls are paths below the address of the MLflow server."""

    name: str
    run_id: str
    model_version: str
    created: bool = False

    @property
    def run_url(self) -> str:
        """The run's page."""
        return f"/#/runs/{self.run_id}"

    @classmethod
    def of(cls, name: str, run_id: str, model_version: str) -> LedgerEntry:
        """An entry that was made before."""
        return cls(name, run_id, model_version)


class MlflowLedger:
    """Writes trainings to one MLflow backend (`sqlite:///…` or a server's URL), files below `artifact_root`."""

    def __init__(self, uri: str, artifact_root: Path | None = None) -> None:
        self.uri = uri
        self.artifact_root = artifact_root

    def record(self, entry: TrainingEntry, bundle: Bundle, reports: Sequence[Path] = ()) -> LedgerEntry:
        """Log a training once, with the files of its bundle and review report: the same bundle logged again is found, finished
        if it wasn't, and not doubled.

        A retraining of the same model and month that gives another bundle gets a run of its own (parameters
        in MLflow can't change) and marks the earlier ones as superseded.
        """
        client = self._client()
        experiment = self._experiment(client, f"gscene/{entry.subject}")
        key = f"{entry.name}/{entry.month}"
        runs = client.search_runs([experiment], filter_string=f"tags.`{RUN_KEY}` = '{key}'")
        same = [run for run in runs if run.data.tags.get("gscene.bundle_sha256") == bundle.sha256]
        if same and same[0].info.status == "FINISHED":
            version = self._version_of(client, entry.name, same[0].info.run_id)
            if version is not None:
                return LedgerEntry(entry.name, same[0].info.run_id, version)
        run_id = (
            same[0].info.run_id
            if same
            else client.create_run(
                experiment,
                run_name=f"{entry.name} {entry.month}",
                tags={RUN_KEY: key, "gscene.bundle_sha256": bundle.sha256},
            ).info.run_id
        )
        self._fill(client, run_id, entry, bundle, reports)
        version = self._register(client, run_id, entry, bundle)
        client.set_terminated(run_id, "FINISHED")
        for run in runs:
            if run.info.run_id != run_id:
                client.set_tag(run.info.run_id, "gscene.superseded_by", run_id)
        return LedgerEntry(entry.name, run_id, version, created=not same)

    def set_aliases(self, name: str, numbers: Mapping[str, str | None]) -> None:
        """Point each alias at a version of MLflow's own numbering, or take it away (None)."""
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            present = client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST" and not any(numbers.values()):
                return
            raise
        for alias, number in numbers.items():
            if number is None and alias in present:
                client.delete_registered_model_alias(name, alias)
            elif number is not None and str(present.get(alias)) != number:
                client.set_registered_model_alias(name, alias, number)

    def tag_version(self, name: str, number: str, tags: Mapping[str, str]) -> None:
        """Set tags of a model version."""
        client = self._client()
        for key, value in tags.items():
            client.set_model_version_tag(name, number, key, value)

    def _fill(
        self, client: Any, run_id: str, entry: TrainingEntry, bundle: Bundle, reports: Sequence[Path]
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        # The run's own start, so that finishing a run that broke off writes the same points again instead of
        # new ones.
        start = client.get_run(run_id).info.start_time
        client.log_batch(
            run_id,
            metrics=[Metric(key, value, start, 0) for key, value in entry.metrics.items()],
            params=[Param(key, value) for key, value in entry.parameters.items()],
            tags=[RunTag(key, value) for key, value in entry.tags.items()],
        )
        for file in sorted(bundle.path.iterdir()):
            client.log_artifact(run_id, str(file), "bundle")
        for file in reports:
            client.log_artifact(run_id, str(file))

    def _register(self, client: Any, run_id: str, entry: TrainingEntry, bundle: Bundle) -> str:
        """Log the Booster under the run and register it; gives the version."""
        version = self._version_of(client, entry.name, run_id)
        if version is None:
            import mlflow
            from mlflow.models import ModelSignature
            from mlflow.types import ColSpec, Schema

            signature = ModelSignature(
                inputs=Schema([ColSpec("double", feature) for feature in entry.features]),
                outputs=Schema([ColSpec("double")]),
            )
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            with mlflow.start_run(run_id=run_id):
                logged = mlflow.lightgbm.log_model(
                    bundle.booster.booster,
                    name=entry.name,
                    signature=signature,
                    # Given, because inferring them imports everything again and takes 9 s.
                    pip_requirements=[f"lightgbm=={entry.lightgbm}"],
                )
            self._registered(client, entry)
            version = client.create_model_version(
                entry.name, logged.model_uri, run_id, model_id=logged.model_id
            ).version
        for key, value in entry.version_tags.items():
            client.set_model_version_tag(entry.name, version, key, value)
        return str(version)

    def _registered(self, client: Any, entry: TrainingEntry) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(entry.name, description=entry.title)
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


def _plain(step: str) -> str:
    """A step's name with only the characters that MLflow takes in a key."""
    return "".join(c if (c.isalnum() and c.isascii()) or c in "_-. /" else "_" for c in step)
