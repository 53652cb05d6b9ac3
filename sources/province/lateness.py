"""What is known at the first sending of a month and what comes with the supplement; and when deliveries arrive.

A month's first delivery is sent on the third or fourth day of the next month and holds the rows known by then; the supplement
goes with the next month's batch and holds the rest and what was restated. Deliveries that would arrive after the last month's
batch haven't happened yet.

Taxes and contributions are delivered under the month in which they fall due (申报期), one after the month they are for. That is
how a return due on the 15th can be in a file sent on the third of the next month.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np

from core.months import CHINA_TIME, Month
from sources.province.feeds import Feed
from sources.province.random_streams import stream
from sources.province.rows import Rows, Versions

#: Days from the end of what a row is about until it is known: median and 95 % (dictionary, tables.csv); log-normal.
LATENESS = {
    "tax_iit_withholding": (18, 40),
    "si_person_month": (30, 90),
    "util_bill": (6, 25),
    "platform_service": (1, 5),
    "tax_vat_return": (12, 35),
    "tax_arrears": (20, 60),
    "si_employer_month": (25, 70),
    "gov_award": (3, 20),
    "util_account": (2, 10),
    "hpf_person_month": (20, 50),
    "hpf_employer_month": (20, 50),
    "platform_login_day": (1, 3),
    "veh_violation": (10, 60),
    "nontax_bill": (0.5, 2),
    "util_disconnection": (1, 5),
    # From the day of evaluation; the dictionary counts from the end of the year that is evaluated.
    "tax_credit_rating": (3, 20),
    "tax_event": (5, 60),
    "tax_inspection": (30, 180),
    "tax_cit_return": (25, 75),
    "reg_adverse": (3, 15),
    "tax_payment": (5, 20),
    "util_payment": (1, 7),
    "util_arrears_month": (8, 30),
    "reg_enterprise": (2, 10),
    "si_person_status": (5, 30),
    # 0 to 3 in the dictionary: a spread needs a median.
    "edu_fee_payment": (0.5, 3),
    "veh_registration": (5, 20),
}
#: Share of rows that are corrected after the first sending (dictionary, tables.csv).
RESTATED = {
    "tax_iit_withholding": 0.05,
    "si_person_month": 0.10,
    "util_bill": 0.04,
    "platform_service": 0.08,
    "tax_vat_return": 0.06,
    "tax_arrears": 0.08,
    "si_employer_month": 0.12,
    "gov_award": 0.01,
    "hpf_person_month": 0.06,
    "hpf_employer_month": 0.06,
}
#: Days between the end of what a row is about and the first sending: a month for what is due one month later, and
#: some 24 for meters, whose cycle ends about the tenth. Events count from their own day instead.
ALLOWED_DAYS = {
    "tax_iit_withholding": 34,
    "si_person_month": 34,
    "tax_vat_return": 34,
    "tax_arrears": 34,
    "si_employer_month": 34,
    "util_bill": 24,
    "util_account": 34,
    "util_arrears_month": 24,
    "hpf_person_month": 34,
    "hpf_employer_month": 34,
    "tax_cit_return": 45,
}
_Z95 = 1.6448536
_EPOCH = date(1970, 1, 1)
#: What a source did with a row since it was last sent.
INSERTED, UPDATED, DELETED = range(3)
#: Days that the provincial platform takes to gather what the cities send.
PROVINCE_DAYS = (2, 7)
#: Days by which the late feed-month of fault F16 misses the knowledge cutoff.
F16_DAYS = 7
F16_FEED = "sim_city_util_resident"


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def sending_day(month: Month, revision: int) -> date:
    """The day before arrival by which rows must be known: the second of the next month, or of the one after."""
    return month.plus(revision).first_day + timedelta(days=1)


def split(versions: Versions, table: str, month: Month, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """(rows of revision 1, rows of the supplement), each with what the source did (`operation`), for dialects that tell it."""
    median, high = LATENESS[table]
    spread = np.log(high / median) / _Z95
    delay = median * np.exp(spread * rng.standard_normal(len(versions.final)))
    if table in ALLOWED_DAYS:
        known = delay <= ALLOWED_DAYS[table]
        if versions.happened is not None:
            known &= versions.happened <= day_number(sending_day(month, 1))
    else:
        assert versions.happened is not None, f"{table} needs event days"
        known = versions.happened + delay <= day_number(sending_day(month, 1))
    first, final = versions.first, versions.final
    place = np.arange(len(first))
    first = first.with_columns(operation=np.full(len(first), INSERTED, dtype=np.int8), place=place)
    final = final.with_columns(operation=np.where(known, UPDATED, INSERTED).astype(np.int8), place=place)
    return first.take(known), final.take(~known | versions.changed())


def withdraw(sent: tuple[Rows, Rows], gone: np.ndarray) -> tuple[Rows, Rows]:
    """The two sendings of `split` with the rows of a mask over the first one withdrawn by the second."""
    first, later = sent
    rows = first.take(gone)
    rows = rows.with_columns(operation=np.full(len(rows), DELETED, dtype=np.int8))
    stays = ~np.isin(np.asarray(later.columns["place"]), np.asarray(rows.columns["place"]))
    return first, later.take(stays).followed_by(rows)


def restated(rng: np.random.Generator, table: str, count: int) -> np.ndarray:
    """Mask of rows that are corrected after the first sending."""
    return rng.random(count) < RESTATED[table]


def arrival(seed: int, adapter: str, month: Month, revision: int, late: bool = False) -> datetime:
    """When a delivery arrives: on the third or fourth, 02:00 to 22:00; `late` ones miss the cutoff."""
    rng = stream(seed, "arrival", adapter, str(month), revision)
    minutes = int(rng.integers(2 * 60, 22 * 60)) + 24 * 60 * int(rng.integers(0, 2))
    third = datetime.combine(
        month.plus(revision).first_day + timedelta(days=2), datetime.min.time(), CHINA_TIME
    )
    return third + timedelta(minutes=minutes, days=F16_DAYS if late else 0)


def province_arrival(seed: int, feed: Feed, month: Month, revision: int) -> datetime:
    """When the provincial platform's delivery arrives: two to seven days after the city's of the same content."""
    low, high = PROVINCE_DAYS
    later = int(stream(seed, "province arrival", feed.adapter, str(month), revision).integers(low, high + 1))
    return arrival(seed, feed.truth, month, revision) + timedelta(days=later)
