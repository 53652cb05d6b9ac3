"""The page's promise: a third city is one YAML file. The file is the one that stands in the page."""

from __future__ import annotations

import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import FixedClock
from core.state import Delivery, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from expectations.contract import load_contracts
from expectations.validate import validate_partition
from sources.adapter import load_adapter
from sources.adapter_findings import lint_file, lint_sample
from sources.arrivals import Arrival, receive
from sources.delivery import write_manifest
from sources.intake import take_in
from sources.quarantine import in_quarantine
from sources.reading import read_and_convert, read_sample
from tests.sources.bench import FIRST_ARRIVAL

PAGE = Path(__file__).parents[2] / "docs" / "adapters.md"
SCHEMAS = {name: contract.schema() for name, contract in load_contracts().items()}
TABLE = SCHEMAS["si_person_month"]
HEADER = (
    "个人编号|入账年月|费款所属期|缴费状态|缴费基数|养老个人|养老单位|失业个人|失业单位"
    "|到账标志|操作|更新时间|统筹区|姓名|备注"
)
AT = "2026-10-05 08:00:00"
ROWS = [
    f"A-1|202610|202609|1|0.7|560|1,120|21|49|1|1|{AT}|430800|无|",
    f"A-2|2026-10|202609|参保缴费|0.6|480|960||NULL|0|1|{AT}|430800||",
    "A-2|2026-10|202609|参保缴费|0.5|400|800|||0|2|2026-10-04 08:00:00|430800||",
    f"A-2|2026-10|202609|参保缴费|0.6|480|960||NULL|0|1|{AT}|430800||",
    f"A-3|202610|202609|||||||1|3|{AT}|430800||",
    f"A-4|202610|202609|9|0.7|560|1120|||1|1|{AT}|430800||",
    f"A-5|202610|202609|1|0.7|5.60|1120|||1|1|{AT}|430800||",
    f"|202610|202609|1|0.7|560|1120|||1|1|{AT}|430800||",
    f"A-7|202610|202609|1|0.7|560|1120|||1|1|{AT}|430100||",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    page = PAGE.read_text(encoding="utf-8")
    block = re.search(r"<!-- test: .*? -->\n```yaml\n(.*?)```", page, re.DOTALL)
    assert block is not None
    path = tmp_path / "adapters" / "third_city_si.yaml"
    path.parent.mkdir()
    path.write_text(block[1], encoding="utf-8")
    return path


def delivery(folder: Path) -> Path:
    inbox = folder / "inbox" / "third_city_si" / "resident.si_person_month" / "2026-10-r1"
    inbox.mkdir(parents=True)
    data = inbox / "2026-10.txt"
    data.write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="gb18030")
    write_manifest(
        data, source="third_city_si", adapter="third_city_si", subject=SubjectKind.RESIDENT,
        table="si_person_month", period="2026-10", rows=len(ROWS),
    )  # fmt: skip
    return inbox


def test_a_delivery_of_the_third_city_becomes_canonical_rows(
    file: Path, tmp_path: Path, migrated: Path
) -> None:
    shutil.copy(migrated, tmp_path / "state.db")
    state, store = StateDatabase(f"sqlite:///{tmp_path / 'state.db'}"), TableStore(tmp_path / "lake")
    clock = FixedClock(FIRST_ARRIVAL)
    number = receive(
        Arrival(delivery(tmp_path), FIRST_ARRIVAL, "observed"), tmp_path / "archive", state, clock
    )
    registry = SubjectRegistry(store, SubjectKind.RESIDENT)
    result = take_in(
        number, load_adapter(file, TABLE), TABLE, store=store, registry=registry, state=state,
        archive=tmp_path / "archive", keys=tmp_path / "keys", clock=clock, reader=read_and_convert,
    )  # fmt: skip

    assert (result.delivered, result.accepted, result.quarantined) == (9, 3, 3)
    assert result.left_out == {"other_city": 1, "superseded": 1, "sent_twice": 1}
    rows = store.read("raw/resident/si_person_month")
    codes = registry.provider_codes(rows.column("subject_no").to_numpy()).to_pylist()
    names = (
        "scheme",
        "base_amt",
        "personal_amt",
        "employer_amt",
        "pay_status",
        "received_flag",
        "corr_period_ym",
    )
    told = zip(codes, *(rows.column(name).to_pylist() for name in names), strict=True)
    numbers = rows.column("row_no").to_pylist()
    good = sorted(row for row, no in zip(told, numbers, strict=True) if no > 0)
    assert good == [
        ("A1", "pension_emp", Decimal(7000), Decimal(560), Decimal(1120), "normal", True, "2026-09"),
        ("A1", "unemp", Decimal(7000), Decimal(21), Decimal(49), "normal", True, "2026-09"),
        ("A2", "pension_emp", Decimal(6000), Decimal(480), Decimal(960), "normal", False, "2026-09"),
    ]
    assert sorted(codes[at] for at, no in enumerate(numbers) if no < 0) == ["A3", "A3"]
    with state.session() as session:
        held = [(one.reason, one.column, one.still) for one in in_quarantine(session)]
        entry = session.get_one(Delivery, number)
        assert (entry.rows_made, entry.rows_quarantined) == (rows.num_rows, 3)
    assert sorted(held) == [
        ("inconsistent", "养老个人", 1),
        ("no_key", "个人编号", 1),
        ("unknown_code", "缴费状态", 1),
    ]
    contract = load_contracts()["si_person_month"]
    assert validate_partition(store, contract, "raw/resident/si_person_month", "2026-10").outcome.passed


def test_the_linter_has_nothing_against_it_and_finds_what_its_file_holds(file: Path, tmp_path: Path) -> None:
    adapter, findings = lint_file(file, SCHEMAS)
    assert adapter is not None and [one for one in findings if one.level == "error"] == []
    sample = delivery(tmp_path) / "2026-10.txt"
    found = lint_sample(file, adapter, TABLE, read_sample(sample, adapter, TABLE))
    assert sorted(one.check for one in found) == ["inconsistent", "no_key", "unknown_code"]
    unknown = next(one for one in found if one.check == "unknown_code")
    assert (
        "9 (1 rows)" in unknown.message
        and "pay_status" in file.read_text("utf-8").splitlines()[unknown.line - 1]
    )
