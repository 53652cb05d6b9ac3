"""The real tax feed: every one of 1,099,441 invoices is accepted or left out under a reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from core.clock import FixedClock
from core.errors import GsceneError
from core.months import Month, knowledge_cutoff
from core.state import Delivery, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import load_contracts
from sources.adapter import load_adapters
from sources.arrivals import Arrival, receive
from sources.intake import IntakeResult, take_in
from sources.sme_invoices import arrival_time, collect
from sources.versions import resolver

RAW = "raw/enterprise/invoice"


@pytest.fixture
def sme(shared_data: Path) -> Path:
    """The folder as it was published."""
    folder = shared_data / "sme_invoices"
    if not folder.is_dir():
        pytest.skip(f"the invoices aren't in {folder}; set GSCENE_SHARED")
    return folder


def part_of(folder: Path, target: Path, months: Iterable[str]) -> Path:
    """A copy with some months only."""
    for kind in ("output_invoice", "input_invoice"):
        (target / kind).mkdir(parents=True)
        for month in months:
            shutil.copy(folder / kind / f"{month}.csv.gz", target / kind)
    shutil.copy(folder / "enterprises.csv", target)
    return target


class Home:
    """A home folder that takes arrivals in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.store = TableStore(root / "lake")
        self.state = StateDatabase(f"sqlite:///{root / 'state.db'}")
        self.state.migrate()
        self.registry = SubjectRegistry(self.store, SubjectKind.ENTERPRISE)
        self.schemas = {name: contract.schema() for name, contract in load_contracts().items()}
        self.adapters = load_adapters(self.schemas)

    def take_in(self, arrivals: list[Arrival]) -> list[IntakeResult]:
        clock = FixedClock(max(arrival.at for arrival in arrivals))
        results = []
        for arrival in arrivals:
            number = receive(arrival, self.root / "archive", self.state, clock)
            with self.state.session() as session:
                adapter = self.adapters[session.get_one(Delivery, number).adapter]
            results.append(
                take_in(
                    number,
                    adapter,
                    self.schemas[adapter.target],
                    store=self.store,
                    registry=self.registry,
                    state=self.state,
                    archive=self.root / "archive",
                    keys=self.root / "keys",
                    clock=clock,
                )
            )
        return results


def test_one_real_month(sme: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    arrivals = collect(part_of(sme, tmp_path / "sme", ["2018-12"]), tmp_path / "inbox")
    outcome, received, issued = home.take_in(arrivals)
    assert (received.delivered, received.left_out) == (24_512, {"exact_duplicate": 233})
    assert (issued.delivered, issued.left_out) == (18_677, {"exact_duplicate": 96})
    assert (outcome.accepted, outcome.left_out) == (62, {"no_outcome": 363})

    rows = home.store.read(RAW)
    assert rows.num_rows == received.accepted + issued.accepted == 42_860
    assert pc.unique(rows["received_at"]).to_pylist() == [arrival_time(Month(2018, 12))]
    assert sorted(pc.unique(rows["status"]).to_pylist()) == ["valid", "void"]
    bank = home.store.read("raw/enterprise/bank_outcome")
    assert pc.sum(bank["default_flag"]).as_py() == 14
    # One company has one number in invoices issued, received and outcomes, whatever the key of its pseudonym.
    codes = home.registry.table()["provider_code"].to_pylist()
    assert len(codes) == len(set(codes)) == home.registry.size
    known = resolver(home.schemas["invoice"], home.state, RAW, "2018-12")
    assert known(rows, knowledge_cutoff(Month(2018, 11))).num_rows == 0
    assert known(rows, knowledge_cutoff(Month(2018, 12))).num_rows == rows.num_rows


def test_amounts_are_those_of_the_file(sme: Path, tmp_path: Path) -> None:
    import gzip
    from decimal import Decimal

    home = Home(tmp_path / "home")
    home.take_in(collect(part_of(sme, tmp_path / "sme", ["2016-10"]), tmp_path / "inbox"))
    rows = home.store.read(RAW)
    total = Decimal(0)
    for kind in ("output_invoice", "input_invoice"):
        lines = (
            gzip.decompress((sme / kind / "2016-10.csv.gz").read_bytes()).decode("utf-8-sig").splitlines()[1:]
        )
        total += sum(Decimal(line.split(",")[4]) for line in dict.fromkeys(lines))
    assert pc.sum(rows["net_amt"].cast(pa.decimal128(38, 2))).as_py() == total


def test_collecting_again_gives_the_same_inbox(sme: Path, tmp_path: Path) -> None:
    folder = part_of(sme, tmp_path / "sme", ["2016-10", "2016-11"])
    first = collect(folder, tmp_path / "inbox")
    before = {path: path.read_bytes() for path in (tmp_path / "inbox").rglob("*") if path.is_file()}
    assert collect(folder, tmp_path / "inbox") == first
    assert before == {path: path.read_bytes() for path in (tmp_path / "inbox").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "enterprises.csv").unlink(), "has no enterprises.csv"),
        (lambda folder: shutil.rmtree(folder / "input_invoice"), "has no input_invoice"),
        (lambda folder: (folder / "input_invoice" / "2020-02.csv.gz").unlink(), "lacks 2020-02"),
        (lambda folder: (folder / "input_invoice" / "2020-13.csv.gz").touch(), "2020-13"),
        (lambda folder: (folder / "output_invoice" / "Feb 2020.csv").touch(), "isn't named YYYY-MM.csv.gz"),
        (
            lambda folder: (folder / "output_invoice" / "2020-02.csv.gz").write_bytes(b"x"),
            "can't be unpacked",
        ),
    ],
)
def test_an_incomplete_folder_says_what_is_wrong(sme: Path, tmp_path: Path, damage, told: str) -> None:  # type: ignore[no-untyped-def]
    folder = part_of(sme, tmp_path / "sme", ["2020-01", "2020-02"])
    damage(folder)
    with pytest.raises(GsceneError, match=told):
        collect(folder, tmp_path / "inbox")


@pytest.mark.slow
def test_every_real_invoice_is_accounted_for(sme: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    results = home.take_in(collect(sme, tmp_path / "inbox"))
    invoices = [result for result in results if result.raw_table == RAW]
    assert len(invoices) == 82
    assert sum(result.delivered for result in invoices) == 1_099_441
    assert sum(result.left_out.get("exact_duplicate", 0) for result in invoices) == 11_665
    assert all(set(result.left_out) <= {"exact_duplicate"} for result in invoices)
    rows = home.store.read(RAW, columns=["direction", "delivery_no"])
    assert rows.num_rows == sum(result.accepted for result in invoices) == 1_099_441 - 11_665
    issued = pc.sum(pc.equal(rows["direction"], "out")).as_py()
    assert (493_319 - issued, 606_122 - (rows.num_rows - issued)) == (6_181, 5_484)
    assert home.registry.size == 425
