"""Deliveries that must not come in: kinds of mutation, each with the reason code that it must be refused with.

A kind lays one delivery into the bench's inbox, under the revision that it is given. What is drawn comes from `rng`, so that
a failing case can be made again from its name and number.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sources.delivery import MANIFEST_NAME
from sources.signature import SIGNATURE_NAME, key_id_of, signature_of
from tests.sources.bench import Bench
from tests.sources.written_feed import (
    COLUMNS,
    FORMS,
    random_rows,
    text_cells,
    written,
)

PERIOD = "2026-10"
IDENTITY = "11010519491231002X"
Make = Callable[[Bench, random.Random, int], Path]


@dataclass(frozen=True)
class Kind:
    """`form` is the feed's file format (a name in FORMS); `make` lays the delivery; `times` cases are drawn."""

    code: str
    form: str
    make: Make
    times: int = 6


KINDS: dict[str, Kind] = {}


def kind(name: str, code: str, form: str = "csv utf-8", times: int = 6) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        assert name not in KINDS
        KINDS[name] = Kind(f"REFUSED/{code}", form, make, times)
        return make

    return keep


def good(bench: Bench, rng: random.Random, revision: int, count: int = 12, **said: Any) -> Path:
    """A delivery of the bench's form that would come in."""
    rows = random_rows(rng, count)
    form = bench.adapter.file
    return bench.lay_files(
        [written(rows, form, PERIOD, rng)], [count], period=PERIOD, revision=revision, **said
    )


def lay(bench: Bench, revision: int, body: bytes, rows: int, **said: Any) -> Path:
    return bench.lay_files([body], [rows], period=PERIOD, revision=revision, **said)


# -- the manifest ------------------------------------------------------------------------------------------------------


def manifest_kind(name: str, change: Callable[[dict[str, Any], random.Random], Any], times: int = 4) -> None:
    """The manifest's entries changed; what is returned instead of None is the file's whole content."""

    def make(bench: Bench, rng: random.Random, revision: int) -> Path:
        folder = good(bench, rng, revision)
        told = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        body = change(told, rng)
        text = body if isinstance(body, bytes) else (body or json.dumps(told)).encode()
        (folder / MANIFEST_NAME).write_bytes(text)
        return folder

    kind(name, "MANIFEST", times=times)(make)


def _put(told: dict[str, Any], **entries: Any) -> None:
    told.update(entries)


def _in_file(told: dict[str, Any], **entries: Any) -> None:
    told["files"][0].update(entries)


manifest_kind("manifest cut", lambda told, rng: json.dumps(told)[: rng.randrange(len(json.dumps(told)))], 8)
manifest_kind("manifest not UTF-8", lambda told, rng: b"\xff\xfe" + json.dumps(told).encode())
manifest_kind(
    "manifest in GB18030",
    lambda told, rng: json.dumps(told | {"源": 1}, ensure_ascii=False).encode("gb18030"),
)
manifest_kind("manifest of the first form", lambda told, rng: _put(told, format="gscene-delivery/1"), 2)
manifest_kind("manifest with another entry", lambda told, rng: _put(told, **{f"x{rng.randrange(99)}": 1}))
manifest_kind("manifest that dates itself", lambda told, rng: _put(told, received_at="2020-01-01"), 2)
manifest_kind(
    "manifest lacks an entry",
    lambda told, rng: told.pop(rng.choice(["source", "files", "period", "mode"])) and None,
)
manifest_kind(
    "manifest of a wrong type", lambda told, rng: _put(told, revision=rng.choice(["one", [], None, 1.5]))
)
manifest_kind(
    "no such month",
    lambda told, rng: _put(told, period=rng.choice(["2026-13", "2026-00", "202610", "26-10", ""])),
)
manifest_kind("no such revision", lambda told, rng: _put(told, revision=rng.choice([0, -1, 2**31, 10**30])))
manifest_kind("no such mode", lambda told, rng: _put(told, mode=rng.choice(["delta", "FULL", ""])))
manifest_kind(
    "no such owner", lambda told, rng: _put(told, subject=rng.choice(["person", "Resident", "resident;--"]))
)
manifest_kind(
    "a file outside",
    lambda told, rng: _in_file(told, name=rng.choice(["../x", "/etc/passwd", "a/b", "..", "a\x00b"])),
)
manifest_kind("a file that isn't there", lambda told, rng: _in_file(told, name="other.csv"), 2)
manifest_kind(
    "the manifest as its own data",
    lambda told, rng: _in_file(told, name=rng.choice([MANIFEST_NAME, SIGNATURE_NAME])),
    2,
)
manifest_kind("a file twice", lambda told, rng: _put(told, files=told["files"] * 2), 2)
manifest_kind("no file", lambda told, rng: _put(told, files=[]), 2)
manifest_kind(
    "sha256 not of the form",
    lambda told, rng: _in_file(told, sha256=rng.choice(["", "0" * 63, "G" * 64, "A" * 64])),
)
manifest_kind("negative counts", lambda told, rng: _in_file(told, **{rng.choice(["rows", "bytes"]): -1}))
manifest_kind(
    "control sum no number",
    lambda told, rng: _put(told, control_sums={"js": rng.choice(["1e5", "NaN", "", "1,0", "0x1"])}),
)
manifest_kind(
    "control sum of no amount",
    lambda told, rng: _put(told, control_sums={rng.choice(["bz", "ys", 'js"; --']): "1"}),
)
manifest_kind("another adapter", lambda told, rng: _put(told, adapter="city_tax"), 2)
manifest_kind("another source", lambda told, rng: _put(told, source="village"), 2)
manifest_kind(
    "a hostile name",
    lambda told, rng: _put(
        told, **{rng.choice(["source", "table", "adapter"]): 'x"; DROP TABLE delivery; --'}
    ),
)
manifest_kind("a key twice", lambda told, rng: json.dumps(told)[:-1] + ', "revision": 9}', 2)
manifest_kind("NaN in a manifest", lambda told, rng: json.dumps(told)[:-1] + ', "sequence": NaN}', 2)
manifest_kind("deep nesting", lambda told, rng: "[" * 100_000, 2)
manifest_kind("a list of digits", lambda told, rng: '{"revision": ' + "9" * 5000 + "}", 2)
manifest_kind("not an object", lambda told, rng: rng.choice(["[]", "1", "null", '"x"', ""]) or b"", 4)
manifest_kind("larger than a manifest", lambda told, rng: json.dumps(told) + " " * (1 << 20), 1)
manifest_kind("chain without sequence", lambda told, rng: _put(told, previous_manifest_sha256="0" * 64), 2)
manifest_kind("sequence zero", lambda told, rng: _put(told, sequence=rng.choice([0, -3, "1st"])), 3)


@kind("manifest missing", "MANIFEST", times=2)
def _(bench: Bench, rng: random.Random, revision: int) -> Path:
    folder = good(bench, rng, revision)
    (folder / MANIFEST_NAME).unlink()
    return folder


@kind("data is a link", "MANIFEST", times=2)
def _(bench: Bench, rng: random.Random, revision: int) -> Path:
    folder = good(bench, rng, revision)
    data = next(folder.glob("data*"))
    outside = bench.root / f"outside{revision}"
    data.replace(outside)
    data.symlink_to(outside)
    return folder


# -- bytes, signatures, sequences ------------------------------------------------------------------------------------------


def damaged(name: str, change: Callable[[bytearray, random.Random], None], form: str, times: int) -> None:
    """The data file changed after the manifest was written."""

    def make(bench: Bench, rng: random.Random, revision: int) -> Path:
        folder = good(bench, rng, revision)
        data = next(folder.glob("data*"))
        body = bytearray(data.read_bytes())
        change(body, rng)
        data.write_bytes(body)
        return folder

    kind(name, "CHECKSUM", form, times)(make)


def _flip(body: bytearray, rng: random.Random) -> None:
    body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def _cut(body: bytearray, rng: random.Random) -> None:
    del body[rng.randrange(len(body)) :]


for _form in FORMS:
    damaged(f"a flipped bit, {_form}", _flip, _form, 23)
    damaged(f"cut off, {_form}", _cut, _form, 12)
damaged("bytes added", lambda body, rng: body.extend(b"\n" * rng.randrange(1, 9)), "csv utf-8", 4)


def signed_kind(
    name: str, spoil: Callable[[Path, Ed25519PrivateKey, random.Random], None], times: int = 3
) -> None:
    """The source has a key, the delivery is signed well, and then something is spoilt. Comes last: it binds the source."""

    def make(bench: Bench, rng: random.Random, revision: int) -> Path:
        key = city_key(bench)
        folder = good(bench, rng, revision, signing_key=key)
        spoil(folder, key, rng)
        return folder

    kind(f"signature: {name}", "SIGNATURE", times=times)(make)


def city_key(bench: Bench) -> Ed25519PrivateKey:
    """The source's key, registered in the bench's home."""
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    file = bench.root / "trust" / "city" / f"{key_id_of(key.public_key())}.pem"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return key


def _sign(folder: Path, text: str) -> None:
    (folder / SIGNATURE_NAME).write_text(text, encoding="utf-8")


def _resign(folder: Path, key: Ed25519PrivateKey) -> None:
    _sign(folder, signature_of((folder / MANIFEST_NAME).read_bytes(), key))


def _tamper(folder: Path, key: Ed25519PrivateKey, rng: random.Random) -> None:
    told = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    told["files"][0]["rows"] += 1
    (folder / MANIFEST_NAME).write_text(json.dumps(told), encoding="utf-8")


def _spoil_digits(folder: Path, key: Ed25519PrivateKey, rng: random.Random) -> None:
    told = json.loads((folder / SIGNATURE_NAME).read_text(encoding="utf-8"))
    place = rng.randrange(128)
    digit = "0" if told["signature"][place] != "0" else "1"
    told["signature"] = told["signature"][:place] + digit + told["signature"][place + 1 :]
    _sign(folder, json.dumps(told))


def _revoked(folder: Path, key: Ed25519PrivateKey, rng: random.Random) -> None:
    old = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
    gone = folder.parents[3] / "trust" / "city" / "revoked" / f"{key_id_of(old.public_key())}.pem"
    gone.parent.mkdir(parents=True, exist_ok=True)
    gone.write_bytes(old.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    _resign(folder, old)


signed_kind("missing", lambda folder, key, rng: (folder / SIGNATURE_NAME).unlink())
signed_kind("of an unknown key", lambda folder, key, rng: _resign(folder, Ed25519PrivateKey.generate()))
signed_kind("of a revoked key", _revoked)
signed_kind("over another manifest", _tamper)
signed_kind("other digits", _spoil_digits, 8)
signed_kind(
    "says another key",
    lambda folder, key, rng: _sign(
        folder, json.dumps({"key_id": key_id_of(key.public_key()), "signature": "0" * 128})
    ),
)
signed_kind(
    "not of the form",
    lambda folder, key, rng: _sign(
        folder,
        rng.choice(
            [
                "",
                "{}",
                "null",
                "x" * 2000,
                '{"key_id": 1, "signature": 2}',
                '{"key_id": "../../x", "signature": "' + "0" * 128 + '"}',
            ]
        ),
    ),
    6,
)


@kind("a sequence number twice", "SEQUENCE", times=3)
def _(bench: Bench, rng: random.Random, revision: int) -> Path:
    # The bench's first delivery has the number 1.
    return good(bench, rng, revision, sequence=1)


@kind("a broken chain", "SEQUENCE", times=3)
def _(bench: Bench, rng: random.Random, revision: int) -> Path:
    return good(bench, rng, revision, sequence=2, previous=f"{rng.getrandbits(256):064x}")


@kind("other bytes under a known revision", "CONFLICT", times=4)
def _(bench: Bench, rng: random.Random, revision: int) -> Path:
    return good(bench, rng, 1, count=3)


# -- counts and sums -------------------------------------------------------------------------------------------------------


def _rows_off(bench: Bench, rng: random.Random, revision: int) -> Path:
    rows = random_rows(rng, 12)
    body = written(rows, bench.adapter.file, PERIOD, rng)
    return lay(bench, revision, body, 12 + rng.choice([-12, -1, 1, 30]))


def _sum_off(bench: Bench, rng: random.Random, revision: int) -> Path:
    rows = random_rows(rng, 12)
    total = sum(row.fen or 0 for row in rows) + rng.choice([-1, 1, 100])
    sign, whole = ("-" if total < 0 else ""), abs(total)
    sums = {"js": f"{sign}{whole // 100}.{whole % 100:02d}"}
    return lay(bench, revision, written(rows, bench.adapter.file, PERIOD, rng), 12, control_sums=sums)


for _form in ("csv utf-8", "csv zip", "jsonl", "parquet", "xlsx"):
    kind(f"row count, {_form}", "ROWCOUNT", _form, 3)(_rows_off)
    kind(f"a fen too much or too little, {_form}", "CONTROL_SUM", _form, 3)(_sum_off)


# -- cells of a CSV --------------------------------------------------------------------------------------------------------


def csv_kind(
    name: str,
    code: str,
    change: Callable[[list[list[str]], random.Random], Any],
    form: str = "csv utf-8",
    times: int = 6,
) -> None:
    """The table of texts (header first) changed; what is returned instead of None are the file's bytes."""

    def make(bench: Bench, rng: random.Random, revision: int) -> Path:
        file = bench.adapter.file
        table = [list(COLUMNS), *(text_cells(row, PERIOD) for row in random_rows(rng, 12))]
        for row in table[1:]:
            row[COLUMNS.index("bz")] = "备注"
        body = change(table, rng)
        if body is None:
            text = "".join(file.delimiter.join(row) + "\n" for row in table)
            body = text.encode(file.encoding)
        return lay(bench, revision, body, 12)

    kind(name, code, form, times)(make)


def cell(column: str, *texts: str) -> Callable[[list[list[str]], random.Random], None]:
    """Another text in a cell of a row that counts."""
    return lambda table, rng: _in(table, rng, column, rng.choice(texts))


def _in(table: list[list[str]], rng: random.Random, column: str, text: str) -> None:
    row = _any_row(table, rng)
    row[COLUMNS.index(column)] = text
    if column != "env":
        row[COLUMNS.index("env")] = "0"


def _any_row(table: list[list[str]], rng: random.Random) -> list[str]:
    return table[rng.randrange(1, 13)]


def _without(table: list[list[str]], rng: random.Random) -> None:
    place = rng.randrange(len(COLUMNS))
    for row in table:
        del row[place]


def _renamed(table: list[list[str]], rng: random.Random) -> None:
    table[0][rng.randrange(len(COLUMNS))] = rng.choice(
        ["xin", "新列", 'b") FROM t; DROP TABLE x;--', " js", "JS", "js "]
    )


def _more(name: str | None) -> Callable[[list[list[str]], random.Random], None]:
    def change(table: list[list[str]], rng: random.Random) -> None:
        for number, row in enumerate(table):
            row.append("1" if number else (name or rng.choice(COLUMNS)))

    return change


def _same_key(table: list[list[str]], rng: random.Random) -> None:
    table[5][:3] = table[2][:3]
    for row, amount in ((table[2], "1"), (table[5], "2")):
        row[COLUMNS.index("env")], row[COLUMNS.index("js")] = "0", amount


csv_kind("a row too wide", "STRUCTURE", lambda table, rng: _any_row(table, rng).append("1"))
csv_kind("a row too narrow", "STRUCTURE", lambda table, rng: _any_row(table, rng).pop() and None)
csv_kind("a blank line", "STRUCTURE", lambda table, rng: table.insert(rng.randrange(1, 13), []))
csv_kind("an open quote", "STRUCTURE", cell("bz", '"open', '"', '"a""'))
csv_kind("a quote inside", "STRUCTURE", cell("bz", 'a"b"', ' "a"'))
csv_kind("text after a quote", "STRUCTURE", cell("bz", '"a"b', '"a" '))
csv_kind("a control character", "STRUCTURE", cell("bz", "\x00", "a\x1bb", "\x7f", "\x0b", "\x08"))
csv_kind("a lone carriage return", "STRUCTURE", cell("bz", "a\rb", "\r\r"))
csv_kind("a long cell", "STRUCTURE", cell("bz", "a" * 10_001, "字" * 3334))
csv_kind("control characters, GB18030", "STRUCTURE", cell("bz", "\x00", "a\x1bb"), "csv gb18030")
csv_kind(
    "a row too wide, GB18030", "STRUCTURE", lambda table, rng: _any_row(table, rng).append("1"), "csv gb18030"
)
csv_kind(
    "one endless line",
    "STRUCTURE",
    lambda table, rng: (",".join(COLUMNS) + "\n").encode() + b"a" * (9 << 20),
    times=1,
)
csv_kind(
    "GB18030 for UTF-8",
    "ENCODING",
    lambda table, rng: "\n".join(",".join(r) for r in table).encode("gb18030"),
)
csv_kind(
    "UTF-8 for GB18030",
    "ENCODING",
    lambda table, rng: "\n".join("|".join(r) for r in table).encode("utf-8-sig"),
    "csv gb18030",
)
csv_kind(
    "UTF-16", "ENCODING", lambda table, rng: "\n".join(",".join(r) for r in table).encode("utf-16"), times=2
)
csv_kind(
    "a mark against the adapter",
    "ENCODING",
    lambda table, rng: "\n".join(",".join(r) for r in table).encode("utf-8-sig"),
)
csv_kind("the mark is missing", "ENCODING", lambda table, rng: None, "csv with a mark", 3)
csv_kind(
    "half a character",
    "ENCODING",
    lambda table, rng: "\n".join(",".join(r) for r in table).encode().replace("备".encode(), b"\xe5\xa4", 1),
)
csv_kind(
    "overlong or surrogate UTF-8",
    "ENCODING",
    lambda table, rng: (
        "\n".join(",".join(r) for r in table)
        .encode()
        .replace("备".encode(), rng.choice([b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"]), 1)
    ),
)
csv_kind("a column missing", "SCHEMA", _without)
csv_kind("a column renamed", "SCHEMA", _renamed, times=10)
csv_kind("an unknown column", "SCHEMA", _more("xin"), times=3)
csv_kind("a column twice", "SCHEMA", _more(None))
csv_kind("no header", "SCHEMA", lambda table, rng: table.pop(0) and None, times=3)
csv_kind("an empty file", "SCHEMA", lambda table, rng: b"", times=1)
csv_kind(
    "another delimiter", "SCHEMA", lambda table, rng: "\n".join(";".join(r) for r in table).encode(), times=3
)
csv_kind(
    "no amount", "TYPE", cell("js", "8000x", "1e3", "0.333", "NaN", "¥5", "0x10", "1" * 19, "--1"), times=10
)
csv_kind("no day", "TYPE", cell("rq", "2026-02-30", "12/10/2026", "2026-13-01", "20261"), times=8)
csv_kind("no whole number", "TYPE", cell("ys", "12.5", "2147483648", "a", "1e1"), times=6)
csv_kind("no pseudonym", "TYPE", cell("grbh", "zhangsan", "", "k1:123", "k1:" + "g" * 40), times=6)
csv_kind("no month", "TYPE", cell("ssq", "2026", "10/2026", "2026-13"), times=4)
csv_kind("an undeclared code", "CODE", cell("xz", "123", "111", "pension_emp"), times=5)
csv_kind("an undeclared truth", "CODE", cell("dz", "也许", "2", "yes"), times=5)
csv_kind(
    "out of range",
    "RANGE",
    lambda table, rng: _in(table, rng, "ys", rng.choice(["-1", "241", "999999"])),
    times=6,
)
csv_kind(
    "of another month",
    "PERIOD",
    lambda table, rng: _in(table, rng, "ssq", rng.choice(["202609", "2027-10", "2026-11"])),
    times=5,
)
csv_kind("a key twice with other content", "KEY", _same_key, times=4)
csv_kind(
    "a resident id",
    "IDENTITY",
    cell("bz", IDENTITY, f"见{IDENTITY}号", "110105-19491231-002x", "１１０１０５１９４９１２３１００２ｘ"),
    times=8,
)
csv_kind(
    "a resident id in another column",
    "IDENTITY",
    lambda table, rng: _in(table, rng, rng.choice(["grbh", "js", "env", "ys"]), IDENTITY),
)
csv_kind("a resident id, GB18030", "IDENTITY", cell("bz", IDENTITY), "csv gb18030", 3)
