"""No file can crash, fill or reach beyond the process that reads it; whatever happens to that one is a refusal."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import GsceneError, Refusal
from core.months import Month
from sources import reading_worker
from sources.confined_reader import ConfinedReader
from sources.delivery import DeliveredFile
from sources.file_format import Limits
from sources.reading import ReadingJob, read_and_convert
from tests.sources.bad_deliveries import PERIOD
from tests.sources.bench import GOOD, Bench, text_of
from tests.sources.written_feed import COLUMNS, FORMS, feed_in, parquet, random_rows, written

#: Not enough for a large file, enough for a small one.
TIGHT = Limits(memory_bytes=400 * 2**20, cpu_seconds=20, wall_seconds=60)


@pytest.fixture(scope="module")
def reader():  # type: ignore[no-untyped-def]
    reader = ConfinedReader()
    yield reader
    reader.close()


def job(bench: Bench, body: bytes, rows: int, limits: Limits = TIGHT) -> ReadingJob:
    path = bench.root / "body"
    path.write_bytes(body)
    stated = DeliveredFile(name="data", bytes=len(body), sha256="0" * 64, rows=rows)
    return ReadingJob(((path, stated),), bench.adapter, bench.schema, Month.parse(PERIOD), {}, limits)


@pytest.mark.parametrize("form", FORMS)
def test_it_reads_what_this_process_would_read(reader: ConfinedReader, bench: Bench, form: str) -> None:
    adapter = feed_in(bench, form)
    rng = random.Random(form)
    there = job(bench, written(random_rows(rng, 30), adapter.file, PERIOD, rng), 30)
    here, apart = read_and_convert(there), reader.read(there)
    assert apart.rows.equals(here.rows) and apart.subject_codes.equals(here.subject_codes)
    assert (apart.left_out, apart.delivered) == (here.left_out, here.delivered)


def test_a_refusal_comes_over_whole(reader: ConfinedReader, bench: Bench) -> None:
    bad = job(bench, text_of([GOOD[0], GOOD[1] + ",1"]).encode(), 2)
    told = []
    for read in (read_and_convert, reader.read):
        with pytest.raises(Refusal) as caught:
            read(bad)
        told.append({name: getattr(caught.value, name) for name in reading_worker.REFUSAL})
    assert told[0] == told[1] and told[0]["line"] == 3


def hostile(bench: Bench) -> dict[str, ReadingJob]:
    feed_in(bench, "parquet")
    empty = pa.table(
        {
            name: pa.DictionaryArray.from_arrays(pa.array([0] * 20_000_000, pa.int8()), [""])
            for name in COLUMNS
        }
    )
    return {
        "20 million rows in half a megabyte": job(
            bench, parquet(empty, row_group_size=20_000_000), 20_000_000
        )
    }


def test_millions_of_rows_in_half_a_megabyte(reader: ConfinedReader, bench: Bench) -> None:
    name, large = next(iter(hostile(bench).items()))
    assert large.files[0][0].stat().st_size < 500_000, name
    with pytest.raises(Refusal, match="REFUSED/RESOURCE"):
        reader.read(large)
    still_reads(reader, bench)


def still_reads(reader: ConfinedReader, bench: Bench) -> None:
    feed_in(bench, "csv utf-8")
    assert reader.read(job(bench, text_of(GOOD).encode(), 3)).rows.num_rows == 3


@pytest.mark.parametrize("what", ["kill", "loop", "hang", "swallow memory", "segfault"])
def test_a_reader_that_dies_is_a_refusal_and_the_next_file_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The fault is planted in the worker by a column rule that the job brings along; the parent sees only its end."""
    reader = ConfinedReader()
    limits = replace(TIGHT, cpu_seconds=1, wall_seconds=4.0)
    planted = job(bench, text_of(GOOD).encode(), 3, limits)
    object.__setattr__(planted, "control_sums", Planted(what))
    started = time.monotonic()
    try:
        with pytest.raises(Refusal, match="REFUSED/RESOURCE"):
            reader.read(planted)
        assert time.monotonic() - started < 60
        still_reads(reader, bench)
    finally:
        reader.close()


class Planted(dict):  # type: ignore[type-arg]
    """Control sums that do harm when the child looks at them."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def __reduce__(self) -> tuple[object, ...]:
        return (Planted, (self.what,))

    def items(self):  # type: ignore[no-untyped-def,override]
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while self.what == "loop":
            pass
        if self.what == "hang":
            time.sleep(1000)
        if self.what == "segfault":
            import ctypes

            ctypes.string_at(0)
        if self.what == "swallow memory":
            return [bytearray(1 << 20) for _ in range(10_000)]
        if self.what == "network":
            import socket

            socket.socket()
        if self.what == "file":
            Path("/tmp/written-by-a-child").write_bytes(b"x" * 10)
        if self.what == "program":
            os.execv("/bin/true", ["true"])
        if self.what == "environment":
            raise Refusal("REFUSED/TYPE", " ".join(sorted(os.environ)))
        return []


@pytest.mark.parametrize(
    ("what", "error"), [("network", "PermissionError"), ("file", "OSError"), ("program", "PermissionError")]
)
def test_a_child_reaches_no_network_writes_no_file_and_starts_no_program(
    reader: ConfinedReader, bench: Bench, what: str, error: str
) -> None:
    planted = job(bench, text_of(GOOD).encode(), 3)
    object.__setattr__(planted, "control_sums", Planted(what))
    with pytest.raises(Refusal, match="REFUSED/READER") as caught:
        reader.read(planted)
    assert error in caught.value.message
    written_there = Path("/tmp/written-by-a-child")
    assert not written_there.exists() or written_there.stat().st_size == 0
    written_there.unlink(missing_ok=True)


def test_a_child_has_none_of_our_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    reader = ConfinedReader()
    planted = job(bench, text_of(GOOD).encode(), 3)
    object.__setattr__(planted, "control_sums", Planted("environment"))
    with pytest.raises(Refusal) as caught:
        reader.read(planted)
    reader.close()
    assert "A_SECRET" not in caught.value.message and "PYTHONPATH" in caught.value.message


def test_a_worker_that_was_killed_is_replaced(reader: ConfinedReader, bench: Bench) -> None:
    still_reads(reader, bench)
    first = reader.worker
    assert first is not None
    os.kill(first, signal.SIGKILL)
    time.sleep(0.1)
    still_reads(reader, bench)
    assert reader.worker not in (None, first)


def test_threads_wait_for_each_other(reader: ConfinedReader, bench: Bench) -> None:
    there, rows = job(bench, text_of(GOOD).encode(), 3), []
    threads = [
        threading.Thread(target=lambda: rows.append(reader.read(there).rows.num_rows)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows == [3] * 4


def test_a_worker_that_does_not_start_is_no_fault_of_the_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.confined_reader.sys.executable", "/bin/false")
    with pytest.raises(GsceneError, match="doesn't start"):
        ConfinedReader().read(job(bench, text_of(GOOD).encode(), 3))


def test_intake_goes_through_it_by_default(bench: Bench) -> None:
    from sources.intake import confined_reader, take_in

    number = bench.receive(bench.lay(text_of(GOOD)))
    result = take_in(
        number, bench.adapter, bench.schema, store=bench.store, registry=bench.registry, state=bench.state,
        archive=bench.archive, keys=bench.root / "keys", clock=bench.clock,
    )  # fmt: skip
    assert result.accepted == 3 and confined_reader().worker is not None
