"""The check beside the contract: a month that isn't plausible is told in Dagster by counts, and holds nothing up."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster import AssetCheckKey

from core.clock import FixedClock
from core.months import Month
from core.progress import SilentProgress
from core.subject import SubjectKind
from expectations.receipts import require_receipts
from pipelines.asset_style import asset_key
from pipelines.launch import launch
from pipelines.workplace import Workplace
from sources.arrivals import read_schedule, receive
from sources.province.settings import ProvinceSettings
from sources.province.simulate import simulate

FIRST, LAST = Month(2025, 3), Month(2025, 5)
KEY = asset_key("raw", SubjectKind.RESIDENT, "util_bill")


@pytest.mark.parametrize("faults", [frozenset(), frozenset({"F24b"})], ids=["plain", "shared pseudonyms"])
def test_what_is_not_plausible_is_told_and_holds_nothing_up(faults, tmp_path) -> None:
    workplace = Workplace.open(tmp_path / "home", FixedClock(datetime(2025, 9, 1, tzinfo=UTC)))
    settings = ProvinceSettings(
        residents=200, enterprises=20, first_month=FIRST, months=3, faults=faults, only_tables=frozenset({"util_bill"}),
    )  # fmt: skip
    simulate(settings, tmp_path / "home" / "inbox", SilentProgress())
    for arrival in read_schedule(tmp_path / "home" / "inbox" / "arrivals.json"):
        receive(arrival, workplace.settings.archive, workplace.state, workplace.clock)
    launch(workplace, [KEY], FIRST, LAST)
    with dg.DagsterInstance.from_config(str(workplace.settings.dagster_home)) as instance:
        told = instance.event_log_storage.get_asset_check_execution_history(
            AssetCheckKey(KEY, "plausible"), limit=1
        )
        assert told[0].event is not None and told[0].event.dagster_event is not None
        found = told[0].event.dagster_event.asset_check_evaluation_data
    assert found.passed == (not faults)
    text = str({name: value.value for name, value in found.metadata.items()})
    assert ("shared_key" in text) == bool(faults)
    assert not re.search(r"k\d:[0-9a-f]{6}", text)
    months = [str(month) for month in (FIRST, FIRST.plus(1), LAST)]
    require_receipts(workplace.state, workplace.store, "raw/resident/util_bill", months)
