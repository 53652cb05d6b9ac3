"""Directory drop: finished deliveries only, no links, and a pull that is killed at any step brings each once."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.state import StateDatabase
from sources.connectors import our_side, transfer
from sources.connectors.connection import Connection
from sources.connectors.pull_state import PullState
from tests.sources.connectors.pull_bench import NOW, PullBench, body_of, lay_out

WRITTEN = NOW.timestamp() - 100


def settled(root: Path, at: float = WRITTEN) -> None:
    """As written some time before the bench's now."""
    for path in root.rglob("*"):
        os.utime(path, (at, at), follow_symlinks=False)


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    for month in ("2026-09", "2026-10"):
        lay_out(folder, body_of(30, seed=int(month[-2:])), period=month)
    settled(folder)
    return folder


def connect(side: PullBench, drop: Path, **told: Any) -> Connection:
    return side.connect(kind="drop", path=str(drop), **told)


def test_finished_deliveries_come_once_and_stay_with_copy(side: PullBench, drop: Path) -> None:
    connection = connect(side, drop)
    assert len(side.pull(connection).new) == 2
    assert side.ledger() == [("2026-09", 1, "RECEIVED"), ("2026-10", 1, "RECEIVED")]
    assert not side.pull(connection).new and len(list(drop.rglob("manifest.json"))) == 2


def test_move_empties_the_drop_of_what_is_in_the_ledger_only(side: PullBench, drop: Path) -> None:
    (drop / "city" / "resident.si_person_month" / "2026-09-r1" / "notes.txt").write_text("theirs")
    settled(drop)
    assert len(side.pull(connect(side, drop, take="move")).new) == 2
    left = [path.relative_to(drop).as_posix() for path in drop.rglob("*") if path.is_file()]
    assert left == ["city/resident.si_person_month/2026-09-r1/notes.txt"]


@pytest.mark.parametrize("wrong", ["short", "missing", "fresh", "part beside", "folder .tmp"])
def test_what_is_not_finished_waits(side: PullBench, drop: Path, wrong: str) -> None:
    folder = drop / "city" / "resident.si_person_month" / "2026-10-r1"
    data = folder / "si.csv"
    whole = data.read_bytes()
    if wrong == "short":
        data.write_bytes(whole[:-5])
    elif wrong == "missing":
        data.unlink()
    elif wrong == "part beside":
        (folder / "more.csv.part").write_bytes(b"")
    elif wrong == "folder .tmp":
        folder = folder.rename(folder.with_name("2026-10-r1.tmp"))
    settled(drop)
    if wrong == "fresh":
        os.utime(data, (NOW.timestamp() - 3, NOW.timestamp() - 3))
    connection = connect(side, drop)
    pulled = side.pull(connection)
    assert side.ledger() == [("2026-09", 1, "RECEIVED")]
    assert pulled.well and pulled.waiting == (0 if wrong == "folder .tmp" else 1)
    if wrong == "folder .tmp":
        folder = folder.rename(folder.with_name("2026-10-r1"))
    (folder / "more.csv.part").unlink(missing_ok=True)
    (folder / "si.csv").write_bytes(whole)
    settled(drop)
    assert len(side.pull(connection).new) == 1


@pytest.mark.parametrize("what", ["data", "manifest", "signature", "folder"])
def test_links_are_not_followed(side: PullBench, drop: Path, tmp_path: Path, what: str) -> None:
    secret = lay_out(tmp_path / "elsewhere", body_of(2), period="2026-08")
    folder = drop / "city" / "resident.si_person_month" / "2026-10-r1"
    if what == "folder":
        (folder.parent / "2026-08-r1").symlink_to(secret)
    else:
        name = {"data": "si.csv", "manifest": "manifest.json", "signature": "manifest.sig"}[what]
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(secret / "si.csv" if what == "data" else secret / "manifest.json")
    settled(drop)
    pulled = side.pull(connect(side, drop))
    if what == "folder":
        assert len(pulled.new) == 2 and pulled.well
    else:
        assert pulled.refused == {"city/resident.si_person_month/2026-10-r1": "REFUSED/LINK"}
        assert side.ledger() == [("2026-09", 1, "RECEIVED")]


def test_a_manifest_that_is_none_is_told_once_until_it_changes(side: PullBench, drop: Path) -> None:
    manifest = drop / "city" / "resident.si_person_month" / "2026-10-r1" / "manifest.json"
    body = manifest.read_bytes()
    manifest.write_bytes(b"{")
    settled(drop)
    connection = connect(side, drop)
    assert list(side.pull(connection).refused.values()) == ["REFUSED/MANIFEST"]
    assert side.pull(connection).well
    manifest.write_bytes(body)
    settled(drop)
    assert len(side.pull(connection).new) == 1


def test_other_bytes_under_the_same_manifest_are_refused_and_looked_at_again(
    side: PullBench, drop: Path
) -> None:
    data = drop / "city" / "resident.si_person_month" / "2026-10-r1" / "si.csv"
    whole = data.read_bytes()
    data.write_bytes(whole[:-2] + b"9\n")
    settled(drop)
    connection = connect(side, drop)
    assert list(side.pull(connection).refused.values()) == ["REFUSED/CHECKSUM"]
    data.write_bytes(whole)
    settled(drop)
    assert side.pull(connection).well and len(side.ledger()) == 2


def test_signatures_come_along_and_receipts_go_back(side: PullBench, drop: Path, tmp_path: Path) -> None:
    folder = drop / "city" / "resident.si_person_month" / "2026-10-r1"
    (folder / "manifest.sig").write_text('{"key_id": "k", "signature": "00"}')
    settled(drop)
    connection = connect(side, drop, receipts=str(tmp_path / "back"))
    side.pull(connection)
    inbox = side.home / "inbox" / "city" / "resident.si_person_month" / "2026-10-r1"
    assert (inbox / "manifest.sig").read_bytes() == (folder / "manifest.sig").read_bytes()
    receipt = side.home / "out" / "receipts" / "city" / "1.json"
    receipt.parent.mkdir(parents=True, exist_ok=True)
    receipt.write_text("{}")
    (side.home / "out" / "receipts" / "another").mkdir()
    (side.home / "out" / "receipts" / "another" / "2.json").write_text("{}")
    assert side.pull(connection).receipts == 1
    assert (tmp_path / "back" / "city" / "1.json").read_text() == "{}"
    assert not (tmp_path / "back" / "another").exists()
    assert side.pull(connection).receipts == 0
    receipt.write_text('{"state": "ACCEPTED"}')
    assert side.pull(connection).receipts == 1


def test_a_drop_that_is_not_there_is_unavailable_and_another_connection_goes_on(
    side: PullBench, drop: Path, tmp_path: Path
) -> None:
    from sources.connectors.pull import pull_all

    gone = side.connect(connection="gone", kind="drop", path=str(tmp_path / "absent"))
    pulled = pull_all(side.side, [gone, connect(side, drop)])
    assert [one.state for one in pulled] == ["SOURCE_UNAVAILABLE", "done"] and len(pulled[1].new) == 2


def test_a_full_disk_is_told_and_the_pull_goes_on_when_there_is_room(
    side: PullBench, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    connection = connect(side, drop)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        pulled = side.pull(connection)
    assert pulled.state == "FAILED" and "space" in pulled.problem and side.ledger() == []
    assert len(side.pull(connection).new) == 2


def test_progress_tells_bytes_of_all_that_comes(side: PullBench, drop: Path) -> None:
    told: list[tuple[str, int | None, int]] = []

    class Counting:
        @contextmanager
        def stage(self, title: str, total: int | None = None) -> Iterator[Any]:
            counted = [0]

            class Stage:
                def advance(self, n: int = 1, note: str = "") -> None:
                    counted[0] += n

            yield Stage()
            told.append((title, total, counted[0]))

    pulled = side.pull(connect(side, drop), progress=Counting())
    assert told == [("pull front (bytes)", pulled.bytes, pulled.bytes)]


def test_two_pulls_at_once_do_not_meet(side: PullBench, drop: Path) -> None:
    from filelock import FileLock

    connection = connect(side, drop)
    with FileLock(side.side.lock_file("front")):
        assert side.pull(connection).state == "busy"
    assert side.pull(connection).well


# -- killed at any step ----------------------------------------------------------------------------------------------------


def _die_at(step: int, home: Path, url: str, path: Path) -> None:
    """In a child process: pull, and be killed by the operating system before the n-th write of any kind."""
    passed = 0

    def deadly(real: Any) -> Any:
        def counted(*arguments: Any, **named: Any) -> Any:
            nonlocal passed
            passed += 1
            if passed == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return counted

    for place, name in (
        (os, "fsync"), (Path, "rename"), (Path, "write_bytes"), (Path, "unlink"), (PullState, "note"), (PullState, "end"),
        (our_side, "receive"), (our_side, "_move"), (transfer, "sha256_of"), (transfer._Part, "_keep"),
    ):  # fmt: skip
        setattr(place, name, deadly(getattr(place, name)))
    bench = _bench(home, url)
    bench.pull(_connection(bench, path))
    os._exit(0)


def _bench(home: Path, url: str) -> PullBench:
    return PullBench(home, StateDatabase(url))


def _connection(bench: PullBench, path: Path) -> Connection:
    return bench.connect(kind="drop", path=str(path), take="move", limits={"concurrent": 1})


@pytest.mark.slow
def test_killed_before_any_write_and_repeated_each_delivery_comes_once(
    tmp_path: Path, migrated: Path
) -> None:
    """Step by step, until a child lives because there is no further write."""
    for step in itertools.count(1):
        root = tmp_path / str(step)
        root.mkdir()
        shutil.copy(migrated, root / "state.db")
        drop = root / "drop"
        for month in ("2026-09", "2026-10"):
            lay_out(drop, body_of(30, seed=int(month[-2:])), period=month)
        settled(drop)
        bodies = {hashlib.sha256(path.read_bytes()).hexdigest() for path in drop.rglob("si.csv")}
        url, home = f"sqlite:///{root / 'state.db'}", root / "home"
        child = multiprocessing.get_context("fork").Process(target=_die_at, args=(step, home, url, drop))
        child.start()
        child.join(60)
        side = _bench(home, url)
        connection = _connection(side, drop)
        pulled = side.pull(connection)
        assert pulled.well, (step, pulled)
        assert side.ledger() == [("2026-09", 1, "RECEIVED"), ("2026-10", 1, "RECEIVED")], step
        assert bodies <= side.archived() and len(side.laid()) == 2, step
        assert not list((home / "pulls" / "front").iterdir()) and not list(drop.rglob("si.csv")), step
        assert not side.pull(connection).new, step
        side.state.engine.dispose()
        if child.exitcode == 0:
            assert step > 30
            return
        assert child.exitcode == -signal.SIGKILL, step
