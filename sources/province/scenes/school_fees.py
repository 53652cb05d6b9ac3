"""Ningxiang: school fees through the bank, at the size of the founding article.

330 schools, 140,000 pupils, 250,000 payments, 350,000,000 yuan. Pupils exist here only to decide who pays how often; no file
and no table has a key of theirs. What is sent is the payer, an adult: rows whose payer is under fourteen are marked by the
platform and left out on entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.months import Month
from sources.arrivals import SCHEDULE_NAME, Arrival, write_schedule
from sources.province.feeds import RESIDENT, Codes, Feed, Field
from sources.province.population import tokens
from sources.province.random_streams import stream
from sources.province.rows import Rows, numbered
from sources.province.scenes.sending import rows_of_month, send

YES_NO: Codes = (("0", "否"), ("1", "是"))
#: Age band of the payer as the platform knows it from the bank card.
PAYER_AGE: Codes = (("18+", "成年"), ("14-17", "未成年"), ("<14", "十四周岁以下"))
ADULT, TEEN, UNDER_14 = range(3)

FEED = Feed(
    "sim_nx_school_fee", "sim_nx_edu", RESIDENT, "edu_fee_payment", "jfrdh",
    (
        Field("jfyf", "month", form="%Y%m"),
        Field("sjh", "text", "receipt"),
        Field("xxdm", "text", "school"),
        Field("xq", "text", "term"),
        Field("yjje", "whole", "bill"),
        Field("sjje", "whole", "paid"),
        Field("jzrq", "date", "due", "%Y%m%d"),
        Field("jfsj", "moment", "paid_at", "%Y-%m-%d %H:%M:%S"),
        Field("fqbz", "code", "instalment", codes=YES_NO),
        Field("jfrnld", "code", "age", codes=PAYER_AGE),
    ),
    "utf-8", ",",
)  # fmt: skip


@dataclass(frozen=True)
class SchoolFees:
    """The arithmetic of the article. `under_14`: rows that children paid for themselves, on top of it."""

    schools: int = 330
    pupils: int = 140_000
    payments: int = 250_000
    total_fen: int = 350_000_000_00
    children_of_payer: float = 1.25
    under_14: int = 0
    seed: int = 2026


#: Terms: the month in which fees fall due, and the share of payments of the first.
AUTUMN, SPRING = Month(2025, 9), Month(2026, 2)
TERMS = ("2025-autumn", "2026-spring")
AUTUMN_SHARE = 0.55
LEAST_FEE, MOST_FEE = 100_00, 15_000_00


@dataclass(frozen=True)
class SentFees:
    """What was sent: arrivals, and the whole truth in counts."""

    inbox: Path
    arrivals: tuple[Arrival, ...]
    schools: int
    pupils: int
    payers: int
    payments: int
    total_fen: int


def write(fees: SchoolFees, inbox: Path) -> SentFees:
    """Write the deliveries of the two terms and `arrivals.json`; exact to the fen. ValueError where the numbers can't be met."""
    if not fees.schools <= fees.pupils <= fees.payments:
        raise ValueError("every school needs a pupil and every pupil a payment")
    rng = stream(fees.seed, "school fees")
    payer_of_pupil = _payers(fees, rng)
    pupil = np.concatenate(
        [np.arange(fees.pupils), rng.integers(0, fees.pupils, fees.payments - fees.pupils)]
    )
    school_of_pupil = _schools(fees, rng)
    spring = rng.random(fees.payments) >= AUTUMN_SHARE
    paid = _amounts(fees, rng)
    due, moment = _days(spring, rng)
    rows = Rows(
        payer_of_pupil[pupil],
        {
            "receipt": numbered("NX", fees.payments, 8),
            "school": numbered("4301240", fees.schools, 4).take(pa.array(school_of_pupil[pupil])),
            "term": pa.array(TERMS).take(pa.array(spring.astype(np.int8))),
            "bill": paid,
            "paid": paid,
            "due": due,
            "paid_at": moment,
            "instalment": (rng.random(fees.payments) < 0.03).astype(np.int8),
            "age": np.full(fees.payments, ADULT, dtype=np.int8),
        },
    )
    if fees.under_14:
        rows = rows.followed_by(_under_14(rows, fees))
    payers = int(payer_of_pupil.max()) + 1
    pools = {str(RESIDENT): tokens(fees.seed, "payer", payers)}
    months = [Month(2025, 8), AUTUMN, Month(2026, 1), SPRING]
    arrivals = []
    for month in months:
        arrivals.append(
            send(FEED, rows_of_month(rows, np.asarray(rows.columns["paid_at"]), month), month, pools, inbox)
        )
    write_schedule(inbox / SCHEDULE_NAME, arrivals)
    return SentFees(
        inbox, tuple(arrivals), fees.schools, fees.pupils, payers, fees.payments, int(paid.sum())
    )  # fmt: skip


def _payers(fees: SchoolFees, rng: np.random.Generator) -> np.ndarray:
    """Who pays for each pupil, (pupils,): every payer has one child, some a second."""
    payers = max(1, int(fees.pupils / fees.children_of_payer))
    again = rng.choice(payers, size=fees.pupils - payers, replace=fees.pupils - payers > payers)
    return np.concatenate([np.arange(payers), again])


def _schools(fees: SchoolFees, rng: np.random.Generator) -> np.ndarray:
    """The school of each pupil, (pupils,): sizes differ, none is empty."""
    size = rng.gamma(3.0, 1.0, fees.schools)
    rest = rng.choice(fees.schools, size=fees.pupils - fees.schools, p=size / size.sum())
    return np.concatenate([np.arange(fees.schools), rest])


def _amounts(fees: SchoolFees, rng: np.random.Generator) -> np.ndarray:
    """Fen of each payment, whole yuan but for what makes the total exact, (payments,)."""
    mean = fees.total_fen / fees.payments
    if not LEAST_FEE < mean < MOST_FEE / 2:
        raise ValueError("the mean payment lies outside what schools ask for")
    fee = rng.lognormal(0.0, 0.45, fees.payments)
    amounts = np.clip(np.rint(fee * mean / fee.mean() / 100) * 100, LEAST_FEE, MOST_FEE).astype(np.int64)
    missing = fees.total_fen - int(amounts.sum())
    # Whole yuan spread evenly over payments of middling size, odd fen on the first of them.
    middle = np.flatnonzero((amounts > 2 * LEAST_FEE) & (amounts < MOST_FEE // 2))
    yuan, odd = divmod(abs(missing), 100)
    each, rest = divmod(yuan, len(middle))
    change = 100 * (np.full(len(middle), each) + (np.arange(len(middle)) < rest))
    change[0] += odd
    amounts[middle] += np.sign(missing) * change
    assert int(amounts.sum()) == fees.total_fen and amounts.min() >= 1
    return amounts


def _days(spring: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Due day and moment of payment, (payments,): from three weeks before the due day to a week after it."""
    first = [(month.first_day - date(1970, 1, 1)).days + 9 for month in (AUTUMN, SPRING)]
    due = np.where(spring, first[1], first[0])
    moment = (due + rng.integers(-21, 8, len(due))) * 86_400 + rng.integers(7 * 3600, 22 * 3600, len(due))
    return due, moment


def _under_14(rows: Rows, fees: SchoolFees) -> Rows:
    """Rows that a child paid for itself, beside the article's payments."""
    some = np.zeros(len(rows), dtype=bool)
    some[: fees.under_14] = True
    again = rows.take(some)
    return Rows(
        again.subject,
        again.columns
        | {"receipt": numbered("NXC", len(again), 7), "age": np.full(len(again), UNDER_14, dtype=np.int8)},
    )
