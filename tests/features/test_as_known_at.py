"""Features of an old month as known at any moment: the old answer after a restatement, the new one where it is asked for."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GsceneError
from core.months import CHINA_TIME, knowledge_cutoff
from features.as_known_at import known_then, write_as_known
from features.as_of import feature_schema, features_at
from sources.sme_invoices import arrival_time
from tests.features.bits import same_bits
from tests.features.random_worlds import FIRST, World
from tests.features.test_metamorphic import LAST, TURNOVER, at, store_of, worlds
from tests.gscene.command import gscene
from tests.pipelines.invoice_home import FACTS_KEY, MONTHS, RAW_KEY, InvoiceHome, invoices


@settings(max_examples=60)
@given(worlds, st.integers(0, LAST), st.integers(0, 200))
def test_a_moment_takes_the_place_of_the_cutoff(world: World, month: int, days: int) -> None:
    """Before or after the cutoff: what comes out is the world of the deliveries that stood then."""
    as_of, moment = FIRST.plus(month), knowledge_cutoff(FIRST) + timedelta(days=days)
    known = [item for item in world if item.at <= moment]
    assert same_bits(_known(world, month, moment), _known(known, month, moment))
    assert same_bits(_known(world, month, knowledge_cutoff(as_of)), at(world, month, TURNOVER))


def _known(world: World, month: int, moment: datetime) -> pa.Table:
    found = features_at(store_of(world, TURNOVER), TURNOVER, [FIRST.plus(month)], known_at=moment)
    return pa.concat_tables([feature_schema(TURNOVER).empty_table(), *(table for _, table in found)])


@pytest.fixture(scope="module")
def restated(tmp_path_factory: pytest.TempPathFactory) -> InvoiceHome:
    """Three months of invoices of 1000 yuan; the first was restated to 2000 yuan when the last was long over."""
    home = InvoiceHome(tmp_path_factory.mktemp("home"))
    for month in MONTHS:
        home.deliver(month, invoices(month))
    home.deliver(MONTHS[0], invoices(MONTHS[0], net="2000.00"), revision=2, at=RESTATED)
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    return home


RESTATED = arrival_time(MONTHS[-1]) + timedelta(days=14)


def written(home: InvoiceHome, at: datetime, file: Path) -> list[float]:
    """Sales of three months by firm, as known at the moment."""
    place = home.workplace
    feature_set = place.blueprint.feature_sets["enterprise_invoice"]
    rows, _ = write_as_known(
        home.store,
        home.state,
        place.clock,
        feature_set,
        MONTHS[-1],
        at,
        place.entitlements(feature_set.subject),
        file,
    )
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        assert table.num_rows == rows
        return table.column("out_amt_3m").to_pylist()
    with file.open(encoding="utf-8") as lines:
        return [float(row["out_amt_3m"]) for row in csv.DictReader(lines)]


@pytest.mark.slow
def test_both_versions_of_a_restated_month_are_readable(restated: InvoiceHome, tmp_path: Path) -> None:
    before = written(restated, RESTATED - timedelta(seconds=1), tmp_path / "before.csv")
    assert before == [6000.0] * 3, "two invoices of 1000 yuan in each of three months"
    after = written(restated, RESTATED, tmp_path / "after.parquet")
    assert after == [8000.0] * 3, "those of the first month are of 2000 yuan now"
    cutoff = written(restated, knowledge_cutoff(MONTHS[-1]), tmp_path / "cutoff.csv")
    assert cutoff == before
    feature_set = restated.workplace.blueprint.feature_sets["enterprise_invoice"]
    told = known_then(restated.state, feature_set, MONTHS[-1], RESTATED - timedelta(seconds=1))
    assert (told.known, told.deliveries) == (3, 4) and told.line().endswith("1 came later")


@pytest.mark.slow
def test_the_command_writes_the_file_and_says_what_was_known(
    restated: InvoiceHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (
        "features",
        "as-known",
        "--set",
        "enterprise_invoice",
        "--as-of",
        MONTHS[-1],
        "--home",
        restated.home,
    )
    day = RESTATED.astimezone(CHINA_TIME).date()
    said = gscene(
        capsys, *map(str, asked), "--as-known-at", str(day), "--to", tmp_path / "then.csv", "--json"
    )
    assert said.code == 0 and (said.json["known"], said.json["deliveries"]) == (4, 4)
    said = gscene(capsys, *map(str, asked))
    assert said.code == 0 and "3 of 4 deliveries" in said.out + said.err
    assert gscene(capsys, *map(str, asked), "--as-known-at", "tomorrow").code == 2


@pytest.mark.slow
def test_what_lies_ahead_and_other_files_are_refused(restated: InvoiceHome, tmp_path: Path) -> None:
    with pytest.raises(GsceneError, match="lies ahead"):
        written(restated, datetime(2030, 1, 1, tzinfo=UTC), tmp_path / "a.csv")
    with pytest.raises(GsceneError, match="neither"):
        written(restated, RESTATED, tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []
