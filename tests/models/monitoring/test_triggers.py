"""The decision over months: thresholds, streaks, chance, versions; and the shipped file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Refusal
from core.months import Month
from core.settings import Settings
from models.monitoring.measure import Measure, Monitored
from models.monitoring.triggers import (
    SHIPPED,
    Level,
    TriggerPolicy,
    decide,
    load_trigger_policy,
)

START = Month(2026, 1)


def policy(**changes: object) -> TriggerPolicy:
    trigger = {
        "code": "DRIFT", "title": {"zh": "漂移", "en": "drift"}, "measure": "m", "worse": "higher", "warn": 0.1, "act": 0.25,
        "months": 2, "response": "retrain",
    }  # fmt: skip
    return TriggerPolicy.model_validate(
        {"policy": "monitoring", "version": 1, "triggers": [trigger | changes]}
    )


def months(*values: float | None, versions: str = "", chance: float | None = None) -> dict[str, Monitored]:
    """One month after another from 2026-01 on."""
    made = {}
    for place, value in enumerate(values):
        month, version = str(START.plus(place)), versions[place] if versions else "v"
        told = (Measure("m", value, 100, chance=chance),)
        made[month] = Monitored("tiny", month, version, "", "", "", told)
    return made


def last(history: dict[str, Monitored], **changes: object) -> list[tuple[str, Level, int]]:
    told = decide(policy(**changes), history, Month.parse(list(history)[-1]))
    return [(each.response, each.level, each.months) for each in told]


def test_within_thresholds_nothing_is_called_for() -> None:
    assert last(months(0.1)) == [] and last(months(None)) == []


def test_warn_is_told_and_act_needs_its_months_running() -> None:
    assert last(months(0.2)) == [("told", Level.WARN, 0)]
    assert last(months(0.3)) == [("told", Level.WARN, 1)]
    assert last(months(0.3, 0.3)) == [("retrain", Level.ACT, 2)]
    assert last(months(0.3, 0.2, 0.3)) == [("told", Level.WARN, 1)]
    assert last(months(0.3, None, 0.3)) == [("told", Level.WARN, 1)]


def test_another_version_or_a_gap_starts_anew() -> None:
    assert last(months(0.3, 0.3, versions="ab")) == [("told", Level.WARN, 1)]
    gap = {month: told for month, told in months(0.3, 0.3, 0.3).items() if month != "2026-02"}
    assert last(gap) == [("told", Level.WARN, 1)]


def test_later_months_are_not_looked_at() -> None:
    history = months(0.3, 0.3, 9.0)
    assert decide(policy(), history, Month(2026, 2)) == decide(
        policy(), {k: v for k, v in history.items() if k != "2026-03"}, Month(2026, 2)
    )


def test_what_chance_gives_is_no_alarm() -> None:
    assert last(months(0.3, 0.3, chance=0.4), beyond_chance=True) == []
    assert last(months(0.3, 0.3, chance=0.2), beyond_chance=True) == [("retrain", Level.ACT, 2)]


def test_a_lower_limit_looks_down() -> None:
    assert last(months(0.001), worse="lower", warn=0.05, act=0.01, months=1) == [("retrain", Level.ACT, 1)]
    assert last(months(0.5), worse="lower", warn=0.05, act=0.01, months=1) == []


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=8), st.integers(1, 4))
def test_act_is_called_for_exactly_after_so_many_months_past_act(
    values: list[float | None], wanted: int
) -> None:
    told = last(months(*values), months=wanted)
    streak = 0
    for value in values:
        streak = streak + 1 if value is not None and value > 0.25 else 0
    assert (("retrain", Level.ACT, streak) in told) == (streak >= wanted)


def test_the_shipped_file_loads_and_a_home_may_have_its_own(tmp_path: Path) -> None:
    shipped = load_trigger_policy(Settings.load(tmp_path))
    own = tmp_path / "monitoring.yaml"
    own.write_text(SHIPPED.read_text(encoding="utf-8").replace("act: 0.25", "act: 0.05", 1), encoding="utf-8")
    with pytest.raises(Refusal, match="act must lie beyond warn") as refused:
        load_trigger_policy(Settings.load(tmp_path))
    assert refused.value.file == str(own) and refused.value.line
    own.write_text(SHIPPED.read_text(encoding="utf-8").replace("act: 0.25", "act: 0.3", 1), encoding="utf-8")
    assert load_trigger_policy(Settings.load(tmp_path)).sha256 != shipped.sha256
