"""The bank's own tables of one month: complete at the first sending, never restated."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from core.months import Month
from core.subject import SubjectKind
from sources.province.bank_codes import EVENTS
from sources.province.campaigns import TREAT_SHARE
from sources.province.lateness import day_number
from sources.province.random_streams import stream
from sources.province.regions import REGION_CODES
from sources.province.rows import NO_CODE, NO_DAY, Rows, fen, numbered
from sources.province.world import World

#: Customers of the bank among the pilot's non-borrowers.
CUSTOMER_SHARE = 0.45
BRANCHES_PER_REGION = 3
#: Months over which a loan is repaid, for the balance.
TERM_MONTHS = 60
NORMAL, SPECIAL_MENTION, SUBSTANDARD, DOUBTFUL, LOSS = range(5)


def bk_account_month(world: World, kind: SubjectKind, row: int, month: Month) -> Rows:
    """Every account that still reports; written-off ones have a terminal row."""
    accounts = world.subjects[kind].accounts
    which = np.flatnonzero(accounts.reported[row])
    dpd, age = accounts.dpd[row, which].astype(np.int64), row - accounts.open_row[which]
    lost = accounts.write_off_row[which] == row
    repaid_months = np.minimum(age, np.maximum(accounts.default_row[which] - accounts.open_row[which], 0))
    balance = accounts.limit[which] * np.maximum(1 - repaid_months / TERM_MONTHS, 0.1)
    by_dpd = np.select([dpd >= 180, dpd >= 90, dpd > 30], [DOUBTFUL, SUBSTANDARD, SPECIAL_MENTION], NORMAL)
    return Rows(
        accounts.subject[which],
        {
            "account": which,
            "product": accounts.product[which],
            "balance": fen(balance),
            "dpd": dpd,
            "worst_dpd": accounts.worst_dpd[row, which].astype(np.int64),
            "five_class": np.where(lost, LOSS, by_dpd),
            "written_off": lost.astype(np.int8),
            "months_on_book": age,
        },
    )


def bk_customer(world: World, kind: SubjectKind, row: int, month: Month) -> Rows:
    """Everyone known to the bank or a platform, with the region's branch."""
    people, accounts = world.subjects[kind].people, world.subjects[kind].accounts
    n = len(people)
    rng = stream(world.settings.seed, "customers", str(kind))
    customer = rng.random(n) < CUSTOMER_SHARE
    branch = rng.integers(0, BRANCHES_PER_REGION, n) + BRANCHES_PER_REGION * people.region
    band = np.clip(np.round(2.2 + 1.1 * rng.standard_normal(n) + 0.4 * people.stability), 0, 5).astype(
        np.int8
    )
    customer[accounts.subject[accounts.open_row <= row]] = True
    names = pa.array(
        [f"B{code}{number}" for code in REGION_CODES for number in range(1, BRANCHES_PER_REGION + 1)]
    )
    return Rows(
        np.arange(n),
        {
            "is_customer": customer.astype(np.int8),
            "branch": names.take(pa.array(branch)),
            "deposits": np.where(customer, band, NO_CODE),
        },
    )


def consent_register(world: World, kind: SubjectKind, row: int, month: Month) -> Rows:
    """Consents given in the month, and those withdrawn in it, sent again with the day."""
    register = world.subjects[kind].consents
    now = (register.granted_row == row) | (register.withdrawn_row == row)
    which = np.flatnonzero(now)
    withdrawn = np.where(register.withdrawn_row[which] == row, register.withdrawn[which], NO_DAY)
    names = numbered(f"C{str(kind)[0].upper()}", len(register.subject), 8)
    return Rows(
        register.subject[which],
        {
            "consent": names.take(pa.array(which)),
            "purpose": register.purpose[which],
            "kind": register.kind[which],
            "granted": register.granted[which],
            "valid_to": register.valid_to[which],
            "withdrawn": withdrawn,
        },
    )


def suppression(world: World, kind: SubjectKind, row: int, month: Month) -> Rows:
    """New entries of the month."""
    register = world.subjects[kind].consents
    now = register.kept_off_row == row
    return Rows(
        register.kept_off[now],
        {
            "scope": register.scope[now],
            "reason": register.reason[now],
            "since": register.kept_off_from[now],
            "until": register.kept_off_to[now],
        },
    )


def mk_assignment(world: World, kind: SubjectKind, row: int, month: Month) -> Rows | None:
    """Both arms of the month's campaign; None where there is none."""
    found = [each for each in world.subjects[kind].campaigns if each.month == month]
    if not found:
        return None
    campaign = found[0]
    return Rows(
        campaign.subject,
        {
            "campaign": pa.repeat(pa.scalar(campaign.campaign_id), len(campaign.subject)),
            "arm": np.where(campaign.treated, 0, 1),
            "assigned": np.full(len(campaign.subject), campaign.assigned),
            "probability": np.where(campaign.treated, TREAT_SHARE, 1 - TREAT_SHARE),
        },
    )


def mk_response(world: World, kind: SubjectKind, row: int, month: Month) -> Rows | None:
    """Applications, openings and draw-downs of the month; None before the first campaign."""
    first, last = day_number(month.first_day), day_number(month.last_day)
    pieces = []
    for campaign in world.subjects[kind].campaigns:
        now = np.flatnonzero((campaign.event_day >= first) & (campaign.event_day <= last))
        pieces.append(
            (campaign.campaign_id, campaign.event_subject[now], campaign.event[now], campaign.event_day[now])
        )
    if not any(len(piece[1]) for piece in pieces):
        return None
    subject, event, day = (np.concatenate([piece[at] for piece in pieces]) for at in (1, 2, 3))
    names = [name for name, who, _, _ in pieces for _ in range(len(who))]
    assert event.max() < len(EVENTS)
    columns = {
        "event_id": numbered(f"EV{str(kind)[0].upper()}{month.first_day:%Y%m}", len(subject)),
        "campaign": pa.array(names, pa.string()),
        "event": event,
        "day": day,
    }
    return Rows(subject, columns)
