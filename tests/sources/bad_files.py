"""Bad files of packed text, JSON lines and Parquet, each with a manifest that fits its bytes."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sources.file_format import FileFormat
from tests.sources.bad_deliveries import IDENTITY, PERIOD, kind, lay
from tests.sources.bench import Bench
from tests.sources.written_feed import (
    COLUMNS,
    csv_text,
    json_lines,
    parquet,
    parquet_table,
    random_rows,
    zipped,
)

# -- packed text -----------------------------------------------------------------------------------------------------------


def bytes_kind(
    name: str,
    code: str,
    form: str,
    make_body: Callable[[list[Any], random.Random], bytes],
    times: int = 4,
    rows: int = 12,
) -> None:
    """Other bytes, with a manifest that fits them."""

    def make(bench: Bench, rng: random.Random, revision: int) -> Path:
        return lay(bench, revision, make_body(random_rows(rng, 12), rng), rows)

    kind(name, code, form, times)(make)


def _text(rows: list[Any], rng: random.Random) -> bytes:
    return csv_text(rows, FileFormat(delimiter="\t"), PERIOD, rng).encode()


def _gb(rows: list[Any], rng: random.Random) -> bytes:
    return csv_text(rows, FileFormat(delimiter=";"), PERIOD, rng).encode("gb18030")


def _member_flags(body: bytes) -> bytes:
    """The zip says that its entry is encrypted."""
    changed = bytearray(body)
    central = body.rindex(b"PK\x01\x02")
    changed[6] |= 1
    changed[central + 8] |= 1
    return bytes(changed)


def _lying_size(body: bytes, size: int) -> bytes:
    """The zip's directory says that its entry unfolds to `size` bytes."""
    changed = bytearray(body)
    central = body.rindex(b"PK\x01\x02")
    changed[22:26] = changed[central + 24 : central + 28] = struct.pack("<I", size)
    return bytes(changed)


bytes_kind(
    "gzip cut off",
    "STRUCTURE",
    "csv gzip",
    lambda rows, rng: gzip.compress(_gb(rows, rng))[: -rng.randrange(1, 60)],
)
bytes_kind(
    "gzip with more behind it",
    "STRUCTURE",
    "csv gzip",
    lambda rows, rng: gzip.compress(_gb(rows, rng)) + b"more",
)
bytes_kind("no gzip", "STRUCTURE", "csv gzip", lambda rows, rng: _gb(rows, rng), 2)
bytes_kind(
    "gzip with a wrong checksum",
    "STRUCTURE",
    "csv gzip",
    lambda rows, rng: gzip.compress(_gb(rows, rng))[:-8] + b"\x00" * 8,
    2,
)
bytes_kind("a gzip bomb", "STRUCTURE", "csv gzip", lambda rows, rng: gzip.compress(b"0" * 30_000_000), 2)
bytes_kind("gzip in gzip", "SCHEMA", "csv gzip", lambda rows, rng: gzip.compress(b"grbh;js"), 1)
bytes_kind("no zip", "STRUCTURE", "csv zip", lambda rows, rng: _text(rows, rng), 2)
bytes_kind(
    "zip cut off",
    "STRUCTURE",
    "csv zip",
    lambda rows, rng: zipped({"a": _text(rows, rng)})[: -rng.randrange(1, 60)],
)
bytes_kind(
    "zip of two", "STRUCTURE", "csv zip", lambda rows, rng: zipped({"a": _text(rows, rng), "b": b""}), 2
)
bytes_kind("zip of none", "STRUCTURE", "csv zip", lambda rows, rng: zipped({}), 1)
bytes_kind("a zip bomb", "STRUCTURE", "csv zip", lambda rows, rng: zipped({"a": b"0" * 30_000_000}), 2)
bytes_kind(
    "a zip that lies of its size",
    "STRUCTURE",
    "csv zip",
    lambda rows, rng: _lying_size(zipped({"a": b"0" * 3_000_000}), rng.choice([10, 100])),
    2,
)
bytes_kind(
    "an encrypted zip",
    "STRUCTURE",
    "csv zip",
    lambda rows, rng: _member_flags(zipped({"a": _text(rows, rng)})),
    2,
)


# -- JSON lines ------------------------------------------------------------------------------------------------------------


def _lines(change: Callable[[str, random.Random], str]) -> Callable[[list[Any], random.Random], bytes]:
    def make(rows: list[Any], rng: random.Random) -> bytes:
        lines = json_lines(rows, PERIOD, rng).decode().splitlines()
        place = rng.randrange(len(lines))
        lines[place] = change(lines[place], rng)
        return "\n".join(lines).encode("utf-8", "surrogatepass")

    return make


bytes_kind(
    "JSON: a value inside a value",
    "STRUCTURE",
    "jsonl",
    _lines(
        lambda line, rng: re.sub(
            r'"bz": "[^{]*?"(?=[,}])', rng.choice(['"bz": {}', '"bz": []', '"bz": [1]']), line, count=1
        )
    ),
)
bytes_kind("JSON: a key twice", "STRUCTURE", "jsonl", _lines(lambda line, rng: line[:-1] + ', "js": 1}'))
bytes_kind(
    "JSON: NaN",
    "STRUCTURE",
    "jsonl",
    _lines(lambda line, rng: line[:-1] + f', "x": {rng.choice(["NaN", "Infinity", "-Infinity"])}' + "}"),
)
bytes_kind(
    "JSON: not an object",
    "STRUCTURE",
    "jsonl",
    _lines(lambda line, rng: rng.choice(["[]", "1", '"a"', "null", "", "{", "{}x", line + line])),
    8,
)
bytes_kind(
    "JSON: a comment or comma",
    "STRUCTURE",
    "jsonl",
    _lines(lambda line, rng: rng.choice(["//", line + ",", line[:-1] + ",}", "'" + line])),
)
bytes_kind(
    "JSON: a lone surrogate",
    "ENCODING",
    "jsonl",
    _lines(lambda line, rng: line.replace('"grbh": "', '"grbh": "\ud800')),
    2,
)
bytes_kind(
    "JSON: an escaped lone surrogate",
    "ENCODING",
    "jsonl",
    _lines(lambda line, rng: line.replace('"grbh": "', '"grbh": "\\ud800')),
    2,
)
bytes_kind(
    "JSON: a key missing",
    "SCHEMA",
    "jsonl",
    _lines(lambda line, rng: json.dumps({k: v for k, v in json.loads(line).items() if k != "js"})),
)
bytes_kind(
    "JSON: an unknown key", "SCHEMA", "jsonl", _lines(lambda line, rng: line[:-1] + ', "b\\") FROM t;--": 1}')
)
bytes_kind(
    "JSON: an escaped NUL",
    "STRUCTURE",
    "jsonl",
    _lines(lambda line, rng: line.replace('"grbh": "', '"grbh": "\\u0000')),
    2,
)
bytes_kind(
    "JSON: a line break in a cell",
    "STRUCTURE",
    "jsonl",
    _lines(lambda line, rng: line.replace('"grbh": "', '"grbh": "\\n')),
    2,
)
bytes_kind(
    "JSON: an exponent",
    "TYPE",
    "jsonl",
    _lines(
        lambda line, rng: json.dumps(json.loads(line) | {"env": "0", "js": 0}).replace('"js": 0', '"js": 1e3')
    ),
)
bytes_kind("JSON: a bomb", "STRUCTURE", "jsonl gzip", lambda rows, rng: gzip.compress(b" " * 30_000_000), 1)
bytes_kind("JSON: an endless line", "STRUCTURE", "jsonl", lambda rows, rng: b'{"a": "' + b"0" * (6 << 20), 1)
bytes_kind(
    "JSON: a resident id",
    "IDENTITY",
    "jsonl",
    _lines(lambda line, rng: re.sub(r'"bz": "[^{]*?"(?=[,}])', f'"bz": "{IDENTITY}"', line, count=1)),
    3,
)


# -- Parquet ---------------------------------------------------------------------------------------------------------------


def _table(
    change: Callable[[pa.Table, random.Random], pa.Table], **options: Any
) -> Callable[[list[Any], random.Random], bytes]:
    return lambda rows, rng: parquet(change(parquet_table(rows, PERIOD, rng), rng), rng, **options)


def _replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _footer_bytes(
    change: Callable[[bytearray, int, random.Random], None],
) -> Callable[[list[Any], random.Random], bytes]:
    """The file with something done to its footer; `change` gets the bytes and where the footer begins."""

    def make(rows: list[Any], rng: random.Random) -> bytes:
        body = bytearray(parquet(parquet_table(rows, PERIOD, rng), rng))
        change(body, len(body) - 8 - int.from_bytes(body[-8:-4], "little"), rng)
        return bytes(body)

    return make


def _long_footer(body: bytearray, start: int, rng: random.Random) -> None:
    body[-8:-4] = struct.pack("<I", rng.choice([0, len(body), 2**31, 2**32 - 1]))


def _page_flip(rows: list[Any], rng: random.Random) -> bytes:
    """A bit of a data page, which a checksum covers."""
    table = parquet_table(rows, PERIOD, rng)
    body = bytearray(
        parquet(
            table, rng, write_page_checksum=True, compression="none", use_dictionary=False, row_group_size=100
        )
    )
    chunk = pq.read_metadata(io.BytesIO(bytes(body))).row_group(0).column(rng.randrange(len(COLUMNS)))
    end = chunk.data_page_offset + chunk.total_compressed_size
    body[end - 1 - rng.randrange(6)] ^= 1 << rng.randrange(8)
    return bytes(body)


bytes_kind(
    "Parquet: no Parquet",
    "STRUCTURE",
    "parquet",
    lambda rows, rng: rng.choice([b"", b"PAR1", b"PAR1PAR1", b"x" * 100, b"PAR1" + b"\0" * 50 + b"PAR1"]),
    5,
)
bytes_kind(
    "Parquet: cut off",
    "STRUCTURE",
    "parquet",
    lambda rows, rng: parquet(parquet_table(rows, PERIOD, rng), rng)[: -rng.randrange(1, 900)],
    8,
)
bytes_kind("Parquet: an impossible footer length", "STRUCTURE", "parquet", _footer_bytes(_long_footer), 4)
bytes_kind(
    "Parquet: an encrypted footer",
    "STRUCTURE",
    "parquet",
    lambda rows, rng: b"PARE" + parquet(parquet_table(rows, PERIOD, rng), rng)[4:-4] + b"PARE",
    1,
)
bytes_kind("Parquet: a flipped bit in a page", "STRUCTURE", "parquet", _page_flip, 12)
bytes_kind(
    "Parquet: a nested column",
    "SCHEMA",
    "parquet",
    _table(lambda t, rng: _replaced(t, "bz", pa.array([[1]] * 12)), row_group_size=100),
    2,
)
bytes_kind(
    "Parquet: a struct",
    "SCHEMA",
    "parquet",
    _table(lambda t, rng: _replaced(t, "bz", pa.array([{"a": 1, "b": 2}] * 12)), row_group_size=100),
    2,
)
bytes_kind(
    "Parquet: binary",
    "SCHEMA",
    "parquet",
    _table(lambda t, rng: _replaced(t, "bz", pa.array([b"\xff"] * 12))),
    2,
)
bytes_kind(
    "Parquet: a time of day",
    "SCHEMA",
    "parquet",
    _table(lambda t, rng: _replaced(t, "rq", pa.array([1] * 12, pa.time64("us")))),
    2,
)
bytes_kind(
    "Parquet: a column missing",
    "SCHEMA",
    "parquet",
    _table(lambda t, rng: t.drop_columns([rng.choice(COLUMNS)])),
)
bytes_kind(
    "Parquet: an unknown column",
    "SCHEMA",
    "parquet",
    _table(lambda t, rng: t.append_column('x"; --', pa.array([1] * 12))),
)
bytes_kind(
    "Parquet: a column twice",
    "SCHEMA",
    "parquet",
    _table(lambda t, rng: t.append_column("js", t.column("js"))),
    2,
)
bytes_kind(
    "Parquet: NaN",
    "TYPE",
    "parquet",
    _table(lambda t, rng: _replaced(t, "js", pa.array([rng.choice([float("nan"), float("inf")])] * 12))),
    2,
)
bytes_kind(
    "Parquet: an inexact amount",
    "TYPE",
    "parquet",
    _table(
        lambda t, rng: _replaced(_replaced(t, "js", pa.array([0.1 + 0.2] * 12)), "env", pa.array(["0"] * 12))
    ),
    2,
)
bytes_kind(
    "Parquet: a control character",
    "STRUCTURE",
    "parquet",
    _table(lambda t, rng: _replaced(t, "bz", pa.array([rng.choice(["a\nb", "\x00", "\x1b"])] * 12))),
    3,
)
bytes_kind(
    "Parquet: a cell of 200 MB",
    "STRUCTURE",
    "parquet",
    _table(
        lambda t, rng: _replaced(t, "bz", pa.array(["0" * 20_000_000] + [""] * 11)),
        compression="zstd",
        row_group_size=100,
        use_dictionary=False,
    ),
    1,
)
bytes_kind(
    "Parquet: a long cell",
    "STRUCTURE",
    "parquet",
    _table(lambda t, rng: _replaced(t, "bz", pa.array(["0" * 10_001] + [""] * 11)), compression="none"),
    2,
)
bytes_kind(
    "Parquet: millions of rows for twelve",
    "ROWCOUNT",
    "parquet",
    lambda rows, rng: parquet(
        pa.table({c: pa.array([""] * 1_000_000) for c in COLUMNS}),
        rng,
        row_group_size=1_000_000,
        use_dictionary=True,
    ),
    1,
)
bytes_kind(
    "Parquet: invalid UTF-8",
    "ENCODING",
    "parquet",
    _table(
        lambda t, rng: _replaced(
            t,
            "bz",
            pa.Array.from_buffers(pa.string(), 12, pa.array([b"\xff\xfe"] * 12, pa.binary()).buffers()),
        )
    ),
    2,
)
bytes_kind(
    "Parquet: a resident id as a number",
    "IDENTITY",
    "parquet",
    _table(lambda t, rng: _replaced(t, "ys", pa.array([110105194912310011 + 0] * 12))),
    1,
)
