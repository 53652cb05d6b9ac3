"""CPU seconds and peak memory of a piece of work, each in a process of its own so that one can't warm or burden the other."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """user+sys CPU seconds, wall seconds, peak resident memory in MB (the whole process, imports included), and the result."""

    cpu: float
    wall: float
    peak_mb: float
    result: Any


def measure(work: Callable[..., Any], *arguments: Any) -> Cost:
    """Run `work(*arguments)` in a fresh process. Imports at module level of `work` are not counted as CPU, but as memory."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        cost: Cost = receiver.recv()
    except EOFError:
        raise RuntimeError(f"{work.__name__} died with exit code {process.exitcode}") from None
    finally:
        process.join()
    return cost


def _run(sender: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = work(*arguments)
    after, end = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sender.send(Cost(cpu, end - start, _peak_mb(after), result))


def _peak_mb(usage: resource.struct_rusage) -> float:
    """This process's own peak; what the system calls maxrss of a process is at least its parent's when it was started."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return usage.ru_maxrss / 1024
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
