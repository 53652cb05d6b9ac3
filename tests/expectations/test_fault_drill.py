"""Each fault alone, through real intake, trips exactly its own check; without faults no check trips; the page says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from expectations.fault_drill import DRILL, TABLES, USUAL, Tripped, drill, run_all, table_of_faults
from sources.province.faults import FAULTS
from sources.province.world import make

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"

#: The check that is meant to find each fault. Two faults share one only where nobody could tell them apart.
INTENDED = {
    "F01": "absorbed: key_form",
    "F02": "quarantine: malformed_key",
    "F03": "intake: REFUSED/TYPE",
    "F04": "absorbed: null_token",
    "F05": "absorbed: sentinel_date",
    "F06": "absorbed: other_date_form",
    "F07": "quarantine: unreadable",
    "F08": "finding: unit_of_history",
    "F09": "absorbed: label_for_code",
    "F10": "absorbed: other_edition",
    "F11": "quarantine: several_codes",
    "F12": "left out: exact_duplicate",
    "F13": "absorbed: withdrawn_row",
    "F14": "left out: test_row",
    "F15": "finding: same_column_twice",
    "F16": "finding: late_delivery",
    "F16b": "finding: region_missing",
    "F17": "intake: REFUSED/CHECKSUM",
    "F18": "ledger: REFUSED/CONFLICT",
    "F19": "finding: year_to_date",
    "F20": "intake: REFUSED/PERIOD",
    "F20b": "finding: repeated_month",
    "F21": "finding: retired_region",
    "F22": "intake: REFUSED/IDENTITY",
    "F23": "finding: estimated_reads",
    "F23b": "finding: meter_identity",
    "F24": "finding: split_key",
    "F24b": "finding: shared_key",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, tuple[Tripped, ...]]:
    return run_all(tmp_path_factory.mktemp("drill"))


def test_without_faults_no_check_trips(tmp_path):
    assert drill(None, make(DRILL), tmp_path) == ()


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_alone_trips_exactly_its_own_check(fault, runs):
    assert {tripped.name for tripped in runs[fault]} == {INTENDED[fault]}
    assert all(tripped.count > 0 for tripped in runs[fault])


def test_a_fault_is_found_where_it_was_put(runs):
    for fault, tripped in runs.items():
        feeds = FAULTS[fault].adapters
        for each in tripped:
            if feeds is not None and each.place.startswith("sim_"):
                assert each.place.split(" ")[0] in feeds, fault


def test_no_two_faults_trip_one_check_alike():
    assert set(INTENDED) == set(FAULTS)
    assert len(set(INTENDED.values())) == len(INTENDED)


def test_the_page_is_what_the_drill_gives(runs):
    assert PAGE.read_text(encoding="utf-8") == table_of_faults(runs), (
        "run: python -m expectations.fault_drill docs/faults.md"
    )


def test_the_page_has_every_fault_and_no_cell():
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| (F\d\db?) \|", page, re.MULTILINE)) == set(FAULTS)
    assert not re.search(r"k\d:[0-9a-f]{8}", page)


def test_drills_send_tables_that_the_fault_can_hit():
    from sources.province.simulate import ALL_FEEDS

    for fault in FAULTS:
        tables = TABLES.get(fault, USUAL)
        assert any(feed.table in tables and FAULTS[fault].hits(feed) for feed in ALL_FEEDS), fault
