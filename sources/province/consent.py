"""Consents given and withdrawn, and who must not be approached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.months import Month
from sources.province.bank_codes import CONSENT_KINDS, PURPOSES, REASONS, SCOPES
from sources.province.lateness import day_number
from sources.province.population import Population
from sources.province.random_streams import sigmoid, stream
from sources.province.rows import NO_DAY
from sources.province.settings import BURN_IN_MONTHS, ProvinceSettings

#: Shares of the *pilot population*, whose people were asked at a branch; a province at large has 0.12 and 0.08.
CONSENT_SHARE = {"risk": 0.75, "marketing": 0.50}
#: Shares of CONSENT_KINDS by purpose; a general notice doesn't suffice to use a platform's data.
KIND_SHARE = {"risk": (0.02, 0.28, 0.70), "marketing": (0.08, 0.87, 0.05)}
GIVEN_AT_START = 0.70
LATER_MONTHS = 15
WITHDRAWN_A_MONTH = {"risk": 0.001, "marketing": 0.004}
#: Longer than any history that is simulated: training uses consents that are in force on the day of the training.
VALID_YEARS = 5
SUPPRESSED_SHARE = 0.03
SCOPE_SHARE = (0.60, 0.10, 0.05, 0.25)
REASON_SHARE = (0.25, 0.30, 0.08, 0.02, 0.05, 0.05, 0.05, 0.20)
COOLING_OFF_DAYS = 180
NEVER_ROW = 9_999


@dataclass(frozen=True)
class Register:
    """Consents (arrays of shape (consents,)) and suppressions (shape (entries,)); days since 1970, rows of state matrices.

    `purpose` and `kind` index PURPOSES and CONSENT_KINDS; `granted_row` and `withdrawn_row` are the months of the events.
    """

    subject: np.ndarray
    purpose: np.ndarray
    kind: np.ndarray
    granted_row: np.ndarray
    granted: np.ndarray
    valid_to: np.ndarray
    withdrawn_row: np.ndarray
    withdrawn: np.ndarray
    kept_off: np.ndarray
    kept_off_row: np.ndarray
    kept_off_from: np.ndarray
    kept_off_to: np.ndarray
    scope: np.ndarray
    reason: np.ndarray

    def in_force(self, purpose: str, row: int, subjects: int) -> np.ndarray:
        """Mask (subjects,): consent of a sufficient kind, given before and not withdrawn by this month."""
        good = (self.purpose == PURPOSES.index(purpose)) & (self.kind > 0)
        good &= (self.granted_row < row) & (self.withdrawn_row > row)
        mask = np.zeros(subjects, dtype=bool)
        mask[self.subject[good]] = True
        return mask

    def suppressed(self, row: int, subjects: int) -> np.ndarray:
        """Mask (subjects,): on the suppression list since before this month."""
        mask = np.zeros(subjects, dtype=bool)
        mask[self.kept_off[self.kept_off_row < row]] = True
        return mask


def give(settings: ProvinceSettings, people: Population) -> Register:
    """Everyone's consents and suppressions."""
    rng = stream(settings.seed, "consent", str(people.kind))
    pieces = [_purpose(rng, settings, people, purpose) for purpose in PURPOSES]
    subject, purpose, kind, granted_row, withdrawn_row = (
        np.concatenate(each) for each in zip(*pieces, strict=True)
    )
    granted = _days(rng, settings, granted_row)
    early = granted_row == BURN_IN_MONTHS
    # Those who agreed before the first delivery did so within the year before it.
    granted = np.where(early, granted - rng.integers(1, 330, len(granted)), granted)
    kept_off = np.flatnonzero(rng.random(len(people)) < SUPPRESSED_SHARE)
    count = len(kept_off)
    kept_row = BURN_IN_MONTHS + np.where(rng.random(count) < 0.5, 0, rng.integers(0, settings.months, count))
    reason = rng.choice(len(REASONS), size=count, p=REASON_SHARE)
    since = _days(rng, settings, kept_row)
    until = np.where(reason == REASONS.index("cooling_off"), since + COOLING_OFF_DAYS, NO_DAY)
    return Register(
        subject,
        purpose,
        kind,
        granted_row,
        granted,
        granted + VALID_YEARS * 365,
        withdrawn_row,
        np.where(withdrawn_row == NEVER_ROW, NO_DAY, _days(rng, settings, withdrawn_row)),
        kept_off,
        kept_row,
        since,
        until,
        rng.choice(len(SCOPES), size=count, p=SCOPE_SHARE),
        reason,
    )


def _purpose(
    rng: np.random.Generator, settings: ProvinceSettings, people: Population, purpose: str
) -> tuple[np.ndarray, ...]:
    share = CONSENT_SHARE[purpose]
    agrees = np.flatnonzero(
        rng.random(len(people)) < sigmoid(np.log(share / (1 - share)) + 0.15 * people.stability)
    )
    n = len(agrees)
    start = rng.random(n) < GIVEN_AT_START
    granted_row = BURN_IN_MONTHS + np.where(start, 0, rng.integers(0, min(LATER_MONTHS, settings.months), n))
    withdrawn_row = granted_row + rng.geometric(WITHDRAWN_A_MONTH[purpose], n)
    withdrawn_row = np.where(withdrawn_row < settings.lived, withdrawn_row, NEVER_ROW)
    kind = rng.choice(len(CONSENT_KINDS), size=n, p=KIND_SHARE[purpose])
    return agrees, np.full(n, PURPOSES.index(purpose)), kind, granted_row, withdrawn_row


def _days(rng: np.random.Generator, settings: ProvinceSettings, rows: np.ndarray) -> np.ndarray:
    """A day of each row's month, never after its 28th."""
    starts = np.array([day_number(month.first_day) for _, month in settings.calendar()], dtype=np.int64)
    known = np.minimum(rows, len(starts) - 1)
    return starts[known] + rng.integers(0, 28, len(rows))


def month_of(settings: ProvinceSettings, row: int) -> Month:
    """The calendar month of a row."""
    return settings.first_month.plus(row - BURN_IN_MONTHS)
