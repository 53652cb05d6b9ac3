"""Bad workbooks, each with a manifest that fits its bytes."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl

from tests.sources.bad_deliveries import IDENTITY, PERIOD
from tests.sources.bad_files import bytes_kind
from tests.sources.written_feed import (
    workbook,
    zipped,
)


def _book(change: Callable[[Any, random.Random], None]) -> Callable[[list[Any], random.Random], bytes]:
    def make(rows: list[Any], rng: random.Random) -> bytes:
        book = openpyxl.load_workbook(io.BytesIO(workbook(rows, PERIOD, "数据")))
        change(book, rng)
        out = io.BytesIO()
        book.save(out)
        return out.getvalue()

    return make


def _parts(
    change: Callable[[dict[str, bytes], random.Random], None],
) -> Callable[[list[Any], random.Random], bytes]:
    def make(rows: list[Any], rng: random.Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(workbook(rows, PERIOD, "数据"))) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        change(parts, rng)
        return zipped(parts)

    return make


def _set(place: str, value: Any) -> Callable[[Any, random.Random], None]:
    def change(book: Any, rng: random.Random) -> None:
        book["数据"][place] = value() if callable(value) else value

    return change


def _rename_sheet(book: Any, rng: random.Random) -> None:
    book["数据"].title = "Sheet1"


_RELS = (
    b'<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    b'<Relationship Id="r1" Type="x" Target="http://10.0.0.1/" TargetMode="External"/></Relationships>'
)
bytes_kind(
    "XLSX: no workbook",
    "STRUCTURE",
    "xlsx",
    lambda rows, rng: rng.choice([b"", b"PK", zipped({"a": b"b"}), b"\xd0\xcf\x11\xe0" * 200]),
    4,
)
bytes_kind(
    "XLSX: cut off",
    "STRUCTURE",
    "xlsx",
    lambda rows, rng: workbook(rows, PERIOD, "数据")[: -rng.randrange(1, 2000)],
    5,
)
bytes_kind(
    "XLSX: macros",
    "STRUCTURE",
    "xlsx",
    _parts(lambda parts, rng: parts.update({"xl/vbaProject.bin": b"x"})),
    2,
)
bytes_kind(
    "XLSX: a link to another book",
    "STRUCTURE",
    "xlsx",
    _parts(lambda parts, rng: parts.update({"xl/externalLinks/externalLink1.xml": b"<x/>"})),
    2,
)
bytes_kind(
    "XLSX: an external relation",
    "STRUCTURE",
    "xlsx",
    _parts(lambda parts, rng: parts.update({"xl/worksheets/_rels/sheet1.xml.rels": _RELS})),
    2,
)
bytes_kind(
    "XLSX: entities",
    "STRUCTURE",
    "xlsx",
    _parts(
        lambda parts, rng: parts.update(
            {
                "xl/workbook.xml": parts["xl/workbook.xml"].replace(
                    b"<workbook", b'<!DOCTYPE x [<!ENTITY a "b">]><workbook', 1
                )
            }
        )
    ),
    2,
)
bytes_kind(
    "XLSX: a bomb",
    "STRUCTURE",
    "xlsx",
    _parts(lambda parts, rng: parts.update({"xl/media/a": b"0" * 30_000_000})),
    1,
)
bytes_kind(
    "XLSX: a part out of the book",
    "STRUCTURE",
    "xlsx",
    _parts(lambda parts, rng: parts.update({rng.choice(["../a", "/a", "xl/../../a"]): b"x"})),
    3,
)
bytes_kind("XLSX: a formula", "STRUCTURE", "xlsx", _book(_set("D3", "=1+1")), 2)
bytes_kind("XLSX: an error cell", "STRUCTURE", "xlsx", _book(_set("D3", "#N/A")), 2)
bytes_kind("XLSX: another sheet", "SCHEMA", "xlsx", _book(_rename_sheet), 2)
bytes_kind("XLSX: a column renamed", "SCHEMA", "xlsx", _book(_set("B1", "xin")), 2)
bytes_kind(
    "XLSX: a header lower down", "STRUCTURE", "xlsx", _book(lambda book, rng: book["数据"].insert_rows(1)), 2
)
bytes_kind("XLSX: a cell beside the table", "STRUCTURE", "xlsx", _book(_set("K4", "x")), 2)
bytes_kind("XLSX: a number too long", "TYPE", "xlsx", _book(_set("D3", 123456789012345678)), 2)
bytes_kind(
    "XLSX: no amount",
    "TYPE",
    "xlsx",
    _book(lambda book, rng: (_set("D3", "zehn")(book, rng), _set("I3", "0")(book, rng))),
    2,
)
bytes_kind("XLSX: a resident id", "IDENTITY", "xlsx", _book(_set("H3", IDENTITY)), 2)
