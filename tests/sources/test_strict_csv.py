"""What is written as declared is read back exactly; whatever else the bytes are, it is read the same or
refused.
"""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import Refusal
from sources.file_format import FileFormat, Limits
from sources.shape import shape
from sources.strict_csv import read_strict_csv

COLUMNS = ["编号", "b c", "d"]

#: Any text but control characters and lone surrogates; a tab may stand in a cell.
CELL = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.just("\t"), max_size=12)
ROWS = st.lists(st.tuples(CELL, CELL, CELL), max_size=8)
FORMS = st.builds(
    FileFormat,
    encoding=st.sampled_from(["utf-8", "gb18030"]),
    delimiter=st.sampled_from([",", "|", ";", "^"]),
    bom=st.booleans(),
    compression=st.sampled_from(["none", "gzip"]),
)


def written(
    rows: list[tuple[str, ...]], form: FileFormat, ending: str, quoting: int, columns: list[str] = COLUMNS
) -> bytes:
    """The file as another program would write it."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=form.delimiter, lineterminator=ending, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(columns)
    writer.writerows(rows)
    text = ("\ufeff" if form.bom else "") + out.getvalue()
    body = text.encode(form.encoding)
    return gzip.compress(body, mtime=0) if form.compression == "gzip" else body


def read(body: bytes, form: FileFormat, columns: list[str] = COLUMNS) -> list[tuple[str, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(body)
        table = read_strict_csv(path, form, columns)
    return list(zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True))


@given(
    rows=ROWS,
    form=FORMS,
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@example(rows=[('"', '""', 'a"b')], form=FileFormat(), ending="\n", quoting=csv.QUOTE_MINIMAL)
@example(rows=[("", "", "")], form=FileFormat(), ending="\r\n", quoting=csv.QUOTE_MINIMAL)
@example(rows=[("\ufeff", "", "")], form=FileFormat(), ending="\n", quoting=csv.QUOTE_MINIMAL)
# The second byte of 亅 in GB18030 is the delimiter.
@example(rows=[("亅", "", "亅")], form=FileFormat(encoding="gb18030", delimiter="|"), ending="\n", quoting=0)
def test_round_trip(rows: list[tuple[str, ...]], form: FileFormat, ending: str, quoting: int) -> None:
    assert read(written(rows, form, ending, quoting), form) == rows


@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=5),
    form=FORMS,
    place=st.floats(0, 1, exclude_max=True),
    change=st.sampled_from(["flip", "delete", "insert", "cut"]),
    byte=st.integers(0, 255),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_mutated_bytes_are_refused_or_read_as_strictly_as_another_reader_would(
    rows: list[tuple[str, ...]], form: FileFormat, place: float, change: str, byte: int
) -> None:
    body = bytearray(written(rows, form, "\n", csv.QUOTE_MINIMAL))
    at = int(place * len(body))
    if change == "flip":
        body[at] ^= 1 << byte % 8
    elif change == "delete":
        del body[at]
    elif change == "insert":
        body.insert(at, byte)
    else:
        del body[at:]
    try:
        got = read(bytes(body), form)
    except Refusal as refusal:
        assert refusal.code in {"REFUSED/ENCODING", "REFUSED/STRUCTURE", "REFUSED/SCHEMA"}
        return
    plain = gzip.decompress(bytes(body)) if form.compression == "gzip" else bytes(body)
    text = plain.decode(form.encoding).removeprefix("\ufeff" if form.bom else "")
    expected = list(csv.reader(io.StringIO(text, newline=""), delimiter=form.delimiter, strict=True))
    assert got == [tuple(row) for row in expected[1:]]


@given(values=st.lists(CELL, max_size=6))
def test_a_single_column_may_hold_blank_lines(values: list[str]) -> None:
    body = written([(value,) for value in values], FileFormat(), "\n", csv.QUOTE_ALL, ["only"])
    assert read(body, FileFormat(), ["only"]) == [(value,) for value in values]
    assert read(b"only\n\na\n", FileFormat(), ["only"]) == [("",), ("a",)]


def test_columns_may_stand_in_another_order() -> None:
    assert read("d,编号,b c\n1,2,3".encode(), FileFormat()) == [("1", "2", "3")]


def test_an_empty_file_lacks_its_columns() -> None:
    with pytest.raises(Refusal, match="missing `编号`, `b c`, `d`"):
        read(b"", FileFormat())


def test_a_file_without_header_shows_shapes_alone() -> None:
    with pytest.raises(Refusal) as caught:
        read("张三,110105,李四路3号\n".encode(), FileFormat())
    assert "张三" not in str(caught.value) and "路" not in str(caught.value)


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    form = FileFormat(compression="gzip")
    bomb = gzip.compress(b"only\n" + b"0" * 50_000_000)
    with pytest.raises(Refusal, match="unfolds to more than 100 times"):
        read(bomb, form, ["only"])
    small = gzip.compress(b"only\n" + b"0\n" * 100_000)
    assert len(read(small, form, ["only"])) == 100_000


def test_several_gzip_members_are_one_file() -> None:
    body = gzip.compress("编号,b c,d\n".encode()) + gzip.compress(b"1,2,3\n")
    assert read(body, FileFormat(compression="gzip")) == [("1", "2", "3")]


def test_limits_are_the_callers() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(b"a\n12345\n")
        with pytest.raises(Refusal, match="a cell of more than 4 bytes"):
            read_strict_csv(path, FileFormat(), ["a"], limits=Limits(max_field_bytes=4))
        with pytest.raises(Refusal, match="larger than 5 bytes"):
            read_strict_csv(path, FileFormat(), ["a"], limits=Limits(max_bytes=5))


def test_a_shape_tells_form_and_nothing_else() -> None:
    assert shape("2020-6-18") == "9999-9-99"
    assert shape("正常 Ab") == "字字 Aa"
    assert shape("7" * 30) == "9" * 24 + "..."


HOSTILE = (
    st.text(max_size=30)
    | st.sampled_from(['b") FROM t; DROP TABLE x;--', "1=1", "a b", "../../x", "$(rm)", "\u202e", "id\u0000"])
    | st.text(max_size=30)
)


@given(names=st.lists(HOSTILE, min_size=10, max_size=30))
@settings(max_examples=500)
def test_no_undeclared_name_gets_past_the_header(names: list[str]) -> None:
    """T11: some 10,000 names; whatever a header says, only the adapter's own words go on from there."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(names)
    body = out.getvalue().encode("utf-8", "replace")
    with pytest.raises(Refusal) as caught:
        read(body, FileFormat(), ["declared"])
    assert caught.value.code in ("REFUSED/SCHEMA", "REFUSED/STRUCTURE", "REFUSED/ENCODING")
    assert caught.value.column in (None, "declared")
