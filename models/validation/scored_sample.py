"""The rows a model is judged on: probability, outcome, vintage, subject, grade and segments, as arrays of one length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from core.errors import GsceneError

#: Probabilities are kept this far from 0 and 1 where log-odds are taken.
EDGE = 1e-9


@dataclass(frozen=True)
class ScoredSample:
    """One row per subject and vintage. `pd` (n,) in [0, 1]; `outcome` (n,) 0/1; `vintage` (n,) as-of months as text; `grade`
    (n,) 1 … `grades`; `segments`: kind (region, industry, …) -> (n,) codes, "" where unknown.

    Raises GsceneError where arrays disagree or a subject stands twice in a vintage: independent rows are what tests assume.
    """

    pd: np.ndarray
    outcome: np.ndarray
    vintage: np.ndarray
    subject_no: np.ndarray
    grade: np.ndarray
    grades: int = 10
    segments: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = (self.outcome, self.vintage, self.subject_no, self.grade, *self.segments.values())
        if any(len(column) != len(self.pd) for column in columns):
            raise GsceneError("the arrays of the scored sample differ in length.", "Give one entry per row.")
        if len(self.pd) and not (
            np.isfinite(self.pd).all() and self.pd.min() >= 0.0 and self.pd.max() <= 1.0
        ):
            raise GsceneError("a probability isn't between 0 and 1.", "Give calibrated probabilities.")
        if not np.isin(self.outcome, (0, 1)).all():
            raise GsceneError("an outcome is neither 0 nor 1.", "Leave undecided and immature outcomes out.")
        if len(self.grade) and not (self.grade.min() >= 1 and self.grade.max() <= self.grades):
            raise GsceneError(f"a grade isn't between 1 and {self.grades}.", "Give the scale's own count.")
        keys = self.vintage_no.astype(np.int64) * (1 << 40) + _dense(self.subject_no)
        if len(np.unique(keys)) != len(keys):
            raise GsceneError("a subject stands twice in a vintage.", "Give one row per subject and vintage.")

    def __len__(self) -> int:
        return len(self.pd)

    @property
    def events(self) -> int:
        """Rows with the event."""
        return int(self.outcome.sum())

    @property
    def vintages(self) -> list[str]:
        """The vintages in order."""
        return [str(month) for month in np.unique(self.vintage)]

    @property
    def vintage_no(self) -> np.ndarray:
        """Place of each row's vintage among `vintages` (n,)."""
        return np.unique(self.vintage, return_inverse=True)[1].ravel()

    @property
    def both(self) -> bool:
        """Are there rows with and rows without the event?"""
        return 0 < self.events < len(self)

    def take(self, rows: np.ndarray) -> ScoredSample:
        """The rows chosen by a boolean mask or positions."""
        segments = {kind: codes[rows] for kind, codes in self.segments.items()}
        return ScoredSample(
            self.pd[rows],
            self.outcome[rows],
            self.vintage[rows],
            self.subject_no[rows],
            self.grade[rows],
            self.grades,
            segments,
        )

    def independent(self) -> ScoredSample:
        """The newest vintage that holds both outcomes: each subject once.

        Consecutive vintages of one subject share most months of their performance windows, so a test that takes rows as
        independent rejects far too often on all of them. One row drawn per subject would not do either: a subject that
        defaults early has rows in the early vintages only and would be drawn more often than its share.
        """
        for number in reversed(range(len(self.vintages))):
            one = self.take(self.vintage_no == number)
            if one.both:
                return one
        return self


def log_odds_of(pd: np.ndarray) -> np.ndarray:
    """Log-odds, finite also of 0 and 1."""
    safe = np.clip(pd, EDGE, 1.0 - EDGE)
    return np.asarray(np.log(safe) - np.log1p(-safe))


def _dense(subjects: np.ndarray) -> np.ndarray:
    return np.unique(subjects, return_inverse=True)[1].ravel().astype(np.int64)
