"""Firms' tax and register records: sent on request, read by their adapters, and telling of the risk that the firm runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.months import Month
from core.progress import SilentProgress
from expectations.contract import load_contracts
from sources.adapter import load_adapters
from sources.province import firm_record_tables as tables
from sources.province.office_feeds import FIRM_RECORDS
from sources.province.rows import NO_DAY
from sources.province.settings import ProvinceSettings
from sources.province.simulate import feeds_of, simulate
from sources.province.world import World, make
from tests.sources.province.test_faults import canonical, data_by_feed

SETTINGS = ProvinceSettings(residents=50, enterprises=6_000, seed=3, firm_records=True)
MONTH = Month(2025, 4)


@pytest.fixture(scope="module")
def world() -> World:
    return make(SETTINGS)


def likelihood(world: World, month: Month) -> np.ndarray:
    """A rough chance of default by the simulated risk, at a level of a few per cent."""
    return 1 / (1 + np.exp(4.2 - world.enterprises.risk[SETTINGS.row_of(month)]))


def test_they_are_sent_on_request_and_change_nothing_else(tmp_path: Path) -> None:
    few = replace(SETTINGS, enterprises=200, months=3, first_month=Month(2025, 3), faults=frozenset())
    assert {f.adapter for f in feeds_of(few)} - {
        f.adapter for f in feeds_of(replace(few, firm_records=False))
    } == {feed.adapter for feed in FIRM_RECORDS}
    sent = data_by_feed(simulate(few, tmp_path / "with" / "inbox", SilentProgress()))
    without = data_by_feed(
        simulate(replace(few, firm_records=False), tmp_path / "without" / "inbox", SilentProgress())
    )
    assert {adapter: digest for adapter, digest in sent.items() if adapter in without} == without


def test_their_adapters_read_them_through_the_usual_faults(tmp_path: Path) -> None:
    """Three months with an April and a May: every row sent is read, left out as a test row or a double, or held back."""
    told = replace(
        SETTINGS, enterprises=400, months=3, first_month=Month(2025, 3),
        only_tables=frozenset(feed.table for feed in FIRM_RECORDS),
    )  # fmt: skip
    rows, _, refused = canonical(simulate(told, tmp_path / "inbox", SilentProgress()))
    assert set(rows) == {feed.adapter for feed in FIRM_RECORDS}
    assert not {code for code in refused if code.startswith("REFUSED")}, refused
    adapters = load_adapters({name: contract.schema() for name, contract in load_contracts().items()})
    assert {adapters[name].target for name in rows} == {feed.table for feed in FIRM_RECORDS}
    counts = {name: sum(table.num_rows for table in parts) for name, parts in rows.items()}
    assert counts["sim_city_tax_rating"] > 300 and counts["sim_city_tax_cit"] > 300


def test_grades_are_ordered_by_risk_and_change_their_rules_in_july_2025(world: World) -> None:
    grade, _, direct = tables._graded(world, SETTINGS.row_of(MONTH), MONTH)
    chance = likelihood(world, MONTH)
    a, b, m, c, d = (chance[grade == each].mean() for each in range(5))
    assert a < min(b, m) and max(b, m) < c / 2 and d > 2 * b
    assert (grade[direct] == tables.D).all()
    share = np.bincount(grade, minlength=5) / len(grade)
    assert share[tables.A] + share[tables.B] > 0.6 and share[tables.C] + share[tables.D] < 0.15
    random = np.random.default_rng(1)
    for month, rules in ((Month(2025, 6), 0), (Month(2025, 7), 1)):
        sent = tables.tax_credit_rating(world, SETTINGS.row_of(month), month, random).final
        assert len(sent) > 0 and set(sent.columns["rules"]) == {rules}


def test_everyone_is_graded_in_april_and_few_in_between(world: World) -> None:
    random = np.random.default_rng(1)
    april, may = (
        len(tables.tax_credit_rating(world, SETTINGS.row_of(month), month, random).final)
        for month in (MONTH, MONTH.plus(1))
    )
    assert april > 4_000 and 0 < may < april / 20


@pytest.mark.parametrize("name", ["tax_event", "tax_inspection", "reg_adverse"])
def test_events_strike_firms_at_risk(name: str, world: World) -> None:
    hit = np.zeros(SETTINGS.enterprises, dtype=bool)
    for back in range(12):
        month = MONTH.plus(-back)
        versions = getattr(tables, name)(world, SETTINGS.row_of(month), month, np.random.default_rng(back))
        hit[versions.final.subject] = True
        for happened in versions.happened:
            assert month.first_day.toordinal() <= happened + 719_163 <= month.last_day.toordinal()
    chance = likelihood(world, MONTH)
    assert 0.005 < hit.mean() < 0.3
    assert chance[hit].mean() > 1.5 * chance[~hit].mean()


def test_a_removal_after_the_month_is_told_by_the_second_sending_only(world: World) -> None:
    versions = tables.reg_adverse(world, SETTINGS.row_of(MONTH), MONTH, np.random.default_rng(1))
    first, final = versions.first.columns["removed"], versions.final.columns["removed"]
    later = np.asarray(final) > MONTH.last_day.toordinal() - 719_163
    assert later.any() and (np.asarray(first)[later] == NO_DAY).all()
    assert versions.changed()[later].all()


def test_income_tax_is_declared_by_quarter_and_by_year(world: World) -> None:
    sent = {
        month: tables.tax_cit_return(world, SETTINGS.row_of(month), month, np.random.default_rng(1)).final
        for month in (Month(2025, 3), Month(2025, 4), Month(2025, 5))
    }
    assert len(sent[Month(2025, 3)]) == 0
    quarter, year = sent[Month(2025, 4)].columns, sent[Month(2025, 5)].columns
    assert set(quarter["kind"]) == {tables.PREPAYMENT} and set(year["kind"]) == {tables.ANNUAL}
    assert set(quarter["to"]) == {Month(2025, 3).last_day.toordinal() - 719_163}
    assert set(year["to"]) == {Month(2024, 12).last_day.toordinal() - 719_163}
    assert np.median(year["revenue"]) > 3 * np.median(quarter["revenue"])
    margin = quarter["profit"] / np.maximum(quarter["revenue"], 1)
    low = margin < np.quantile(margin, 0.2)
    chance = likelihood(world, MONTH)[sent[Month(2025, 4)].subject]
    assert chance[low].mean() > 1.5 * chance[~low].mean()
