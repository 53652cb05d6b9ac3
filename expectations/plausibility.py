"""Plausibility: what a delivered month would have to look like beside the months before it, if nothing went wrong at the source.

A contract judges cells; these probes judge a month against the same accounts' own past, because that is where a changed unit,
a cumulative column, a swapped column or a lost region can be seen. They count and never name a subject.

Which probes run on which table, and from where on they warn or fail, stands in `plausibility.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import Field, RootModel

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from expectations import probes
from expectations.seen_months import SeenMonths

FILE = Path(__file__).parent / "plausibility.yaml"


class Verdict(StrEnum):
    """WARN: look at it. FAIL: don't build on this month before somebody has."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one probe says of one column of one month: `rows` of `of` rows (or series) are not plausible.

    One that `blocks` goes into the month's receipt: nothing is built on the month until it is settled.
    """

    check: str
    table: str
    period: str
    column: str
    rows: int
    of: int
    verdict: Verdict
    blocks: bool = False

    def __str__(self) -> str:
        return f"{self.table} {self.period} {self.check} {self.column}: {self.rows} of {self.of}, {self.verdict}".replace(
            "  ", " "
        )


class Probe(Definition):
    """One probe of a table. It warns above `warn_above` and fails above `fail_above`, both shares of what it looked at.

    With `blocks`, a failure blocks what is built on the month.
    """

    check: str
    column: str = ""
    warn_above: float = Field(default=0.0, ge=0, le=1)
    fail_above: float = Field(default=0.001, ge=0, le=1)
    blocks: bool = False

    def verdict(self, counted: probes.Counted) -> Verdict:
        """The verdict on what was counted; nothing to look at is no finding."""
        share = counted.rows / counted.of if counted.of else 0.0
        if share > self.fail_above:
            return Verdict.FAIL
        return Verdict.WARN if share > self.warn_above else Verdict.PASS


class Probes(RootModel[dict[str, tuple[Probe, ...]]]):
    """The probes of every table that has some."""


#: Every probe by the name that findings carry: (months, column) -> what was counted.
CHECKS: Mapping[str, Callable[[SeenMonths, str], probes.Counted]] = {
    "unit_of_history": probes.unit_of_history,
    "year_to_date": probes.year_to_date,
    "repeated_month": probes.repeated_month,
    "same_column_twice": probes.same_column_twice,
    "region_missing": probes.region_missing,
    "retired_region": probes.retired_region,
    "estimated_reads": probes.estimated_reads,
    "meter_identity": probes.meter_identity,
    "split_key": probes.split_key,
    "shared_key": probes.shared_key,
    "unreconciled_day": probes.unreconciled_day,
}
MEANINGS: Mapping[str, Bilingual] = {
    name: Bilingual(zh=zh, en=en)
    for name, zh, en in (
        ("unit_of_history", "金额与自身历史相差百倍或万倍", "amounts a hundred or ten thousand times off their own history"),
        ("year_to_date", "当期值呈年内累计", "values that only grow within the year: cumulative instead of the month's"),
        ("repeated_month", "与上月数值相同", "the same values as the month before"),
        ("same_column_twice", "两列内容相同", "two columns with the same content"),
        ("region_missing", "某地区数据缺失", "a region whose accounts are missing"),
        ("retired_region", "已撤销的行政区划代码", "region codes that no longer exist"),
        ("estimated_reads", "估抄比例偏高", "too many estimated reads"),
        ("meter_identity", "止码减起码不等于用量", "readings that don't add up to the consumption"),
        ("split_key", "同一户号换了主体代号", "one account under several pseudonyms"),
        ("shared_key", "多个户号共用一个主体代号", "many accounts under one pseudonym"),
        ("unreconciled_day", "当日三方流水未对平", "payments of a day whose three books don't agree"),
    )
}  # fmt: skip


def load_probes(path: Path = FILE) -> dict[str, tuple[Probe, ...]]:
    """Probes by table; a Refusal names file, line and remedy where a probe doesn't exist."""
    tables = load_definition(path, Probes).root
    for table, wanted in tables.items():
        for place, probe in enumerate(wanted):
            if probe.check not in CHECKS:
                raise Refusal(
                    CODE,
                    f"there is no probe {probe.check}.",
                    file=str(path),
                    line=line_of(path, table, place, "check"),
                    remedy=f"Choose from {', '.join(sorted(CHECKS))}.",
                )
    return tables


def judge(table: str, seen: SeenMonths, wanted: Sequence[Probe]) -> tuple[Finding, ...]:
    """Findings on the last of the seen months, one a probe, in the order of `wanted`; those that pass are told too.

    `table` is the name findings carry (`raw/<owner>/<table>`). A probe whose columns the table hasn't looks at nothing.
    """
    findings = []
    for probe in wanted:
        counted = CHECKS[probe.check](seen, probe.column)
        place = (probe.check, table, str(seen.months[-1]), probe.column)
        verdict = probe.verdict(counted)
        blocks = probe.blocks and verdict is Verdict.FAIL
        findings.append(Finding(*place, counted.rows, counted.of, verdict, blocks))
    return tuple(findings)
