"""Three-serial daily reconciliation of payments: the platform's orders, the government's receipts and the bank's accounting.

One payment leaves one entry in each of three books, and each book gives it a serial of its own:

| book | own serial | what it says |
|---|---|---|
| platform | `platform_serial` | the payer paid this order through this channel |
| government | `gov_serial` | the executing unit has the receipt |
| bank | `acct_serial` | the money was booked |

The platform's serial goes along with the order, so it ties the three together; the other two tell a second entry (another
serial: the payer was charged twice) from the same entry sent again (the same serial: counted once). Refunds are entries with a
negative amount. Amounts are whole fen, so that totals hold to the fen.

Pure functions over Arrow tables; no payer and no pseudonym is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal

BOOKS = ("platform", "gov", "bank")
OWN_SERIAL = {"platform": "platform_serial", "gov": "gov_serial", "bank": "acct_serial"}
#: What a book holds: the day of the entry, the serial that ties the books, and where the payment belongs.
COLUMNS = ("entry_date", "platform_serial", "channel", "exec_unit_cd", "amt_fen")


class Case(StrEnum):
    """What became of one order. All but MATCHED and REFUNDED leave their day unreconciled."""

    MATCHED = "matched"
    #: Charged more than once: two entries with different serials in one book.
    DUPLICATE = "duplicate"
    #: Bank has the money, the government no receipt (长款).
    LONG = "long"
    #: Government has the receipt, the bank no money (短款).
    SHORT = "short"
    #: Both have it, with different amounts.
    AMOUNT_DIFF = "amount_diff"
    #: Given back, and all three books agree on what remains; a second charge given back ends here too.
    REFUNDED = "refunded"
    #: Given back, and the books don't agree yet.
    REFUND_OPEN = "refund_open"
    #: Government and bank agree; the platform has no such order.
    OFF_PLATFORM = "off_platform"
    #: An order on the platform that nobody paid.
    UNPAID_ORDER = "unpaid_order"


SETTLED = frozenset({Case.MATCHED, Case.REFUNDED, Case.UNPAID_ORDER})


@dataclass(frozen=True)
class Reconciliation:
    """`cases`: one row per order (recon_date, channel, exec_unit_cd, platform_serial, case, gov_amt_fen, bank_amt_fen).

    `days`: rows of `nontax_recon` (recon_date, channel, exec_unit_cd, counts and net amounts of both sides, long_cnt,
    short_cnt, amt_diff_fen = bank less government, settled_flag), sorted.
    """

    cases: pa.Table
    days: pa.Table

    def count(self, case: Case) -> int:
        """Orders of one case."""
        return int(pc.sum(pc.equal(self.cases.column("case"), str(case))).as_py() or 0)


def reconcile(platform: pa.Table, gov: pa.Table, bank: pa.Table) -> Reconciliation:
    """Put the three books of one or several days side by side and say what became of each order.

    Each table has `entry_date` (date32), `platform_serial`, `channel`, `exec_unit_cd`, `amt_fen` (int64; negative: given
    back) and its own serial. The day of an order is the platform's, where it knows the order: a payment at midnight that the
    bank books a day later is neither long nor short. Raises Refusal REFUSED/SERIAL where a book repeats a serial of its own
    with other content.
    """
    books = {name: _entries(table, name) for name, table in zip(BOOKS, (platform, gov, bank), strict=True)}
    serials = pc.unique(pa.concat_tables([b.select(["platform_serial"]) for b in books.values()]).column(0))
    sums = {name: _sums(book, serials) for name, book in books.items()}
    case = _classified(sums)
    cases = pa.table(
        {
            **{
                name: _first_known(books, serials, name) for name in ("entry_date", "channel", "exec_unit_cd")
            },
            "platform_serial": serials,
            "case": pa.array(case, pa.string()),
            **{f"{side}_amt_fen": pa.array(sums[side].net) for side in ("gov", "bank")},
            **{f"{side}_cnt": pa.array(sums[side].paid_entries) for side in ("gov", "bank")},
        }
    ).rename_columns(_CASE_COLUMNS)
    return Reconciliation(cases.drop_columns(["gov_cnt", "bank_cnt"]), _days(cases))


_CASE_COLUMNS = [
    "recon_date", "channel", "exec_unit_cd", "platform_serial", "case", "gov_amt_fen", "bank_amt_fen", "gov_cnt", "bank_cnt",
]  # fmt: skip


@dataclass(frozen=True)
class _Sums:
    """One book by order, each (orders,): entries and fen paid, entries and fen given back (positive)."""

    paid_entries: np.ndarray
    paid: np.ndarray
    back_entries: np.ndarray
    back: np.ndarray

    @property
    def net(self) -> np.ndarray:
        """Fen paid less fen given back."""
        return self.paid - self.back


def _entries(table: pa.Table, book: str) -> pa.Table:
    """A book with each of its own serials once."""
    own = OWN_SERIAL[book]
    names = list(dict.fromkeys((*COLUMNS, own)))
    # The platform's serial names an order, which may be paid and given back: its entries differ by amount.
    key = [own, "amt_fen"] if book == "platform" else [own]
    once = table.select(names).group_by(names).aggregate([])
    if once.group_by(key).aggregate([]).num_rows < once.num_rows:
        raise Refusal(
            "REFUSED/SERIAL",
            f"the {book} book has one {own} with different content.",
            column=own,
            remedy="Have the sender give every entry a serial of its own.",
        )
    return once


def _sums(book: pa.Table, serials: pa.Array) -> _Sums:
    place = pc.index_in(book.column("platform_serial"), value_set=serials).to_numpy()
    amounts = book.column("amt_fen").to_numpy()
    paid, count = amounts > 0, len(serials)

    def total(mask: np.ndarray) -> np.ndarray:
        # Whole numbers: float weights of bincount lose fen above 2^53.
        summed = np.zeros(count, dtype=np.int64)
        np.add.at(summed, place[mask], np.abs(amounts[mask]))
        return summed

    return _Sums(
        np.bincount(place[paid], minlength=count),
        total(paid),
        np.bincount(place[~paid], minlength=count),
        total(~paid),
    )


def _classified(sums: dict[str, _Sums]) -> np.ndarray:
    """The case of each order: the first rule that holds."""
    platform, gov, bank = (sums[name] for name in BOOKS)
    given_back = (platform.back_entries + gov.back_entries + bank.back_entries) > 0
    agree = (gov.net == bank.net) & (gov.net == platform.net)
    rules = [
        (Case.REFUNDED, given_back & agree),
        (Case.DUPLICATE, (gov.paid_entries > 1) | (bank.paid_entries > 1)),
        (Case.UNPAID_ORDER, (gov.paid_entries == 0) & (bank.paid_entries == 0) & ~given_back),
        (Case.REFUND_OPEN, given_back),
        (Case.LONG, gov.paid_entries == 0),
        (Case.SHORT, bank.paid_entries == 0),
        (Case.AMOUNT_DIFF, gov.paid != bank.paid),
        (Case.OFF_PLATFORM, platform.paid_entries == 0),
        (Case.AMOUNT_DIFF, gov.paid != platform.paid),
    ]
    return np.select([held for _, held in rules], [str(case) for case, _ in rules], str(Case.MATCHED))


def _first_known(books: dict[str, pa.Table], serials: pa.Array, column: str) -> pa.Array:
    """The column as the platform says it, else the government, else the bank."""
    found = pa.nulls(len(serials), books["gov"].schema.field(column).type)
    for name in BOOKS:
        book = books[name].sort_by([("amt_fen", "descending")])
        place = pc.index_in(serials, value_set=book.column("platform_serial"))
        found = pc.coalesce(found, book.column(column).combine_chunks().take(place))
    return found


def _days(cases: pa.Table) -> pa.Table:
    key = ["recon_date", "channel", "exec_unit_cd"]
    names = cases.column("case")
    settled = pc.is_in(names, value_set=pa.array(sorted(SETTLED), pa.string()))
    counted = cases.append_column("long", pc.cast(pc.equal(names, str(Case.LONG)), pa.int64()))
    counted = counted.append_column("short", pc.cast(pc.equal(names, str(Case.SHORT)), pa.int64()))
    counted = counted.append_column("open", pc.cast(pc.invert(settled), pa.int64()))
    summed = ("gov_cnt", "gov_amt_fen", "bank_cnt", "bank_amt_fen", "long", "short", "open")
    days = (
        counted.group_by(key)
        .aggregate([(name, "sum") for name in summed])
        .sort_by([(k, "ascending") for k in key])
    )
    column = {name: days.column(f"{name}_sum") for name in summed}
    return pa.table(
        {
            **{name: days.column(name) for name in key},
            "gov_cnt": column["gov_cnt"],
            "gov_amt_fen": column["gov_amt_fen"],
            "bank_cnt": column["bank_cnt"],
            "bank_amt_fen": column["bank_amt_fen"],
            "long_cnt": column["long"],
            "short_cnt": column["short"],
            "amt_diff_fen": pc.subtract(column["bank_amt_fen"], column["gov_amt_fen"]),
            "settled_flag": pc.equal(column["open"], 0),
        }
    )


def unreconciled_days(days: pa.Table) -> dict[str, int]:
    """Open (day, channel, unit) lines by day, for days that aren't reconciled; rows as of `Reconciliation.days`."""
    still_open = days.filter(pc.invert(days.column("settled_flag")))
    if not still_open.num_rows:
        return {}
    by_day = still_open.group_by("recon_date").aggregate([("settled_flag", "count")])
    return {
        str(day): int(lines)
        for day, lines in sorted(
            zip(
                by_day.column("recon_date").to_pylist(),
                by_day.column("settled_flag_count").to_pylist(),
                strict=True,
            )
        )
    }
