"""Changes of state in one month: the registers of firms and of vehicles, enrolment in social insurance; and school fees by payer.

The first month brings what stands, dated as it came to be before any record; later months bring what changes.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from core.months import Month
from core.subject import SubjectKind
from sources.province.lateness import day_number, sending_day
from sources.province.random_streams import sigmoid, stream
from sources.province.rows import NO_CODE, NO_MOMENT, Rows, Versions, fen, numbered
from sources.province.settings import BURN_IN_MONTHS
from sources.province.world import World

OPEN, REVOKED = 0, 1
ENROLLED, PAUSED = 0, 1
#: Firms were founded within so many days, ending a year before the first lived month: no date of a file lies before 2010.
OLDEST_FIRM = 9 * 365
#: Changes of capital a month; months without sales after which a licence is revoked.
RAISED_A_MONTH, IDLE_MONTHS = 0.004, 9
#: Share of those out of work who insure themselves.
FLEXIBLE_SHARE = 0.2
#: Share of residents with a vehicle at the start, of others who register one in a month, of vehicles that carry a mortgage.
OWNERS, REGISTER_A_MONTH, MORTGAGED = 0.30, 0.004, 0.25
COMMERCIAL = 0.06
#: Share of users who pay a pupil's fees; months in which a term's bills are due; day of the month.
PAYERS, SPRING, AUTUMN, FEES_DUE_ON_DAY = 0.15, 3, 9, 15
LATE_FEE_PAYERS, INSTALMENTS = -2.6, 0.08
_DAY_SECONDS = 86_400


def reg_enterprise(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Entries of firms: all in the first month, then capital raised and licences revoked."""
    people, trade = world.subjects[SubjectKind.ENTERPRISE].people, world.enterprises
    n, fixed = len(people), stream(world.settings.seed, "register", "firm")
    # Before the burn-in, so before anything that any office has of the firm.
    start = day_number(world.settings.first_month.plus(-BURN_IN_MONTHS).first_day)
    established = start - 365 - fixed.integers(0, OLDEST_FIRM, n)
    capital = np.round(np.exp(np.log(800_000) + 0.9 * fixed.standard_normal(n)), -4)
    raises = fixed.random((world.settings.lived, n)) < RAISED_A_MONTH
    capital = capital * 1.5 ** raises[: row + 1].sum(axis=0)
    idle = _idle(trade.sales, row)
    if month == world.settings.first_month:
        who, day = np.arange(n), established.astype(np.int64)
    else:
        who = np.flatnonzero(raises[row] | (idle & ~_idle(trade.sales, row - 1)))
        day = day_number(month.first_day) + rng.integers(0, month.last_day.day, len(who))
    rows = Rows(
        who,
        {
            "state": np.where(idle[who], REVOKED, OPEN).astype(np.int8),
            "established": established[who],
            "capital": fen(np.round(capital[who], -2)),
            "valid_from": day,
        },
    )
    return Versions(rows, rows, happened=day)


def _idle(sales: np.ndarray, row: int) -> np.ndarray:
    """Firms without any sale for so many months, the month included."""
    return (sales[max(row - IDLE_MONTHS + 1, 0) : row + 1] == 0).all(axis=0)


def si_person_status(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Enrolment in the pension of employees: of everybody in the first month, then of those who leave, return or move."""
    life, insured = world.residents, world.subjects[SubjectKind.RESIDENT].people.known_to["si"]
    works = life.employed[row]
    first = month == world.settings.first_month
    changes = insured if first else insured & ((works != life.employed[row - 1]) | life.changed_job[row])
    who = np.flatnonzero(changes)
    fixed = stream(world.settings.seed, "flexible work").random(len(insured))
    flexible = ~works[who] & (fixed[who] < FLEXIBLE_SHARE)
    began = day_number(month.first_day) + rng.integers(0, month.last_day.day, len(who))
    day = began - rng.integers(31, 1_500, len(who)) if first else began
    rows = Rows(
        who,
        {
            "scheme": np.zeros(len(who), dtype=np.int8),
            "status": np.where(works[who] | flexible, ENROLLED, PAUSED).astype(np.int8),
            "employer": np.where(works[who], life.employer[row, who], NO_CODE),
            "flexible": flexible.astype(np.int8),
            "valid_from": day,
        },
    )
    return Versions(rows, rows, happened=day)


def veh_registration(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Vehicles, one a person at most: those of the start in the first month, later the newly registered."""
    n, fixed = len(world.subjects[SubjectKind.RESIDENT].people), stream(world.settings.seed, "vehicles")
    owner = fixed.random(n) < OWNERS
    registers_in = BURN_IN_MONTHS + fixed.geometric(REGISTER_A_MONTH, n)
    commercial, mortgaged = fixed.random(n) < COMMERCIAL, fixed.random(n) < MORTGAGED
    old = fixed.integers(1, 9 * 365, n)
    if month == world.settings.first_month:
        who = np.flatnonzero(owner)
        day = day_number(month.first_day) - old[who]
    else:
        who = np.flatnonzero(~owner & (registers_in == row))
        day = day_number(month.first_day) + rng.integers(0, month.last_day.day, len(who))
    rows = Rows(
        who,
        {
            "vehicle": who,
            "commercial": commercial[who].astype(np.int8),
            "mortgaged": mortgaged[who].astype(np.int8),
            "registered": day,
        },
    )
    return Versions(rows, rows, happened=day)


def edu_fee_payment(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """A term's fees by payer, in the month they are due; `paid_at` as far as each sending knows it. Nothing in other months."""
    life, people = world.residents, world.subjects[SubjectKind.RESIDENT].people
    fixed = stream(world.settings.seed, "school fees")
    pays, amount = fixed.random(len(people)) < PAYERS, fixed.integers(600, 3_000, len(people))
    due_now = month.month in (SPRING, AUTUMN)
    who = np.flatnonzero(pays & people.known_to["platform"]) if due_now else np.empty(0, np.int64)
    n, stress = len(who), life.stress[row, who]
    due = day_number(month.first_day) + FEES_DUE_ON_DAY - 1
    late = rng.random(n) < sigmoid(LATE_FEE_PAYERS + 0.9 * stress)
    day = due + np.where(late, 1 + rng.exponential(9, n), -rng.integers(0, 14, n)).astype(np.int64)
    moment = day * _DAY_SECONDS + rng.integers(7 * 3600, 22 * 3600, n)
    bill = amount[who] * 100
    term = f"{month.year}-{'spring' if month.month == SPRING else 'autumn'}"
    rows = Rows(
        who,
        {
            "receipt": numbered(f"XF{month.first_day:%Y%m}", n),
            "school": pa.array([f"4301{100 + number % 60}" for number in who], pa.string()),
            "term": pa.array([term] * n, pa.string()),
            "bill": bill,
            "due": np.full(n, due),
            "instalment": (rng.random(n) < INSTALMENTS).astype(np.int8),
        },
    )
    versions = []
    for revision in (1, 2):
        known = day < day_number(sending_day(month, revision))
        told = {"paid": np.where(known, bill, 0), "paid_at": np.where(known, moment, NO_MOMENT)}
        versions.append(rows.with_columns(**told))
    return Versions(versions[0], versions[1], happened=np.full(n, due - 14))
