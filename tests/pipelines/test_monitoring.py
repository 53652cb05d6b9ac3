"""The monitoring asset in a Dagster run, and the sensor that asks for a training once and for no act on a version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from core.clock import FixedClock
from core.months import Month
from core.state import StateDatabase
from models.definition import ModelDefinition
from models.monitoring.kept import record_events
from models.monitoring.measure import Measure, Monitored
from models.monitoring.triggers import decide, load_trigger_policy
from pipelines.monitoring_assets import monitoring_asset
from pipelines.sensors import monitoring_triggers
from pipelines.workplace import Workplace
from tests.models.scored_home import KIND, ScoredHome
from tests.models.signing import SignedHome
from tests.models.worlds import definition, matrix

CLOCK = FixedClock(datetime(2026, 11, 6, tzinfo=UTC))
MODEL, VERSION = "enterprise_risk", "enterprise_risk/2026-06-0123456789ab"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> ScoredHome:
    signed = SignedHome(tmp_path_factory.mktemp("monitored") / "home")
    signed.live()
    ready = ScoredHome(signed)
    for month in (Month(2026, 6), Month(2026, 7)):
        ready.features(month, matrix(600, 0)[0])
        ready.score(month)
    return ready


def asset_of(model: ModelDefinition, ready: ScoredHome) -> dg.AssetsDefinition:
    return monitoring_asset(model, ready.feature_set)


def test_the_asset_tells_numbers_a_table_a_picture_and_its_page_and_no_row(scored: ScoredHome) -> None:
    workplace = Workplace.open(scored.signed.home, CLOCK)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset_of(definition(), scored)], partition_key="2026-07", instance=instance,
            resources={"workplace": workplace}, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
    told = result.asset_materializations_for_node(f"reports__{KIND}__monitoring_tiny_risk")[0].metadata
    assert told["scored"].value == 600 and told["score_psi_reference"].value == 0.0
    assert told["new_events"].value == 0 and "none" in str(told["triggers"].value)
    assert Path(str(told["page"].value)).is_file() and Path(str(told["measures"].value)).is_file()
    assert f"{5:032x}" not in str(told) and "P000005" not in str(told)


def alarmed(state: StateDatabase, home: Path, month: Month, psi: float, jump: float | None = None) -> None:
    """Two months of a drifted score, told as monitoring tells it."""
    from core.settings import Settings

    policy = load_trigger_policy(Settings.load(home))
    measures = (
        Measure("score_psi_reference", psi, 900, chance=0.01),
        Measure("score_psi_previous", jump, 900, chance=0.01),
        Measure("features_moved", psi),
    )
    history = {
        str(each): Monitored(MODEL, str(each), VERSION, "a" * 64, "2026-06", "", measures)
        for each in (month.plus(-1), month)
    }
    record_events(state, CLOCK, history[str(month)], decide(policy, history, month), policy)


Asked = tuple[list[dg.RunRequest], list[str | None], str | None]


def asked(home: Path, cursor: str | None, instance: dg.DagsterInstance) -> Asked:
    """Runs, reasons for none, and the cursor after one look."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    told = list(monitoring_triggers(lambda: home)(context))  # type: ignore[call-overload]
    runs = [each for each in told if isinstance(each, dg.RunRequest)]
    return runs, [each.skip_message for each in told if isinstance(each, dg.SkipReason)], context.cursor


def test_the_sensor_asks_for_one_training_for_all_reasons_of_a_month_and_never_twice(tmp_path: Path) -> None:
    state = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    state.migrate()
    alarmed(state, tmp_path, Month(2026, 8), 0.5)
    with dg.DagsterInstance.ephemeral() as instance:
        runs, skipped, cursor = asked(tmp_path, None, instance)
        assert not skipped and len(runs) == 1
        assert runs[0].run_key == f"retrain/{VERSION}/2026-08" and runs[0].partition_key == "2026-08"
        layers = {key.path[0] for key in runs[0].asset_selection or []}
        assert layers == {"labels", "models"}, "nothing that scores, signs or lists"
        again, skipped, same = asked(tmp_path, cursor, instance)
        assert again == [] and skipped == ["monitoring asks for nothing new"] and same == cursor
        # Monitoring the month again writes no second event, and a lost cursor gives the key that Dagster has seen.
        alarmed(state, tmp_path, Month(2026, 8), 0.5)
        assert asked(tmp_path, cursor, instance)[0] == []
        lost, _, _ = asked(tmp_path, None, instance)
        assert [run.run_key for run in lost] == [runs[0].run_key]
        alarmed(state, tmp_path, Month(2026, 9), 0.5)
        later, _, _ = asked(tmp_path, cursor, instance)
        assert [run.partition_key for run in later] == ["2026-09"]


def test_a_review_starts_nothing_and_is_named_once(tmp_path: Path) -> None:
    state = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}")
    state.migrate()
    alarmed(state, tmp_path, Month(2026, 8), 0.0, jump=0.9)
    with dg.DagsterInstance.ephemeral() as instance:
        runs, skipped, cursor = asked(tmp_path, None, instance)
        assert runs == [] and skipped == [f"review wanted: {VERSION} of 2026-08: SCORE_JUMP"]
        assert asked(tmp_path, cursor, instance)[1] == ["monitoring asks for nothing new"]
