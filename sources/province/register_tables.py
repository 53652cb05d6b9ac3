"""The register of meters in one month, as the supplier keeps it."""

from __future__ import annotations

import numpy as np

from core.months import Month
from core.subject import SubjectKind
from sources.province.lateness import day_number
from sources.province.random_streams import stream
from sources.province.rows import Rows, Versions
from sources.province.world import World

#: The oldest meters are this many days older than the first lived month.
OLDEST = 12 * 365
RESIDENT_NATURE, BUSINESS_NATURE = 0, 2
TIER, SINGLE, TWO_PART = range(3)


def util_account(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Residents' meters; a snapshot of the whole register every month."""
    return _register(world, SubjectKind.RESIDENT)


def enterprise_account(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Firms' meters."""
    return _register(world, SubjectKind.ENTERPRISE)


def _register(world: World, kind: SubjectKind) -> Versions:
    people, n = world.subjects[kind].people, len(world.subjects[kind].people)
    rng = stream(world.settings.seed, "register of meters", str(kind))
    opened = day_number(world.settings.first_month.first_day) - 400 - rng.integers(0, OLDEST, n)
    business = kind is SubjectKind.ENTERPRISE
    capacity = rng.choice([30.0, 50.0, 100.0, 315.0, 630.0] if business else [8.0, 12.0, 16.0], size=n)
    tariff = np.where(capacity >= 315, TWO_PART, SINGLE) if business else np.full(n, TIER)
    who = np.flatnonzero(people.known_to["electricity"])
    rows = Rows(
        who,
        {
            "meter": who,
            "supply": np.zeros(len(who), dtype=np.int8),
            "nature": np.full(len(who), BUSINESS_NATURE if business else RESIDENT_NATURE, dtype=np.int8),
            "tariff": tariff[who].astype(np.int8),
            "capacity": capacity[who],
            "opened": opened[who],
        },
    )
    return Versions(rows, rows)
