"""What tax offices and registers note down of a firm: grades, events, inspections, income-tax returns and adverse listings.

All of it follows from the simulated life (arrears, late and omitted returns, sales, stress), so it tells of the same risk as the
returns themselves, and a little of the stress that no other source shows. Numbers are properties of this simulation, not
evidence.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.months import Month
from core.subject import SubjectKind
from sources.province.history import trailing_count, trailing_sum
from sources.province.lateness import day_number
from sources.province.random_streams import sigmoid, stream
from sources.province.rows import NO_AMOUNT, NO_DAY, Rows, Versions, fen, numbered
from sources.province.world import World

#: From this month on grades count contributions too (SAT notice 12 of 2025).
RULES_OF_2025 = Month(2025, 7)
#: Grades are published in April for the year before.
PUBLISHED = 4
A, B, M, C, D = range(5)
#: Share of firms that are graded M: new, or without revenue.
NEW_SHARE = 0.14
#: Share of changed grades that are re-evaluated in the month of the change.
REVIEWED = 0.4
HOUSEHOLD, LATE_FILING, VIOLATION, RESTRICTED = range(4)
ABNORMAL, SERIOUS, DISHONEST, PENALTY = range(4)
PREPAYMENT, ANNUAL = range(2)
INCOME_TAX = 0.05


def tax_credit_rating(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Grades published in April, and re-evaluations of those whose record changed; the first month brings all in force."""
    grade, score, direct = _graded(world, row, month)
    known = world.subjects[SubjectKind.ENTERPRISE].people.known_to["vat"]
    everyone = month.month == PUBLISHED or month == world.settings.first_month
    if everyone:
        who = np.flatnonzero(known)
    else:
        before, _, _ = _graded(world, row - 1, month.plus(-1))
        who = np.flatnonzero(known & (grade != before) & (rng.random(len(grade)) < REVIEWED))
    n = len(who)
    day = day_number(month.first_day) + rng.integers(0, 15, n)
    points = pc.if_else(pa.array(direct[who]), "", pc.cast(pa.array(np.round(score[who], 1)), pa.string()))
    rows = Rows(
        who,
        {
            "year": np.full(n, month.year - 1),
            "grade": grade[who].astype(np.int8),
            "score": points,
            "rules": np.full(n, int(month >= RULES_OF_2025), dtype=np.int8),
            "direct_d": direct[who].astype(np.int8),
            "evaluated": day,
            "valid_from": day,
            "valid_to": np.full(n, NO_DAY),
        },
    )
    return Versions(rows, rows, happened=day)


def _graded(world: World, row: int, month: Month) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grade, score and whether it is a direct D, per firm, by the rules of the month on the twelve months before."""
    trade, n = world.enterprises, world.enterprises.sales.shape[1]
    fixed = stream(world.settings.seed, "tax credit grade", "firm")
    usual, new, hit = 94 + 6 * fixed.standard_normal(n), fixed.random(n) < NEW_SHARE, fixed.random(n)
    omitted = trailing_count(trade.filing_late[: row + 1] < 0, row, 12)
    lost = (
        4.0 * trailing_count(trade.filing_late, row, 12)
        + 6.0 * omitted
        + 5.0 * trailing_count(trade.arrears, row, 12)
        + 2.0 * trailing_count(trade.sales[: row + 1] == 0, row, 12)
    )
    if month >= RULES_OF_2025:
        lost = lost + 4.0 * trailing_count(trade.paid_share[: row + 1] < 1, row, 12)
    score = np.clip(usual - lost, 0, 100)
    direct = (trade.arrears_age[row] >= 9) & (hit < 0.5)
    grade = np.select(
        [direct | (score < 40), score < 70, new, score < 90], [D, C, M, B], default=A
    )  # fmt: skip
    return grade, score, direct


def tax_event(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Fines for late filing, firms that stopped filing, restricted invoicing and the rare major violation."""
    trade = world.enterprises
    known = world.subjects[SubjectKind.ENTERPRISE].people.known_to["vat"]
    n = trade.sales.shape[1]
    gone = (trade.filing_late[row] < 0) & (trailing_count(trade.filing_late[: row + 1] < 0, row, 6) >= 2)
    fined = (trade.filing_late[row] >= 15) & (rng.random(n) < 0.6)
    restricted = (trade.arrears_age[row] == 4) & (rng.random(n) < 0.7)
    violated = rng.random(n) < 0.0003 * np.exp(np.clip(trade.stress[row], -2, 2))
    who, kind = _listed(
        {HOUSEHOLD: gone, LATE_FILING: fined, VIOLATION: violated, RESTRICTED: restricted}, known
    )
    amount = np.select(
        [kind == LATE_FILING, kind == VIOLATION],
        [
            np.round(rng.uniform(200, 2_000, len(who)), -1),
            np.round(rng.uniform(10_000, 200_000, len(who)), -2),
        ],
        default=np.nan,
    )
    lifted = np.isin(kind, [HOUSEHOLD, RESTRICTED]) & (rng.random(len(who)) < 0.6)
    return _events("SW", month, rng, who, kind, amount, lifted)


def reg_adverse(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Listings by the market regulator and the courts; the register covers every firm."""
    trade = world.enterprises
    n = trade.sales.shape[1]
    stress = np.clip(trade.stress[row], -3, 3)
    debtor = (trade.arrears_age[row] == 6) & (rng.random(n) < 0.35) | (
        rng.random(n) < sigmoid(-7.8 + 1.1 * stress)
    )
    listed = {
        ABNORMAL: rng.random(n) < sigmoid(-5.6 + 0.8 * stress),
        SERIOUS: rng.random(n) < sigmoid(-8.5 + 0.8 * stress),
        DISHONEST: debtor,
        PENALTY: rng.random(n) < sigmoid(-5.6 + 0.4 * stress),
    }
    who, kind = _listed(listed, np.ones(n, dtype=bool))
    amount = np.where(kind == PENALTY, np.round(np.exp(rng.normal(np.log(3_000), 1.0, len(who))), -1), np.nan)
    removed = (kind == ABNORMAL) & (rng.random(len(who)) < 0.5)
    return _events("GS", month, rng, who, kind, amount, removed)


def _listed(kinds: dict[int, np.ndarray], known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Firms and kinds of the events of a month, shape (events,)."""
    who = [np.flatnonzero(mask & known) for mask in kinds.values()]
    return np.concatenate(who), np.repeat(list(kinds), [len(each) for each in who])


def _events(
    prefix: str,
    month: Month,
    rng: np.random.Generator,
    who: np.ndarray,
    kind: np.ndarray,
    amount: np.ndarray,
    lifted: np.ndarray,
) -> Versions:
    """Events filed under the month in which they happened; what is lifted within the month after, the second sending tells."""
    n = len(who)
    day = day_number(month.first_day) + rng.integers(0, month.last_day.day, n)
    off = np.where(lifted, day + rng.integers(5, 60, n), NO_DAY)
    off = np.where(off > day_number(month.plus(1).last_day), NO_DAY, off)
    final = Rows(
        who,
        {
            "event": numbered(f"{prefix}{month.first_day:%Y%m}", n),
            "kind": kind.astype(np.int8),
            "day": day,
            "removed": off,
            "amount": np.where(np.isnan(amount), NO_AMOUNT, fen(np.nan_to_num(amount))),
        },
    )
    first = final.with_columns(removed=np.where(off > day_number(month.last_day), NO_DAY, off))
    return Versions(first, final, happened=day)


def tax_inspection(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Cases closed in the month; what they recover follows the year's sales."""
    trade = world.enterprises
    known = world.subjects[SubjectKind.ENTERPRISE].people.known_to["vat"]
    chance = 0.0012 * np.exp(0.8 * np.clip(trade.stress[row], -2, 2)) * (1 + 4 * (trade.arrears[row] > 0))
    who = np.flatnonzero(known & (rng.random(len(known)) < chance))
    n = len(who)
    closed = day_number(month.first_day) + rng.integers(0, month.last_day.day, n)
    recovered = np.round(trailing_sum(trade.sales, row, 12)[who] * rng.uniform(0.0, 0.04, n), 2)
    fined = rng.random(n) < 0.5
    rows = Rows(
        who,
        {
            "case": numbered(f"JC{month.first_day:%Y%m}", n),
            "opened": closed - rng.integers(30, 240, n),
            "closed": closed,
            "recovered": fen(recovered),
            "penalty": fen(np.where(fined, np.round(0.5 * recovered, 2), 0.0)),
            "judicial": (rng.random(n) < 0.02).astype(np.int8),
        },
    )
    return Versions(rows, rows, happened=closed)


def tax_cit_return(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Prepayments for the quarter before in January, April, July and October; the annual return of the year before in May."""
    trade = world.enterprises
    people = world.subjects[SubjectKind.ENTERPRISE].people
    known = people.known_to["vat"]
    annual = month.month == 5
    if not annual and month.month % 3 != 1:
        who = np.empty(0, dtype=np.int64)
    else:
        who = np.flatnonzero(known & (trade.filing_late[row] >= 0))
    n, span = len(who), 12 if annual else 3
    ended = month.plus(-month.month if annual else -1)
    until = row - (month.index - ended.index)
    fixed = stream(world.settings.seed, "income tax", "firm")
    margin, debt, share = fixed.standard_normal((3, len(people)))
    own = np.where(share < -1.9, 0.6, 1.0)[who]
    revenue = trailing_sum(trade.sales, until, span)[who] * own * np.exp(0.03 * rng.standard_normal(n))
    stress = trade.stress[max(until - span + 1, 0) : until + 1].mean(axis=0)[who]
    profit = revenue * (0.07 + 0.03 * margin[who] - 0.04 * stress + 0.03 * rng.standard_normal(n))
    assets = trailing_sum(trade.sales, until, 12)[who] * 1.1 + 50_000
    debts = assets * sigmoid(0.2 + 0.5 * debt[who] + 0.4 * stress - 0.3 * people.stability[who])
    due = day_number(month.first_day) + (30 if annual else 14)
    rows = Rows(
        who,
        {
            "to": np.full(n, day_number(ended.last_day)),
            "kind": np.full(n, ANNUAL if annual else PREPAYMENT, dtype=np.int8),
            "revenue": fen(np.round(revenue, 2)),
            "profit": fen(np.round(profit, 2)),
            "taxable": fen(np.round(np.maximum(profit, 0), 2)),
            "payable": fen(np.round(np.maximum(profit, 0) * INCOME_TAX, 2)),
            "assets": fen(np.round(assets, -2)),
            "debts": fen(np.round(debts, -2)),
            "staff": trade.staff[until, who].astype(np.int64),
        },
    )
    return Versions(rows, rows, happened=due - rng.integers(0, 12, n))
