"""Zhangjiajie: government fees (非税收入) paid through the bank in five channels, with the three books of every day.

Most payments agree in all three books; the planted cases don't, and the truth says which is which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from core.months import CHINA_TIME, Month
from core.subject import SHARED
from sources.arrivals import SCHEDULE_NAME, Arrival, write_schedule
from sources.delivery import write_manifest
from sources.province.feeds import RESIDENT, Codes, Feed, Field
from sources.province.population import tokens
from sources.province.random_streams import stream
from sources.province.rows import NO_CODE, Rows, numbered
from sources.province.scenes.sending import send
from sources.reconciliation import Case

#: The founding article's five channels; the counter comes beside them.
CHANNELS: Codes = (
    ("01", "大厅POS"), ("02", "手机银行"), ("03", "微信"), ("04", "支付宝"), ("05", "银联扫码"),
)  # fmt: skip
CHANNEL_NAMES = ("hall_pos", "mobile_bank", "wechat", "alipay", "unionpay_qr")
CATEGORY: Codes = (
    ("1", "行政事业性收费"), ("2", "政府性基金"), ("3", "罚没收入"), ("4", "国有资源有偿使用"), ("9", "其他"),
)  # fmt: skip
STATUS: Codes = (("0", "已开单"), ("1", "已缴款"), ("2", "已作废"), ("3", "已退付"))
ISSUED, PAID, VOIDED, REFUNDED = range(4)
UNITS, ITEMS = 12, 30

BILL = Feed(
    "sim_zjj_nontax_bill", "sim_zjj_nontax", RESIDENT, "nontax_bill", "jkrdh",
    (
        Field("kdny", "month", form="%Y%m"),
        Field("jkm", "text", "pay_code"),
        Field("zsdw", "text", "unit"),
        Field("xmbm", "text", "item"),
        Field("srlb", "code", "category", codes=CATEGORY),
        Field("yjje", "money", "due_amount", "CNY"),
        Field("kdrq", "date", "issued", "%Y%m%d"),
        Field("jzrq", "date", "due", "%Y%m%d"),
        Field("zt", "code", "status", codes=STATUS),
    ),
)  # fmt: skip
PAYMENT = Feed(
    "sim_zjj_nontax_payment", "sim_zjj_nontax", RESIDENT, "nontax_payment", "jkrdh",
    (
        Field("jkny", "month", form="%Y%m"),
        Field("pjh", "text", "receipt"),
        Field("jkm", "text", "pay_code"),
        Field("jkfen", "whole", "amount"),
        Field("jksj", "moment", "paid_at", "%Y-%m-%d %H:%M:%S"),
        Field("jkqd", "code", "channel", codes=CHANNELS),
        Field("ptlsh", "text", "platform_serial"),
        Field("czlsh", "text", "gov_serial"),
        Field("hxlsh", "text", "acct_serial"),
    ),
)  # fmt: skip

#: Cases planted in a month unless said otherwise.
PLANTED: Mapping[Case, int] = {
    Case.LONG: 7, Case.SHORT: 5, Case.AMOUNT_DIFF: 4, Case.DUPLICATE: 3, Case.REFUNDED: 6, Case.REFUND_OPEN: 2,
    Case.OFF_PLATFORM: 2, Case.UNPAID_ORDER: 8,
}  # fmt: skip


@dataclass(frozen=True)
class NonTax:
    """One month of fees: `payments` orders of `payers`, and how many of them end in which case."""

    payers: int = 1_500
    payments: int = 3_000
    month: Month = field(default_factory=lambda: Month(2026, 3))
    planted: Mapping[Case, int] = field(default_factory=lambda: dict(PLANTED))
    seed: int = 2026


@dataclass(frozen=True)
class NonTaxMonth:
    """`books` by name (platform, gov, bank) as `reconcile` takes them; `cases`: order serial -> what was planted."""

    books: dict[str, pa.Table]
    cases: dict[str, Case]
    arrivals: tuple[Arrival, ...]


def write(fees: NonTax, inbox: Path) -> NonTaxMonth:
    """Write the month's bills and payments and give the three books that were kept of it."""
    rng, n = stream(fees.seed, "non-tax", str(fees.month)), fees.payments
    if sum(fees.planted.values()) > n:
        raise ValueError("more cases planted than there are payments")
    case = np.full(n, str(Case.MATCHED), dtype=object)
    places = rng.permutation(n)
    for name, count in fees.planted.items():
        case[places[:count]], places = str(name), places[count:]
    day = rng.integers(0, fees.month.last_day.day, n)
    orders = _Orders(
        rng.integers(0, fees.payers, n), case, day, rng.integers(0, UNITS, n), rng.integers(0, len(CHANNELS), n),
        np.rint(np.exp(rng.normal(np.log(180_00), 1.1, n))).astype(np.int64).clip(1, 5_000_000_00),
        rng.integers(8 * 3600, 20 * 3600, n),
    )  # fmt: skip
    pools = {str(RESIDENT): tokens(fees.seed, "non-tax payer", fees.payers)}
    arrivals = (
        send(BILL, _bills(orders, fees.month, rng), fees.month, pools, inbox),
        send(PAYMENT, _payments(orders, fees.month), fees.month, pools, inbox),
    )
    write_schedule(inbox / SCHEDULE_NAME, arrivals)
    truth = {
        serial: Case(name) for serial, name in zip(orders.serial.to_pylist(), case.tolist(), strict=True)
    }
    return NonTaxMonth(_books(orders, fees.month), truth, arrivals)


#: Headers of the reconciliation's lines, in file order, and the columns of `Reconciliation.days` that they hold.
RECON_HEADERS = {
    "dzrq": "recon_date", "jkqd": "channel", "zsdw": "exec_unit_cd", "czbs": "gov_cnt", "czje": "gov_amt_fen",
    "hxbs": "bank_cnt", "hxje": "bank_amt_fen", "ckbs": "long_cnt", "dkbs": "short_cnt", "ceje": "amt_diff_fen",
    "dpbz": "settled_flag",
}  # fmt: skip
PLATFORM = "430800"


def write_reconciliation(days: pa.Table, month: Month, inbox: Path, revision: int = 1) -> Arrival:
    """Send the lines of a month's reconciliation as a full delivery; a later revision replaces the earlier one whole.

    Revision 1 comes on the fourth of the next month, each further one a day later.
    """
    n = days.num_rows
    code = dict(zip(CHANNEL_NAMES, (code for code, _ in CHANNELS), strict=True))
    texts = {header: pc.cast(days.column(column), pa.string()) for header, column in RECON_HEADERS.items()}
    texts["dzrq"] = pc.replace_substring(texts["dzrq"], "-", "")
    texts["jkqd"] = pa.array([code[name] for name in days.column("channel").to_pylist()], pa.string())
    texts["dpbz"] = pc.if_else(days.column("settled_flag"), "1", "0")
    frame = pa.table(
        {
            "dzny": pa.repeat(f"{month.first_day:%Y%m}", n),
            "ptdm": pa.repeat(PLATFORM, n),
            **texts,
        }
    )
    folder = inbox / "sim_zjj_nontax" / f"{SHARED}.nontax_recon" / f"{month}-r{revision}"
    folder.mkdir(parents=True)
    data = folder / f"nontax_recon_{month.first_day:%Y%m}_{revision:02d}.txt"
    form = pa_csv.WriteOptions(
        include_header=True, delimiter="|", quoting_style="none", quoting_header="none"
    )
    pa_csv.write_csv(frame, data, form)
    write_manifest(
        data, source="sim_zjj_nontax", adapter="sim_zjj_nontax_recon", subject=SHARED, table="nontax_recon",
        period=str(month), revision=revision, rows=n,
    )  # fmt: skip
    at = datetime.combine(month.plus(1).first_day, datetime.min.time(), CHINA_TIME)
    return Arrival(folder, at + timedelta(days=2 + revision, hours=9), "replayed")


@dataclass(frozen=True)
class _Orders:
    payer: np.ndarray
    case: np.ndarray
    day: np.ndarray
    unit: np.ndarray
    channel: np.ndarray
    amount: np.ndarray
    second: np.ndarray

    @property
    def serial(self) -> pa.Array:
        return numbered("PT", len(self.case), 8)

    def of(self, *cases: Case) -> np.ndarray:
        """Mask of the orders of these cases."""
        return np.isin(self.case, [str(case) for case in cases])


def _bills(orders: _Orders, month: Month, rng: np.random.Generator) -> Rows:
    n = len(orders.case)
    first = (month.first_day - date(1970, 1, 1)).days
    issued = first + np.maximum(orders.day - rng.integers(0, 5, n), 0)
    status = np.where(
        orders.of(Case.UNPAID_ORDER), ISSUED, np.where(orders.of(Case.REFUNDED), REFUNDED, PAID)
    )
    return Rows(
        orders.payer,
        {
            "pay_code": numbered("43080026", n, 10),
            "unit": numbered("ZS", UNITS, 4).take(pa.array(orders.unit)),
            "item": numbered("FS", ITEMS, 4).take(pa.array(rng.integers(0, ITEMS, n))),
            "category": rng.choice(len(CATEGORY), size=n, p=[0.5, 0.1, 0.2, 0.1, 0.1]).astype(np.int8),
            "due_amount": orders.amount,
            "issued": issued,
            "due": issued + 15,
            "status": status.astype(np.int8),
        },
    )


def _payments(orders: _Orders, month: Month) -> Rows:
    """Receipts of what was paid: every order that the government or the bank has."""
    paid = ~orders.of(Case.UNPAID_ORDER)
    n = len(orders.case)
    first = (month.first_day - date(1970, 1, 1)).days
    rows = Rows(
        orders.payer,
        {
            "receipt": numbered("SJ", n, 8),
            "pay_code": numbered("43080026", n, 10),
            "amount": orders.amount,
            "paid_at": (first + orders.day) * 86_400 + orders.second,
            "channel": np.where(paid, orders.channel, NO_CODE),
            "platform_serial": orders.serial,
            "gov_serial": _serials("CZ", n, orders.of(Case.LONG)),
            "acct_serial": _serials("HX", n, orders.of(Case.SHORT)),
        },
    )
    return rows.take(paid)


def _serials(prefix: str, count: int, missing: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(missing), "", numbered(prefix, count, 8))


def _books(orders: _Orders, month: Month) -> dict[str, pa.Table]:
    """The three books: what each case leaves in each of them."""
    every = ~orders.of(Case.UNPAID_ORDER)
    back = orders.of(Case.REFUNDED)
    platform = [(~orders.of(Case.OFF_PLATFORM), 1, ""), (back, -1, "")]
    gov = [(every & ~orders.of(Case.LONG), 1, ""), (back, -1, "T")]
    bank = [
        (every & ~orders.of(Case.SHORT), 1, ""),
        (orders.of(Case.DUPLICATE), 1, "C"),
        (back | orders.of(Case.REFUND_OPEN), -1, "T"),
    ]
    # Where amounts differ, the bank booked what was left after the channel's fee.
    short_by = np.where(orders.of(Case.AMOUNT_DIFF), np.maximum(orders.amount // 100, 1), 0)
    off = {"platform": 0, "gov": 0, "bank": short_by}
    prefix = {
        "platform": ("platform_serial", "PT"),
        "gov": ("gov_serial", "CZ"),
        "bank": ("acct_serial", "HX"),
    }
    books = {}
    for name, entries in (("platform", platform), ("gov", gov), ("bank", bank)):
        pieces = [
            _entries(orders, month, mask, sign * (orders.amount - off[name]), *prefix[name], suffix)
            for mask, sign, suffix in entries
        ]
        books[name] = pa.concat_tables(pieces)
    return books


def _entries(
    orders: _Orders, month: Month, mask: np.ndarray, amount: np.ndarray, own: str, prefix: str, suffix: str
) -> pa.Table:
    rows, n = pa.array(np.flatnonzero(mask)), len(orders.case)
    first = (month.first_day - date(1970, 1, 1)).days
    columns = {
        "entry_date": pa.array((first + orders.day).astype(np.int32)).cast(pa.date32()),
        "platform_serial": orders.serial,
        "channel": pa.array(CHANNEL_NAMES).take(pa.array(orders.channel)),
        "exec_unit_cd": numbered("ZS", UNITS, 4).take(pa.array(orders.unit)),
        "amt_fen": pa.array(amount),
        own: numbered(prefix + suffix, n, 8),
    }
    return pa.table({name: column.take(rows) for name, column in columns.items()})
