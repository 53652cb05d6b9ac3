"""Findings on months that came through real intake: the window of months, late deliveries, reconciled days, receipts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from core.clock import FixedClock
from core.errors import GateRefused
from core.months import Month, knowledge_cutoff, month_range
from core.state import Delivery, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_schema import Column, ColumnType, TableSchema
from core.table_store import TableStore
from expectations.month_findings import RECONCILED, MonthFindings, series_key
from expectations.plausibility import Finding, Probe, Verdict
from expectations.punctuality import punctuality
from expectations.receipts import require_receipt, write_receipt
from expectations.validate import ValidationOutcome
from sources.versions import KnownDelivery

PAYMENTS = TableSchema(
    "nontax_payment",
    (
        Column("subject_id", ColumnType.SUBJECT),
        Column("period", ColumnType.MONTH),
        Column("receipt_id", ColumnType.STRING),
        Column("amt_fen", ColumnType.LONG),
        Column("paid_at", ColumnType.TIME),
    ),
    ("receipt_id",),
)
DAYS = TableSchema(
    "nontax_recon",
    (
        Column("period", ColumnType.MONTH),
        Column("recon_date", ColumnType.DATE),
        Column("channel", ColumnType.STRING),
        Column("settled_flag", ColumnType.BOOL),
    ),
    ("recon_date", "channel"),
)
TABLE = "raw/resident/nontax_payment"
MONTH = Month(2026, 3)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
WAITS = Probe(check="unreconciled_day", column="paid_at", fail_above=0.0, blocks=True)
REPEATS = Probe(check="repeated_month", column="amt_fen", warn_above=0.2, fail_above=0.5)


class Lake:
    """A home with a ledger, whose deliveries are laid down row by row."""

    def __init__(self, folder) -> None:
        self.store = TableStore(folder / "lake")
        self.state = StateDatabase(f"sqlite:///{folder / 'state.db'}")
        self.state.migrate()
        self.registry = SubjectRegistry(self.store, SubjectKind.RESIDENT)

    def deliver(
        self, table: str, month: Month, columns: dict[str, pa.Array], at: datetime | None = None
    ) -> int:
        """An accepted delivery with these rows."""
        _, owner, name = table.split("/")
        received = at or knowledge_cutoff(month) - timedelta(hours=3)
        with self.state.session() as session:
            entry = Delivery(
                source="city", adapter="city", subject=owner, table=name, period=str(month), revision=1, mode="full",
                manifest_sha256="0" * 64, content_sha256="0" * 64, manifest={}, archive="", received_at=received,
                basis="observed", state="ACCEPTED",
            )  # fmt: skip
            session.add(entry)
            session.flush()
            number = entry.delivery_no
        n = len(next(iter(columns.values())))
        rows = pa.table(
            {
                **columns,
                "received_at": pa.repeat(pa.scalar(received, pa.timestamp("us", tz="UTC")), n),
                "delivery_no": pa.repeat(pa.scalar(number, pa.int32()), n),
                "revision": pa.repeat(pa.scalar(1, pa.int32()), n),
                "row_no": pa.array(range(1, n + 1), pa.int32()),
            }
        )
        self.store.append(table, str(month), rows)
        return number

    def pay(self, month: Month, amounts: list[int], hours: list[int] | None = None) -> int:
        """Payments of the month, one an hour of its first day (UTC) unless said otherwise."""
        n = len(amounts)
        first = datetime(month.year, month.month, 1, tzinfo=UTC)
        moments = [first + timedelta(hours=hour) for hour in (hours or list(range(n)))]
        return self.deliver(
            TABLE,
            month,
            {
                "subject_no": pa.array(range(n), pa.int32()),
                "receipt_id": pa.array([f"r{number}" for number in range(n)]),
                "amt_fen": pa.array(amounts, pa.int64()),
                "paid_at": pa.array(moments, pa.timestamp("us", tz="UTC")),
            },
        )

    def reconcile(self, month: Month, days: dict[date, bool]) -> None:
        self.deliver(
            RECONCILED,
            month,
            {
                "recon_date": pa.array(list(days), pa.date32()),
                "channel": pa.array(["wechat"] * len(days)),
                "settled_flag": pa.array(list(days.values())),
            },
        )

    def findings(self, *probes: Probe) -> MonthFindings:
        return MonthFindings(
            self.store, self.state, self.registry, PAYMENTS, TABLE, probes, NOW, reconciled=DAYS
        )  # fmt: skip


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path)


def told(findings: tuple[Finding, ...], check: str) -> Finding:
    return next(finding for finding in findings if finding.check == check)


def test_a_month_is_judged_by_the_months_before_it(lake):
    for month in month_range(MONTH, MONTH.plus(2)):
        lake.pay(month, [100 + month.month, 200 + month.month, 300 + month.month])
    lake.pay(MONTH.plus(3), [105, 205, 305])
    findings = lake.findings(REPEATS)
    assert [told(findings.of(MONTH.plus(n)), "repeated_month").verdict for n in range(4)] == [
        Verdict.PASS, Verdict.PASS, Verdict.PASS, Verdict.FAIL,
    ]  # fmt: skip


def test_only_what_was_known_is_judged(lake):
    lake.pay(MONTH, [100, 200])
    lake.pay(MONTH.plus(1), [100, 200])
    lake.deliver(
        TABLE,
        MONTH.plus(1),
        {
            "subject_no": pa.array([0, 1], pa.int32()), "receipt_id": pa.array(["r0", "r1"]),
            "amt_fen": pa.array([101, 201], pa.int64()), "paid_at": pa.array([NOW, NOW], pa.timestamp("us", tz="UTC")),
        },
        NOW + timedelta(days=1),
    )  # fmt: skip
    assert told(lake.findings(REPEATS).of(MONTH.plus(1)), "repeated_month").rows == 2


def test_a_month_that_nobody_delivered_is_only_late(lake):
    for month in (MONTH, MONTH.plus(1)):
        lake.pay(month, [100])
    (late,) = lake.findings(REPEATS).of(MONTH.plus(2))
    assert (late.check, late.rows, late.of, late.verdict) == ("late_delivery", 1, 1, Verdict.FAIL)
    assert lake.findings(REPEATS).of(MONTH.plus(9)) == ()


def test_payments_of_a_day_that_is_not_reconciled_are_counted_in_chinese_days(lake):
    # 15:00 and 17:00 UTC are 23:00 of the first and 01:00 of the second in China.
    lake.pay(MONTH, [1, 1, 1], [1, 15, 17])
    lake.reconcile(MONTH, {date(2026, 3, 1): True, date(2026, 3, 2): False})
    found = told(lake.findings(WAITS).of(MONTH), "unreconciled_day")
    assert (found.rows, found.of, found.blocks) == (1, 3, True)


def test_a_day_that_nobody_reconciled_is_not_reconciled(lake):
    lake.pay(MONTH, [1, 1])
    assert told(lake.findings(WAITS).of(MONTH), "unreconciled_day").rows == 2
    lake.reconcile(MONTH, {date(2026, 3, 1): True})
    settled = told(lake.findings(WAITS).of(MONTH), "unreconciled_day")
    assert (settled.rows, settled.blocks) == (0, False)


@pytest.mark.parametrize("settled", [True, False])
def test_an_unreconciled_day_holds_back_what_is_built_on_the_month(lake, settled):
    lake.pay(MONTH, [1, 1])
    lake.reconcile(MONTH, {date(2026, 3, 1): settled})
    blocking = [one for one in lake.findings(WAITS).of(MONTH) if one.blocks]
    outcome = ValidationOutcome(True, (), "0" * 64, {"rows": 2})
    content = lake.store.content_hash(TABLE, str(MONTH))
    write_receipt(lake.state, TABLE, str(MONTH), content, outcome, FixedClock(NOW), blocking)
    if settled:
        require_receipt(lake.state, lake.store, TABLE, str(MONTH), {})
    else:
        with pytest.raises(GateRefused, match="unreconciled_day: 2 of 2 rows"):
            require_receipt(lake.state, lake.store, TABLE, str(MONTH), {})


def test_a_series_has_no_month_or_day_in_its_key():
    schema = TableSchema(
        "t",
        (
            Column("subject_id", ColumnType.SUBJECT),
            Column("period", ColumnType.MONTH),
            Column("for", ColumnType.MONTH),
            Column("scheme", ColumnType.STRING),
        ),
        ("subject_id", "period", "for", "scheme"),
    )
    assert series_key(schema) == ("subject_no", "scheme")


def known(source: str, month: Month, late: bool = False, accepted: bool = True) -> KnownDelivery:
    at = knowledge_cutoff(month) + timedelta(hours=1 if late else -1)
    return KnownDelivery(month.index * 10 + len(source), source, str(month), 1, True, at, accepted)


@pytest.mark.parametrize(
    ("now", "rows"),
    [
        ([("a", False, True), ("bb", False, True)], 0),
        ([("a", False, True), ("bb", True, True)], 1),
        ([("a", False, True)], 1),
        # Refused, and so in the ledger with its reason: not late.
        ([("a", False, True), ("bb", False, False)], 0),
    ],
)
def test_a_source_is_late_when_it_always_came_and_sent_nothing_this_time(now, rows):
    before = [known(source, MONTH.plus(-n)) for source in ("a", "bb") for n in (1, 2)]
    month = [known(source, MONTH, late, accepted) for source, late, accepted in now]
    found = punctuality(TABLE, MONTH, before + month)
    assert (found.rows, found.of) == (rows, 2)


def test_a_source_that_is_always_late_is_not_expected():
    before = [known("a", MONTH.plus(-n), late=True) for n in (1, 2)]
    assert punctuality(TABLE, MONTH, before).of == 0
