"""Hunan: payments through a platform that others built, told by fourteen prefectures and by the province.

The same payments, fourteen ways to write them down; the province sends again most of what its prefectures sent, a few days
later. A receipt has one number everywhere, so that one payment is one row, whoever tells of it. The dialects are made up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
from sources.province.scenes.sending import send

PREFECTURES = (
    "4301", "4302", "4303", "4304", "4305", "4306", "4307", "4308", "4309", "4310", "4311", "4312", "4313", "4331",
)  # fmt: skip
#: Headers in four hands: subject, month, receipt, bill, day, amount, channel.
_HANDS = (
    ("fkrdh", "fkny", "sjh", "zdh", "fkrq", "fkje", "fkqd"),
    ("payerId", "payMonth", "receiptNo", "billNo", "payDate", "payAmt", "payChannel"),
    ("JFRBS", "JFYF", "PJHM", "ZDBH", "JFRQ", "JFJE", "JFFS"),
    ("khdm", "zwqj", "lsh", "djh", "rzrq", "rzje", "qddm"),
)
#: Channel codes in three hands, in the order auto_debit, app, counter, third_party, bank.
_CHANNELS: tuple[Codes, ...] = (
    (("1", "代扣"), ("2", "移动端"), ("3", "柜面"), ("4", "第三方"), ("5", "银行")),
    (("AD", "代扣"), ("AP", "移动端"), ("CT", "柜面"), ("TP", "第三方"), ("BK", "银行")),
    (("代扣", "代扣"), ("移动端", "移动端"), ("柜面", "柜面"), ("第三方", "第三方"), ("银行", "银行")),
)


@dataclass(frozen=True)
class Dialect:
    """In what one prefecture differs: hand of headers and of channels, encoding, delimiter, unit, date and month forms."""

    headers: int
    channels: int
    encoding: str
    delimiter: str
    unit: str
    day: str
    month: str
    bom: bool = False


DIALECTS: dict[str, Dialect] = dict(
    zip(
        PREFECTURES,
        (
            Dialect(0, 0, "gb18030", "|", "CNY", "%Y%m%d", "%Y%m"),
            Dialect(1, 1, "utf-8", ",", "FEN", "%Y-%m-%d", "%Y-%m"),
            Dialect(2, 2, "gb18030", ",", "CNY", "%Y/%m/%d", "%Y%m"),
            Dialect(3, 0, "utf-8", "|", "CNY", "%Y%m%d", "%Y.%m"),
            Dialect(0, 1, "gb18030", ";", "FEN", "%Y-%m-%d", "%Y%m"),
            Dialect(1, 2, "utf-8", "\t", "CNY", "%Y%m%d", "%Y%m", True),
            Dialect(2, 0, "gb18030", "^", "CNY_10K", "%Y-%m-%d", "%Y-%m"),
            Dialect(3, 1, "utf-8", ",", "CNY", "%Y/%m/%d", "%Y%m", True),
            Dialect(0, 2, "gb18030", "~", "FEN", "%Y%m%d", "%Y/%m"),
            Dialect(1, 0, "utf-8", ";", "CNY", "%Y-%m-%d", "%Y%m"),
            Dialect(2, 1, "gb18030", "|", "CNY", "%Y-%m-%d %H:%M:%S", "%Y%m"),
            Dialect(3, 2, "utf-8", ",", "FEN", "%Y-%m-%d", "%Y-%m"),
            Dialect(0, 0, "utf-8", "|", "CNY_10K", "%Y%m%d", "%Y%m"),
            Dialect(1, 1, "gb18030", ",", "CNY", "%Y-%m-%d", "%Y%m"),
        ),
        strict=True,
    )
)


def _feed(adapter: str, source: str, dialect: Dialect) -> Feed:
    key, month, receipt, bill, day, amount, channel = _HANDS[dialect.headers]
    fields = (
        Field(month, "month", form=dialect.month),
        Field(receipt, "text", "receipt"),
        Field(bill, "text", "bill"),
        Field(day, "date", "paid_on", dialect.day),
        Field(amount, "money", "amount", dialect.unit),
        Field(channel, "code", "channel", codes=_CHANNELS[dialect.channels]),
    )
    return Feed(
        adapter, source, RESIDENT, "util_payment", key, fields, dialect.encoding, dialect.delimiter, bom=dialect.bom
    )  # fmt: skip


FEEDS: dict[str, Feed] = {
    code: _feed(f"sim_hn_{code}_payment", f"sim_hn_{code}", dialect) for code, dialect in DIALECTS.items()
}
PROVINCE = _feed(
    "sim_hn_province_payment", "sim_hn_province", Dialect(2, 1, "utf-8", ",", "CNY", "%Y-%m-%d", "%Y%m")
)


@dataclass(frozen=True)
class Payments:
    """One month: `payments` of `payers` in all prefectures, and the share that the province tells of too."""

    payers: int = 900
    payments: int = 2_100
    province_share: float = 0.6
    month: Month = field(default_factory=lambda: Month(2026, 3))
    seed: int = 2026


@dataclass(frozen=True)
class SentPayments:
    """The truth: payments and fen by prefecture, and how many the province told of again."""

    arrivals: tuple[Arrival, ...]
    payments: dict[str, int]
    fen: dict[str, int]
    told_twice: int


def write(scene: Payments, inbox: Path) -> SentPayments:
    """Write fourteen prefectures' deliveries, the province's five days later, and `arrivals.json`."""
    rng, n = stream(scene.seed, "prefectures", str(scene.month)), scene.payments
    prefecture = rng.integers(0, len(PREFECTURES), n)
    first = (scene.month.first_day - date(1970, 1, 1)).days
    rows = Rows(
        rng.integers(0, scene.payers, n),
        {
            "receipt": numbered(f"HN{scene.month.first_day:%Y%m}", n, 8),
            "bill": numbered("ZD", n, 8),
            "paid_on": first + rng.integers(0, scene.month.last_day.day, n),
            "amount": np.rint(np.exp(rng.normal(np.log(90_00), 0.9, n))).astype(np.int64).clip(1),
            "channel": rng.choice(5, size=n, p=[0.35, 0.3, 0.1, 0.15, 0.1]).astype(np.int8),
        },
    )
    pools: dict[str, pa.Array] = {str(RESIDENT): tokens(scene.seed, "payer of bills", scene.payers)}
    amounts = np.asarray(rows.columns["amount"])
    arrivals, counts, fen = [], {}, {}
    for number, (code, feed) in enumerate(FEEDS.items()):
        mine = prefecture == number
        arrivals.append(send(feed, rows.take(mine), scene.month, pools, inbox))
        counts[code], fen[code] = int(mine.sum()), int(amounts[mine].sum())
    twice = rng.random(n) < scene.province_share
    arrivals.append(send(PROVINCE, rows.take(twice), scene.month, pools, inbox, days_later=5))
    write_schedule(inbox / SCHEDULE_NAME, arrivals)
    return SentPayments(tuple(arrivals), counts, fen, int(twice.sum()))
