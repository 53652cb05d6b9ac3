"""Both faces of the Dagster location load from nothing, and every asset tells what it is in the same way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from core.subject import SubjectKind
from pipelines.asset_style import asset_key
from pipelines.build import build_definitions
from pipelines.partitions import as_of_months
from pipelines.screening_assets import screened_with
from pipelines.workplace import blueprint

CHECKOUT = Path(__file__).parents[2]
SLOW_IMPORTS = {"great_expectations", "mlflow", "lightgbm", "matplotlib", "sklearn", "asyncssh", "psycopg"}
LAYERS = {"raw", "facts", "features", "labels", "models", "scores", "leads", "reports"}

CHINESE = re.compile(r"[\u4e00-\u9fff]{4,}")
ENGLISH = re.compile(r"[A-Za-z]{3,} [A-Za-z]{2,}")


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions()


@pytest.fixture(scope="module")
def assets(definitions: dg.Definitions) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for spec in definitions.resolve_all_asset_specs()}


@pytest.fixture
def nothing_set(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has only checked the project out; Dagster doesn't call home."""
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "HOME": str(tmp_path),
        "DAGSTER_HOME": str(tmp_path),
        "LANG": "C.UTF-8",
    }


def ran(arguments: list[str], environment: dict[str, str], folder: Path = CHECKOUT) -> str:
    done = subprocess.run(
        arguments, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_workspace_file_loads_as_gscene(nothing_set: dict[str, str]) -> None:
    told = ran(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"], nothing_set
    )
    assert "gscene" in told


def test_dg_loads_the_same_definitions(
    nothing_set: dict[str, str], assets: dict[dg.AssetKey, dg.AssetSpec], definitions: dg.Definitions
) -> None:
    dg_program = str(Path(sys.executable).parent / "dg")
    told = json.loads(ran([dg_program, "list", "defs", "--json"], nothing_set))
    assert {entry["asset_key"] for entry in told["assets"]} == {key.to_user_string() for key in assets}
    assert {entry["name"] for entry in told["jobs"]} >= {job.name for job in definitions.jobs or []}
    assert {entry["name"] for entry in told["schedules"]} == {s.name for s in definitions.schedules or []}


def test_loading_imports_nothing_slow(nothing_set: dict[str, str]) -> None:
    code = (
        "import sys; import pipelines.definitions as d; assert d.defs; "
        f"print(','.join(sorted({SLOW_IMPORTS!r} & set(sys.modules))) + '|')"
    )
    assert ran([sys.executable, "-c", code], nothing_set).strip() == "|"


def test_loading_writes_nothing(nothing_set: dict[str, str], tmp_path: Path) -> None:
    ran(
        [sys.executable, "-c", "import pipelines.definitions"],
        nothing_set | {"GSCENE_HOME": str(tmp_path / "h")},
    )
    assert not (tmp_path / "h").exists()


def test_there_is_every_layer_for_both_subjects(assets: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    layers = {(key.path[0], key.path[1]) for key in assets}
    assert layers == {(layer, str(kind)) for layer in LAYERS for kind in SubjectKind} | {("raw", "shared")}


def test_every_asset_says_what_it_is(assets: dict[dg.AssetKey, dg.AssetSpec]) -> None:
    wrong = []
    for key, spec in assets.items():
        told = spec.description or ""
        says = {
            "three parts": len(key.path) == 3 and all(re.fullmatch(r"[a-z][a-z0-9_]*", p) for p in key.path),
            "group is the layer": spec.group_name == key.path[0],
            "owner": bool(spec.owners),
            "kinds": bool(spec.kinds),
            "subject tag": spec.tags.get("subject") == key.path[1],
            "monthly": spec.partitions_def == as_of_months,
            "starts with the grain": told.startswith("One ") and "\n\n每" in told,
            "English": ENGLISH.search(told) is not None,
            "Chinese": CHINESE.search(told) is not None,
        }
        wrong += [f"{key.to_user_string()}: {name}" for name, holds in says.items() if not holds]
    assert not wrong


def test_every_raw_asset_has_one_blocking_check_of_the_same_months(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    raw = {key for key in graph.get_all_asset_keys() if key.path[0] == "raw"}
    assert raw
    for key in raw:
        checks = [graph.get(check) for check in graph.get_check_keys_for_assets({key})]
        blocking = [check for check in checks if check.blocking]
        assert len(blocking) == 1, key
        check = blocking[0]
        assert check.partitions_def == graph.get(key).partitions_def == as_of_months
    assert {check.asset_key for check in graph.asset_check_keys} == raw


def test_all_that_is_read_is_an_upstream(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    before = {"facts": {"raw"}, "features": {"facts"}, "labels": {"raw"}, "models": {"features", "labels"},
              "scores": {"models", "features"}, "leads": {"scores", "features", "raw"},
              "reports": {"features", "labels"}}  # fmt: skip
    modelled = {f"screening_{model.feature_set}" for model in blueprint().models.values()}
    # Facts that are joined from others: those that name a subject and those of the subject named.
    linked = {asset_key("facts", f.subject, f.facts) for f in blueprint().facts.values() if f.upstream}
    assert linked
    for key in graph.get_all_asset_keys():
        above = {parent.path[0] for parent in graph.get(key).parent_keys}
        # A set that no model uses is screened without outcomes.
        needed = before.get(key.path[0], set()) - (
            {"labels"} if key.path[0] == "reports" and key.path[-1] not in modelled else set()
        )
        if key in linked:
            assert above == {"facts"} and len(graph.get(key).parent_keys) == 2, key
            continue
        if key.path[-1].startswith("monitoring_"):
            account = blueprint().models[key.path[-1].removeprefix("monitoring_")].label.kind == "account_dpd"
            needed = {"scores", "features", "labels"} | ({"raw"} if account else set())
        assert above == needed, key
        assert {parent.path[1] for parent in graph.get(key).parent_keys} <= {key.path[1]}, key


def test_features_that_marketing_alone_may_see_are_screened_too() -> None:
    plan = blueprint()
    for name, feature_set in plan.feature_sets.items():
        screened = screened_with(plan, name)
        assert {f for purpose in screened for f in feature_set.for_purpose(purpose)} == set(feature_set.names)
        assert all(model is None or model.purpose == purpose for purpose, model in screened.items())
    risk, marketing = screened_with(plan, "resident_monthly").values()
    assert risk is not None and marketing is not None


def test_nothing_starts_by_itself(definitions: dg.Definitions) -> None:
    assert definitions.schedules and definitions.sensors
    for schedule in definitions.schedules:
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    for sensor in definitions.sensors:
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED


def test_monthly_schedules_ask_for_the_month_before(definitions: dg.Definitions) -> None:
    monthly = [schedule for schedule in definitions.schedules or [] if schedule.name != "pull_schedule"]
    assert monthly
    for schedule in monthly:
        assert isinstance(schedule, dg.ScheduleDefinition)
        at = datetime(2026, 1, 6, 6, tzinfo=ZoneInfo("Asia/Shanghai"))
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=at,
                repository_def=definitions.get_repository_def(),
            )
            told = schedule.evaluate_tick(context)
        assert [request.partition_key for request in told.run_requests or []] == ["2025-12"], schedule.name
