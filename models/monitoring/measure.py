"""What monitoring finds in one month of one model: named numbers, each with its size and what chance alone would give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("measure", pa.string()),
        ("about", pa.string()),
        ("value", pa.float64()),
        ("chance", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("n", pa.int64()),
        ("events", pa.int64()),
        ("model_version", pa.string()),
        ("bundle_sha256", pa.string()),
        ("reference_month", pa.string()),
        ("knowledge_cutoff", pa.string()),
    ]
)


@dataclass(frozen=True)
class Measure:
    """One number. `about`: the feature, source, grade, vintage or `vintage/grade` it is about, "" where the model. `chance`: what
    it seldom passes without any change; `low` … `high`: 95 %; `n` rows, `events` of them with the event.
    """

    measure: str
    value: float | None
    n: int = 0
    about: str = ""
    chance: float | None = None
    low: float | None = None
    high: float | None = None
    events: int | None = None

    def __post_init__(self) -> None:
        for name in ("value", "chance", "low", "high"):
            given = getattr(self, name)
            # Numbers that aren't finite are no numbers: thresholds would otherwise compare with NaN and stay silent.
            finite = given is not None and math.isfinite(given)
            object.__setattr__(self, name, float(given) if finite else None)


@dataclass(frozen=True)
class Monitored:
    """One month of one model. `reference_month`: whose scored population drift is measured against, "" where it isn't stored;
    `knowledge_cutoff`: nothing received later was looked at (UTC, ISO 8601).
    """

    model: str
    month: str
    model_version: str
    bundle_sha256: str
    reference_month: str
    knowledge_cutoff: str
    measures: tuple[Measure, ...]

    def one(self, measure: str) -> Measure | None:
        """The first measure of a name."""
        return next(iter(self.of(measure)), None)

    def of(self, measure: str) -> tuple[Measure, ...]:
        """All measures of a name, in their order."""
        return tuple(each for each in self.measures if each.measure == measure)

    def value(self, measure: str) -> float | None:
        """The value of the first measure of a name."""
        found = self.one(measure)
        return None if found is None else found.value

    def table(self) -> pa.Table:
        """One row per measure, as kept in the store."""
        shared = {
            name: getattr(self, name)
            for name in ("model_version", "bundle_sha256", "reference_month", "knowledge_cutoff")
        }
        return pa.Table.from_pylist([asdict(each) | shared for each in self.measures], schema=SCHEMA)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of_rows(cls, model: str, month: str, rows: Sequence[Mapping[str, Any]]) -> Monitored:
        """Back from the store's rows of one month."""
        names = [each.name for each in fields(Measure)]
        told = tuple(Measure(**{name: row[name] for name in names}) for row in rows)
        first = rows[0]
        version, bundle, reference, cutoff = (
            str(first[name])
            for name in ("model_version", "bundle_sha256", "reference_month", "knowledge_cutoff")
        )
        return cls(model, month, version, bundle, reference, cutoff, told)
