"""One month of the city's other offices, as each knows it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from core.months import Month
from core.subject import SubjectKind
from sources.province.lateness import day_number, sending_day
from sources.province.random_streams import stream
from sources.province.resident_tables import BILL_DUE_ON_DAY
from sources.province.rows import NO_DAY, Rows, Versions, fen, numbered
from sources.province.world import World

#: Shares of the platform's users by how well they have proved who they are (none, basic, face, bank card).
LEVEL_SHARES = (0.05, 0.40, 0.45, 0.10)
#: Days of log-in a month: of anybody, and more for each service asked for in the quarter.
LOGIN_DAYS, LOGIN_DAYS_A_CASE = 0.10, 0.35
MOST_LOGIN_DAYS = 6
FINE_DUE_DAYS = 15
#: Fees (certificates, examinations) a month; everybody pays them.
FEES_A_MONTH = 0.02
FEE, FINE = 0, 2
ISSUED, PAID = 0, 1
#: The supplier may cut a connection thirty days after a bill was due, and does within the week.
CUT_FROM_DAYS = 31
#: Connections cut for other reasons a month: on request, for safety, for theft.
OTHER_CUTS_A_MONTH = 0.0008
ARREARS = 0


def platform_login_day(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Days on which somebody logged in; those who ask for services come more often."""
    people = world.subjects[SubjectKind.RESIDENT].people
    fixed = stream(world.settings.seed, "platform", "levels")
    level = fixed.choice(len(LEVEL_SHARES), size=len(people), p=LEVEL_SHARES).astype(np.int8)
    lately = world.residents.cases[max(row - 2, 0) : row + 1].sum(axis=0)
    often = (LOGIN_DAYS + LOGIN_DAYS_A_CASE * lately) * people.known_to["platform"]
    days = np.minimum(rng.poisson(often), MOST_LOGIN_DAYS)
    who = np.repeat(np.arange(len(days)), days)
    # Days of one person lie apart: the month in as many stretches as there are days, one day in each.
    stretch = month.last_day.day // np.repeat(days, days)
    place = np.arange(len(who)) - np.repeat(np.cumsum(days) - days, days)
    day = day_number(month.first_day) + place * stretch + rng.integers(0, stretch)
    rows = Rows(who, {"day": day, "sessions": 1 + rng.poisson(0.8, len(who)), "level": level[who]})
    return Versions(rows, rows, happened=day)


def veh_violation(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Traffic fines, with the day of payment as far as it lies behind."""
    fines = world.residents.fines
    who = np.flatnonzero(fines.traffic[row])
    day = day_number(month.first_day) + rng.integers(0, month.last_day.day, len(who))
    rows = Rows(
        who,
        {
            "event": numbered(f"WF{month.first_day:%Y%m}", len(who)),
            "day": day,
            "points": rng.choice([0, 1, 3, 6], size=len(who), p=[0.45, 0.3, 0.2, 0.05]),
            "fine": rng.choice([5_000, 10_000, 15_000, 20_000], size=len(who)),
        },
    )
    paid = day + fines.traffic_days[row, who]
    return _versions(rows, month, day, "paid", paid)


def nontax_bill(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Notices of fees and fines; `status` follows the payment."""
    fines, n = world.residents.fines, len(world.subjects[SubjectKind.RESIDENT].people)
    fined, charged = np.flatnonzero(fines.other[row]), np.flatnonzero(rng.random(n) < FEES_A_MONTH)
    who = np.concatenate([fined, charged])
    issued = day_number(month.first_day) + rng.integers(0, month.last_day.day, len(who))
    amount = np.where(np.arange(len(who)) < len(fined), rng.gamma(2.0, 150, len(who)), 40.0)
    days = np.concatenate([fines.other_days[row, fined], rng.integers(0, 12, len(charged))])
    category = np.where(np.arange(len(who)) < len(fined), FINE, FEE).astype(np.int8)
    rows = Rows(
        who,
        {
            "pay_code": numbered(f"4301{month.first_day:%Y%m}", len(who), 8),
            "unit": pa.array([f"4301{100 + number % 20}" for number in range(len(who))], pa.string()),
            "item": pa.array([f"1030{number % 9}" for number in range(len(who))], pa.string()),
            "category": category,
            "due_amount": fen(np.round(np.maximum(amount, 10.0), 0)),
            "issued": issued,
            "due": issued + FINE_DUE_DAYS,
        },
    )
    return Versions(
        rows.with_columns(status=_status(issued + days, sending_day(month, 1))),
        rows.with_columns(status=_status(issued + days, sending_day(month, 2))),
        happened=issued,
    )


def _status(paid: np.ndarray, told: date) -> np.ndarray:
    return np.where(paid < day_number(told), PAID, ISSUED).astype(np.int8)


def util_disconnection(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Connections cut in the month: for the bill of the month before, or for other reasons."""
    people, life = world.subjects[SubjectKind.RESIDENT].people, world.residents
    known = people.known_to["electricity"]
    owing = np.flatnonzero(known & life.cut[max(row - 1, 0)] & (row > 0))
    others = np.flatnonzero(known & (rng.random(len(known)) < OTHER_CUTS_A_MONTH))
    others = np.setdiff1d(others, owing)
    who = np.concatenate([owing, others])
    due = day_number(month.plus(-1).first_day) + BILL_DUE_ON_DAY - 1
    cut = due + CUT_FROM_DAYS + who % 6
    cut = np.minimum(cut, day_number(month.last_day))
    owed_until = due + life.days_late[max(row - 1, 0), who].astype(np.int64)
    restored = np.where(np.arange(len(who)) < len(owing), np.maximum(owed_until, cut) + 1, cut + 3)
    reason = np.where(np.arange(len(who)) < len(owing), ARREARS, 1 + who % 3).astype(np.int8)
    rows = Rows(
        who,
        {
            "event": numbered(f"TG{month.first_day:%Y%m}", len(who)),
            "meter": who,
            "cut": cut,
            "reason": reason,
        },
    )
    return _versions(rows, month, cut, "restored", restored)


def _versions(rows: Rows, month: Month, happened: np.ndarray, column: str, day: np.ndarray) -> Versions:
    """The rows with a later day that each sending tells only where it lies behind."""
    told = [np.where(day < day_number(sending_day(month, revision)), day, NO_DAY) for revision in (1, 2)]
    return Versions(
        rows.with_columns(**{column: told[0]}), rows.with_columns(**{column: told[1]}), happened=happened
    )
