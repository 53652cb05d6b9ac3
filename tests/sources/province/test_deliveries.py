"""What the simulated province writes: deterministic, true to its manifests, on time or late as told, and without identities."""

import hashlib
import json
import re
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from core.months import Month, knowledge_cutoff
from core.progress import SilentProgress
from sources.adapter import load_adapters
from sources.arrivals import read_schedule
from sources.delivery import read_delivery
from sources.file_format import FileFormat
from sources.province.feeds import FEEDS, TABLES
from sources.province.settings import ProvinceSettings
from sources.province.simulate import ProvinceDeliveries, simulate
from sources.strict_csv import read_strict_csv

FEED = {feed.adapter: feed for feed in FEEDS}
ADAPTERS = {name: adapter for name, adapter in load_adapters().items() if name in FEED}
MONTHS = 5
_ID_LIKE = re.compile(r"(?<![0-9A-Za-z])[0-9]{17}[0-9Xx](?![0-9A-Za-z])")


def settings(**changed) -> ProvinceSettings:
    return ProvinceSettings(**({"residents": 400, "enterprises": 300, "months": MONTHS, "seed": 7} | changed))


def written(folder: Path, **changed) -> ProvinceDeliveries:
    return simulate(settings(**changed), folder / "inbox", SilentProgress())


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def frame_of(folder: Path) -> pa.Table:
    sent = read_delivery(folder)
    feed = FEED[sent.manifest.adapter]
    form = FileFormat(encoding=feed.encoding, delimiter=feed.delimiter)
    return read_strict_csv(sent.data[0], form, feed.headers)


@pytest.fixture(scope="module")
def province(tmp_path_factory) -> ProvinceDeliveries:
    return written(tmp_path_factory.mktemp("province"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> ProvinceDeliveries:
    return written(tmp_path_factory.mktemp("clean"), faults=frozenset())


def test_same_settings_give_the_same_bytes_and_another_seed_others(province, tmp_path):
    again = written(tmp_path / "again")
    other = written(tmp_path / "other", seed=8)
    assert bytes_of(again.inbox) == bytes_of(province.inbox)
    assert bytes_of(again.truth) == bytes_of(province.truth)
    same = bytes_of(province.inbox).items() & bytes_of(other.inbox).items()
    assert not [name for name, _ in same if name.endswith((".txt", ".csv"))]


def test_leaving_out_tables_changes_nothing_in_the_others(province, tmp_path):
    few = written(tmp_path, only_tables=frozenset({"tax_arrears", "util_bill"}))
    files = {name: digest for name, digest in bytes_of(few.inbox).items() if name != "arrivals.json"}
    assert files.items() <= bytes_of(province.inbox).items()
    assert {name.split("/")[1].split(".")[1] for name in files} == {"tax_arrears", "util_bill"}


def test_manifests_tell_the_truth(province):
    for arrival in province.arrivals:
        sent = read_delivery(arrival.folder)
        body = sent.data[0].read_bytes()
        assert sent.manifest.files[0].sha256 == hashlib.sha256(body).hexdigest()
        assert sent.manifest.files[0].bytes == len(body)
        assert sent.manifest.files[0].rows == body.count(b"\n") - 1 == frame_of(arrival.folder).num_rows
        assert arrival.folder.name == f"{sent.manifest.period}-r{sent.manifest.revision}"
        assert sent.manifest.mode == ("full" if sent.manifest.revision == 1 else "supplement")


def test_every_feed_is_delivered_and_read_by_exactly_one_adapter(province):
    delivered = {read_delivery(arrival.folder).manifest.adapter for arrival in province.arrivals}
    assert delivered == set(FEED) == set(ADAPTERS)
    assert {feed.table for feed in FEEDS} == TABLES


@pytest.mark.parametrize("name", sorted(FEED))
def test_adapters_name_the_headers_that_are_written(name):
    adapter, feed = ADAPTERS[name], FEED[name]
    assert set(adapter.source_columns) == set(feed.headers)
    assert (adapter.source, adapter.subject, adapter.target) == (feed.source, feed.subject, feed.table)
    assert (adapter.file.encoding, adapter.file.delimiter) == (feed.encoding, feed.delimiter)


def test_adapters_declare_every_code_and_label(province):
    for name, feed in FEED.items():
        rules = {rule.source_column: rule for rule in ADAPTERS[name].columns.values()}
        for field in feed.of_kind("code"):
            if rules[field.header].codes:
                written_forms = {text for pair in field.codes for text in pair} if not feed.is_bank else set()
                assert written_forms <= set(rules[field.header].codes), (name, field.header)


def test_rows_of_a_delivery_belong_to_its_month_and_supplements_follow_all_but_the_last(clean):
    with_supplement: dict[str, set[str]] = {}
    for arrival in clean.arrivals:
        sent, feed = read_delivery(arrival.folder).manifest, None
        feed = FEED[sent.adapter]
        month = Month.parse(sent.period)
        field = feed.of_kind("month")[0]
        texts = pc.unique(frame_of(arrival.folder).column(field.header)).to_pylist()
        assert texts in ([], [month.first_day.strftime(field.form)])
        if sent.revision == 2:
            with_supplement.setdefault(sent.adapter, set()).add(sent.period)
    first = settings().first_month
    assert with_supplement["sim_city_si_person"] == {str(first.plus(number)) for number in range(MONTHS - 1)}
    assert not any(name.startswith("sim_bank") for name in with_supplement)


def test_supplements_hold_late_and_restated_rows_and_nothing_that_was_right(clean):
    folder = clean.inbox / "sim_city_si" / "resident.si_person_month"
    month = settings().first_month.plus(1)
    first, later = (frame_of(folder / f"{month}-r{revision}").to_pylist() for revision in (1, 2))
    sent = {row["grbh"]: row for row in first}
    late = [row for row in later if row["grbh"] not in sent]
    restated = [row for row in later if row["grbh"] in sent]
    assert len(first) > 50 and len(late) > 50
    assert restated and all(sent[row["grbh"]] != row for row in restated)
    share = len(late) / (len(late) + len(first))
    assert 0.3 < share < 0.56  # log-normal with median 30 and 95 % 90 days against 34 allowed: 0.43
    assert all(
        row["jfzt"] == "2" and row["jfjs"] == ""
        for row in (sent[r["grbh"]] for r in restated if r["jfzt"] == "3")
    )


def test_bills_are_paid_in_the_supplement_and_never_after_it_was_sent(clean):
    folder = clean.inbox / "sim_city_util" / "resident.util_bill"
    month = settings().first_month
    for revision in (1, 2):
        paid = [day for day in frame_of(folder / f"{month}-r{revision}").column("jfrq").to_pylist() if day]
        assert max(paid) < f"{month.plus(revision)}-03"
    unpaid = {row["hh"] for row in frame_of(folder / f"{month}-r1").to_pylist() if not row["jfrq"]}
    later = {row["hh"] for row in frame_of(folder / f"{month}-r2").to_pylist() if row["jfrq"]}
    assert unpaid and len(unpaid & later) > len(unpaid) / 2


def test_returns_are_not_in_a_file_sent_before_they_were_filed(clean):
    for revision in (1, 2):
        folder = (
            clean.inbox
            / "sim_city_tax"
            / "enterprise.tax_vat_return"
            / f"{settings().first_month}-r{revision}"
        )
        days = frame_of(folder).column("sbrq").to_pylist()
        if revision == 1:
            assert max(days) < settings().first_month.plus(1).first_day.replace(day=3).strftime("%Y%m%d")


def test_arrivals_are_sorted_and_before_the_cutoff_but_for_the_one_late_month(province, clean):
    for deliveries, late in ((province, 1), (clean, 0)):
        listed = read_schedule(deliveries.schedule)
        texts = [entry["at"] for entry in json.loads(deliveries.schedule.read_text("utf-8"))["arrivals"]]
        assert texts == sorted(texts) and listed == list(deliveries.arrivals)
        missed = []
        for arrival in listed:
            sent = read_delivery(arrival.folder).manifest
            known_at = Month.parse(sent.period).plus(sent.revision - 1)
            assert arrival.at > knowledge_cutoff(known_at, 0)
            if arrival.at > knowledge_cutoff(known_at):
                missed.append(sent.adapter)
                assert arrival.at < knowledge_cutoff(known_at) + timedelta(days=10)
        assert missed == ["sim_city_util_resident"] * late


def test_no_identity_number_is_anywhere(province):
    for arrival in province.arrivals:
        data = read_delivery(arrival.folder).data[0]
        assert not _ID_LIKE.search(data.read_bytes().decode("gb18030" if data.suffix == ".txt" else "utf-8"))


def test_truth_lies_beside_the_inbox_and_never_in_it(province):
    assert not list(province.inbox.rglob("*.parquet"))
    assert province.truth == province.inbox.parent / "truth"
    assert {path.name for path in province.truth.iterdir()} == {
        f"{kind}_{what}.parquet" for kind in ("resident", "enterprise") for what in ("latent", "pd", "uplift")
    }


def test_an_inbox_that_is_not_empty_is_left_alone(province):
    with pytest.raises(ValueError, match="isn't empty"):
        simulate(settings(), province.inbox, SilentProgress())


def test_settings_that_cannot_be_are_told():
    for name, wrong in {"months": 0, "residents": -1, "borrower_share": 1.0, "seed": -1}.items():
        with pytest.raises(ValueError, match=f"{name} must"):
            settings(**{name: wrong})


def test_an_unknown_table_is_told(tmp_path):
    with pytest.raises(ValueError, match="no table veh_violation"):
        written(tmp_path, only_tables=frozenset({"veh_violation"}))


@pytest.mark.parametrize(
    "size", [{"residents": 0}, {"enterprises": 0}, {"months": 1}, {"residents": 3, "enterprises": 2}]
)
def test_small_worlds_are_possible(tmp_path, size):
    assert written(tmp_path, **({"residents": 50, "enterprises": 50} | size)).arrivals
