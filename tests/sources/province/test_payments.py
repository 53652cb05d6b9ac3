"""Payments, arrears and changes of state: of one life with returns, bills and contributions, and read by their adapters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.months import Month
from core.progress import SilentProgress
from core.subject import SubjectKind
from sources.province import enterprise_tables, payment_tables, resident_tables, state_tables
from sources.province.lateness import day_number
from sources.province.office_feeds import PAYMENTS
from sources.province.random_streams import stream
from sources.province.rows import NO_DAY, NO_MOMENT, Rows, fen
from sources.province.settings import ProvinceSettings
from sources.province.simulate import CITY_TABLES, feeds_of, simulate
from sources.province.world import World, make
from tests.sources.province.test_faults import canonical, data_by_feed

SETTINGS = ProvinceSettings(
    residents=2_000, enterprises=2_000, first_month=Month(2025, 1), months=12, seed=7, payments=True, firm_records=True
)  # fmt: skip
MONTH = Month(2025, 9)


@pytest.fixture(scope="module")
def world() -> World:
    return make(SETTINGS)


def told(world: World, adapter: str, month: Month = MONTH) -> Rows:
    """A month of a feed as it ends up."""
    rng = stream(SETTINGS.seed, "table", adapter, str(month))
    return CITY_TABLES[adapter](world, SETTINGS.row_of(month), month, rng).final


def test_they_are_sent_on_request_and_change_nothing_else(tmp_path: Path) -> None:
    few = replace(
        SETTINGS, residents=300, enterprises=200, months=3, first_month=Month(2025, 3), faults=frozenset()
    )
    none = replace(few, payments=False)
    assert {f.adapter for f in feeds_of(few)} - {f.adapter for f in feeds_of(none)} == {
        f.adapter for f in PAYMENTS
    }
    sent = data_by_feed(simulate(few, tmp_path / "with" / "inbox", SilentProgress()))
    without = data_by_feed(simulate(none, tmp_path / "without" / "inbox", SilentProgress()))
    assert {adapter: digest for adapter, digest in sent.items() if adapter in without} == without


def test_their_adapters_read_them_through_the_usual_faults(tmp_path: Path) -> None:
    few = replace(
        SETTINGS, residents=600, enterprises=400, months=3, first_month=Month(2025, 2),
        only_tables=frozenset(feed.table for feed in PAYMENTS),
    )  # fmt: skip
    rows, _, refused = canonical(simulate(few, tmp_path / "inbox", SilentProgress()))
    assert set(rows) == {feed.adapter for feed in PAYMENTS}
    assert not {code for code in refused if code.startswith("REFUSED")}, refused
    counts = {name: sum(table.num_rows for table in parts) for name, parts in rows.items()}
    assert all(counts.values()), counts


def test_a_firm_in_arrears_has_not_paid_its_return_and_pays_a_fee_when_it_clears(world: World) -> None:
    row, paid = SETTINGS.row_of(MONTH), told(world, "sim_city_tax_payment")
    arrears = world.enterprises.arrears
    on_return = (paid.columns["kind"] == payment_tables.TAX) & (arrears[row, paid.subject] > 0)
    assert not on_return.any()
    returns = told(world, "sim_city_tax_vat")
    owed = dict(zip(returns.subject, returns.columns["payable"], strict=True))
    vat = (paid.columns["kind"] == payment_tables.TAX) & (paid.columns["item"] == enterprise_tables.VAT)
    cleared = arrears[row - 1, paid.subject] > 0
    some = vat & ~cleared
    assert some.sum() > 500
    assert [owed[who] for who in paid.subject[some]] == paid.columns["amount"][some].tolist()
    known = world.subjects[SubjectKind.ENTERPRISE].people.known_to["vat"]
    gone = np.flatnonzero(known & (arrears[row - 1] > 0) & (arrears[row] == 0))
    fees = paid.subject[(paid.columns["kind"] == payment_tables.LATE_FEE) & cleared]
    assert len(gone) and set(gone) <= set(fees)


def test_every_bill_is_paid_once_or_is_in_arrears_at_the_end(world: World) -> None:
    bills, last = {}, SETTINGS.last_month
    for month in (last.plus(-back) for back in range(3)):
        billed = told(world, "sim_city_util_enterprise", month)
        bills |= dict(
            zip(billed.columns["bill_no"].to_pylist(), billed.columns["bill"].tolist(), strict=True)
        )
    paid: list[tuple[str, int]] = []
    for month in (last.plus(-back) for back in range(3)):
        told_of = told(world, "sim_city_util_payment", month)
        assert (told_of.columns["day"] >= day_number(month.first_day)).all()
        assert (told_of.columns["day"] <= day_number(month.last_day)).all()
        paid += zip(told_of.columns["bill_no"].to_pylist(), told_of.columns["amount"].tolist(), strict=True)
    mine = {number: amount for number, amount in paid if number in bills}
    assert len(mine) == sum(number in bills for number, _ in paid), "no bill is paid twice"
    assert all(bills[number] == amount for number, amount in mine.items())
    owing = {int(number[-6:]) for number in set(bills) - set(mine)}
    arrears = told(world, "sim_city_util_arrears_enterprise", last)
    assert owing and owing <= set(arrears.subject.tolist())


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_arrears_are_the_bills_that_are_late_at_the_months_end(world: World, kind: SubjectKind) -> None:
    life = world.residents if kind is SubjectKind.RESIDENT else world.enterprises
    price = (
        resident_tables.RESIDENT_PRICE if kind is SubjectKind.RESIDENT else enterprise_tables.ENTERPRISE_PRICE
    )
    rows, row = told(world, f"sim_city_util_arrears_{kind}"), SETTINGS.row_of(MONTH)
    # The bill of September is due on the 20th; who is more than ten days late owes it at the end.
    late = life.days_late[row, rows.subject] > 10
    alone = (rows.columns["terms"] == 1) & late
    assert alone.any() and (rows.columns["amount"] > 0).all() and (rows.columns["late_fee"] >= 0).all()
    one = rows.subject[alone]
    assert (rows.columns["amount"][alone] == fen(np.round(life.kwh[row, one], 2) * price)).all()


def test_firms_are_older_than_any_record_and_entered_once(world: World) -> None:
    first = told(world, "sim_city_register", SETTINGS.first_month)
    assert len(first) == SETTINGS.enterprises
    assert (first.columns["established"] < day_number(SETTINGS.first_month.plus(-24).first_day)).all()
    changes = [told(world, "sim_city_register", SETTINGS.first_month.plus(month)) for month in range(1, 12)]
    assert 0 < sum(map(len, changes)) < SETTINGS.enterprises / 5
    for change in changes:
        assert (change.columns["established"] == first.columns["established"][change.subject]).all()
        assert (change.columns["capital"] >= first.columns["capital"][change.subject]).all()


def test_enrolment_changes_when_work_does(world: World) -> None:
    life, row = world.residents, SETTINGS.row_of(MONTH)
    rows = told(world, "sim_city_si_status")
    works = life.employed[row, rows.subject]
    assert ((life.employed[row - 1, rows.subject] != works) | life.changed_job[row, rows.subject]).all()
    assert (rows.columns["status"][works] == state_tables.ENROLLED).all()
    paused = rows.columns["status"] == state_tables.PAUSED
    assert paused.any() and not works[paused].any()
    assert not (rows.columns["flexible"].astype(bool) & works).any()


def test_school_fees_are_due_twice_a_year_and_late_where_there_is_stress(world: World) -> None:
    assert len(told(world, "sim_city_school_fee", Month(2025, 8))) == 0
    versions = state_tables.edu_fee_payment(world, SETTINGS.row_of(MONTH), MONTH, stream(1, "fees"))
    final = versions.final.columns
    late = (final["paid_at"] != NO_MOMENT) & (final["paid_at"] // 86_400 > final["due"])
    stress = world.residents.stress[SETTINGS.row_of(MONTH), versions.final.subject]
    assert late.any() and stress[late].mean() > stress[~late].mean() + 0.2
    assert ((final["paid"] == 0) == (final["paid_at"] == NO_MOMENT)).all()
    assert (versions.first.columns["paid_at"] != NO_MOMENT).sum() <= (final["paid_at"] != NO_MOMENT).sum()


def test_a_vehicle_is_registered_once(world: World) -> None:
    every = [told(world, "sim_city_vehicle", SETTINGS.first_month.plus(month)) for month in range(12)]
    owners = np.concatenate([rows.subject for rows in every])
    assert len(owners) == len(np.unique(owners)) and len(every[0]) > 20 * len(every[5]) > 0
    assert all((rows.columns["registered"] != NO_DAY).all() for rows in every)
