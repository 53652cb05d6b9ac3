"""What one parity check says: a number beside its limits, and whether that stands in the way of the cut-over. Counts only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

#: Checks that a cut-over can't pass over; the others warn.
BLOCKING = frozenset({"PC01", "PC02", "PC03", "PC04", "PC05", "PC06", "PC07", "PC08", "PC12", "PC13", "PC15"})

#: All checks in order.
CHECKS = tuple(f"PC{number:02d}" for number in range(1, 16))


class Verdict(StrEnum):
    """`not_row_verifiable`: the two sides share no name of a subject or row, so the question can't be answered."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    NOT_ROW_VERIFIABLE = "not_row_verifiable"


@dataclass(frozen=True)
class ParityFinding:
    """One statistic of one check. `low` and `high` are its limits (None: open), `column` the column or feature it is about.

    `blocks`: it stands in the way of the cut-over as it is. `waiver`: who lets the miss pass until when.
    """

    check: str
    table: str
    measure: str
    verdict: Verdict
    statistic: float | None = None
    low: float | None = None
    high: float | None = None
    column: str = ""
    blocks: bool = False
    waiver: str = ""
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        told = "" if self.statistic is None else f" {self.statistic:.6g}"
        where = ".".join(part for part in (self.table, self.column) if part)
        return f"{self.check} {where} {self.measure}{told} [{self.limits}]: {self.verdict}"

    @property
    def limits(self) -> str:
        """`≥ 0.999`, `0.98 … 1.02`, `≤ 0.01`."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} … {self.high:g}"
        if self.low is not None:
            return f"≥ {self.low:g}"
        return f"≤ {self.high:g}" if self.high is not None else ""

    def waived(self, told: str) -> ParityFinding:
        """The same miss, let pass by a named person."""
        return replace(self, blocks=False, waiver=told)

    def as_plain(self) -> dict[str, Any]:
        """For JSON; `from_plain` reads it back."""
        return {**asdict(self), "verdict": str(self.verdict), "counts": dict(self.counts)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ParityFinding:
        """Read what `as_plain` wrote."""
        return cls(**{**plain, "verdict": Verdict(plain["verdict"])})


def judged(
    check: str,
    table: str,
    measure: str,
    statistic: float,
    *,
    low: float | None = None,
    high: float | None = None,
    column: str = "",
    counts: Mapping[str, int] | None = None,
) -> ParityFinding:
    """The finding for a statistic: pass inside the limits (both included); outside a blocking check fails, the others warn. A
    statistic that isn't a number is outside."""
    inside = (
        not math.isnan(statistic)
        and (low is None or statistic >= low)
        and (high is None or statistic <= high)
    )
    outside = Verdict.FAIL if check in BLOCKING else Verdict.WARN
    return ParityFinding(
        check=check,
        table=table,
        measure=measure,
        verdict=Verdict.PASS if inside else outside,
        statistic=None if math.isnan(statistic) else float(statistic),
        low=low,
        high=high,
        column=column,
        blocks=not inside and check in BLOCKING,
        counts=dict(counts or {}),
    )


def not_row_verifiable(
    check: str,
    table: str,
    measure: str,
    statistic: float | None = None,
    *,
    column: str = "",
    counts: Mapping[str, int] | None = None,
) -> ParityFinding:
    """The finding where rows or subjects can't be told to be the same; `statistic` is the total that was compared instead. It
    doesn't block, but whoever signs must name the check."""
    return ParityFinding(
        check, table, measure, Verdict.NOT_ROW_VERIFIABLE, statistic, column=column, counts=dict(counts or {})
    )
