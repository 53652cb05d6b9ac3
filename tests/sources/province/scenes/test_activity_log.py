"""Yunnan and Anyang: the activity log through real intake, exact to the row; in full by `python -m benchmarks.activity_log`."""

import pyarrow.compute as pc
import pytest

from benchmarks.activity_log import MEMORY_LIMIT_MB, run
from core.months import CHINA_TIME
from expectations.validate import validate
from sources.province.scenes.activity_log import ActivityLog, write
from tests.sources.province.scenes.office import CONTRACTS, Office

FIFTIETH = ActivityLog(users=35_400, services=147_200)


@pytest.mark.slow
def test_a_fiftieth_of_the_log_comes_in_as_it_was_sent(tmp_path):
    cost, duckdb = run(tmp_path, FIFTIETH)
    taken = cost.result
    assert (sum(taken.rows.values()), taken.subjects) == (147_200, 35_400)
    assert len(taken.rows) == 12 and duckdb.result == 147_200
    assert 0 < taken.peak_mb < MEMORY_LIMIT_MB


def test_services_and_logins_keep_their_contracts(tmp_path):
    log = ActivityLog(users=400, services=1_700, months=2, logins_a_month=900)
    sent = write(log, tmp_path / "inbox")
    office = Office(tmp_path)
    office.take(sent.arrivals)
    services, logins = (
        office.rows("raw/resident/platform_service"),
        office.rows("raw/resident/platform_login_day"),
    )
    assert (services.num_rows, logins.num_rows, office.registry.size) == (1_700, 1_800, 400)
    for name, rows in (("platform_service", services), ("platform_login_day", logins)):
        for period in sent.services:
            assert validate(CONTRACTS[name], office.store.read(f"raw/resident/{name}", [period])).passed
        assert rows.num_rows
    # Files say Chinese civil time, the lake UTC; the day is the Chinese one.
    moments = services.column("apply_at").to_pylist()
    days = services.column("apply_date").to_pylist()
    assert [moment.astimezone(CHINA_TIME).date() for moment in moments] == days
    assert pc.count_distinct(services.column("service_theme")).as_py() > 10


def test_every_user_needs_a_service(tmp_path):
    with pytest.raises(ValueError, match="every user"):
        write(ActivityLog(users=10, services=9), tmp_path)
