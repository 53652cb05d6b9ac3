"""Enterprises' tables of one month, as the sources know them."""

from __future__ import annotations

import numpy as np

from core.months import Month
from core.subject import SubjectKind
from sources.province.lateness import day_number, restated
from sources.province.resident_tables import bills
from sources.province.rows import Rows, Versions, fen, numbered
from sources.province.world import World

#: Pension contributions due, as a share of the total base.
DUE_RATE = 0.24
#: Part of output tax that remains payable after input tax.
PAYABLE_SHARE = 0.35
FILING_DUE_ON_DAY = 15
#: Share of firms whose income tax falls into arrears too, and after how many months.
SECOND_TAX_SHARE, SECOND_TAX_AFTER = 0.30, 3
#: CNY per kWh.
ENTERPRISE_PRICE = 0.72
VAT, CIT = range(2)


def tax_vat_return(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Returns that fall due in this month: for the sales of the month before."""
    trade = world.enterprises
    known = world.subjects[SubjectKind.ENTERPRISE].people.known_to["vat"]
    who = np.flatnonzero(known & (trade.filing_late[row] >= 0))
    n, late = len(who), trade.filing_late[row, who].astype(np.int64)
    due = day_number(month.first_day) + FILING_DUE_ON_DAY - 1
    filed = np.where(late > 0, due + late, due - rng.integers(0, 10, n))
    sales = trade.sales[row - 1, who].astype(np.float64)
    corrected = restated(rng, "tax_vat_return", n)
    early = np.where(corrected, sales * rng.uniform(0.85, 1.05, n), sales)
    rate = trade.tax_rate[who]
    first = _return(who, early, rate, filed, due, month, np.zeros(n, dtype=np.int8))
    final = _return(who, sales, rate, filed, due, month, (early != sales).astype(np.int8))
    return Versions(first, final, happened=filed)


def _return(
    who: np.ndarray,
    sales: np.ndarray,
    rate: np.ndarray,
    filed: np.ndarray,
    due: int,
    month: Month,
    amended: np.ndarray,
) -> Rows:
    output, taxed = sales * rate, month.plus(-1)
    return Rows(
        who,
        {
            "from": np.full(len(who), day_number(taxed.first_day)),
            "to": np.full(len(who), day_number(taxed.last_day)),
            "sales": fen(sales),
            "output_tax": fen(output),
            "payable": fen(output * PAYABLE_SHARE),
            "filed": filed,
            "due": np.full(len(who), due),
            "zero": (sales == 0).astype(np.int8),
            "amended": amended,
        },
    )


def tax_arrears(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Balances of those in arrears; no row where nothing is owed."""
    trade = world.enterprises
    firms = world.subjects[SubjectKind.ENTERPRISE].people
    owing = np.flatnonzero(firms.known_to["vat"] & (trade.arrears[row] > 0))
    two_taxes = (owing % 100) < 100 * SECOND_TAX_SHARE
    second = owing[two_taxes & (trade.arrears_age[row, owing] >= SECOND_TAX_AFTER)]
    who = np.concatenate([owing, second])
    item = np.concatenate([np.full(len(owing), VAT), np.full(len(second), CIT)])
    balance = trade.arrears[row, who] * np.where(item == CIT, 0.4, 1.0)
    columns = {
        "item": item,
        "balance": fen(balance),
        "age": trade.arrears_age[row, who].astype(np.int64) * 30,
    }
    final = Rows(who, columns)
    corrected = restated(rng, "tax_arrears", len(who))
    early = np.where(corrected, balance * rng.uniform(0.8, 1.2, len(who)), balance)
    return Versions(final.with_columns(balance=fen(early)), final)


def si_employer_month(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Contributions of employers; some that end up paid look short at first (back-payment)."""
    trade = world.enterprises
    who = np.flatnonzero(world.subjects[SubjectKind.ENTERPRISE].people.known_to["si"])
    staff, share = trade.staff[row, who].astype(np.int64), trade.paid_share[row, who].astype(np.float64)
    base = staff * np.round(trade.mean_base[row, who].astype(np.float64))
    due = base * DUE_RATE
    columns = {
        "scheme": np.zeros(len(who), dtype=np.int8),
        "insured": staff,
        "base": fen(base),
        "due": fen(due),
        "paid": fen(due * share),
    }
    final = Rows(who, columns)
    corrected = restated(rng, "si_employer_month", len(who)) & (share >= 1)
    early = np.where(corrected, due * rng.uniform(0.4, 0.98, len(who)), due * share)
    return Versions(final.with_columns(paid=fen(early)), final)


def util_bill(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Electricity bills."""
    trade = world.enterprises
    who = np.flatnonzero(world.subjects[SubjectKind.ENTERPRISE].people.known_to["electricity"])
    return bills(
        who,
        trade.kwh[row, who],
        trade.days_late[row, who],
        trade.auto_debit[who],
        trade.cut[row, who],
        ENTERPRISE_PRICE,
        month,
        rng,
    )


def gov_award(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Contracts won from public buyers."""
    awards = world.enterprises.awards[row]
    who = np.repeat(np.arange(len(awards)), awards)
    n = len(who)
    value = np.exp(rng.normal(np.log(300_000), 1.0, n))
    role = rng.choice(3, size=n, p=[0.8, 0.12, 0.08]).astype(np.int8)
    corrected = restated(rng, "gov_award", n)
    day = day_number(month.first_day) + rng.integers(0, month.last_day.day, n)
    final = Rows(
        who,
        {
            "award": numbered(f"ZB{month.first_day:%Y%m}", n),
            "awarded": day,
            "value": fen(np.round(value, -2)),
            "role": role,
        },
    )
    early = np.where(corrected, fen(np.round(value * 0.9, -2)), final.columns["value"])
    return Versions(final.with_columns(value=early), final, happened=day)
