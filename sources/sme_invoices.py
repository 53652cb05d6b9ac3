"""The real VAT invoices of 425 small businesses as deliveries: one per direction and month, and the bank's
outcomes.

The folder comes without manifests, so size, sha256 and rows are stated on collection. Invoices of a month are
taken to have arrived on the 4th of the month after at 09:00 in China, before its knowledge cutoff; the basis
in the ledger is `replayed`.
"""

from __future__ import annotations

import gzip
import re
import shutil
from datetime import datetime
from pathlib import Path

from core.errors import GsceneError
from core.months import CHINA_TIME, Month, month_range
from core.progress import Progress, SilentProgress
from core.subject import SubjectKind
from sources.arrivals import SCHEDULE_NAME, Arrival, write_schedule
from sources.delivery import write_manifest

#: Folder, source and adapter of each direction.
DIRECTIONS = (
    ("output_invoice", "sme_tax_out", "sme_output_invoice"),
    ("input_invoice", "sme_tax_in", "sme_input_invoice"),
)
OUTCOMES = "enterprises.csv"
OUTCOME_SOURCE, OUTCOME_ADAPTER = "sme_bank", "sme_enterprises"

_MONTH_FILE = re.compile(r"(\d{4}-\d{2})\.csv\.gz")
_REMEDY = "It needs enterprises.csv, output_invoice/ and input_invoice/ with one YYYY-MM.csv.gz a month."


def collect(folder: Path, inbox: Path, progress: Progress | None = None) -> list[Arrival]:
    """Lay the folder's files into `inbox` as deliveries with a schedule; returns the arrivals in order of
    time.

    Collecting again gives the same inbox. GsceneError tells what is missing or misnamed.
    """
    months = _months(folder)
    with (progress or SilentProgress()).stage("collect invoices", 2 * len(months) + 1) as stage:
        arrivals = []
        for month in months:
            for kind, source, adapter in DIRECTIONS:
                file = folder / kind / f"{month}.csv.gz"
                arrivals.append(_lay(file, inbox, source, adapter, "invoice", month))
                stage.advance(note=f"{kind} {month}")
        # The outcomes carry no date: known with the last month.
        arrivals.append(
            _lay(folder / OUTCOMES, inbox, OUTCOME_SOURCE, OUTCOME_ADAPTER, "bank_outcome", months[-1])
        )
        stage.advance(note=OUTCOMES)
    write_schedule(inbox / SCHEDULE_NAME, arrivals)
    return sorted(arrivals, key=lambda arrival: (arrival.at, str(arrival.folder)))


def arrival_time(month: Month) -> datetime:
    """The 4th of the following month, 09:00 in China."""
    following = month.plus(1)
    return datetime(following.year, following.month, 4, 9, tzinfo=CHINA_TIME)


def _months(folder: Path) -> list[Month]:
    """The months that both directions have; every gap, stray file or missing folder is an error."""
    missing = [
        name for name in (OUTCOMES, *(kind for kind, _, _ in DIRECTIONS)) if not (folder / name).exists()
    ]
    if missing:
        raise GsceneError(f"{folder} has no {', '.join(missing)}.", _REMEDY)
    found: dict[str, set[Month]] = {}
    for kind, _, _ in DIRECTIONS:
        names = sorted(path.name for path in (folder / kind).iterdir() if not path.name.startswith("."))
        stray = [name for name in names if _MONTH_FILE.fullmatch(name) is None]
        if stray:
            raise GsceneError(f"{folder / kind} has {stray[0]}, which isn't named YYYY-MM.csv.gz.", _REMEDY)
        try:
            found[kind] = {Month.parse(name[:7]) for name in names}
        except ValueError as error:
            raise GsceneError(f"{folder / kind}: {error}.", _REMEDY) from None
    every = set().union(*found.values())
    if not every:
        raise GsceneError(f"{folder} has no month of invoices.", _REMEDY)
    whole = month_range(min(every), max(every))
    for kind, months in found.items():
        absent = [str(month) for month in whole if month not in months]
        if absent:
            raise GsceneError(f"{folder / kind} lacks {', '.join(absent)}.", _REMEDY)
    return whole


def _lay(file: Path, inbox: Path, source: str, adapter: str, table: str, month: Month) -> Arrival:
    target = inbox / source / f"enterprise.{table}" / f"{month}-r1"
    target.mkdir(parents=True, exist_ok=True)
    data = target / file.name
    shutil.copyfile(file, data)
    write_manifest(
        data,
        source=source,
        adapter=adapter,
        subject=SubjectKind.ENTERPRISE,
        table=table,
        period=str(month),
        rows=_rows(data),
    )
    return Arrival(target, arrival_time(month), "replayed")


def _rows(file: Path) -> int:
    """Lines after the header."""
    try:
        body = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError) as error:
        raise GsceneError(f"{file.name} can't be unpacked: {type(error).__name__}.", _REMEDY) from None
    return max(0, body.count(b"\n") + (not body.endswith(b"\n")) - 1)
