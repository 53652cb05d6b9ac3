"""The process that reads what strangers send: started once, it forks for every delivery a child that may do nothing but
read it (`sources.confinement`) and hand back the rows.

Started by `sources.confined_reader` with one argument, the number of the socket to talk over. What comes from the parent is
trusted (it is our own program); what a child writes is not, and is never unpickled: a head in JSON, then Arrow IPC streams.
"""

from __future__ import annotations

import gc
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
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import python_calamine  # noqa: F401 - imported here once, instead of in every child

from core.errors import GsceneError, Refusal
from sources.confinement import confine, die_with_parent
from sources.convert import Converted
from sources.reading import ReadingJob, read_and_convert


def serve(talk: Connection) -> None:
    """Say that we are ready, then take jobs until the other side is gone."""
    talk.send_bytes(READY)
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


def warm_up() -> None:
    """Do once what PyArrow does at the first use of its functions (it imports pandas, makes tables and pools), and let the
    collector leave it alone: a child then costs 17 CPU-ms instead of 250."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    options = pa_csv.ConvertOptions(column_types={"a": pa.dictionary(pa.int32(), pa.string())})
    table = pa_csv.read_csv(pa.py_buffer(b"a,b\n1.5,2\n"), convert_options=options).unify_dictionaries()
    texts = table.column("a").chunk(0).dictionary
    pc.is_in(pc.utf8_trim_whitespace(pc.utf8_normalize(texts, form="NFKC")), value_set=texts)
    found = pc.extract_regex(texts, r"(?P<whole>\d+)")
    pc.cast(pc.struct_field(found, "whole"), pa.int64()).take(
        pc.indices_nonzero(pc.is_valid(texts))
    ).to_numpy()
    table.group_by("b").aggregate([("b", "count")])
    _stream(table)
    gc.collect()
    gc.freeze()


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


#: The first thing that a worker says.
READY = b"ready"

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
    warm_up()
    serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
