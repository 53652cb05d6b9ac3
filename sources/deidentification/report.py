"""The de-identification report of one table: direct identifiers, k, l, t, grade, verdict, and what would help.

All numbers are counts; no cell, no class and no token is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.clock import Clock
from core.definition_file import Bilingual
from core.errors import GsceneError
from core.progress import Progress, SilentProgress
from core.table_store import TableStore
from sources.deidentification.anonymity import Anonymity, Diversity, anonymity, diversity
from sources.deidentification.generalise import Proposed, propose
from sources.deidentification.people import Gathering, People
from sources.deidentification.release import THRESHOLDS, Found, Release, Threshold, grade, obstacles
from sources.file_format import FileFormat
from sources.gateway.blocks import BATCH, Block, read_blocks, texts_of
from sources.gateway.proposal import column_names
from sources.identity import IdentityScan

_PARQUET = FileFormat(format="parquet")


@dataclass(frozen=True)
class Asked:
    """What a report is asked for. `subject`: column that says whose a row is; people are then counted, not rows."""

    quasi: tuple[str, ...]
    sensitive: tuple[str, ...] = ()
    subject: str | None = None
    release: Release = Release.INTERNAL
    least_k: int | None = None

    @property
    def threshold(self) -> Threshold:
        """The release's, or a stricter k."""
        usual = THRESHOLDS[self.release]
        return Threshold(max(usual.k, self.least_k or 0), usual.l)


@dataclass(frozen=True)
class Report:
    """What was found in the table called `name`. `people` are its quasi-identifiers and sensitive columns, for cross tables; they
    go into no page.
    """

    name: str
    asked: Asked
    made_at: str
    rows: int
    columns: int
    found: tuple[Found, ...]
    measured: Anonymity
    diverse: tuple[Diversity, ...]
    proposed: tuple[Proposed, ...]
    grade: int
    people: People = field(repr=False)

    @property
    def obstacles(self) -> list[Bilingual]:
        """Why it may not be released; empty where it may."""
        return obstacles(self.found, self.measured, self.diverse, self.asked.threshold)

    @property
    def may_go(self) -> bool:
        """Whether the release is allowed."""
        return not self.obstacles

    def told(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "format": "gscene-deid-report/1",
            "table": self.name,
            "made_at": self.made_at,
            "release": str(self.asked.release),
            "threshold": asdict(self.asked.threshold),
            "quasi_identifiers": list(self.asked.quasi),
            "sensitive": list(self.asked.sensitive),
            "subject": self.asked.subject,
            "rows": self.rows,
            "columns": self.columns,
            "direct_identifiers": [asdict(one) for one in self.found],
            "k": self.measured.k,
            "people": self.measured.people,
            "classes": self.measured.classes,
            "sample_uniques": self.measured.uniques,
            "people_under": {str(k): n for k, n in self.measured.under.items()},
            "classes_under": {str(k): n for k, n in self.measured.classes_under.items()},
            "class_sizes": [asdict(band) for band in self.measured.bands],
            "risk_max": self.measured.risk_max,
            "risk_avg": self.measured.risk_avg,
            "diversity": [asdict(one) for one in self.diverse],
            "proposals": [asdict(one) | {"to": one.to.model_dump()} for one in self.proposed],
            "gb_t_42460_grade": self.grade,
            "obstacles": [one.model_dump() for one in self.obstacles],
            "may_go": self.may_go,
        }


def report_of_file(
    path: Path, form: FileFormat, asked: Asked, clock: Clock, progress: Progress | None = None
) -> Report:
    """The report of a CSV, Parquet or JSON lines file."""
    if not path.is_file():
        raise GsceneError(f"there is no file {path}.", "Check the path.")
    blocks = read_blocks(path, form, column_names(path, form))
    return _report(path.name, blocks, form, asked, clock, progress)


def report_of_table(
    store: TableStore,
    table: str,
    periods: Sequence[str] | None,
    asked: Asked,
    clock: Clock,
    progress: Progress | None = None,
) -> Report:
    """The report of some months of a stored table, all where `periods` is None."""
    files = store.files(table, periods)
    if not files:
        raise GsceneError(f"there is no table {table} with such months.", "gscene doctor counts the tables.")
    return _report(table, _stored(files), _PARQUET, asked, clock, progress)


def _stored(files: Iterable[Path]) -> Iterable[Block]:
    for path in files:
        period = path.parent.name.split("=", 1)[1]
        for batch in pq.ParquetFile(path, memory_map=True).iter_batches(BATCH):
            table = pa.table(batch)
            yield Block(1, table.append_column("period", pa.repeat(period, table.num_rows)))


def _report(
    name: str,
    blocks: Iterable[Block],
    form: FileFormat,
    asked: Asked,
    clock: Clock,
    progress: Progress | None,
) -> Report:
    people, found, rows, columns = _read(name, blocks, form, asked, progress or SilentProgress())
    quasi, threshold = list(asked.quasi), asked.threshold
    measured = anonymity(people, quasi, tuple(sorted({5, 10, threshold.k})))
    diverse = tuple(diversity(people, quasi, one) for one in asked.sensitive)
    proposed: list[Proposed] = []
    if measured.people and measured.k < threshold.k:
        proposed = propose(people, quasi, threshold.k)
    return Report(
        name,
        asked,
        clock.now().isoformat(timespec="seconds"),
        rows,
        columns,
        found,
        measured,
        diverse,
        tuple(proposed),
        grade(found, measured, threshold),
        people,
    )


def _read(
    name: str, blocks: Iterable[Block], form: FileFormat, asked: Asked, progress: Progress
) -> tuple[People, tuple[Found, ...], int, int]:
    """Every cell of every column is searched; the columns asked for are kept as numbers."""
    twice = set(asked.quasi) & set(asked.sensitive)
    if twice:
        raise GsceneError(
            f"{', '.join(sorted(twice))} can't be both.", "A sensitive column is what classes must not tell."
        )
    scan, gathering = IdentityScan(), Gathering([*asked.quasi, *asked.sensitive], asked.subject)
    rows, columns = 0, 0
    with progress.stage(f"read {name}") as stage:
        for block in blocks:
            for column in block.table.column_names:
                cells = texts_of(block.table.column(column), form)
                scan.look(column, cells, block.first)
                gathering.add(column, cells)
            rows, columns = rows + block.table.num_rows, block.table.num_columns
            stage.advance(block.table.num_rows)
    found = tuple(Found(column, kind.name, kind.told, hits) for column, kind, hits in scan.findings())
    return gathering.people(), found, rows, columns
