"""Erasing a firm from a home of invoices: nothing is left of it, everyone else's rows stay, gates go on, it can't come back."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sqlalchemy import select

from core import audit
from core.clock import FixedClock
from core.errors import GateRefused, GsceneError
from core.months import Month
from core.state import AuditEvent, Delivery, Erasure, LeftOut, Redaction
from core.subject import SubjectKind
from core.table_store import ErasedVersion, TableStore
from pipelines.workplace import Workplace
from rights.erasure import STEPS, erase
from rights.subject import find_subject
from sources.arrivals import Arrival, receive
from sources.erased import require_finished
from tests.pipelines.invoice_home import (
    FACTS,
    FACTS_KEY,
    FEATURES,
    FEATURES_KEY,
    MONTHS,
    RAW,
    RAW_KEY,
    InvoiceHome,
    copy_of,
)
from tests.rights.traces import files_with

#: The firm that is erased, as its provider calls it, a number on one of its invoices, and two others.
CODE, PLANTED = "FIRM-0000-4711", "PLANTED-31415926"
OTHERS = ("FIRM-0000-0001", "FIRM-0000-9999")
LATER = FixedClock(datetime(2024, 12, 3, tzinfo=UTC))


def invoices(month: Month, codes: tuple[str, ...] = (OTHERS[0], CODE, OTHERS[1])) -> list[str]:
    """Two invoices a firm; the second of the erased one has the planted number, its first names a buyer of the others' too."""
    rows = []
    for code in codes:
        for day in (3, 17):
            number = PLANTED if (code, day) == (CODE, 17) else f"{code}-{day}"
            rows.append(
                f"{code},{number},{month.year}/{month.month}/{day},B88123,1000.00,60.00,1060.00,有效发票"
            )
    return rows


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three months, one of them corrected, and features; the bytes of an older version lie there too."""
    folder = tmp_path_factory.mktemp("erasure") / "home"
    home = InvoiceHome(folder)
    for month in MONTHS:
        home.deliver(month, invoices(month))
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    home.run(FEATURES_KEY, first=MONTHS[-1])
    home.deliver(MONTHS[1], [line.replace("1000.00", "2000.00") for line in invoices(MONTHS[1])], revision=2)
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[1])
    home.run(FEATURES_KEY, first=MONTHS[-1])
    home.close()
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> InvoiceHome:
    return copy_of(made, tmp_path / "home")


def token_of(home: InvoiceHome) -> str:
    return find_subject(home.store, provider_code=CODE).subject_id


def erase_it(home: InvoiceHome, token: str, **more):  # type: ignore[no-untyped-def]
    opened = Workplace.open(home.home, LATER)
    return erase(
        opened.installation(), token=token, request_ref="R-1", reason="subject_request", actor="dpo", **more
    )


def rows_of(home: InvoiceHome, table: str) -> dict[str, pa.Table]:
    """Rows of the others by partition, in a fixed order."""
    number = find_subject(TableStore(home.home / "lake"), provider_code=CODE).numbers["enterprise"]
    kept = {}
    for partition in home.store.partitions(table):
        rows = home.store.read(table, [partition])
        rows = rows.filter(pa.array(rows.column("subject_no").to_numpy() != number))
        kept[partition] = rows.sort_by([(name, "ascending") for name in rows.column_names]).combine_chunks()
    return kept


def everything(home: InvoiceHome) -> dict[str, dict[str, pa.Table]]:
    return {table: rows_of(home, table) for table in (RAW, FACTS, FEATURES)}


def test_nothing_is_left_and_everyone_else_stays(home: InvoiceHome) -> None:
    token, before = token_of(home), everything(home)
    traces = [token, CODE, PLANTED]
    assert len(files_with(home.home, traces)) > 10, (
        "a search that finds nothing beforehand would prove nothing"
    )
    done = erase_it(home, token)
    assert files_with(home.home, traces) == []
    assert done.told["table_rows_removed"] > 0 and done.told["old_files_removed"] > 0
    assert done.told["archived_rows_removed"] == 8 and done.told["archives_redacted"] == 4
    fresh = TableStore(home.home / "lake")
    for table, partitions in before.items():
        assert fresh.partitions(table) == sorted(partitions)
        for partition, rows in partitions.items():
            now = fresh.read(table, [partition])
            now = now.sort_by([(name, "ascending") for name in now.column_names]).combine_chunks()
            pd.testing.assert_frame_equal(now.to_pandas(), rows.to_pandas(), check_exact=True)


def test_gates_receipts_and_derivations_go_on(home: InvoiceHome) -> None:
    erase_it(home, token_of(home))
    again = InvoiceHome(home.home)
    versions = {table: again.store.version(table) for table in (RAW, FACTS, FEATURES)}
    hashes = [
        again.store.content_hash(FEATURES, str(MONTHS[-1])),
        again.store.content_hash(FACTS, str(MONTHS[1])),
    ]
    again.run(
        FEATURES_KEY, first=MONTHS[-1]
    )  # alone: facts must be in step with raw months, and those vouched for
    again.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    again.run(FEATURES_KEY, first=MONTHS[-1])
    assert {table: again.store.version(table) for table in (RAW, FACTS, FEATURES)} == versions
    assert hashes == [
        again.store.content_hash(FEATURES, str(MONTHS[-1])), again.store.content_hash(FACTS, str(MONTHS[1])),
    ]  # fmt: skip


def test_a_month_that_nobody_vouched_for_stays_behind_the_gate(home: InvoiceHome) -> None:
    home.add_row(MONTHS[0], 100)
    erase_it(home, token_of(home))
    with pytest.raises(GateRefused):
        InvoiceHome(home.home).run(FACTS_KEY, first=MONTHS[0])


def test_the_ledger_still_adds_up_and_keeps_the_delivered_hash(home: InvoiceHome) -> None:
    with home.state.session() as session:
        hashes = {entry.delivery_no: entry.content_sha256 for entry in session.scalars(select(Delivery))}
    erase_it(home, token_of(home))
    with home.state.session() as session:
        assert audit.verify(session) > 0
        for entry in session.scalars(select(Delivery)):
            left = {each.reason: each.rows for each in entry.left_out}
            assert left == {"erased": 2} and (entry.rows_accepted, entry.rows_delivered) == (4, 6)
            assert entry.content_sha256 == hashes[entry.delivery_no]
            redaction = session.get_one(Redaction, entry.content_sha256)
            assert redaction.rows_removed == 2
            assert not (home.workplace.settings.archive / entry.content_sha256).exists()


def test_only_a_keyed_hash_of_the_subject_is_remembered(home: InvoiceHome) -> None:
    token = token_of(home)
    erase_it(home, token)
    with home.state.session() as session:
        entry = session.scalars(select(Erasure)).one()
        told = [(event.action, event.object) for event in session.scalars(select(AuditEvent))]
    assert token not in str(vars(entry)) and len(entry.tombstone) == 64
    assert told[-2:] == [
        ("subject.erasure_opened", f"enterprise/{entry.tombstone}"), ("subject.erased", f"enterprise/{entry.tombstone}"),
    ]  # fmt: skip


def test_erasing_again_changes_nothing(home: InvoiceHome) -> None:
    token = token_of(home)
    first = erase_it(home, token)
    versions = {table: TableStore(home.home / "lake").version(table) for table in home.store.tables()}
    again = erase_it(home, token)
    assert again.repeated and again.told == first.told
    assert {table: TableStore(home.home / "lake").version(table) for table in versions} == versions
    with pytest.raises(GsceneError, match="no subject of this home"):
        erase_it(home, "k1:" + "0" * 40)


# -- coming back -------------------------------------------------------------------------------------------------------


def take_in(home: InvoiceHome, month: Month) -> Delivery:
    home.run(RAW_KEY, FACTS_KEY, first=month)
    with home.state.session() as session:
        entry = session.scalars(select(Delivery).order_by(Delivery.delivery_no.desc())).first()
        assert entry is not None
        session.refresh(entry, ["left_out"])
        return entry


def test_the_subject_cannot_come_back_with_a_new_delivery(home: InvoiceHome) -> None:
    token = token_of(home)
    erase_it(home, token)
    again = InvoiceHome(home.home)
    size = again.workplace.registry(SubjectKind.ENTERPRISE).size
    later = MONTHS[-1].plus(1)
    again.deliver(later, invoices(later, ("FIRM-0000-5555", CODE, OTHERS[0])))
    entry = take_in(again, later)
    assert {left.reason: left.rows for left in entry.left_out} == {"erased": 2}
    assert (entry.rows_delivered, entry.rows_accepted) == (6, 4)
    assert again.store.read(RAW, [str(later)]).num_rows == 4
    registry = again.workplace.registry(SubjectKind.ENTERPRISE)
    assert registry.size == size + 1, "the number stays a hole and isn't given again"
    assert registry.table().num_rows == size
    # What is left in the home's inbox is the source's copy of what it has just sent.
    inbox = {f"inbox/{path.relative_to(home.home / 'inbox')}" for path in (home.home / "inbox").rglob("*.gz")}
    assert set(files_with(home.home, [token, CODE, PLANTED])) == {p for p in inbox if f"{later}-r1" in p}


def test_the_same_bytes_again_are_recognised_and_not_archived(home: InvoiceHome) -> None:
    token = token_of(home)
    folder = home.home / "inbox" / "sme_tax_out" / "enterprise.invoice" / f"{MONTHS[0]}-r1"
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    erase_it(home, token)
    again = InvoiceHome(home.home)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    with again.state.session() as session:
        count = session.query(Delivery).count()
    settings = again.workplace.settings
    assert receive(Arrival(folder, LATER.now(), "observed"), settings.archive, again.state, LATER) == 1
    with again.state.session() as session:
        assert session.query(Delivery).count() == count
    assert files_with(settings.archive, [token, CODE, PLANTED]) == []


def test_a_delivery_waiting_in_the_ledger_is_redacted_and_can_be_taken_in(home: InvoiceHome) -> None:
    later = MONTHS[-1].plus(1)
    home.deliver(later, invoices(later))
    token = token_of(home)
    erase_it(home, token)
    assert files_with(home.home, [token, CODE, PLANTED]) == []
    entry = take_in(InvoiceHome(home.home), later)
    assert {left.reason: left.rows for left in entry.left_out} == {"erased": 2} and entry.rows_accepted == 4
    rows = home.store.read(RAW, [str(later)], columns=["row_no"]).column("row_no").to_pylist()
    assert sorted(rows) == [1, 2, 5, 6], "rows keep the numbers they had in the delivered file"


def test_a_refused_file_that_names_the_subject_goes_whole(home: InvoiceHome) -> None:
    later = MONTHS[-1].plus(1)
    home.deliver(later, [line + ",one cell too many" for line in invoices(later)])
    with pytest.raises(GsceneError):
        home.run(RAW_KEY, first=later)
    token = token_of(home)
    done = erase_it(home, token)
    assert done.told["archives_removed"] == 1
    assert files_with(home.home, [token, CODE, PLANTED]) == []


def test_an_accepted_file_is_never_given_up_for_want_of_its_adapter(home: InvoiceHome) -> None:
    token = token_of(home)
    opened = Workplace.open(home.home, LATER).installation()
    blind = replace(opened, adapters={})
    with pytest.raises(GsceneError, match="can't be read by the adapter sme_output_invoice any more"):
        erase(blind, token=token, request_ref="R-1", reason="unlawful", actor="dpo")
    erase_it(home, token)
    assert files_with(home.home, [token, CODE, PLANTED]) == []


def test_a_file_that_holds_the_subject_elsewhere_stops_the_erasure_until_it_is_gone(
    home: InvoiceHome,
) -> None:
    token = token_of(home)
    left = home.home / "notes.txt"
    left.write_text(f"ask {token} again")
    with pytest.raises(GsceneError, match=r"1 files still name the subject: notes\.txt"):
        erase_it(home, token)
    with pytest.raises(GateRefused, match="unfinished"):
        require_finished(home.state)
    left.unlink()
    erase_it(home, token)
    require_finished(home.state)


# -- kills -------------------------------------------------------------------------------------------------------------

POINTS = ["opened", *(f"{step}{point}" for step in STEPS[1:-1] for point in (": begun", ": made", ""))]

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.rights.test_erasure import InvoiceHome, erase_it
def kill(point):
    if point == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
erase_it(InvoiceHome(Path(sys.argv[1])), sys.argv[2], checkpoint=kill)
"""


@pytest.mark.slow
def test_a_killed_erasure_goes_on_where_it_stopped(made: Path, tmp_path: Path) -> None:
    """Killed at one point after the other in the same home: every run goes one point further, the last finishes."""
    home = copy_of(made, tmp_path / "home")
    token, before = token_of(home), everything(home)
    for point in POINTS[::3]:
        child = subprocess.run(
            [sys.executable, "-c", KILLED, str(home.home), token, point],
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert child.returncode == -signal.SIGKILL, (point, child.stderr.decode())
    done = erase_it(home, token)
    assert not done.repeated and files_with(home.home, [token, CODE, PLANTED]) == []
    fresh = InvoiceHome(home.home)
    for table, partitions in before.items():
        assert {p: r.num_rows for p, r in partitions.items()} == {
            p: fresh.store.rows(table, p) for p in fresh.store.partitions(table)
        }
    fresh.run(FEATURES_KEY, first=MONTHS[-1])
    with fresh.state.session() as session:
        assert {left.rows for left in session.scalars(select(LeftOut))} == {2}, "nothing is counted twice"


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("table", [RAW, FACTS, FEATURES])
@pytest.mark.parametrize("when", ["before the commit", "after the commit", "before the note"])
def test_an_erasure_that_dies_between_table_and_note_counts_once(
    home: InvoiceHome, table: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The narrowest places: a partition is rewritten, the database doesn't know yet; and the reverse."""
    token = token_of(home)
    rewrite = TableStore.rewrite

    def dying(self, name, partition, change, **more):  # type: ignore[no-untyped-def]
        if name == table and when == "before the commit":
            raise _Stopped
        done = rewrite(self, name, partition, change, **more)
        if name == table and when == "after the commit":
            raise _Stopped
        return done

    monkeypatch.setattr(TableStore, "rewrite", dying)
    if when == "before the note":
        monkeypatch.setattr("rights.erase_tables._count_in_ledger", _raise)
    with pytest.raises(_Stopped):
        erase_it(home, token)
    monkeypatch.undo()
    erase_it(home, token)
    with home.state.session() as session:
        lefts = list(session.scalars(select(LeftOut)))
        assert {left.rows for left in lefts} == {2} and len(lefts) == 4
    assert files_with(home.home, [token, CODE, PLANTED]) == []
    InvoiceHome(home.home).run(FEATURES_KEY, first=MONTHS[-1])


def _raise(*_arguments: object) -> None:
    raise _Stopped


# -- beside readers and writers ----------------------------------------------------------------------------------------


def test_a_reader_gets_the_old_or_the_new_table_or_a_clear_error(home: InvoiceHome) -> None:
    """Readers go through the months while the subject is erased; whoever began before sees all of the old rows or is told."""
    token = token_of(home)
    stop, seen, wrong = threading.Event(), set(), []

    def read() -> None:
        store = TableStore(home.home / "lake")
        while not stop.is_set():
            try:
                rows = store.read(RAW, [str(MONTHS[0])]).num_rows
            except ErasedVersion as error:
                seen.add("told")
                assert error.remedy
            except Exception as error:
                wrong.append(error)
            else:
                seen.add(rows)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    erase_it(home, token)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong and seen <= {4, 6, "told"} and 6 in seen


def test_an_old_version_tells_that_it_was_erased(home: InvoiceHome) -> None:
    version = home.store.version(RAW)
    opened = [home.store.open(path) for path in home.store.files(RAW)]
    erase_it(home, token_of(home))
    with pytest.raises(ErasedVersion, match="erased on request"):
        TableStore(home.home / "lake").read(RAW, version=version)
    assert sum(file.read().num_rows for file in opened) == 24, "what was open stays readable to the end"


def test_a_run_that_began_before_can_write_nothing_about_the_subject(home: InvoiceHome) -> None:
    rows = home.store.read(FEATURES, [str(MONTHS[-1])]).drop_columns(["period"])
    erase_it(home, token_of(home))
    with pytest.raises(GsceneError, match="erased meanwhile"):
        home.store.replace(FEATURES, str(MONTHS[-1]), rows)


def test_one_erasure_at_a_time(home: InvoiceHome) -> None:
    token = token_of(home)
    other = find_subject(home.store, provider_code=OTHERS[0]).subject_id

    def meanwhile(point: str) -> None:
        if point == "traced":
            with pytest.raises(GsceneError, match="another erasure is under way"):
                erase_it(home, other)

    erase_it(home, token, checkpoint=meanwhile)
    assert find_subject(home.store, provider_code=OTHERS[0]).subject_id == other


def test_numbers_of_others_never_move(home: InvoiceHome) -> None:
    registry = home.workplace.registry(SubjectKind.ENTERPRISE)
    before = {row["provider_code"]: row["subject_no"] for row in registry.table().to_pylist()}
    erase_it(home, token_of(home))
    after = {
        row["provider_code"]: row["subject_no"]
        for row in InvoiceHome(home.home).workplace.registry(SubjectKind.ENTERPRISE).table().to_pylist()
    }
    assert after == {code: number for code, number in before.items() if code != CODE}
    with pytest.raises(GsceneError, match="has been erased"):
        InvoiceHome(home.home).workplace.registry(SubjectKind.ENTERPRISE).subject_ids(
            np.array([before[CODE]])
        )
