"""A home folder with one small feed, so that tests deliver texts and look at what became of them."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.clock import FixedClock
from core.state import Delivery, StateDatabase
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_schema import Column, ColumnType, TableSchema
from core.table_store import TableStore
from sources.adapter import Adapter, load_adapter
from sources.arrivals import Arrival, receive
from sources.delivery import write_manifest
from sources.file_format import Limits
from sources.intake import IntakeResult, take_in
from sources.reading import read_and_convert
from sources.versions import resolver

FIRST_ARRIVAL = datetime(2026, 11, 4, 1, tzinfo=UTC)


#: A pseudonym per letter: `token("a")`.
def token(letter: str) -> str:
    """A well-formed pseudonym."""
    return "k1:" + f"{ord(letter):02x}" * 20


SCHEMA = TableSchema(
    "si_person_month",
    (
        Column("subject_id", ColumnType.SUBJECT),
        Column("period", ColumnType.MONTH),
        Column("scheme", ColumnType.CODE, codes=("pension_emp", "unemp")),
        Column("base_amt", ColumnType.MONEY, nullable=True, unit="CNY"),
        Column("paid_date", ColumnType.DATE, nullable=True),
        Column("months", ColumnType.INT, nullable=True, minimum=0, maximum=240),
        Column("received", ColumnType.BOOL, nullable=True),
    ),
    ("subject_id", "period", "scheme"),
)

ADAPTER: dict[str, Any] = {
    "adapter": "city_si",
    "version": 1,
    "title": {"zh": "某市社保", "en": "A city's social insurance"},
    "source": "city",
    "subject": "resident",
    "target": "si_person_month",
    "file": {"encoding": "utf-8", "delimiter": ","},
    "key": {"from": "grbh", "normalise": ["nfkc", "strip", "lower"]},
    "columns": {
        "period": {"from": "ssq", "parse": ["%Y%m", "%Y-%m"]},
        "scheme": {"from": "xz", "codes": {"110": "pension_emp", "养老": "pension_emp", "210": "unemp"}},
        "base_amt": {"from": "js", "unit": "CNY"},
        "paid_date": {"from": "rq", "parse": ["%Y-%m-%d", "%Y%m%d"]},
        "months": {"from": "ys"},
        "received": {"from": "dz", "codes": {"是": True, "否": False}},
    },
    "ignore": ["bz"],
    "nulls": ["", "暂无", "-"],
    "sentinels": ["9999-9-9"],
    "leave_out": [{"reason": "test_row", "column": "env", "equals": ["1"]}],
    "duplicates": {"exact": "exact_duplicate"},
}
HEADER = "grbh,ssq,xz,js,rq,ys,dz,bz,env"
GOOD = [
    f"{token('b')},202610,110,8000.50,2026-10-12,12,是,备注,0",
    f"{token('a')},2026-10, 养老 ,7000,20261013,,否,,0",
    f"{token('a')},202610,210,,9999-9-9,-,暂无,,0",
]


def text_of(rows: list[str], header: str = HEADER) -> str:
    """A delivered file."""
    return "\n".join([header, *rows]) + "\n"


@dataclass
class Bench:
    """Everything that intake needs, below one folder. Each delivery arrives a day after the one before."""

    root: Path
    migrated: Path
    adapter: Adapter = field(init=False)
    schema: TableSchema = SCHEMA
    arrived: int = 0

    def __post_init__(self) -> None:
        self.store = TableStore(self.root / "lake")
        # Migrating takes longer than a test: all start from a copy of one migrated database.
        if not (self.root / "state.db").exists():
            shutil.copy(self.migrated, self.root / "state.db")
        self.state = StateDatabase(f"sqlite:///{self.root / 'state.db'}")
        self.registry = SubjectRegistry(self.store, SubjectKind.RESIDENT)
        self.clock = FixedClock(FIRST_ARRIVAL + timedelta(days=60))
        self.adapter = self.adapt()

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    def adapt(self, **changes: Any) -> Adapter:
        """The feed's adapter with some entries changed."""
        path = self.root / "city_si.yaml"
        path.write_text(yaml.safe_dump(ADAPTER | changes, allow_unicode=True), encoding="utf-8")
        self.adapter = load_adapter(path, self.schema)
        return self.adapter

    def lay(
        self,
        text: str | bytes,
        *,
        period: str = "2026-10",
        revision: int = 1,
        mode: Literal["full", "supplement"] = "full",
        rows: int | None = None,
        control_sums: dict[str, str] | None = None,
        source: str = "city",
        sequence: int | None = None,
        previous: str | None = None,
        signing_key: Ed25519PrivateKey | None = None,
    ) -> Path:
        """Put a delivery into the inbox."""
        folder = self.empty_folder(period, revision, source)
        body = text.encode(self.adapter.file.encoding) if isinstance(text, str) else text
        packed = self.adapter.file.compression == "gzip" and isinstance(text, str)
        data = folder / "data.csv"
        data.write_bytes(gzip.compress(body, mtime=0) if packed else body)
        write_manifest(
            data,
            source=source,
            adapter="city_si",
            subject=SubjectKind.RESIDENT,
            table="si_person_month",
            period=period,
            revision=revision,
            mode=mode,
            rows=max(0, len(body.splitlines()) - 1) if rows is None else rows,
            control_sums=control_sums,
            sequence=sequence,
            previous=previous,
            signing_key=signing_key,
        )
        return folder

    def empty_folder(self, period: str, revision: int, source: str = "city") -> Path:
        """Where a delivery belongs, with nothing in it."""
        folder = self.root / "inbox" / source / "resident.si_person_month" / f"{period}-r{revision}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def lay_files(
        self, bodies: list[bytes], rows: list[int], *, period: str = "2026-10", revision: int = 1, **said: Any
    ) -> Path:
        """Put a delivery of several files, or of any format, into the inbox."""
        folder = self.empty_folder(period, revision)
        paths = []
        for number, body in enumerate(bodies):
            paths.append(folder / f"data{number or ''}.{self.adapter.file.format}")
            paths[-1].write_bytes(body)
        entries = {
            "source": "city",
            "adapter": "city_si",
            "subject": SubjectKind.RESIDENT,
            "table": "si_person_month",
        }
        write_manifest(paths, **(entries | {"period": period, "revision": revision, "rows": rows} | said))
        return folder

    def receive(self, folder: Path, at: datetime | None = None) -> int:
        self.arrived += 1
        at = at or FIRST_ARRIVAL + timedelta(days=self.arrived - 1)
        return receive(Arrival(folder, at, "observed"), self.archive, self.state, self.clock)

    def take_in(self, number: int, limits: Limits | None = None) -> IntakeResult:
        return take_in(
            number,
            self.adapter,
            self.schema,
            store=self.store,
            registry=self.registry,
            state=self.state,
            archive=self.archive,
            keys=self.root / "keys",
            clock=self.clock,
            limits=limits,
            reader=read_and_convert,
        )

    def deliver(self, text: str | bytes, limits: Limits | None = None, **said: Any) -> IntakeResult:
        """Lay, receive and take in."""
        return self.take_in(self.receive(self.lay(text, **said)), limits)

    def entry(self, number: int) -> Delivery:
        with self.state.session() as session:
            entry = session.get_one(Delivery, number)
            _ = entry.left_out
            return entry

    def rows(self, period: str = "2026-10") -> pa.Table:
        return self.store.read("raw/resident/si_person_month", [period])

    def known(self, period: str = "2026-10", at: datetime | None = None) -> list[tuple[Any, ...]]:
        """What the bank knows of a month (at the end of time, or at `at`): subject and business columns, sorted."""
        if period not in self.store.partitions("raw/resident/si_person_month"):
            return []
        at = at or datetime(2100, 1, 1, tzinfo=UTC)
        rows = resolver(self.schema, self.state, "raw/resident/si_person_month", period)(
            self.rows(period), at
        )
        subjects = self.registry.subject_ids(rows.column("subject_no").to_numpy()).to_pylist()
        names = [column.name for column in self.schema.columns if column.name not in ("subject_id", "period")]
        found = zip(subjects, *(rows.column(name).to_pylist() for name in names), strict=True)
        return sorted(found, key=repr)
