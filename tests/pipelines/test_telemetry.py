"""Nothing calls home: each library says itself that its telemetry is off."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg

from pipelines.launch import prepare_instance

CHECKOUT = Path(__file__).parents[2]

SAY = """
import json, os
from core.telemetry import quiet
quiet(os.environ)
from great_expectations.data_context.data_context.context_factory import get_context
from mlflow.telemetry.utils import is_telemetry_disabled
context = get_context(mode="ephemeral")
print(json.dumps({"gx": bool(context.config.analytics_enabled), "mlflow_off": is_telemetry_disabled()}))
"""


def test_dagster_instance_has_telemetry_and_pop_ups_off(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(prepare_instance(tmp_path / "home"))) as instance:
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
        assert str(tmp_path) in instance.event_log_storage._base_dir  # type: ignore[attr-defined]


def test_great_expectations_and_mlflow_are_quiet() -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)}
    said = subprocess.run(
        [sys.executable, "-c", SAY], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout.splitlines()[-1]) == {"gx": False, "mlflow_off": True}
