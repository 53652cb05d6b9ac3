"""Who has a housing fund account, at which rate, and for how long: fixed traits, the same whoever tells of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sources.province.population import Population
from sources.province.random_streams import stream
from sources.province.settings import ProvinceSettings

#: Share of insured residents that have an account.
PERSONS = 0.7
#: Rates that employers choose from; both sides pay the same.
RATES = (0.05, 0.06, 0.08, 0.10, 0.12)
#: Months of contributions that an account holds at the start, at most.
SAVED_MONTHS = 48


@dataclass(frozen=True)
class Members:
    """Arrays of shape (residents,): has an account, the rate of either side, months paid in before the first lived one."""

    member: np.ndarray
    rate: np.ndarray
    saved: np.ndarray


def members(settings: ProvinceSettings, people: Population) -> Members:
    """The housing fund's accounts."""
    fixed = stream(settings.seed, "housing fund", "resident")
    member = people.known_to["si"] & (fixed.random(len(people)) < PERSONS)
    rate = fixed.choice(RATES, size=len(people))
    return Members(member, rate, fixed.random(len(people)) * SAVED_MONTHS)
