"""Each fault, alone, changes the feeds it says, in the way it says; the default ones are absorbed by the adapters."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import Refusal
from core.months import Month
from core.progress import SilentProgress
from expectations.contract import load_contracts
from sources.adapter import load_adapters
from sources.convert import DeliveredRows, check_control_sums, convert
from sources.delivery import read_delivery
from sources.identity.guard import refuse_identities
from sources.identity.resident_id import is_resident_id
from sources.province.fault_functions import identity_number
from sources.province.faults import DEFAULT_FAULTS, FAULTS
from sources.province.settings import ProvinceSettings
from sources.province.simulate import ALL_FEEDS, ProvinceDeliveries, simulate
from sources.province.world import World, make
from sources.strict_csv import read_strict_csv

#: Faults that adapters can't absorb: the code of the refusal, or the reason for which rows are held back.
REFUSED = {
    "F02": "malformed_key",
    "F03": "REFUSED/TYPE",
    "F07": "unreadable",
    "F11": "several_codes",
    "F20": "REFUSED/PERIOD",
    "F22": "REFUSED/IDENTITY",
}
ON_CELLS = sorted(id for id, fault in FAULTS.items() if fault.apply is not None)


CITY = ProvinceSettings(residents=300, enterprises=900, months=3, seed=3, faults=frozenset())
#: Every platform sends: the province and the second city too.
ALL = replace(CITY, platforms="dual", cities=2, registers=True, housing_fund=True, city_scenes=True)
_lived: dict[ProvinceSettings, World] = {}


def written(folder: Path, *faults: str, settings: ProvinceSettings = CITY) -> ProvinceDeliveries:
    """The deliveries of one life, told with these faults."""
    if settings not in _lived:
        _lived[settings] = make(settings)
    told = replace(settings, faults=frozenset(faults))
    return simulate(told, folder / "inbox", SilentProgress(), _lived[settings])


def data_by_feed(deliveries: ProvinceDeliveries) -> dict[str, str]:
    digests: dict[str, str] = {}
    for arrival in deliveries.arrivals:
        sent = read_delivery(arrival.folder)
        digest = hashlib.sha256(sent.data[0].read_bytes()).hexdigest()
        digests[sent.manifest.adapter] = digests.get(sent.manifest.adapter, "") + digest
    return digests


def canonical(deliveries: ProvinceDeliveries) -> tuple[dict[str, list[pa.Table]], dict[str, int], set[str]]:
    """Rows by adapter, rows left out by reason, and codes of refusals with the reasons of rows held back."""
    schemas = {name: contract.schema() for name, contract in load_contracts().items()}
    adapters = load_adapters(schemas)
    rows: dict[str, list[pa.Table]] = {}
    left_out: dict[str, int] = {}
    refused = set()
    for arrival in deliveries.arrivals:
        sent = read_delivery(arrival.folder)
        adapter = adapters[sent.manifest.adapter]
        try:
            delivered = DeliveredRows(
                read_strict_csv(sent.data[0], adapter.file, adapter.source_columns), sent.data[0].name
            )
            refuse_identities(delivered)
            check_control_sums(delivered, adapter, sent.manifest.control_sums)
            made = convert(delivered, adapter, schemas[adapter.target], Month.parse(sent.manifest.period))
        except Refusal as refusal:
            refused.add(refusal.code)
            continue
        refused |= set(made.quarantined.column("reason").to_pylist())
        table = made.rows.drop_columns("row_no").append_column("subject", made.subject_codes)
        rows.setdefault(adapter.adapter, []).append(table)
        for reason, count in made.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + count
    return rows, left_out, refused


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> ProvinceDeliveries:
    return written(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def all_platforms(tmp_path_factory) -> ProvinceDeliveries:
    return written(tmp_path_factory.mktemp("all"), settings=ALL)


@pytest.fixture(scope="module")
def clean_rows(clean):
    rows, left_out, refused = canonical(clean)
    assert not left_out and not refused
    return rows


@pytest.mark.parametrize("fault", ON_CELLS)
def test_a_fault_alone_changes_only_the_feeds_it_can_hit(fault, all_platforms, tmp_path):
    before, after = data_by_feed(all_platforms), data_by_feed(written(tmp_path, fault, settings=ALL))
    changed = {adapter for adapter in before if before[adapter] != after[adapter]}
    assert changed
    assert changed <= {feed.adapter for feed in ALL_FEEDS if FAULTS[fault].hits(feed)}
    if FAULTS[fault].adapters is not None:
        assert changed == FAULTS[fault].adapters


@pytest.mark.parametrize("fault", sorted(DEFAULT_FAULTS - {"F04", "F16", "F23"}))
def test_default_faults_leave_the_canonical_rows_as_they_are(fault, clean_rows, tmp_path):
    rows, left_out, refused = canonical(written(tmp_path, fault))
    assert not refused
    assert bool(left_out) == (fault in ("F12", "F14"))
    for adapter, tables in clean_rows.items():
        assert all(one.equals(other) for one, other in zip(tables, rows[adapter], strict=True)), adapter


def test_null_tokens_only_take_away_what_may_be_lost(clean_rows, tmp_path):
    rows, _, refused = canonical(written(tmp_path, "F04"))
    assert not refused
    lost = set()
    for adapter, tables in clean_rows.items():
        for one, other in zip(tables, rows[adapter], strict=True):
            lost |= {
                name
                for name in one.column_names
                if one.column(name).null_count < other.column(name).null_count
            }
    assert lost == {
        "personal_amt", "employer_amt", "tax_withheld_amt", "output_tax_amt", "arrears_age_days", "channel", "award_amt", "role",
    }  # fmt: skip


def test_all_default_faults_together_are_absorbed(clean_rows, tmp_path):
    rows, left_out, refused = canonical(written(tmp_path, *DEFAULT_FAULTS))
    assert not refused
    assert {adapter: [t.num_rows for t in tables] for adapter, tables in rows.items()} == {
        adapter: [t.num_rows for t in tables] for adapter, tables in clean_rows.items()
    }
    assert set(left_out) == {"test_row", "exact_duplicate"}


@pytest.mark.parametrize(("fault", "code"), sorted(REFUSED.items()))
def test_faults_that_cannot_be_absorbed_are_refused_or_held_back(fault, code, tmp_path):
    _, _, refused = canonical(written(tmp_path, fault))
    assert refused == {code}


def test_a_truncated_file_no_longer_fits_its_manifest(tmp_path, monkeypatch):
    monkeypatch.setattr("sources.province.faults.TRUNCATED_SHARE", 1.0)
    for arrival in written(tmp_path, "F17").arrivals:
        sent = read_delivery(arrival.folder)
        if not sent.manifest.adapter.startswith("sim_bank"):
            assert sent.data[0].stat().st_size < sent.manifest.files[0].bytes


def test_restated_history_comes_under_the_old_revision(tmp_path, monkeypatch):
    monkeypatch.setattr("sources.province.faults.UNNUMBERED_SHARE", 1.0)
    again = [a for a in written(tmp_path, "F18").arrivals if a.folder.name.endswith("-r2")]
    assert again and all(read_delivery(arrival.folder).manifest.revision == 1 for arrival in again)


def test_a_late_feed_month_has_the_same_bytes_at_another_time(clean, tmp_path):
    late = written(tmp_path, "F16")
    assert data_by_feed(late) != {} and sorted(data_by_feed(late)) == sorted(data_by_feed(clean))
    moved = {a.folder.relative_to(late.inbox): a.at for a in late.arrivals}
    times = {a.folder.relative_to(clean.inbox): a.at for a in clean.arrivals}
    assert [str(folder) for folder in times if times[folder] != moved[folder]] == [
        "sim_city_util/resident.util_bill/2024-06-r1"
    ]


def test_the_identity_number_of_f22_is_valid():
    assert all(is_resident_id(identity_number(serial)) for serial in (0, 7, 999))


def test_unknown_faults_are_told():
    with pytest.raises(ValueError, match="no fault F99"):
        ProvinceSettings(faults=frozenset({"F99"}))


def test_a_life_cannot_be_told_with_other_settings_than_faults_and_tables(clean, tmp_path):
    with pytest.raises(ValueError, match="another life"):
        simulate(replace(CITY, seed=4), tmp_path / "inbox", SilentProgress(), _lived[CITY])


def test_the_catalogue_is_complete():
    assert {id[:3] for id in FAULTS} == {f"F{number:02d}" for number in range(1, 25)}
    assert {id for id in FAULTS if len(id) > 3} == {"F16b", "F20b", "F23b", "F24b"}
    assert all(fault.apply is None or fault.apply.__doc__ for fault in FAULTS.values())
