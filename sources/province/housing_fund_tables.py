"""Housing fund of one month, as the fund's centre knows it."""

from __future__ import annotations

import numpy as np

from core.months import Month
from core.subject import SubjectKind
from sources.province.housing_fund import RATES, members
from sources.province.lateness import day_number, restated
from sources.province.random_streams import stream
from sources.province.rows import NO_AMOUNT, NO_CODE, NO_DAY, Rows, Versions, fen
from sources.province.world import World

#: Share of insured employers that have a housing fund account.
EMPLOYERS = 0.6
#: The month's contribution may not exceed what the standard allows.
MOST_A_MONTH = 12_000.0
NORMAL, SEALED = range(2)
BOOKED_ON_DAY = 18


def hpf_person_month(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Accounts of those that ever worked; sealed while out of work."""
    life, people = world.residents, world.subjects[SubjectKind.RESIDENT].people
    fund = members(world.settings, people)
    who = np.flatnonzero(fund.member & life.employed[: row + 1].any(axis=0))
    works, rate = life.employed[row, who], fund.rate[who]
    amount = np.minimum(np.round(life.base[row, who]) * 2 * rate, MOST_A_MONTH)
    paid = life.employed[:row, who].sum(axis=0) + works + fund.saved[who]
    last = row - np.argmax(life.employed[row::-1, who], axis=0)
    corrected = restated(rng, "hpf_person_month", len(who)) & works
    columns = {
        "employer": np.where(works, life.employer[row, who], NO_CODE),
        "status": np.where(works, NORMAL, SEALED).astype(np.int8),
        "base": np.where(works, fen(np.round(life.base[row, who])), NO_AMOUNT),
        "employer_rate": rate,
        "person_rate": rate,
        "month_amount": np.where(works, fen(amount), NO_AMOUNT),
        "paid_to": _first_days(world, month, row)[last],
        "balance": fen(np.minimum(amount * paid, 1_900_000.0)),
    }
    final = Rows(who, columns)
    early = np.where(corrected, fen(amount * paid * 0.98), columns["balance"])
    return Versions(final.with_columns(balance=early), final)


def hpf_employer_month(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """What employers paid in; a late one shows nothing at first."""
    trade, firms = world.enterprises, world.subjects[SubjectKind.ENTERPRISE].people
    fixed = stream(world.settings.seed, "housing fund", "enterprise")
    member = firms.known_to["si"] & (fixed.random(len(firms)) < EMPLOYERS)
    rate_of = fixed.choice(RATES, size=len(firms))
    who = np.flatnonzero(member)
    staff = trade.staff[row, who].astype(np.int64)
    full = staff * trade.mean_base[row, who].astype(np.float64) * 2 * rate_of[who]
    paid = fen(np.round(full * trade.paid_share[row, who], 2))
    booked = np.full(len(who), day_number(month.first_day) + BOOKED_ON_DAY - 1)
    final = Rows(who, {"paid": paid, "payers": staff, "paid_on": np.where(paid > 0, booked, NO_DAY)})
    late = restated(rng, "hpf_employer_month", len(who))
    first = final.with_columns(
        paid=np.where(late, 0, paid), paid_on=np.where(late | (paid == 0), NO_DAY, booked)
    )
    return Versions(first, final)


def _first_days(world: World, month: Month, row: int) -> np.ndarray:
    """First day of every lived month up to `row`, days since 1970."""
    return np.array([day_number(month.plus(at - row).first_day) for at in range(row + 1)])
