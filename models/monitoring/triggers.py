"""When monitoring calls for a review or a retraining: declared thresholds and one pure decision over months.

Nothing here acts on a version: a decision is a reason, written down; a training that it starts has to be signed like any other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from core.definition_file import Bilingual, Definition, load_definition
from core.months import Month
from core.settings import Settings
from models.monitoring.measure import Measure, Monitored

SHIPPED = Path(__file__).parent / "triggers.yaml"
NAME = "monitoring.yaml"


class Level(StrEnum):
    """How far a measure is past its thresholds."""

    WARN = "warn"
    ACT = "act"


class Trigger(Definition):
    """One threshold; see the file's own words."""

    code: str = Field(pattern=r"^[A-Z][A-Z_]*$")
    title: Bilingual
    measure: str
    worse: Literal["higher", "lower"]
    warn: float
    act: float
    months: int = Field(ge=1, le=24)
    response: Literal["review", "retrain"]
    beyond_chance: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Trigger:
        if (self.act < self.warn) if self.worse == "higher" else (self.act > self.warn):
            raise ValueError("act must lie beyond warn")
        return self

    def level(self, measure: Measure | None) -> Level | None:
        """How far one month's measure is past; None within the thresholds or where nothing was measured."""
        if measure is None or measure.value is None:
            return None
        if self.beyond_chance and (measure.chance is None or measure.value <= measure.chance):
            return None
        for level, limit in ((Level.ACT, self.act), (Level.WARN, self.warn)):
            if measure.value > limit if self.worse == "higher" else measure.value < limit:
                return level
        return None


class TriggerPolicy(Definition):
    """All thresholds of an installation."""

    policy: Literal["monitoring"]
    version: int = Field(ge=1)
    triggers: list[Trigger] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> TriggerPolicy:
        codes = [trigger.code for trigger in self.triggers]
        if len(set(codes)) != len(codes):
            raise ValueError("a reason code is declared twice")
        return self

    @property
    def sha256(self) -> str:
        """Hash of all thresholds; it stands in every event."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Decision:
    """A threshold that is passed: `months` running past act (0: past warn alone). `response` `told` for a mere warning."""

    code: str
    level: Level
    response: Literal["told", "review", "retrain"]
    measure: str
    about: str
    value: float
    threshold: float
    months: int

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def load_trigger_policy(settings: Settings) -> TriggerPolicy:
    """The thresholds of this installation; a Refusal names file and line."""
    own = settings.home / NAME
    return load_definition(own if own.exists() else SHIPPED, TriggerPolicy)


def decide(policy: TriggerPolicy, history: Mapping[str, Monitored], month: Month) -> tuple[Decision, ...]:
    """What `month` calls for, in the order of the policy. `history`: monitored months by name, later ones are not looked at.

    A streak ends at a month that wasn't monitored, had nothing to measure, or was scored by another version.
    """
    if str(month) not in history:
        return ()
    version, found = history[str(month)].model_version, []
    for trigger in policy.triggers:
        now = history[str(month)].one(trigger.measure)
        level = trigger.level(now)
        if level is None or now is None or now.value is None:
            continue
        streak, back = 0, month
        while (past := history.get(str(back))) is not None and past.model_version == version:
            if trigger.level(past.one(trigger.measure)) is not Level.ACT:
                break
            streak, back = streak + 1, back.plus(-1)
        acts = streak >= trigger.months
        found.append(
            Decision(
                trigger.code, Level.ACT if acts else Level.WARN, trigger.response if acts else "told", trigger.measure, now.about,
                now.value, trigger.act if level is Level.ACT else trigger.warn, streak,
            )
        )  # fmt: skip
    return tuple(found)
