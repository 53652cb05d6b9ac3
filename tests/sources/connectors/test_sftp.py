"""SFTP against a real server in this process: pinned host, resumed files, receipts put back."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Refusal
from sources.connectors.check import check
from sources.connectors.connection import Connection
from tests.sources.connectors.pull_bench import PullBench, body_of, lay_out
from tests.sources.connectors.sftp_server import PASSWORD, USER, SftpServer

#: Several reads of the client's block size.
BODY = body_of(6000)


@dataclass
class Line:
    side: PullBench
    server: SftpServer
    out: Path

    def connect(self, **told: Any) -> Connection:
        (self.side.home / "keys").mkdir(exist_ok=True)
        key = self.side.home / "keys" / "id"
        key.write_bytes(self.server.user_key.export_private_key())
        key.chmod(0o600)
        login = {} if "password" in told else {"key": "keys/id"}
        return self.side.connect(
            **{
                "kind": "sftp", "host": "127.0.0.1", "port": self.server.port, "user": USER, "path": "/out",
                "host_keys": [self.server.fingerprint], "receipts": "/receipts", "timeouts": {"connect": 5, "read": 5},
            } | login | told,
        )  # fmt: skip


@pytest.fixture
def line(side: PullBench, tmp_path: Path) -> Iterator[Line]:
    root = tmp_path / "server"
    lay_out(root / "out", BODY)
    lay_out(root / "out", body_of(5), period="2026-09")
    with SftpServer(root).running() as server:
        yield Line(side, server, root / "out")


def whole(line: Line) -> None:
    assert line.side.ledger() == [("2026-09", 1, "RECEIVED"), ("2026-10", 1, "RECEIVED")]
    assert line.side.archived() >= {hashlib.sha256(body).hexdigest() for body in (BODY, body_of(5))}


@pytest.mark.parametrize("login", ["key", "password"])
def test_new_deliveries_come_once(line: Line, login: str) -> None:
    line.side.environment["FRONT"] = PASSWORD
    connection = line.connect(**({"password": {"env": "FRONT"}} if login == "password" else {}))
    pulled = line.side.pull(connection)
    assert pulled.well and len(pulled.new) == 2, pulled
    whole(line)
    read = len(line.server.offsets)
    assert not line.side.pull(connection).new and len(line.server.offsets) == read
    lay_out(line.out, body_of(4), revision=2)
    assert len(line.side.pull(connection).new) == 1


def test_a_broken_line_is_gone_on_with_at_the_byte(line: Line) -> None:
    line.server.cuts = [300_000]
    pulled = line.side.pull(line.connect(limits={"concurrent": 1}, retry={"attempts": 1}))
    assert pulled.state == "SOURCE_UNAVAILABLE"
    line.server.offsets.clear()
    later = line.side.pull(line.connect(limits={"concurrent": 1}))
    assert later.well and later.resumed == 1
    assert later.bytes < len(BODY) and min(line.server.offsets) > 0
    whole(line)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(BODY)), max_size=5), rows=st.integers(0, 6000))
def test_cut_anywhere_any_number_of_times_it_ends_byte_identical(
    line: Line, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], rows: int
) -> None:
    body = body_of(rows, seed=rows)
    revision = line.__dict__.setdefault("revision", 1) + 1
    line.__dict__["revision"] = revision
    lay_out(line.out, body, revision=revision)
    line.server.cuts, line.server.read = list(cuts), 0
    connection = line.connect()
    for _ in range(len(cuts) + 1):
        if line.side.pull(connection).well:
            break
    inbox = line.side.home / "inbox" / "city" / "resident.si_person_month" / f"2026-10-r{revision}"
    assert (inbox / "si.csv").read_bytes() == body
    periods = [entry[:2] for entry in line.side.ledger()]
    assert len(periods) == len(set(periods))


def test_an_unknown_host_key_is_refused_with_its_fingerprint_before_any_login(line: Line) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint("sha256")
    connection = line.connect(host_keys=[other])
    pulled = line.side.pull(connection)
    assert pulled.state == "REFUSED/HOST_KEY" and line.server.fingerprint in pulled.problem
    assert "telephone" in pulled.remedy and line.server.logins == 0
    found = check(line.side.side, connection)
    assert not found[-1].ok and line.server.fingerprint in found[-1].seen
    # While a server changes its key both are named.
    assert line.side.pull(line.connect(host_keys=[other, line.server.fingerprint])).well


def test_a_connection_without_a_host_key_does_not_load(line: Line) -> None:
    for keys in ([], ["anything"], None):
        with pytest.raises(Refusal, match="host_keys"):
            line.connect(host_keys=keys)


@pytest.mark.parametrize("wrong", ["user", "password", "key"])
def test_a_wrong_login_is_refused_and_not_repeated(line: Line, wrong: str) -> None:
    line.side.environment["FRONT"] = "wrong"
    connection = {
        "user": lambda: line.connect(user="mallory"),
        "password": lambda: line.connect(password={"env": "FRONT"}),
        "key": lambda: line.connect(),
    }[wrong]()
    if wrong == "key":
        stranger = asyncssh.generate_private_key("ssh-ed25519")
        (line.side.home / "keys" / "id").write_bytes(stranger.export_private_key())
    pulled = line.side.pull(connection)
    assert pulled.state == "REFUSED/LOGIN" and not line.side.waits.slept
    assert line.server.logins <= 2 and line.side.ledger() == []


def test_a_server_that_is_down(line: Line) -> None:
    pulled = line.side.pull(line.connect(port=1))
    assert pulled.state == "SOURCE_UNAVAILABLE" and len(line.side.waits.slept) == 4


def test_a_folder_that_is_not_there(line: Line) -> None:
    assert line.side.pull(line.connect(path="/absent")).state == "SOURCE_UNAVAILABLE"


@pytest.mark.parametrize("wrong", ["link", "short", "part"])
def test_links_are_refused_and_unfinished_files_wait(line: Line, wrong: str) -> None:
    data = line.out / "city" / "resident.si_person_month" / "2026-10-r1" / "si.csv"
    if wrong == "link":
        data.rename(data.with_name("real"))
        data.symlink_to("real")
    elif wrong == "short":
        data.write_bytes(BODY[:-3])
    else:
        data.rename(data.with_name("si.csv.part"))
    connection = line.connect()
    pulled = line.side.pull(connection)
    assert len(pulled.new) == 1
    assert list(pulled.refused.values()) == (["REFUSED/LINK"] if wrong == "link" else [])
    assert pulled.waiting == (wrong != "link")
    data.unlink(missing_ok=True)
    data.write_bytes(BODY)
    assert line.side.pull(connection).well
    whole(line)


def test_a_file_that_changed_since_it_broke_off_starts_again(line: Line) -> None:
    line.server.cuts = [300_000]
    line.side.pull(line.connect(limits={"concurrent": 1}, retry={"attempts": 1}))
    data = line.out / "city" / "resident.si_person_month" / "2026-10-r1" / "si.csv"
    os.utime(data, (1, 1))
    line.server.offsets.clear()
    assert line.side.pull(line.connect()).well
    assert min(line.server.offsets) == 0
    whole(line)


def test_receipts_are_put_back_whole(line: Line) -> None:
    connection = line.connect()
    receipt = line.side.home / "out" / "receipts" / "city" / "resident.si_person_month" / "2026-10-r1-1.json"
    line.side.pull(connection)
    receipt.parent.mkdir(parents=True, exist_ok=True)
    for state in ("ACCEPTED", "REFUSED"):
        receipt.write_text(state)
        assert line.side.pull(connection).receipts == 1
        back = line.out.parent / "receipts" / "city" / "resident.si_person_month" / "2026-10-r1-1.json"
        assert back.read_text() == state and not list(back.parent.glob("*.part"))
        assert line.side.pull(connection).receipts == 0


def test_no_secret_is_in_logs_state_or_messages(
    line: Line, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    line.side.environment["FRONT"] = PASSWORD
    connection = line.connect(password={"env": "FRONT"})
    told = str(line.side.pull(connection)) + str(check(line.side.side, connection)) + str(line.side.side)
    assert PASSWORD not in told + caplog.text
    line.side.state.engine.dispose()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
