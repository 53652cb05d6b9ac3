"""Randomised campaigns, who was approached, and what followed with and without the approach.

Arms are drawn by HMAC of seed, campaign and subject. Conversions are three times the real-world rates of domain.md 4.1
(PILOT_SCALE), so that a demo of a few thousand subjects has something to learn from; say so wherever they are shown.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.months import Month
from core.subject import SubjectKind
from sources.province.consent import Register, month_of
from sources.province.credit import Accounts
from sources.province.enterprises import EnterpriseHistory
from sources.province.history import trailing_count, trailing_sum
from sources.province.lateness import day_number
from sources.province.population import Population
from sources.province.random_streams import stream
from sources.province.residents import ResidentHistory
from sources.province.settings import BURN_IN_MONTHS, ProvinceSettings

Matrix = NDArray[np.float32]
#: Standardised leaning towards an offer, shape (lived months, subjects), from what was asked for on platforms.
Interest = NDArray[np.float32]

EVERY_MONTHS = 3
FIRST_CAMPAIGN_MONTH = 3
#: Day of the month on which arms are drawn: after the knowledge cutoff of the month before.
ASSIGNED_ON_DAY = 12
TREAT_SHARE = 0.8
WINDOW_DAYS = 60
PILOT_SCALE = 3.0
#: Conversion within 60 days without an approach, and what an approach adds on average.
ORGANIC = {SubjectKind.RESIDENT: 0.006, SubjectKind.ENTERPRISE: 0.010}
UPLIFT = {SubjectKind.RESIDENT: 0.008, SubjectKind.ENTERPRISE: 0.012}
#: Those whom an approach puts off, and by how much.
SLEEPING_DOGS = 0.05
PUT_OFF = -0.003
#: Log-factor per standard deviation of interest.
ORGANIC_ON_INTEREST = 0.35
UPLIFT_ON_INTEREST = 0.75
#: Applications beside those that lead to an account.
FRUITLESS_APPLICATIONS = 0.6
DRAWS_DOWN = 0.7
PRODUCTS = {SubjectKind.RESIDENT: "consumer_loan", SubjectKind.ENTERPRISE: "sme_credit_line"}


@dataclass(frozen=True)
class Campaign:
    """One campaign. Arrays of shape (assigned subjects,) beside `event_*`, one entry per event (days since 1970).

    `organic` and `uplift` are true probabilities within 60 days of assignment.
    """

    campaign_id: str
    month: Month
    assigned: int
    subject: np.ndarray
    treated: np.ndarray
    organic: np.ndarray
    uplift: np.ndarray
    event_subject: np.ndarray
    event: np.ndarray
    event_day: np.ndarray


def resident_interest(life: ResidentHistory) -> Interest:
    """Recent use of the platform."""
    rows = range(len(life.cases))
    return np.stack([_standard(np.log1p(trailing_sum(life.cases, row, 6))) for row in rows])


def enterprise_interest(life: EnterpriseHistory) -> Interest:
    """A recent award, and more staff than half a year ago: need of working capital."""
    result = []
    for row in range(len(life.awards)):
        hiring = np.log(life.staff[row] / life.staff[max(row - 6, 0)])
        result.append(
            _standard(2.5 * (trailing_count(life.awards, row, 6) > 0) + 6.0 * np.clip(hiring, -0.3, 0.3))
        )
    return np.stack(result)


def run(
    settings: ProvinceSettings, people: Population, accounts: Accounts, register: Register, interest: Interest
) -> tuple[Campaign, ...]:
    """Every campaign of one kind of subject, in order."""
    months = range(FIRST_CAMPAIGN_MONTH, settings.months, EVERY_MONTHS)
    return tuple(
        _campaign(settings, people, accounts, register, interest, BURN_IN_MONTHS + month) for month in months
    )


def _campaign(
    settings: ProvinceSettings,
    people: Population,
    accounts: Accounts,
    register: Register,
    interest: Interest,
    row: int,
) -> Campaign:
    kind, month = people.kind, month_of(settings, row)
    campaign_id = f"{PRODUCTS[kind]}-{month}"
    rng = stream(settings.seed, "campaign", campaign_id)
    may = register.in_force("marketing", row, len(people)) & ~register.suppressed(row, len(people))
    may[accounts.subject[accounts.reported[row]]] = False
    subject = np.flatnonzero(may)
    key = f"{settings.seed}".encode()
    tokens = people.tokens.take(subject).to_pylist()
    draws = [
        int.from_bytes(hmac.digest(key, f"{campaign_id}|{token}".encode(), "sha256")[:7], "big")
        for token in tokens
    ]
    treated = np.array(draws, dtype=np.float64) / 2.0**56 < TREAT_SHARE
    leaning = interest[row - 1, subject].astype(np.float64)
    organic = _scaled(np.exp(ORGANIC_ON_INTEREST * leaning), ORGANIC[kind])
    uplift = _scaled(np.exp(UPLIFT_ON_INTEREST * leaning), UPLIFT[kind])
    uplift = np.where(rng.random(len(subject)) < SLEEPING_DOGS, PUT_OFF * PILOT_SCALE, uplift)
    chance = np.clip(organic + treated * uplift, 0.0, 1.0)
    assigned = day_number(month.first_day) + ASSIGNED_ON_DAY - 1
    converts, asks = (
        rng.random(len(subject)) < chance,
        rng.random(len(subject)) < FRUITLESS_APPLICATIONS * chance,
    )
    apply_day = assigned + rng.integers(1, WINDOW_DAYS - 12, len(subject))
    open_day = apply_day + rng.integers(0, 8, len(subject))
    draw_day = open_day + rng.integers(0, 5, len(subject))
    draws_down = converts & (rng.random(len(subject)) < DRAWS_DOWN)
    events = [(converts | asks, apply_day), (converts, open_day), (draws_down, draw_day)]
    return Campaign(
        campaign_id,
        month,
        assigned,
        subject,
        treated,
        organic,
        np.clip(chance_with(organic, uplift) - organic, -1, 1),
        event_subject=np.concatenate([subject[hit] for hit, _ in events]),
        event=np.concatenate(
            [np.full(hit.sum(), code, dtype=np.int8) for code, (hit, _) in enumerate(events)]
        ),
        event_day=np.concatenate([day[hit] for hit, day in events]),
    )


def chance_with(organic: np.ndarray, uplift: np.ndarray) -> np.ndarray:
    """Probability of a conversion when approached."""
    return np.clip(organic + uplift, 0.0, 1.0)


def _scaled(factor: np.ndarray, mean: float) -> np.ndarray:
    """`factor` brought to PILOT_SCALE times `mean` on average, at most one half."""
    return np.minimum(factor / factor.mean() * mean * PILOT_SCALE, 0.5) if len(factor) else factor


def _standard(x: np.ndarray) -> Interest:
    spread = x.std() if len(x) and x.std() > 0 else 1.0
    return ((x - (x.mean() if len(x) else 0.0)) / spread).astype(np.float32)
