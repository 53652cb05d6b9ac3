"""Residents' tables of one month, as the sources know them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from core.months import Month
from core.subject import SubjectKind
from sources.province.feeds import THEMES
from sources.province.lateness import day_number, restated, sending_day
from sources.province.residents import ResidentHistory
from sources.province.rows import NO_AMOUNT, NO_CODE, NO_DAY, Rows, Versions, fen, numbered
from sources.province.world import World

#: Shares of the base that person and employer pay into pension insurance.
PERSON_RATE, EMPLOYER_RATE = 0.08, 0.16
NORMAL, BACK_PAY, GAP, SUSPENDED = range(4)
#: Months out of work that the insurer calls a gap; then contributions are suspended, then the account is sealed and not sent.
GAP_MONTHS, SEALED_AFTER_MONTHS = 3, 12
WAGE, LABOUR = range(2)
SIDE_JOBS = 0.04
#: CNY per kWh.
RESIDENT_PRICE = 0.588
BILL_DUE_ON_DAY = 20
#: A payment shows in the supplier's books on the day after; days after the due date until a connection is cut.
CUT_SHOWS_AFTER_DAYS = 37
APPROVED, REJECTED, WITHDRAWN, PENDING = range(4)


def si_person_month(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Contributions; a back-payment looks like a gap at first."""
    life = world.residents
    insured = world.subjects[SubjectKind.RESIDENT].people.known_to["si"]
    idle = _months_idle(life, row)
    who = np.flatnonzero(insured & (idle <= SEALED_AFTER_MONTHS))
    works, late = life.employed[row, who], life.back_paid[row, who]
    status = np.where(
        works, np.where(late, BACK_PAY, NORMAL), np.where(idle[who] <= GAP_MONTHS, GAP, SUSPENDED)
    )
    base = np.where(works, fen(np.round(life.base[row, who])), NO_AMOUNT)
    money_for = day_number(month.plus(-1).first_day)
    final = _contribution(who, status, base, np.where(works, life.employer[row, who], NO_CODE), money_for)
    corrected = restated(rng, "si_person_month", len(who)) & (status == NORMAL)
    before = fen(np.round(life.base[row - 1, who]))
    early = np.where(late & works, NO_AMOUNT, np.where(corrected, before, base))
    first = _contribution(
        who, np.where(late & works, GAP, status), early, final.columns["employer"], money_for
    )
    return Versions(first, final)


def _contribution(
    who: np.ndarray, status: np.ndarray, base: np.ndarray, employer: np.ndarray, money_for: int
) -> Rows:
    known = base != NO_AMOUNT
    shares = {
        name: np.where(known, np.rint(base * rate).astype(np.int64), NO_AMOUNT)
        for name, rate in (("personal", PERSON_RATE), ("paid_by_employer", EMPLOYER_RATE))
    }
    columns = {
        "money_for": np.full(len(who), money_for),
        "scheme": np.zeros(len(who), dtype=np.int8),
        "employer": employer,
        "status": status,
        "base": base,
        "received": np.isin(status, (NORMAL, BACK_PAY)).astype(np.int8),
    }
    return Rows(who, columns | shares)


def _months_idle(life: ResidentHistory, row: int) -> np.ndarray:
    """Months since last employed, 0 while employed, at most 13."""
    idle = np.zeros(life.employed.shape[1], dtype=np.int16)
    for at in range(max(row - SEALED_AFTER_MONTHS, 0), row + 1):
        idle = np.where(life.employed[at], 0, idle + 1)
    return idle


def tax_iit_withholding(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Wages of the employed, and side jobs of anyone."""
    life = world.residents
    known = world.subjects[SubjectKind.RESIDENT].people.known_to["iit"]
    employed = np.flatnonzero(known & life.employed[row])
    aside = np.flatnonzero(known & (rng.random(len(known)) < SIDE_JOBS))
    who = np.concatenate([employed, aside])
    payers = len(world.pools["employer"])
    payer = np.concatenate([life.employer[row, employed], rng.integers(0, payers, len(aside))])
    side_pay = np.exp(rng.normal(np.log(1_200), 0.7, len(aside)))
    gross = np.minimum(np.concatenate([life.wage[row, employed], side_pay]), 1_900_000.0)
    income = np.concatenate([np.full(len(employed), WAGE), np.full(len(aside), LABOUR)])
    # A payer files for all its people on one day, by the 15th.
    filed = day_number(month.first_day) + 4 + payer % 11
    final = _wages(who, payer, income, gross, filed)
    corrected = restated(rng, "tax_iit_withholding", len(who))
    lower = np.where(corrected, gross * rng.uniform(0.85, 1.0, len(who)), gross)
    early = _wages(who, payer, income, lower, filed)
    return Versions(early, final)


def _wages(
    who: np.ndarray, payer: np.ndarray, income: np.ndarray, gross: np.ndarray, filed: np.ndarray
) -> Rows:
    # Withholding on wages after contributions and the basic deduction of 5,000; on labour 20 % above 800.
    wage_tax = 0.03 * np.maximum(0.895 * gross - 5_000, 0) + 0.07 * np.maximum(0.895 * gross - 8_000, 0)
    tax = np.where(income == WAGE, wage_tax, 0.2 * np.maximum(gross - 800, 0))
    columns = {"payer": payer, "income": income, "gross": fen(gross), "tax": fen(tax), "filed": filed}
    return Rows(who, columns)


def util_bill(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Electricity bills."""
    people, life = world.subjects[SubjectKind.RESIDENT].people, world.residents
    who = np.flatnonzero(people.known_to["electricity"])
    return bills(
        who,
        life.kwh[row, who],
        life.days_late[row, who],
        life.auto_debit[who],
        life.cut[row, who],
        RESIDENT_PRICE,
        month,
        rng,
    )


def bills(
    who: np.ndarray,
    kwh: np.ndarray,
    days_late: np.ndarray,
    auto_debit: np.ndarray,
    cut: np.ndarray,
    price: float,
    month: Month,
    rng: np.random.Generator,
) -> Versions:
    """Bills of one cycle: as known at the first sending (most late payers unpaid) and one month later."""
    due = day_number(month.first_day) + BILL_DUE_ON_DAY - 1
    early = rng.integers(0, 12, len(who))
    paid = np.where(days_late > 0, due + days_late, np.where(auto_debit, due, due - early))
    used = np.maximum(np.round(kwh, 2), 0)
    corrected = restated(rng, "util_bill", len(who))
    numbers = numbered(f"ZD{month.first_day:%Y%m}", int(who[-1]) + 1 if len(who) else 0).take(pa.array(who))
    preliminary = np.where(corrected, np.round(used * rng.uniform(0.9, 1.1, len(who)), 2), used)
    versions = []
    for revision, consumption in ((1, preliminary), (2, used)):
        sent = day_number(sending_day(month, revision))
        open_yet = paid >= sent
        cut_known = np.where(open_yet & (sent < due + CUT_SHOWS_AFTER_DAYS), NO_CODE, 0)
        cut_known = np.where(cut & (sent >= due + CUT_SHOWS_AFTER_DAYS), 1, cut_known)
        versions.append(
            Rows(
                who,
                {
                    "meter": who,
                    "bill_no": numbers,
                    # Readers walk their rounds about the tenth.
                    "read": day_number(month.first_day) + 7 + who % 5,
                    "supply": np.zeros(len(who), dtype=np.int8),
                    "consumption": consumption,
                    "estimated": np.zeros(len(who), dtype=np.int8),
                    "bill": fen(consumption * price),
                    "due": np.full(len(who), due),
                    "paid": np.where(open_yet, NO_DAY, paid),
                    "auto_debit": auto_debit.astype(np.int8),
                    "cut": cut_known.astype(np.int8),
                },
            )
        )
    return Versions(versions[0], versions[1])


def platform_service(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Cases on the platform; the restated ones are pending at first."""
    cases = world.residents.cases[row]
    who = np.repeat(np.arange(len(cases)), cases)
    n = len(who)
    day = day_number(month.first_day) + rng.integers(0, month.last_day.day, n)
    # Some themes are asked for far more often than others.
    theme = np.minimum(rng.geometric(0.18, n) - 1, len(THEMES) - 1)
    final = Rows(
        who,
        {
            "case": numbered(f"BJ{month.first_day:%Y%m}", n),
            "theme": theme,
            "applied": day,
            "channel": rng.choice(4, size=n, p=[0.62, 0.15, 0.18, 0.05]).astype(np.int8),
            "result": rng.choice(3, size=n, p=[0.90, 0.06, 0.04]).astype(np.int8),
        },
    )
    pending = restated(rng, "platform_service", n)
    result = np.where(pending, PENDING, final.columns["result"]).astype(np.int8)
    return Versions(final.with_columns(result=result), final, happened=day)
