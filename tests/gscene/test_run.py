"""`gscene run` with good, bad and corrected deliveries: what it ends with, what it says, and what stays."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from core.money import from_fen
from core.months import Month
from core.settings import Settings
from core.state import Delivery, StateDatabase
from core.table_store import TableStore
from tests.gscene.command import OUT_HEADER, Said, gscene, invoice_rows, lay, packed, sme_folder

MONTHS = ["2024-08", "2024-09", "2024-10"]
NEXT, AFTER = "2024-11", "2024-12"
RAW, FACTS = "raw/enterprise/invoice", "facts/enterprise/invoice"
Capture = pytest.CaptureFixture[str]

#: A made-up resident number whose check digit is right.
IDENTITY = "11010519491231002X"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that took three months in; six firms are too few for a model, so the command ended with 1."""
    from pipelines.catch_up import take_in_waiting
    from pipelines.workplace import Workplace
    from sources.arrivals import receive
    from sources.sme_invoices import collect

    root = tmp_path_factory.mktemp("run")
    workplace = Workplace.open(root / "home")
    for arrival in collect(sme_folder(root / "sme", MONTHS), workplace.settings.home / "inbox"):
        receive(arrival, workplace.settings.archive, workplace.state, workplace.clock)
    take_in_waiting(workplace)
    workplace.state.engine.dispose()
    return root / "home"


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "home")
    return tmp_path / "home"


def entries(home: Path, month: str) -> list[tuple[str, str | None]]:
    """State and reason of the month's deliveries of issued invoices, in order."""
    with StateDatabase(Settings.load(home).state_url).session() as session:
        query = select(Delivery.state, Delivery.reason).where(
            Delivery.period == month, Delivery.source == "sme_tax_out"
        )
        return [(state, reason) for state, reason in session.execute(query.order_by(Delivery.delivery_no))]


def content(home: Path) -> dict[str, str]:
    store = TableStore(home / "lake")
    return {
        f"{table}/{month}": store.content_hash(table, month) for table in (RAW, FACTS) for month in MONTHS
    }


def run(capsys: Capture, home: Path, inbox: Path, *more: str) -> Said:
    return gscene(capsys, "run", "--home", home, "--inbox", inbox, "--as-of", MONTHS[-1], *more)


# -- real invoices -----------------------------------------------------------------------------------------------------


def test_a_folder_with_a_missing_month_is_named(tmp_path: Path, capsys: Capture) -> None:
    folder = sme_folder(tmp_path / "sme", MONTHS)
    (folder / "input_invoice" / "2024-09.csv.gz").unlink()
    said = gscene(capsys, "run", "--home", tmp_path / "home", "--sme-invoices", folder)
    assert said.code == 1
    assert "input_invoice" in said.err and "lacks 2024-09" in said.err and "remedy:" in said.err
    assert not (tmp_path / "home" / "lake").exists()


def test_too_few_outcomes_are_told_as_such(tmp_path: Path, capsys: Capture) -> None:
    folder = sme_folder(tmp_path / "sme", MONTHS)
    said = gscene(capsys, "run", "--home", tmp_path / "home", "--sme-invoices", folder)
    assert said.code == 1
    assert "invoice_risk" in said.err and "events to learn from" in said.err
    assert TableStore(tmp_path / "home" / "lake").rows(FACTS, MONTHS[-1]) == 6, "what went well is kept"


# -- bad deliveries ----------------------------------------------------------------------------------------------------


def bad_deliveries() -> dict[str, tuple[str, bytes, bytes | None, int | None, bool]]:
    """Reason code, bytes sent, bytes that the manifest describes, line to be named, whether a file is named."""
    good = invoice_rows(NEXT)
    odd = [*good[:2], good[2].replace("有效发票", "红冲发票"), *good[3:]]
    person = [*good[:1], good[1].replace("E1,1027", f"E1,{IDENTITY}"), *good[2:]]
    assert person != good != odd
    text = "\n".join([OUT_HEADER, *good, ""])
    whole = packed(OUT_HEADER, good)
    return {
        "encoding": ("REFUSED/ENCODING", gzip.compress(text.encode("gb18030"), mtime=0), None, 1),
        "identity": ("REFUSED/IDENTITY", packed(OUT_HEADER, person), None, 3),
        "code": ("REFUSED/CODE", packed(OUT_HEADER, odd), None, 4),
        "truncated": ("REFUSED/CHECKSUM", whole[: len(whole) // 2], whole, None),
        "short": ("REFUSED/ROWCOUNT", packed(OUT_HEADER, good[:-2]), None, len(good) - 1),
    }  # type: ignore[return-value]


@pytest.mark.parametrize("fault", ["encoding", "identity", "code", "truncated", "short"])
def test_a_bad_delivery_is_refused_with_reason_place_and_remedy(
    fault: str, home: Path, tmp_path: Path, capsys: Capture
) -> None:
    reason, body, described, line = bad_deliveries()[fault]  # type: ignore[misc]
    before, rows = content(home), invoice_rows(NEXT)
    inbox = tmp_path / "inbox"
    lay(inbox, NEXT, body, len(rows), described=described)
    said = run(capsys, home, inbox)
    assert said.code == 1
    assert reason in said.err and "invoices.csv.gz" in said.err and "remedy:" in said.err
    if line is not None:
        assert f"invoices.csv.gz:{line}" in said.err
    assert IDENTITY not in said.err + said.out and "红冲发票" not in said.err
    assert entries(home, NEXT) == [("REFUSED", reason)]
    assert content(home) == before, "earlier data stays as it was"
    assert NEXT not in TableStore(home / "lake").partitions(RAW)

    told = run(capsys, home, inbox, "--json").json
    assert (told["code"], told["exit_code"]) == (reason, 1) and told["remedy"]

    lay(inbox, NEXT, packed(OUT_HEADER, rows), len(rows))
    run(capsys, home, inbox)
    assert entries(home, NEXT)[-1] == ("ACCEPTED", None)
    assert TableStore(home / "lake").rows(FACTS, NEXT) == 6
    assert content(home) == before


def test_one_bad_delivery_does_not_hold_up_the_others(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """What the refused month leaves behind can be finished by running the same command again."""
    inbox = tmp_path / "inbox"
    odd = [row.replace("有效发票", "红冲发票") for row in invoice_rows(NEXT)]
    lay(inbox, NEXT, packed(OUT_HEADER, odd), len(odd))
    lay(inbox, AFTER, packed(OUT_HEADER, invoice_rows(AFTER)), len(odd))
    lay(inbox, MONTHS[1], packed(OUT_HEADER, invoice_rows(MONTHS[1], "2000.00")), len(odd), revision=2)
    assert "REFUSED/CODE" in run(capsys, home, inbox).err
    assert entries(home, MONTHS[1])[-1] == entries(home, AFTER)[-1] == ("ACCEPTED", None)
    store = TableStore(home / "lake")
    assert store.rows(FACTS, AFTER) == 6
    assert store.rows(FACTS, MONTHS[1]) > 6, "the correction of an earlier month is folded too"
    lay(inbox, NEXT, packed(OUT_HEADER, invoice_rows(NEXT)), len(odd))
    said = gscene(capsys, "run", "--home", home, "--inbox", inbox, "--as-of", AFTER)
    assert said.code == 1 and "events to learn from" in said.err, "everything up to the training went through"
    assert store.rows(FACTS, NEXT) == 6


# -- the gate ----------------------------------------------------------------------------------------------------------


def test_a_changed_month_is_refused_with_3(home: Path, tmp_path: Path, capsys: Capture) -> None:
    store = TableStore(home / "lake")
    row = store.read(RAW, [MONTHS[1]]).slice(0, 1).drop_columns(["period"])
    import numpy as np

    place = row.schema.get_field_index("net_amt")
    changed = row.set_column(place, row.schema.field("net_amt"), from_fen(np.array([5], dtype=np.int64)))
    store.append(RAW, MONTHS[1], changed)
    before = store.version(FACTS)
    said = gscene(capsys, "run", "--home", home, "--as-of", str(Month.parse(MONTHS[-1])))
    assert said.code == 3
    assert said.err.splitlines()[-2].startswith("Gate refused") and "remedy:" in said.err
    assert MONTHS[1] in said.err
    assert TableStore(home / "lake").version(FACTS) == before
    as_json = gscene(capsys, "run", "--home", home, "--as-of", MONTHS[-1], "--json")
    assert as_json.code == as_json.json["exit_code"] == 3


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


def test_ctrl_c_in_the_middle_of_a_step_is_one_plain_line(
    home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "inbox"
    rows = invoice_rows(NEXT)
    lay(inbox, NEXT, packed(OUT_HEADER, rows), len(rows))
    with monkeypatch.context() as pressed:
        pressed.setattr(
            "sources.intake.judge", lambda *_: os.kill(os.getpid(), signal.SIGINT) or time.sleep(5)
        )
        said = run(capsys, home, inbox)
    assert said.code == 1 and "Stopped." in said.err and "Traceback" not in said.err
    assert entries(home, NEXT) == [("RECEIVED", None)]
    run(capsys, home, inbox)
    assert entries(home, NEXT) == [("ACCEPTED", None)]
