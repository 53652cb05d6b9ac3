"""Rows of the bench's feed as a source means them, and the same rows written in every format that intake takes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from sources.adapter import Adapter
from sources.file_format import FileFormat
from tests.sources.bench import HEADER, Bench

COLUMNS = HEADER.split(",")
TRUE_OR_FALSE = {"是": True, "否": False, "true": True, "false": False}
NOTES = ["", "备注", "a,b", 'say "so"', "x|y;z", "𠀀𠀁", " blank ", "tab\there", "'=1+1"]


@dataclass(frozen=True)
class Row:
    """One row; amounts in fen, None where nothing was sent."""

    subject: str
    scheme: str
    fen: int | None
    day: date | None
    months: int | None
    received: bool | None
    note: str = ""
    test: bool = False

    @property
    def known(self) -> tuple[Any, ...]:
        """What the bank should hold of it."""
        amount = None if self.fen is None else Decimal(self.fen) / 100
        return (self.subject, self.scheme, amount, self.day, self.months, self.received)


def random_rows(rng: random.Random, count: int) -> list[Row]:
    """Rows whose business keys are all different."""
    rows = []
    for number in range(count):
        rows.append(
            Row(
                subject=f"k1:{rng.getrandbits(150):038x}{number:02x}"[:43],
                scheme=rng.choice(["pension_emp", "unemp"]),
                fen=rng.choice(
                    [None, 0, 1, rng.randrange(10**6), -rng.randrange(10**5), rng.randrange(10**15)]
                ),
                day=rng.choice([None, date(2026, 10, 1 + rng.randrange(31)), date(1999, 12, 31)]),
                months=rng.choice([None, rng.randrange(241)]),
                received=rng.choice([None, True, False]),
                note=rng.choice(NOTES),
                test=rng.random() < 0.1,
            )
        )
    return rows


def cells(row: Row, period: str) -> dict[str, Any]:
    """Typed values by source column, as a typed format holds them."""
    return {
        "grbh": row.subject,
        "ssq": period,
        "xz": {"pension_emp": "110", "unemp": "210"}[row.scheme],
        "js": None if row.fen is None else Decimal(row.fen) / 100,
        "rq": row.day,
        "ys": row.months,
        "dz": row.received,
        "bz": row.note,
        "env": "1" if row.test else "0",
    }


def text_cells(row: Row, period: str) -> list[str]:
    """The texts of a CSV row."""
    return ["" if v is None else _text(v) for v in cells(row, period).values()]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def written(
    rows: list[Row], form: FileFormat, period: str, rng: random.Random, columns: list[str] | None = None
) -> bytes:
    """The file's bytes; line ends, quoting and typed columns are drawn."""
    match form.format:
        case "csv":
            return packed(csv_text(rows, form, period, rng, columns).encode(form.encoding), form)
        case "jsonl":
            return packed(json_lines(rows, period, rng), form)
        case "parquet":
            return parquet(parquet_table(rows, period, rng), rng)
        case _:
            return workbook(rows, period, form.sheet or "数据")


def csv_text(
    rows: list[Row], form: FileFormat, period: str, rng: random.Random, columns: list[str] | None = None
) -> str:
    order = columns or rng.sample(COLUMNS, len(COLUMNS))
    out = io.StringIO()
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(
        out, delimiter=form.delimiter, lineterminator=rng.choice(["\n", "\r\n"]), quoting=quoting
    )
    writer.writerow(order)
    for row in rows:
        texts = dict(zip(COLUMNS, text_cells(row, period), strict=True))
        writer.writerow([texts[column] for column in order])
    text = out.getvalue()
    if form.bom is True:
        text = "\ufeff" + text
    return text if rng.random() < 0.8 else text.removesuffix("\n").removesuffix("\r")


def packed(body: bytes, form: FileFormat) -> bytes:
    if form.compression == "gzip":
        return gzip.compress(body, mtime=0)
    if form.compression == "zip":
        return zipped({"data.txt": body})
    return body


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, body in entries.items():
            archive.writestr(name, body)
    return out.getvalue()


def json_lines(rows: list[Row], period: str, rng: random.Random) -> bytes:
    lines = []
    for row in rows:
        entries = []
        for name, value in rng.sample(list(cells(row, period).items()), len(COLUMNS)):
            told = (
                f"{value:f}"
                if isinstance(value, Decimal)
                else json.dumps(value, default=str, ensure_ascii=False)
            )
            entries.append(f"{json.dumps(name)}: {told}")
        lines.append("{" + ", ".join(entries) + "}")
    ending = rng.choice(["\n", "\r\n"])
    return (ending.join(lines) + (ending if lines and rng.random() < 0.8 else "")).encode()


def parquet_table(rows: list[Row], period: str, rng: random.Random) -> pa.Table:
    values = {name: [cells(row, period)[name] for row in rows] for name in COLUMNS}
    types = {
        "js": rng.choice([pa.decimal128(20, 2), pa.decimal128(24, 3)]),
        "rq": rng.choice([pa.date32(), pa.string()]),
        "ys": rng.choice([pa.int16(), pa.int64(), pa.uint16(), pa.float64()]),
        "dz": pa.bool_(),
        "xz": rng.choice([pa.string(), pa.int32(), pa.dictionary(pa.int8(), pa.string())]),
    }
    arrays = {}
    for name in rng.sample(COLUMNS, len(COLUMNS)):
        kind = types.get(name, rng.choice([pa.string(), pa.large_string()]))
        column = values[name]
        if kind == pa.string() and name == "rq":
            column = [None if day is None else str(day) for day in column]
        if kind == pa.int32() and name == "xz":
            column = [int(code) for code in column]
        arrays[name] = pa.array(column, kind)
    return pa.table(arrays)


def parquet(table: pa.Table, rng: random.Random | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    rng = rng or random.Random(0)
    drawn = {
        "compression": rng.choice(["none", "snappy", "gzip", "zstd"]),
        "write_page_checksum": rng.random() < 0.5,
        "row_group_size": rng.choice([3, 100]),
        "use_dictionary": rng.random() < 0.5,
    }
    pq.write_table(table, out, **(drawn | options))
    return out.getvalue()


def workbook(rows: list[Row], period: str, sheet: str) -> bytes:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    page.append(COLUMNS)
    for row in rows:
        values = cells(row, period)
        if values["js"] is not None:
            # A spreadsheet keeps 15 digits.
            values["js"] = float(values["js"]) if abs(row.fen or 0) < 10**13 else f"{values['js']:f}"
        page.append([v if v != "" else None for v in values.values()])
        for cell in page[page.max_row]:
            if isinstance(cell.value, str):
                cell.data_type = "s"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


FORMS: dict[str, dict[str, Any]] = {
    "csv utf-8": {"encoding": "utf-8", "delimiter": ","},
    "csv gb18030": {"encoding": "gb18030", "delimiter": "|"},
    "csv with a mark": {"encoding": "utf-8", "delimiter": "^", "bom": True},
    "csv gzip": {"encoding": "gb18030", "delimiter": ";", "compression": "gzip"},
    "csv zip": {"encoding": "utf-8", "delimiter": "\t", "compression": "zip"},
    "jsonl": {"format": "jsonl"},
    "jsonl gzip": {"format": "jsonl", "compression": "gzip"},
    "parquet": {"format": "parquet"},
    "xlsx": {"format": "xlsx", "sheet": "数据"},
}


def feed_in(bench: Bench, form: str) -> Adapter:
    """The bench's feed, delivered in another form; typed formats have truth of their own."""
    columns = bench.adapter.model_dump(mode="json", by_alias=True, exclude_unset=True)["columns"]
    columns["received"]["codes"] = TRUE_OR_FALSE
    return bench.adapt(file=FORMS[form], columns=columns)
