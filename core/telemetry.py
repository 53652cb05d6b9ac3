"""Nothing calls home: the switches of Dagster, MLflow and Great Expectations, set before any of them is imported."""

from __future__ import annotations

from collections.abc import MutableMapping

#: Environment that every process of gscene runs with. Dagster's own switch is in dagster.yaml.
QUIET_ENVIRONMENT = {
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # An MLmodel file that points at a pickle must never run code here.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # MLflow's default of many retries turns an outage into an hour of silence.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # A command's stdout holds its results; with --json they are one object.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Two LightGBM trainings on two busy cores take ten times as long when OpenMP threads spin while waiting.
    "OMP_WAIT_POLICY": "passive",
}


def quiet(environment: MutableMapping[str, str]) -> None:
    """Set every switch that is not already set."""
    for name, value in QUIET_ENVIRONMENT.items():
        environment.setdefault(name, value)
