"""What one statistic says about one model: a number, its interval, its limit, and a verdict. Aggregates only, never rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from core.definition_file import Bilingual

Lang = Literal["zh", "en"]

Cell = str | int | float | None


class Verdict(StrEnum):
    """`told`: no limit is declared. `unmeasured`: there is too little to measure it. `unproven`: the interval is so wide that it
    reaches beyond the limit for a failure without lying there. Neither of the last two is ever a pass.
    """

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    TOLD = "told"
    UNMEASURED = "unmeasured"
    UNPROVEN = "unproven"


VERDICT_WORDS = {
    Verdict.PASS: Bilingual(zh="通过", en="pass"),
    Verdict.WARN: Bilingual(zh="注意", en="warn"),
    Verdict.FAIL: Bilingual(zh="未通过", en="FAIL"),
    Verdict.TOLD: Bilingual(zh="供参考", en="told"),
    Verdict.UNMEASURED: Bilingual(zh="无法衡量", en="not measured"),
    Verdict.UNPROVEN: Bilingual(zh="未能证明", en="unproven"),
}

#: From the lightest to the gravest: a family is as good as its worst statistic.
GRAVITY = (Verdict.TOLD, Verdict.PASS, Verdict.UNMEASURED, Verdict.UNPROVEN, Verdict.WARN, Verdict.FAIL)


@dataclass(frozen=True)
class Interval:
    """From `low` to `high` at two-sided `confidence`."""

    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True)
class Table:
    """A plain table of counts and rates; `columns` are words of `statistics.yaml`, which has both languages."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, repr=False)
class Finding:
    """One statistic. `name` as in `statistics.yaml`; `about` names the segment, feature, source or group it is about.

    `value` None says that it couldn't be measured, and `note` why. `threshold` is the limit as it was applied, chance
    included. `n` counts rows, `events` those with the event.
    """

    name: str
    statistic: Bilingual
    value: float | None
    verdict: Verdict
    threshold: Bilingual
    n: int
    events: int | None = None
    interval: Interval | None = None
    p_value: float | None = None
    about: str = ""
    details: tuple[Table, ...] = ()
    note: Bilingual | None = None

    @property
    def family(self) -> str:
        """`discrimination`, `calibration`, …"""
        return self.name.partition(".")[0]

    def line(self, lang: Lang = "en") -> str:
        """The verdict in a line."""
        zh = lang == "zh"
        words = [VERDICT_WORDS[self.verdict].model_dump()[lang], self.statistic.model_dump()[lang]]
        if self.about:
            words.append(f"[{self.about}]")
        words.append(number(self.value))
        if self.interval is not None:
            words.append(
                f"({100 * self.interval.confidence:.4g} %: {number(self.interval.low)} … {number(self.interval.high)})"
            )
        if self.p_value is not None:
            words.append(f"p {number(self.p_value)}")
        words.append(f"n {self.n:,}")
        if self.events is not None:
            words.append(f"{'事件' if zh else 'events'} {self.events:,}")
        limit = self.threshold.model_dump()[lang]
        told = " ".join(words) + (f"; {limit}" if limit else "")
        return told + (f" - {self.note.model_dump()[lang]}" if self.note is not None else "")

    def __repr__(self) -> str:
        return self.line("en")

    def plain(self) -> dict[str, Any]:
        """For JSON; numbers that aren't finite become None."""
        return {
            "name": self.name,
            "statistic": self.statistic.model_dump(),
            "about": self.about,
            "value": finite(self.value),
            "interval": None
            if self.interval is None
            else {key: finite(value) for key, value in asdict(self.interval).items()},
            "p_value": finite(self.p_value),
            "verdict": str(self.verdict),
            "threshold": self.threshold.model_dump(),
            "n": self.n,
            "events": self.events,
            "details": [
                {
                    "name": table.name,
                    "columns": list(table.columns),
                    "rows": [
                        [finite(cell) if isinstance(cell, float) else cell for cell in row]
                        for row in table.rows
                    ],
                }
                for table in self.details
            ],
            "note": None if self.note is None else self.note.model_dump(),
        }


def worst(findings: Sequence[Finding]) -> Verdict:
    """The gravest verdict among findings; TOLD of none."""
    return max((each.verdict for each in findings), key=GRAVITY.index, default=Verdict.TOLD)


def finite(value: float | None) -> float | None:
    """A Python float, None where there is no finite number."""
    return None if value is None or not math.isfinite(value) else float(value)


def number(value: Cell) -> str:
    """A number as tables show it: four digits that count, thousands apart; – where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
