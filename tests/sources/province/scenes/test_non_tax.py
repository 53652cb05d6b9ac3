"""Zhangjiajie: three books of every day; planted cases classified, totals to the fen, an open day holds features back."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from core.errors import GateRefused
from core.months import Month
from expectations.month_findings import RECONCILED, MonthFindings
from expectations.plausibility import load_probes
from expectations.receipts import require_receipt, write_receipt
from expectations.validate import validate, validate_partition
from sources.province.scenes.non_tax import PLANTED, NonTax, write, write_reconciliation
from sources.reconciliation import SETTLED, Case, reconcile, unreconciled_days
from tests.sources.province.scenes.office import CONTRACTS, SCHEMAS, Office

MONTH = Month(2026, 3)
PAYMENTS = "raw/resident/nontax_payment"
SMALL = {case: count for case, count in PLANTED.items() if case in SETTLED}


def taken_in(folder, fees: NonTax):
    sent = write(fees, folder / "inbox")
    found = reconcile(**sent.books)
    office = Office(folder)
    office.take([*sent.arrivals, write_reconciliation(found.days, MONTH, folder / "inbox")])
    return sent, found, office


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    return taken_in(tmp_path_factory.mktemp("non_tax"), NonTax())


def test_every_planted_case_is_told_as_what_it_is(month):
    sent, found, _ = month
    told = dict(
        zip(
            found.cases.column("platform_serial").to_pylist(),
            found.cases.column("case").to_pylist(),
            strict=True,
        )
    )
    assert {serial: str(case) for serial, case in sent.cases.items()} == told
    assert Counter(told.values()) == {
        **{str(case): count for case, count in PLANTED.items()},
        str(Case.MATCHED): NonTax().payments - sum(PLANTED.values()),
    }


def test_totals_of_both_sides_hold_to_the_fen(month):
    sent, found, office = month
    for side in ("gov", "bank"):
        total = pc.sum(sent.books[side].column("amt_fen")).as_py()
        assert pc.sum(found.days.column(f"{side}_amt_fen")).as_py() == total
        assert pc.sum(office.rows(RECONCILED).column(f"{side}_amt_fen")).as_py() == total


def test_all_three_serials_and_five_channels_come_in(month):
    sent, _found, office = month
    rows = office.rows(PAYMENTS)
    assert rows.num_rows == sum(case is not Case.UNPAID_ORDER for case in sent.cases.values())
    assert pc.count_distinct(rows.column("channel")).as_py() == 5
    assert rows.column("platform_serial").null_count == 0
    assert rows.column("gov_serial").null_count == PLANTED[Case.LONG]
    assert rows.column("acct_serial").null_count == PLANTED[Case.SHORT]
    for table in (PAYMENTS, "raw/resident/nontax_bill", RECONCILED):
        contract = CONTRACTS[table.rpartition("/")[2]]
        assert validate(contract, office.store.read(table, [str(MONTH)])).passed, table


def judged(office: Office) -> None:
    """What the raw asset's check does: contract and blocking probes into the receipt."""
    findings = MonthFindings(
        office.store, office.state, office.registry, SCHEMAS["nontax_payment"], PAYMENTS,
        load_probes()["nontax_payment"], office.clock.now(), reconciled=SCHEMAS["nontax_recon"],
    )  # fmt: skip
    outcome = validate_partition(office.store, CONTRACTS["nontax_payment"], PAYMENTS, str(MONTH))
    blocking = [one for one in findings.of(MONTH) if one.blocks]
    write_receipt(
        office.state, PAYMENTS, str(MONTH), outcome.content_hash, outcome.outcome, office.clock, blocking
    )


def test_an_open_day_holds_the_month_back_until_it_is_settled(tmp_path):
    _, found, office = taken_in(tmp_path, NonTax(payments=400, planted={**SMALL, Case.LONG: 1}))
    (day,) = unreconciled_days(found.days)
    judged(office)
    with pytest.raises(GateRefused, match="unreconciled_day"):
        require_receipt(office.state, office.store, PAYMENTS, str(MONTH))
    settled = pa.array([True] * found.days.num_rows)
    column = found.days.column_names.index("settled_flag")
    days = found.days.set_column(column, "settled_flag", settled)
    office.take([write_reconciliation(days, MONTH, tmp_path / "inbox", revision=2)])
    judged(office)
    require_receipt(office.state, office.store, PAYMENTS, str(MONTH))
    assert day.startswith(str(MONTH))


def test_a_month_whose_books_agree_is_free(tmp_path):
    _, found, office = taken_in(tmp_path, NonTax(payments=400, planted=SMALL))
    assert unreconciled_days(found.days) == {}
    judged(office)
    require_receipt(office.state, office.store, PAYMENTS, str(MONTH))


def test_more_cases_than_payments_are_told(tmp_path):
    with pytest.raises(ValueError, match="more cases"):
        write(NonTax(payments=3, planted={Case.LONG: 4}), tmp_path)
