"""The city's other offices: what they send follows from one life, comes in through real intake, and changes nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.months import Month
from core.progress import SilentProgress
from core.subject import SubjectKind
from sources.province import scene_tables, world
from sources.province.fines import NEVER_PAID, Fines
from sources.province.office_feeds import CITY_SCENES
from sources.province.random_streams import stream
from sources.province.rows import NO_DAY
from sources.province.settings import BURN_IN_MONTHS, ProvinceSettings
from sources.province.simulate import simulate
from tests.sources.province.scenes.office import SCHEMAS, Office

SETTINGS = ProvinceSettings(
    residents=900, enterprises=60, first_month=Month(2025, 3), months=3, seed=4, faults=frozenset(), city_scenes=True
)  # fmt: skip
TABLES = frozenset(feed.table for feed in CITY_SCENES)


@pytest.fixture(scope="module")
def lived() -> world.World:
    return world.make(replace(SETTINGS, residents=6_000))


def rows_of(builder, lived: world.World, month: int = 2):  # type: ignore[no-untyped-def]
    row, when = BURN_IN_MONTHS + month, SETTINGS.first_month.plus(month)
    return builder(lived, row, when, stream(1, builder.__name__))


def test_open_fines_are_those_not_paid_by_the_end_of_the_month() -> None:
    given = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0]], dtype=bool)
    days = np.array([[70, 20, 0], [0, NEVER_PAID, 40], [0, 0, 0]], dtype=np.int16)
    none, no_days = np.zeros_like(given), np.zeros_like(days)
    fines = Fines(given, days, none, no_days)
    assert fines.unpaid(0, 12).tolist() == [1, 0, 0], "seventy days are more than a month, twenty aren't"
    assert fines.unpaid(1, 12).tolist() == [1, 1, 1]
    assert fines.unpaid(2, 12).tolist() == [0, 1, 0], (
        "paid after seventy and forty days by the third month's end"
    )
    assert fines.unpaid(2, 1).tolist() == [0, 0, 0], "none was given in the last month"


def test_who_owes_fines_and_has_no_housing_fund_is_at_more_risk(lived: world.World) -> None:
    from sources.province.housing_fund import members

    life, row = lived.residents, BURN_IN_MONTHS + 2
    owes = life.fines.unpaid(row, 12) > 0
    member = members(lived.settings, lived.subjects[SubjectKind.RESIDENT].people).member
    assert 0.05 < owes.mean() < 0.5
    assert life.risk[row][owes].mean() > life.risk[row][~owes].mean() + 0.1
    assert life.risk[row][member].mean() < life.risk[row][~member].mean() - 0.1


def test_connections_are_cut_thirty_days_after_the_due_date_at_the_earliest(lived: world.World) -> None:
    rows = rows_of(scene_tables.util_disconnection, lived).final
    month = SETTINGS.first_month.plus(2)
    cut, restored = rows.columns["cut"], rows.columns["restored"]
    owed = rows.columns["reason"] == scene_tables.ARREARS
    due = (month.plus(-1).first_day - Month(1970, 1).first_day).days + 19
    assert owed.sum() > 5 and (cut[owed] >= due + 30).all()
    assert (cut.astype("M8[D]").astype("M8[M]") == np.datetime64(str(month))).all()
    assert (restored[restored != NO_DAY] > cut[restored != NO_DAY]).all()


def test_nobody_logs_in_twice_on_a_day_and_users_of_services_come_more_often(lived: world.World) -> None:
    rows = rows_of(scene_tables.platform_login_day, lived).final
    pairs = np.column_stack([rows.subject, rows.columns["day"]])
    assert len(np.unique(pairs, axis=0)) == len(rows) > 100
    month = np.datetime64(str(SETTINGS.first_month.plus(2)))
    assert (rows.columns["day"].astype("M8[D]").astype("M8[M]") == month).all()
    asked = lived.residents.cases[BURN_IN_MONTHS : BURN_IN_MONTHS + 3].sum(axis=0) > 0
    days = np.bincount(rows.subject, minlength=len(asked))
    assert days[asked].mean() > 2 * days[~asked].mean()
    assert not days[~lived.subjects[SubjectKind.RESIDENT].people.known_to["platform"]].any()


def test_a_payment_shows_only_once_it_lies_behind(lived: world.World) -> None:
    versions = rows_of(scene_tables.veh_violation, lived)
    first, final = versions.first.columns["paid"], versions.final.columns["paid"]
    told_later = (first == NO_DAY) & (final != NO_DAY)
    assert told_later.any() and (final[first != NO_DAY] == first[first != NO_DAY]).all()
    assert (final == NO_DAY).any(), "some never pay"


def test_everything_comes_in_and_the_other_platforms_tell_what_they_told(tmp_path: Path) -> None:
    sent = simulate(SETTINGS, tmp_path / "with" / "inbox", SilentProgress())
    (tmp_path / "home").mkdir()
    office = Office(tmp_path / "home")
    office.take(a for a in sent.arrivals if a.folder.parent.name.split(".")[1] in TABLES)
    for table in TABLES:
        rows = office.rows(f"raw/resident/{table}")
        assert rows.num_rows > 0, table
        assert {column.name for column in SCHEMAS[table].columns} - {"subject_id"} <= {*rows.column_names}
    assert sum(result.quarantined for result in office.results) == 0
    alone = simulate(replace(SETTINGS, city_scenes=False), tmp_path / "without" / "inbox", SilentProgress())
    assert {a.folder.name for a in alone.arrivals} <= {a.folder.name for a in sent.arrivals}
    # What people owe decides who borrows, so only the bank tells of another life.
    for arrival in (a for a in alone.arrivals if a.folder.parent.parent.name != "sim_bank"):
        twin = tmp_path / "with" / "inbox" / arrival.folder.relative_to(alone.inbox)
        for file in arrival.folder.iterdir():
            assert (twin / file.name).read_bytes() == file.read_bytes()
