"""The declared statistics: `statistics.yaml` says for each its name in both languages, formula, source and limits.

Limits are data that a risk manager reads, changes and signs; the hash of the file stands beside every list of findings.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from core.definition_file import Bilingual, Definition, load_definition
from models.validation.finding import Finding, Interval, Table, Verdict, number

FILE = Path(__file__).parent / "statistics.yaml"

Limit = float | tuple[float, float]


class Statistic(Definition):
    """One statistic and how it is judged.

    `judged_by` value, p_value, or interval: then a limit is missed only where the whole interval lies beyond it, so that a
    miss is both proven and material, and a pass needs an interval that doesn't reach the limit for a failure. `better`:
    higher, lower, or inside a pair of limits. `warn` and `fail` None: never.
    """

    name: str = Field(pattern=r"^[a-z]+\.[a-z0-9_]+$")
    title: Bilingual
    formula: str
    source: str
    judged_by: Literal["value", "p_value", "interval"] | None = None
    better: Literal["higher", "lower", "inside"] | None = None
    warn: Limit | None = None
    fail: Limit | None = None

    @model_validator(mode="after")
    def _whole(self) -> Statistic:
        limits = [limit for limit in (self.warn, self.fail) if limit is not None]
        if (self.judged_by is None) != (not limits) or (self.judged_by is None) != (self.better is None):
            raise ValueError("judged_by, better and a limit go together")
        if any(isinstance(limit, tuple) != (self.better == "inside") for limit in limits):
            raise ValueError("a pair of limits goes with inside, one limit with higher or lower")
        return self

    def verdict(
        self,
        value: float | None,
        interval: Interval | None = None,
        p_value: float | None = None,
        chance: float | None = None,
    ) -> Verdict:
        """`chance`: what the statistic reaches by luck alone at this size; no limit lies below it."""
        if value is None or not math.isfinite(value):
            return Verdict.UNMEASURED
        if self.judged_by is None:
            return Verdict.TOLD
        span = self._span(value, interval, p_value)
        if span is None:
            return Verdict.UNMEASURED
        if self.fail is not None and self._beyond(span, self.fail, chance):
            return Verdict.FAIL
        if self.warn is not None and self._beyond(span, self.warn, chance):
            return Verdict.WARN
        gravest = self.fail if self.fail is not None else self.warn
        if gravest is not None and any(self._beyond((end, end), gravest, chance) for end in span):
            return Verdict.UNPROVEN
        return Verdict.PASS

    def _span(
        self, value: float, interval: Interval | None, p_value: float | None
    ) -> tuple[float, float] | None:
        if self.judged_by == "interval":
            return (
                None
                if interval is None or not (math.isfinite(interval.low) and math.isfinite(interval.high))
                else (interval.low, interval.high)
            )
        looked_at = p_value if self.judged_by == "p_value" else value
        return None if looked_at is None or not math.isfinite(looked_at) else (looked_at, looked_at)

    def _beyond(self, span: tuple[float, float], limit: Limit, chance: float | None) -> bool:
        low, high = span
        if isinstance(limit, tuple):
            return high < limit[0] or low > limit[1]
        if self.better == "higher":
            return high < limit
        return low > max(limit, chance if chance is not None else limit)

    def threshold(self, chance: float | None = None) -> Bilingual:
        """The limits in words."""
        parts = [
            (word, self._limit(limit, chance))
            for word, limit in ((("注意", "warn"), self.warn), (("未通过", "fail"), self.fail))
            if limit is not None
        ]
        by = {"p_value": "p ", "interval": "整个区间 "}.get(self.judged_by or "", "")
        by_en = {"p_value": "p ", "interval": "whole interval "}.get(self.judged_by or "", "")
        return Bilingual(
            zh="，".join(f"{word[0]}：{by}{told}" for word, told in parts),
            en=", ".join(f"{word[1]}: {by_en}{told}" for word, told in parts),
        )

    def _limit(self, limit: Limit, chance: float | None) -> str:
        if isinstance(limit, tuple):
            return f"∉ {number(limit[0])} … {number(limit[1])}"
        if self.better == "higher":
            return f"< {number(limit)}"
        return f"> {number(max(limit, chance if chance is not None else limit))}"


class Declared(Definition):
    """The file: statistics in the order of the report, families and words of tables in both languages."""

    version: int = Field(ge=1)
    families: dict[str, Bilingual]
    words: dict[str, Bilingual]
    statistics: list[Statistic]

    @model_validator(mode="after")
    def _known(self) -> Declared:
        names = [each.name for each in self.statistics]
        if len(set(names)) != len(names):
            raise ValueError("a statistic is declared twice")
        unknown = {name.partition(".")[0] for name in names} ^ set(self.families)
        if unknown:
            raise ValueError(f"families and statistics disagree: {', '.join(sorted(unknown))}")
        return self

    @property
    def by_name(self) -> Mapping[str, Statistic]:
        """Statistics by name, in the order of the report."""
        return {each.name: each for each in self.statistics}

    @property
    def sha256(self) -> str:
        """Hash of all limits and texts."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


@cache
def declared() -> Declared:
    """The statistics of this installation. Raises Refusal with file and line where the file is wrong."""
    return load_definition(FILE, Declared)


@cache
def _statistics() -> Mapping[str, Statistic]:
    return declared().by_name


def judge(
    name: str,
    value: float | None,
    *,
    n: int,
    events: int | None = None,
    interval: Interval | None = None,
    p_value: float | None = None,
    chance: float | None = None,
    about: str = "",
    details: tuple[Table, ...] = (),
    note: Bilingual | None = None,
) -> Finding:
    """The finding for a measured value; KeyError for a statistic that isn't declared."""
    statistic = _statistics()[name]
    told = None if value is None or not math.isfinite(value) else float(value)
    return Finding(
        name=name,
        statistic=statistic.title,
        value=told,
        verdict=statistic.verdict(told, interval, p_value, chance),
        threshold=statistic.threshold(chance),
        n=int(n),
        events=None if events is None else int(events),
        interval=interval,
        p_value=None if p_value is None else float(p_value),
        about=about,
        details=details,
        note=note,
    )


def unmeasured(name: str, note: Bilingual, n: int = 0, events: int | None = None, about: str = "") -> Finding:
    """The finding for what couldn't be measured, with the reason."""
    return judge(name, None, n=n, events=events, about=about, note=note)
