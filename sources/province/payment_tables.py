"""What is paid and what is owed in one month: taxes, electricity. All of it follows from the returns, bills and arrears of the
same life, told by the other side of the counter.

A payment stands in the month in which it was made; arrears are those at the month's end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.months import Month
from core.subject import SubjectKind
from sources.province import enterprise_tables, firm_record_tables
from sources.province.enterprise_tables import CIT, ENTERPRISE_PRICE, VAT
from sources.province.lateness import day_number
from sources.province.random_streams import stream
from sources.province.resident_tables import BILL_DUE_ON_DAY, RESIDENT_PRICE
from sources.province.rows import NO_DAY, Rows, Versions, fen, numbered
from sources.province.world import World

TAX, LATE_FEE, PENALTY = range(3)
AUTO_DEBIT, APP, COUNTER, THIRD_PARTY, BANK = range(5)
#: How firms that don't have their bank pay by itself do: shares of the channels from the app on.
CHANNEL_SHARES = (0.35, 0.10, 0.15, 0.40)
#: A late fee on taxes and on electricity, per day.
TAX_FEE_A_DAY, POWER_FEE_A_DAY = 0.0005, 0.001
#: A return this many days late costs a fine of so much, CNY.
FINED_AFTER_DAYS, FINE = 10, 200.0
#: Days between a return and the entry of its payment.
POSTED_WITHIN = 3
#: Cycles back that a bill may be unpaid for: nobody pays later than 180 days.
CYCLES = 7

_Table = Callable[[World, int, Month, np.random.Generator], Versions]


def tax_payment(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """What firms paid on the month's returns of VAT and income tax; arrears that were cleared; late fees and fines.

    A firm in arrears at the month's end hasn't paid on its return.
    """
    trade = world.enterprises
    pieces = []
    for item, table, adapter in (
        (VAT, enterprise_tables.tax_vat_return, "sim_city_tax_vat"),
        (CIT, firm_record_tables.tax_cit_return, "sim_city_tax_cit"),
    ):
        returns, filed = _told(world, table, adapter, row, month)
        who, due = returns.subject, np.asarray(returns.columns["payable"])
        pays = (due > 0) & (trade.arrears[row, who] == 0)
        until = np.asarray(returns.columns["to"])
        posted = filed + rng.integers(0, POSTED_WITHIN + 1, len(who))
        pieces.append(_vouchers(who[pays], item, TAX, due[pays], until[pays], posted[pays]))
        if item == VAT:
            late = trade.filing_late[row, who].astype(np.int64)
            fee = fen(due / 100 * TAX_FEE_A_DAY * late)
            owes = pays & (fee > 0)
            pieces.append(_vouchers(who[owes], item, LATE_FEE, fee[owes], until[owes], posted[owes]))
            fined = late > FINED_AFTER_DAYS
            fine = np.full(int(fined.sum()), fen(np.array([FINE]))[0])
            pieces.append(_vouchers(who[fined], item, PENALTY, fine, until[fined], posted[fined] + 5))
    pieces += _cleared(world, row, month, rng)
    return _numbered(pieces, f"SP{month.first_day:%Y%m}", "voucher", "posted")


def _cleared(world: World, row: int, month: Month, rng: np.random.Generator) -> list[Rows]:
    """Arrears of the month before that are gone: the balance and the fee for its age."""
    trade, known = world.enterprises, world.subjects[SubjectKind.ENTERPRISE].people.known_to["vat"]
    who = np.flatnonzero(known & (trade.arrears[row - 1] > 0) & (trade.arrears[row] == 0))
    balance = trade.arrears[row - 1, who].astype(np.float64)
    fee = balance * TAX_FEE_A_DAY * 30 * trade.arrears_age[row - 1, who]
    until = np.full(len(who), day_number(month.plus(-2).last_day))
    posted = day_number(month.first_day) + rng.integers(0, month.last_day.day, len(who))
    return [
        _vouchers(who, VAT, TAX, fen(balance), until, posted),
        _vouchers(who, VAT, LATE_FEE, np.maximum(fen(fee), 1), until, posted),
    ]


def _told(world: World, table: _Table, adapter: str, row: int, month: Month) -> tuple[Rows, np.ndarray]:
    """A month of another table as it ends up, and the days of its events: drawn as that table's own feed draws them."""
    versions = table(world, row, month, stream(world.settings.seed, "table", adapter, str(month)))
    assert versions.happened is not None, f"{adapter} has days"
    return versions.final, np.asarray(versions.happened)


def _vouchers(
    who: np.ndarray, item: int, kind: int, amount: np.ndarray, until: np.ndarray, posted: np.ndarray
) -> Rows:
    # A tax period is told by its whole last month.
    ends = until.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    columns = {
        "item": np.full(len(who), item, dtype=np.int8),
        "kind": np.full(len(who), kind, dtype=np.int8),
        "amount": amount,
        "from": ends,
        "to": until,
        "posted": posted,
    }
    return Rows(who, columns)


def util_payment(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Receipts of firms' electricity: of the month's own bill, and of older ones that are paid in it."""
    trade = world.enterprises
    first, last = day_number(month.first_day), day_number(month.last_day)
    who = np.flatnonzero(world.subjects[SubjectKind.ENTERPRISE].people.known_to["electricity"])
    mine = stream(world.settings.seed, "table", "sim_city_util_enterprise", str(month))
    billed = enterprise_tables.util_bill(world, row, month, mine).final.columns
    paid = np.asarray(billed["paid"])
    now = (paid != NO_DAY) & (paid <= last)
    pieces = [
        _receipts(
            who[now], pc.filter(billed["bill_no"], pa.array(now)), paid[now], np.asarray(billed["bill"])[now]
        )
    ]
    for back in range(1, CYCLES):
        due, amount = _bill(world, SubjectKind.ENTERPRISE, row - back, month.plus(-back), who)
        late = trade.days_late[row - back, who].astype(np.int64)
        now = (late > 0) & (due + late >= first) & (due + late <= last)
        cycle = f"ZD{month.plus(-back).first_day:%Y%m}"
        bills = pc.binary_join_element_wise(
            cycle, pc.utf8_lpad(pc.cast(pa.array(who[now]), pa.string()), 6, "0"), ""
        )
        pieces.append(_receipts(who[now], bills, due + late[now], amount[now]))
    fixed = stream(world.settings.seed, "channels", "firm")
    usual = fixed.choice([APP, COUNTER, THIRD_PARTY, BANK], size=len(trade.auto_debit), p=CHANNEL_SHARES)
    versions = _numbered(pieces, f"JF{month.first_day:%Y%m}", "receipt", "day")
    subject = versions.final.subject
    # What comes late wasn't debited.
    on_time = np.arange(len(subject)) < len(pieces[0])
    channel = np.where(trade.auto_debit[subject] & on_time, AUTO_DEBIT, usual[subject]).astype(np.int8)
    rows = versions.final.with_columns(channel=channel)
    return Versions(rows, rows, happened=versions.happened)


def _receipts(who: np.ndarray, bills: pa.Array, day: np.ndarray, amount: np.ndarray) -> Rows:
    return Rows(who, {"bill_no": bills, "day": day, "amount": amount})


def resident_arrears(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Residents' bills that are past due and unpaid at the month's end; no row where nothing is owed."""
    return _arrears(world, SubjectKind.RESIDENT, row, month)


def enterprise_arrears(world: World, row: int, month: Month, rng: np.random.Generator) -> Versions:
    """Firms' bills that are past due and unpaid at the month's end."""
    return _arrears(world, SubjectKind.ENTERPRISE, row, month)


def _arrears(world: World, kind: SubjectKind, row: int, month: Month) -> Versions:
    life = world.residents if kind is SubjectKind.RESIDENT else world.enterprises
    who = np.flatnonzero(world.subjects[kind].people.known_to["electricity"])
    end = day_number(month.last_day)
    terms, owed, fee = np.zeros(len(who), np.int64), np.zeros(len(who), np.int64), np.zeros(len(who))
    for back in range(CYCLES):
        due, amount = _bill(world, kind, row - back, month.plus(-back), who)
        late = life.days_late[row - back, who].astype(np.int64)
        open_yet = (late > 0) & (due + late > end)
        terms += open_yet
        owed += np.where(open_yet, amount, 0)
        fee += np.where(open_yet, amount * POWER_FEE_A_DAY * (end - due), 0.0)
    some = terms > 0
    columns = {
        "meter": who[some],
        "terms": terms[some],
        "amount": owed[some],
        "late_fee": np.rint(fee[some]).astype(np.int64),
    }
    rows = Rows(who[some], columns)
    return Versions(rows, rows)


def _bill(world: World, kind: SubjectKind, row: int, month: Month, who: np.ndarray) -> tuple[int, np.ndarray]:
    """Due day and amounts of a cycle's bills, as `resident_tables.bills` makes them."""
    life = world.residents if kind is SubjectKind.RESIDENT else world.enterprises
    price = RESIDENT_PRICE if kind is SubjectKind.RESIDENT else ENTERPRISE_PRICE
    due = day_number(month.first_day) + BILL_DUE_ON_DAY - 1
    return due, fen(np.maximum(np.round(life.kwh[row, who], 2), 0) * price)


def _numbered(pieces: list[Rows], prefix: str, name: str, day: str) -> Versions:
    """Pieces as one table with a serial number under `name`; `day` is when each happened."""
    rows = pieces[0]
    for piece in pieces[1:]:
        rows = rows.followed_by(piece)
    rows = Rows(rows.subject, rows.columns | {name: numbered(prefix, len(rows), 7)})
    return Versions(rows, rows, happened=np.asarray(rows.columns[day]))
