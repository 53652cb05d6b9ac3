"""A PostgreSQL server for the tests: its own data folder, socket and port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme

PASSWORD = "pg-secret-canary-5521"


def find_programs() -> Path | None:
    """Folder of the newest server's programs."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def _as_other() -> tuple[list[str], str | None]:
    """How to run the server's programs: it refuses to be root, so root runs it as postgres or nobody."""
    if os.geteuid() != 0:
        return [], None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return ["runuser", "-u", name, "--"], name
    raise RuntimeError("root needs a user postgres or nobody to run PostgreSQL as")


@dataclass
class PostgresServer:
    """A running server. Its superuser is `gscene_test`, let in from the socket; over TCP a password is asked for."""

    programs: Path
    data: Path
    socket_folder: Path
    port: int
    ca: trustme.CA

    @classmethod
    @contextmanager
    def start(cls, programs: Path, folders: pytest.TempPathFactory) -> Iterator[PostgresServer]:
        """Make a data folder, start, and stop at the end."""
        # Not below pytest's folder: that one is closed to other users, and a socket's path is short.
        root = Path(tempfile.mkdtemp(prefix="gscene-pg-"))
        server = cls(programs, root / "data", root, _free_port(), trustme.CA())
        try:
            server._make(root)
            server.run("pg_ctl", "-D", server.data, "-l", root / "log", "-w", "-t", "60", "start")
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.run("pg_ctl", "-D", server.data, "-m", "immediate", "-w", "stop")
            shutil.rmtree(root, ignore_errors=True)

    def run(self, program: str, *arguments: str | Path | int) -> None:
        """Run one of the server's programs as its user."""
        prefix, _ = _as_other()
        command = [*prefix, str(self.programs / program), *map(str, arguments)]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def restart(self) -> None:
        """What a crash looks like from outside."""
        self.run(
            "pg_ctl",
            "-D",
            self.data,
            "-m",
            "immediate",
            "-w",
            "-t",
            "60",
            "-l",
            self.socket_folder / "log",
            "restart",
        )

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A superuser's session over the socket."""
        return psycopg.connect(
            host=str(self.socket_folder), port=self.port, user="gscene_test", dbname=database, autocommit=True
        )

    def execute(self, database: str, *statements: str) -> None:
        """Statements as superuser."""
        with self.admin(database) as line:
            for statement in statements:
                line.execute(statement)  # type: ignore[arg-type]

    def fresh(self, name: str, statements: Sequence[str] = ()) -> str:
        """A new database with a reader `bank` who may select from all of it."""
        self.execute("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
        self.execute(
            name,
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bank') THEN "
            f"CREATE ROLE bank LOGIN PASSWORD '{PASSWORD}'; END IF; END $$",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bank",
            *statements,
        )
        return name

    def _make(self, root: Path) -> None:
        _, user = _as_other()
        leaf = self.ca.issue_cert("localhost")
        leaf.cert_chain_pems[0].write_to_path(root / "server.crt")
        leaf.private_key_pem.write_to_path(root / "server.key")
        (root / "server.key").chmod(0o600)
        self.data.mkdir(mode=0o700)
        if user is not None:
            for path in (root, *root.iterdir()):
                shutil.chown(path, user)
        self.run(
            "initdb", "-D", self.data, "-U", "gscene_test", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"
        )
        settings = [
            "listen_addresses = '127.0.0.1'",
            f"port = {self.port}",
            f"unix_socket_directories = '{root}'",
            "ssl = on",
            f"ssl_cert_file = '{root}/server.crt'",
            f"ssl_key_file = '{root}/server.key'",
            "max_connections = 20",
            "shared_buffers = 16MB",
        ]
        access = [
            "local all gscene_test trust",
            "local all all scram-sha-256",
            "host all all 127.0.0.1/32 scram-sha-256",
        ]
        for name, lines in (("postgresql.auto.conf", settings), ("pg_hba.conf", access)):
            (self.data / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
