"""What is asked of a labelled table: which column is what, and what the model is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.months import Month
from core.purpose import Purpose
from core.subject import SubjectKind


@dataclass(frozen=True)
class Question:
    """Columns by their names in the table.

    `event`: the value of `target` that is the event, None where it is 0/1. `group` (lawful attribute), `batch` (where outcomes
    came from) and `trusted` (1: this outcome was verified) are looked at in validation and never become features; `segment` does
    unless excluded. `later_share`: rows that the newest periods must hold to judge; `gap_months` lie at least between the
    sides. `month`: the training month where there is no time.
    """

    file: Path
    target: str
    month: Month
    event: str | None = None
    time: str | None = None
    subject_id: str | None = None
    exclude: tuple[str, ...] = ()
    monotone: Mapping[str, int] = field(default_factory=dict)
    categorical: tuple[str, ...] = ()
    segment: str | None = None
    group: str | None = None
    batch: str | None = None
    trusted: str | None = None
    purpose: Purpose = Purpose.RISK
    subject: SubjectKind = SubjectKind.RESIDENT
    later_share: float = 0.25
    gap_months: int = 1
    repeats: int | None = None
    seed: int = 20_260_101

    @property
    def named(self) -> list[str]:
        """Every column that is named."""
        single = (self.target, self.time, self.subject_id, self.segment, self.group, self.batch, self.trusted)
        return [*(each for each in single if each), *self.exclude, *self.monotone, *self.categorical]

    @property
    def no_features(self) -> set[str]:
        """Columns that never become features."""
        single = (self.target, self.time, self.subject_id, self.group, self.batch, self.trusted)
        return {each for each in single if each} | set(self.exclude)
