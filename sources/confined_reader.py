"""Reading a delivery in another process, so that no file can crash, fill or take over the one that holds the keys.

One worker process (`sources.reading_worker`) is kept warm and forks for every delivery; it has a clean environment and none
of our open files. A child that is killed, runs out of memory or time is `REFUSED/RESOURCE`; a worker that died is replaced.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.errors import GsceneError, Refusal
from sources.convert import Converted
from sources.reading import ReadingJob
from sources.reading_worker import READY, REFUSAL

_CHECKOUT = Path(__file__).resolve().parents[1]
_PIECE = 1 << 20
_LONGEST_HEAD = 1 << 20
#: Seconds; it takes one or two.
_STARTS_WITHIN = 120.0

#: Reads a job's files: `ConfinedReader().read`, or `reading.read_and_convert` in this process.
Reader = Callable[[ReadingJob], Converted]


class ConfinedReader:
    """Starts its worker at the first job. One job at a time; threads wait for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._talk: Connection | None = None

    def read(self, job: ReadingJob) -> Converted:
        """Canonical rows of the job's files. Raises the reader's Refusal, or REFUSED/RESOURCE and REFUSED/READER."""
        with self._lock:
            try:
                answer = self._ask(job)
            except BaseException:
                # Whatever interrupted us, the worker may be in the middle of a job.
                self.close()
                raise
        return _understood(answer, job)

    def close(self) -> None:
        """End the worker and any child of it."""
        if self._talk is not None:
            self._talk.close()
        if self._process is not None:
            # It leads a session of its own, so its child ends with it.
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
        self._process = self._talk = None

    @property
    def worker(self) -> int | None:
        """Process id of the worker, None before the first job."""
        return self._process.pid if self._process is not None else None

    def _ask(self, job: ReadingJob) -> bytes | None:
        """What the child wrote; None where it died or had to be ended."""
        talk = self._started()
        ends_at = time.monotonic() + job.limits.wall_seconds
        ours, theirs = os.pipe()
        with os.fdopen(ours, "rb", buffering=0) as pipe:
            try:
                try:
                    talk.send(job)
                    reduction.send_handle(talk, theirs, self._process.pid if self._process else 0)
                finally:
                    os.close(theirs)
                answer = _all_of(pipe.fileno(), ends_at, job.limits.memory_bytes)
                ended = answer is not None and talk.poll(max(0.0, ends_at - time.monotonic()))
                status = json.loads(talk.recv_bytes(1000))["exit"] if ended else None
            except (OSError, EOFError, ValueError):
                status = None
        if status is None:
            self.close()
        return answer if status == 0 else None

    def _started(self) -> Connection:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._talk is None:
            ours, theirs = socket.socketpair()
            with theirs:
                # Our own program, our own interpreter; nothing of what was delivered is in these arguments.
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "sources.reading_worker", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    cwd=_CHECKOUT,
                    env={
                        "PATH": os.defpath,
                        "LANG": "C.UTF-8",
                        "PYTHONPATH": str(_CHECKOUT),
                        "OMP_NUM_THREADS": "1",
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._talk = Connection(ours.detach())
            atexit.register(self.close)
            self._wait_until_ready(self._talk)
        return self._talk

    def _wait_until_ready(self, talk: Connection) -> None:
        try:
            ready = talk.poll(_STARTS_WITHIN) and talk.recv_bytes(100) == READY
        except (OSError, EOFError):
            ready = False
        if not ready:
            self.close()
            raise GsceneError(
                "the process that reads deliveries doesn't start.",
                f"See why: cd {_CHECKOUT} && {sys.executable} -c 'from sources.reading_worker import warm_up; warm_up()'",
            )


def _all_of(pipe: int, ends_at: float, most: int) -> bytes | None:
    """Everything up to the end of the pipe; None when time is over or more than `most` bytes came."""
    pieces: list[bytes] = []
    size = 0
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while True:
        left = ends_at - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        piece = os.read(pipe, _PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > most:
            return None


def _understood(answer: bytes | None, job: ReadingJob) -> Converted:
    """The rows, or the refusal. What a child says is looked at as a stranger's word: JSON, and Arrow data validated whole."""
    name = job.files[0][1].name
    if answer is None:
        raise _resource(name)
    try:
        size = int.from_bytes(answer[:8], "little")
        if not 0 < size <= _LONGEST_HEAD:
            raise ValueError
        head = json.loads(answer[8 : 8 + size])
        if "refusal" in head:
            told = head["refusal"]
            refusal = Refusal(
                str(told["code"]), str(told["message"]), **{key: told[key] for key in REFUSAL[2:]}
            )
        elif "resource" in head:
            refusal = _resource(name)
        elif "failed" in head:
            refusal = _failed(name, str(head["failed"]))
        elif "error" in head:
            raise GsceneError(str(head["error"]), str(head["remedy"]))
        else:
            return _converted(head, pa.py_buffer(answer).slice(8 + size))
    except (ValueError, KeyError, TypeError, IndexError, pa.ArrowException):
        raise _resource(name) from None
    raise refusal


def _converted(head: dict[str, Any], streams: pa.Buffer) -> Converted:
    starts = [sum(head["sizes"][:place]) for place in range(len(head["sizes"]))]
    values: dict[str, Any] = {}
    for name, told in head.items():
        if name in ("sizes", "confined"):
            continue
        if "value" in told:
            values[name] = told["value"]
            continue
        place = told["stream"]
        table = pa.ipc.open_stream(streams.slice(starts[place], head["sizes"][place])).read_all()
        table.validate(full=True)
        if told["column"]:
            column = table.column(0).combine_chunks()
            values[name] = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        else:
            values[name] = table
    return Converted(**values)


def _resource(name: str) -> Refusal:
    return Refusal(
        "REFUSED/RESOURCE",
        "reading the file took more memory or time than is allowed, or ended the process that read it.",
        file=name,
        remedy="Look at the file before anything else: a period of this size should come in several files.",
    )


def _failed(name: str, what: str) -> Refusal:
    return Refusal(
        "REFUSED/READER",
        f"the reader failed on it ({what}).",
        file=name,
        remedy="Report the place to the maintainers; the same bytes may be delivered again once it is mended.",
    )
