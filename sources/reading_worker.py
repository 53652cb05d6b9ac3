"""The process that reads what strangers send: started once, it forks for every delivery a child that may do nothing but
read it (`sources.confinement`) and hand back the rows.

Started by `sources.confined_reader` with one argument, the number of the socket to talk over. What comes from the parent is
trusted (it is our own program); what a child writes is not, and is never unpickled: a head in JSON, then Arrow IPC streams.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import fields
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import pyarrow as pa

from core.errors import GsceneError, Refusal
from sources.confinement import confine, die_with_parent
from sources.convert import Converted
from sources.reading import ReadingJob, read_and_convert


def serve(talk: Connection) -> None:
    """Take jobs until the other side is gone."""
    while True:
        try:
            job: ReadingJob = talk.recv()
            pipe = reduction.recv_handle(talk)
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            talk.close()
            _work(job, pipe)
        os.close(pipe)
        _, status = os.waitpid(child, 0)
        talk.send_bytes(json.dumps({"exit": os.waitstatus_to_exitcode(status)}).encode())


def _work(job: ReadingJob, pipe: int) -> NoReturn:
    """Answer and end; never back into the loop, whatever happens."""
    code = 1
    try:
        die_with_parent()
        with os.fdopen(pipe, "wb", buffering=1 << 20) as out:
            write_answer(out, job, confine(job.limits))
        code = 0
    finally:
        os._exit(code)


def write_answer(out: BinaryIO, job: ReadingJob, confined: bool) -> None:
    """The head (length in 8 bytes, JSON), then the Arrow streams that it announces."""
    streams: list[pa.Buffer] = []
    head: dict[str, Any] = {"confined": confined}
    try:
        converted = read_and_convert(job)
        for field in fields(Converted):
            value = getattr(converted, field.name)
            if isinstance(value, pa.Table | pa.Array | pa.ChunkedArray):
                head[field.name] = {"stream": len(streams), "column": not isinstance(value, pa.Table)}
                streams.append(_stream(value))
            else:
                head[field.name] = {"value": value}
        head["sizes"] = [stream.size for stream in streams]
    except Refusal as refusal:
        streams = []
        head = {"confined": confined, "refusal": {name: getattr(refusal, name) for name in REFUSAL}}
    except (MemoryError, pa.ArrowMemoryError):
        streams = []
        head = {"confined": confined, "resource": "memory"}
    except GsceneError as error:
        streams = []
        head = {"confined": confined, "error": error.message, "remedy": error.remedy}
    except Exception as error:
        # Its text may quote a cell; type and place may not.
        streams = []
        last = traceback.extract_tb(error.__traceback__)[-1]
        head = {
            "confined": confined,
            "failed": f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}",
        }
    body = json.dumps(head).encode()
    out.write(len(body).to_bytes(8, "little") + body)
    for stream in streams:
        out.write(stream)


#: What a refusal is made of.
REFUSAL = ("code", "message", "file", "line", "column", "remedy")


def _stream(value: pa.Table | pa.Array | pa.ChunkedArray) -> pa.Buffer:
    table = value if isinstance(value, pa.Table) else pa.table({"": value})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def main() -> None:
    """Serve on the socket whose number is the first argument."""
    serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
