"""Our side of a connection in a temporary home, deliveries to lay out on the other side, and time that doesn't pass."""

from __future__ import annotations

import hashlib
import random
import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select

from core.state import Delivery, PullItem, StateDatabase
from core.subject import SubjectKind
from core.table_schema import TableSchema
from sources.adapter import Adapter, load_adapter
from sources.connectors.connection import Connection, load_connection
from sources.connectors.our_side import OurSide
from sources.connectors.pull import pull
from sources.connectors.retry import Waiting
from sources.connectors.run import Pulled
from sources.delivery import MANIFEST_NAME, write_manifest
from tests.sources.bench import ADAPTER, GOOD, HEADER, SCHEMA

NOW = datetime(2026, 11, 4, 1, tzinfo=UTC)


@dataclass
class StoppedClock:
    """Tells the moment that a test sets."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def pass_(self, **time: float) -> None:
        self.at += timedelta(**time)


@dataclass
class Waits:
    """Remembers what a retry would have slept."""

    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@dataclass
class PullBench:
    """One home folder. The adapter is the bench's `city_si`: source `city`, table si_person_month of residents."""

    home: Path
    state: StateDatabase
    schema: TableSchema = SCHEMA
    clock: StoppedClock = field(default_factory=StoppedClock)
    waits: Waits = field(default_factory=Waits)
    environment: dict[str, str] = field(default_factory=dict)
    adapters: dict[str, Adapter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.home / "connections").mkdir(parents=True, exist_ok=True)
        self.adapt()

    def adapt(self, **changes: Any) -> Adapter:
        path = self.home / "city_si.yaml"
        path.write_text(yaml.safe_dump(ADAPTER | changes, allow_unicode=True), encoding="utf-8")
        self.adapters["city_si"] = load_adapter(path, self.schema)
        return self.adapters["city_si"]

    @property
    def side(self) -> OurSide:
        return OurSide(
            home=self.home,
            archive=self.home / "archive",
            state=self.state,
            clock=self.clock,
            adapters=self.adapters,
            environment=self.environment,
            waiting=Waiting(self.waits.sleep, random.Random(7).random),
        )

    def secret(self, name: str, text: str) -> str:
        """A secret's file of mode 0600; returns its name in the home folder."""
        path = self.home / "keys" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return f"keys/{name}"

    def connect(self, **told: Any) -> Connection:
        """Write a connection file and read it."""
        path = self.home / "connections" / f"{told.get('connection', 'front')}.yaml"
        body = {"connection": "front", "brings": ["city"]} | told
        path.write_text(yaml.safe_dump(body, allow_unicode=True), encoding="utf-8")
        return load_connection(path)

    def pull(self, connection: Connection, **changed: Any) -> Pulled:
        return pull(replace(self.side, **changed), connection)

    def ledger(self) -> list[tuple[str, int, str]]:
        """(period, revision, state) in the order of receipt."""
        with self.state.session() as session:
            found = session.scalars(select(Delivery).order_by(Delivery.delivery_no))
            return [(entry.period, entry.revision, entry.state) for entry in found]

    def archived(self) -> set[str]:
        """sha256 of all bytes in the archive, computed anew."""
        return {
            hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.home / "archive").glob("[!.]*")
        }

    def items(self, connection: str = "front") -> dict[str, PullItem]:
        return self.side.pulls(connection).items()

    def laid(self) -> list[str]:
        """Delivery folders in the inbox."""
        inbox = self.home / "inbox"
        return sorted(path.parent.relative_to(inbox).as_posix() for path in inbox.rglob(MANIFEST_NAME))


def body_of(rows: int, seed: int = 1) -> bytes:
    """A data file of so many rows, each of another subject."""
    chance = random.Random(seed)
    tail = GOOD[0].split(",", 1)[1].replace("8000.50", "{}.00")
    lines = [f"k1:{number:040x},{tail.format(chance.randrange(3000, 30000))}" for number in range(rows)]
    return ("\n".join([HEADER, *lines]) + "\n").encode()


def lay_out(
    root: Path,
    body: bytes,
    *,
    period: str = "2026-10",
    revision: int = 1,
    source: str = "city",
    name: str = "si.csv",
) -> Path:
    """Lay a finished delivery below `root` as a platform would."""
    folder = root / source / "resident.si_person_month" / f"{period}-r{revision}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data = folder / name
    data.write_bytes(body)
    write_manifest(
        data, source=source, adapter="city_si", subject=SubjectKind.RESIDENT, table="si_person_month",
        period=period, revision=revision, rows=body.count(b"\n") - 1,
    )  # fmt: skip
    return folder
