"""One truth in several dialects: the province and the cities tell the same, under other keys, later, and never twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from core.months import Month, knowledge_cutoff
from core.progress import SilentProgress
from core.state import Delivery
from expectations.contract import load_contracts
from sources.adapter import load_adapters
from sources.convert import DeliveredRows, convert
from sources.delivery import read_delivery
from sources.province.lateness import PROVINCE_DAYS
from sources.province.province_feeds import PROVINCE
from sources.province.regions import REGION_CODES, SECOND_CITY_REGION
from sources.province.settings import ProvinceSettings
from sources.province.simulate import ALL_FEEDS, ProvinceDeliveries, feeds_of, simulate
from sources.strict_csv import FileFormat, read_strict_csv
from tests.sources.province.scenes.office import Office

FIRST = Month(2025, 3)
SETTINGS = ProvinceSettings(
    residents=250, enterprises=220, first_month=FIRST, months=4, seed=9, faults=frozenset(), platforms="dual",
    registers=True, housing_fund=True, city_scenes=True,
)  # fmt: skip
TWINS = {feed.adapter: feed.twin for feed in ALL_FEEDS if feed.platform == "province"}
FEED = {feed.adapter: feed for feed in ALL_FEEDS}


def written(folder: Path, **changed) -> ProvinceDeliveries:
    return simulate(replace(SETTINGS, **changed), folder / "inbox", SilentProgress())


@pytest.fixture(scope="module")
def dual(tmp_path_factory) -> ProvinceDeliveries:
    return written(tmp_path_factory.mktemp("dual"))


@pytest.fixture(scope="module")
def adapters():
    return load_adapters(SCHEMAS)


SCHEMAS = {name: contract.schema() for name, contract in load_contracts().items()}


def canonical(adapters, folder: Path) -> pa.Table:
    """Canonical rows of one delivery with their subjects."""
    sent = read_delivery(folder)
    adapter = adapters[sent.manifest.adapter]
    delivered = DeliveredRows(
        read_strict_csv(sent.data[0], adapter.file, adapter.source_columns), sent.data[0].name
    )
    made = convert(delivered, adapter, SCHEMAS[adapter.target], Month.parse(sent.manifest.period))
    return made.rows.drop_columns("row_no").append_column("subject_id", made.subject_codes)


def crosswalk(deliveries: ProvinceDeliveries, kind: str) -> dict[str, str]:
    table = pq.read_table(deliveries.truth / f"crosswalk_{kind}.parquet")
    return dict(
        zip(
            table.column("new_subject_id").to_pylist(),
            table.column("old_subject_id").to_pylist(),
            strict=True,
        )
    )


def in_old_keys(table: pa.Table, old: dict[str, str]) -> pa.Table:
    """The table with every pseudonym of the province replaced by the city's."""
    for name in table.column_names:
        texts = table.column(name)
        if pa.types.is_string(texts.type):
            replaced = [old.get(text, text) for text in texts.to_pylist()]
            table = table.set_column(table.column_names.index(name), name, pa.array(replaced, pa.string()))
    return table


def test_the_province_tells_what_the_city_tells_row_by_row(dual, adapters):
    old = {}
    for kind in ("resident", "enterprise", "util_account"):
        old |= crosswalk(dual, kind)
    compared: dict[str, int] = {}
    for arrival in dual.arrivals:
        feed = FEED[read_delivery(arrival.folder).manifest.adapter]
        if feed.platform != "province":
            continue
        city = dual.inbox / FEED[feed.twin].source / arrival.folder.parent.name / arrival.folder.name
        ours, theirs = canonical(adapters, city), in_old_keys(canonical(adapters, arrival.folder), old)
        # The city sends no readings.
        names = [name for name in ours.column_names if "reading" not in name]
        assert theirs.select(names).equals(ours.select(names)), feed.adapter
        compared[feed.adapter] = compared.get(feed.adapter, 0) + ours.num_rows
    assert set(compared) == set(TWINS) and min(compared.values()) > 0


def test_every_pseudonym_has_another_key_and_the_crosswalk_is_one_to_one(dual):
    for kind in ("resident", "enterprise", "util_account"):
        table = pq.read_table(dual.truth / f"crosswalk_{kind}.parquet")
        for column, version in (("old_subject_id", "k1:"), ("new_subject_id", "k2:")):
            texts = table.column(column)
            assert pc.all(pc.starts_with(texts, version)).as_py()
            assert pc.count_distinct(texts).as_py() == table.num_rows
        tails = [
            set(pc.utf8_slice_codeunits(table.column(c), 3).to_pylist())
            for c in ("old_subject_id", "new_subject_id")
        ]
        assert not tails[0] & tails[1]
        assert set(table.column("valid_from").to_pylist()) == {FIRST.first_day}


def test_the_province_is_two_to_seven_days_later_and_nothing_comes_after_the_end(dual):
    at = {arrival.folder.relative_to(dual.inbox): arrival.at for arrival in dual.arrivals}
    end = knowledge_cutoff(SETTINGS.last_month)
    delays = set()
    for folder, moment in at.items():
        feed = FEED[read_delivery(dual.inbox / folder).manifest.adapter]
        if feed.platform == "province":
            twin = at[Path(FEED[feed.twin].source) / folder.parent.name / folder.name]
            delays.add((moment - twin) // timedelta(days=1))
        assert moment <= end
    low, high = PROVINCE_DAYS
    assert delays <= set(range(low, high + 1)) and len(delays) > 2


def test_the_cities_tell_the_same_whoever_else_does(dual, tmp_path):
    alone = written(tmp_path, platforms="city")
    theirs = {p.relative_to(dual.inbox): p.read_bytes() for p in dual.inbox.rglob("*") if p.is_file()}
    ours = {p.relative_to(alone.inbox): p.read_bytes() for p in alone.inbox.rglob("*") if p.is_file()}
    del ours[Path("arrivals.json")]
    assert ours.items() <= theirs.items() and len(theirs) > len(ours)
    assert not list(alone.truth.glob("crosswalk*"))


def test_after_the_cut_over_only_the_province_sends(tmp_path):
    cut_over = FIRST.plus(2)
    sent = written(tmp_path, platforms="province", cut_over=cut_over, months=5)
    months: dict[str, set[Month]] = {}
    for arrival in sent.arrivals:
        manifest = read_delivery(arrival.folder).manifest
        months.setdefault(FEED[manifest.adapter].platform, set()).add(Month.parse(manifest.period))
    assert months["city"] == {FIRST, FIRST.plus(1)}
    assert months["province"] and min(months["province"]) == cut_over
    assert len(months["bank"]) == 5


def test_two_cities_share_the_bills_between_them(dual, adapters, tmp_path):
    two = written(tmp_path, cities=2, only_tables=frozenset({"util_bill"}))
    rows: dict[str, int] = {}
    for arrival in two.arrivals:
        manifest = read_delivery(arrival.folder).manifest
        feed = FEED[manifest.adapter]
        table = canonical(adapters, arrival.folder)
        rows[feed.platform] = rows.get(feed.platform, 0) + table.num_rows
        if feed.platform == "second_city":
            # Readings and consumption agree, and the amounts are yuan though the file has 分.
            used = pc.subtract(table.column("curr_reading"), table.column("prev_reading"))
            assert (
                max(
                    abs(a - b)
                    for a, b in zip(used.to_pylist(), table.column("consumption").to_pylist(), strict=True)
                )
                < 0.011
            )
    whole = sum(
        read_delivery(arrival.folder).manifest.rows
        for arrival in dual.arrivals
        if read_delivery(arrival.folder).manifest.adapter.startswith("sim_city_util_")
        and read_delivery(arrival.folder).manifest.table == "util_bill"
    )
    assert rows["city"] + rows["second_city"] == whole and rows["second_city"] > 20


def test_the_second_city_has_the_prefecture_of_its_own(tmp_path):
    two = written(tmp_path, cities=2, only_tables=frozenset({"util_bill"}))
    regions: dict[str, set[str]] = {}
    for arrival in two.arrivals:
        sent = read_delivery(arrival.folder)
        feed = FEED[sent.manifest.adapter]
        form = FileFormat(encoding=feed.encoding, delimiter=feed.delimiter, bom=feed.bom)
        column = read_strict_csv(sent.data[0], form, feed.headers).column(feed.of_kind("region")[0].header)
        regions.setdefault(feed.platform, set()).update(column.to_pylist())
    assert regions["second_city"] == {REGION_CODES[SECOND_CITY_REGION]}
    assert not regions["second_city"] & regions["city"]


def test_two_cities_and_the_province_fill_one_table_and_who_sent_a_row_is_known(tmp_path):
    sent = written(tmp_path, cities=2, only_tables=frozenset({"util_bill"}))
    office = Office(tmp_path)
    office.take(a for a in sent.arrivals if a.folder.parent.name == "resident.util_bill")
    rows = office.rows("raw/resident/util_bill")
    source, accepted = {}, Counter()
    with office.state.session() as session:
        for entry in session.query(Delivery):
            source[entry.delivery_no] = entry.source
            accepted[entry.source] += entry.rows_accepted or 0
    told = Counter(source[number] for number in rows.column("delivery_no").to_pylist())
    assert told == accepted and set(told) == {"sim_city_util", "sim_city2_util", "sim_prov_util"}
    assert min(told.values()) > 0
    # One account is one row of a month, whichever delivery told of it last.
    known = office.known("raw/resident/util_bill")
    accounts = known.group_by(["util_acct_id", "period"]).aggregate([("delivery_no", "count")])
    assert accounts.num_rows == known.num_rows < rows.num_rows


@pytest.mark.parametrize(
    "feed", [feed for feed in ALL_FEEDS if feed.platform != "bank"], ids=lambda feed: feed.adapter
)
def test_adapters_name_the_headers_that_are_written(feed, adapters):
    adapter = adapters[feed.adapter]
    assert set(adapter.source_columns) == set(feed.headers)
    assert (adapter.source, adapter.subject, adapter.target) == (feed.source, feed.subject, feed.table)
    assert (adapter.file.encoding, adapter.file.delimiter, adapter.file.bom) == (
        feed.encoding,
        feed.delimiter,
        feed.bom,
    )


def test_by_default_the_first_city_and_the_bank_are_alone():
    assert {feed.table for feed in feeds_of(ProvinceSettings())} == {feed.table for feed in feeds_of(SETTINGS)} - {
        "util_account", "hpf_person_month", "hpf_employer_month", "platform_login_day", "veh_violation", "nontax_bill",
        "util_disconnection",
    }  # fmt: skip
    assert not any(ProvinceSettings().sends(feed.platform, Month(2025, 1)) for feed in PROVINCE)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"platforms": "county"}, "city, province or dual"),
        ({"cities": 3}, "1 or 2"),
        ({"platforms": "city", "cut_over": FIRST}, "needs platforms"),
        ({"cut_over": FIRST.plus(9)}, "must lie between"),
        ({"only_tables": frozenset({"nope"})}, "no table nope"),
    ],
)
def test_settings_that_cannot_be_are_told(changed, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        written(tmp_path, **changed)
