"""Does a delivery have about as many rows as it should? What is held against it: the revision before, and the months around.

A full revision that lost most of its month is well-formed, adds up to its own manifest, and would empty the month. So a
drop is a warning in ledger and receipt, and beyond a declared share the delivery is HELD/VOLUME until a person waives it or
the source sends a whole one.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from core.definition_file import Definition
from core.months import Month
from core.state import Delivery

#: Months on each side that count as neighbours, and how many of them there must be.
_AROUND, _FEWEST = 3, 2


class Volume(Definition):
    """The `volume` entry of an adapter: shares of the expected rows. Below `from_rows` expected rows nothing is judged.

    The revision before tells of the same month, so a drop by half is held. Months differ by nature (campaigns, seasons):
    a drop against them is held only where the adapter says so.
    """

    warn_drop: float = Field(default=0.3, gt=0, le=1)
    warn_rise: float = Field(default=1.0, gt=0)
    hold_drop: float | None = Field(default=0.5, gt=0, le=1)
    hold_drop_months: float | None = Field(default=None, gt=0, le=1)
    from_rows: int = Field(default=200, ge=1)


@dataclass(frozen=True)
class VolumeFinding:
    """`change` is the share by which `rows` lies above (or, negative, below) `expected`."""

    against: str
    rows: int
    expected: int
    hold: bool

    @property
    def change(self) -> float:
        """Relative to what was expected, rounded to a thousandth."""
        return round(self.rows / self.expected - 1, 3)

    def told(self) -> dict[str, float | int]:
        """What ledger and receipt keep."""
        return {"rows": self.rows, "expected": self.expected, "change": self.change}


def judge_volume(
    entry: Delivery, rows: int, accepted: Sequence[Delivery], declared: Volume
) -> list[VolumeFinding]:
    """What is odd about `rows` accepted rows of a full delivery; `accepted` are the feed's standing full deliveries."""
    if entry.mode != "full":
        return []
    latest: dict[str, Delivery] = {}
    for other in sorted(accepted, key=lambda other: other.revision):
        if other.period != entry.period or other.revision < entry.revision:
            latest[other.period] = other
    findings = []
    before = latest.pop(entry.period, None)
    if before is not None:
        findings.append(
            _finding("revision before", rows, before.rows_accepted or 0, declared, declared.hold_drop)
        )
    month = Month.parse(entry.period)
    around = [
        other.rows_accepted or 0
        for period, other in latest.items()
        if abs(Month.parse(period).index - month.index) <= _AROUND
    ]
    if len(around) >= _FEWEST:
        expected = int(statistics.median(around))
        findings.append(_finding("months around", rows, expected, declared, declared.hold_drop_months))
    return [finding for finding in findings if finding is not None]


def _finding(
    against: str, rows: int, expected: int, declared: Volume, hold_drop: float | None
) -> VolumeFinding | None:
    if expected < declared.from_rows:
        return None
    change = rows / expected - 1
    if -declared.warn_drop <= change <= declared.warn_rise:
        return None
    return VolumeFinding(against, rows, expected, hold_drop is not None and change < -hold_drop)
