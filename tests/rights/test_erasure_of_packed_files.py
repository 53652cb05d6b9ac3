"""What is packed hides nobody: zip files, workbooks and later members of gzip files are searched too."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from core.errors import GsceneError
from core.subject import SubjectKind
from rights.contents import MOST_LAYERS, Unsearchable, any_content
from rights.erase_archive import names_subject
from rights.search import Searched, search
from sources.arrivals import Arrival, receive
from sources.delivery import write_manifest
from sources.file_format import Limits
from sources.sme_invoices import arrival_time
from sources.unpacking import PIECE
from tests.pipelines.invoice_home import CLOCK, HEADER, MONTHS, RAW_KEY, InvoiceHome, copy_of
from tests.rights.test_erasure import CODE, erase_it, invoices, token_of

TEXT = f"{HEADER}\nFIRM-0000-0001,1\n{CODE},2\n".encode()
OTHER = f"{HEADER}\nFIRM-0000-0001,1\n".encode()


def zipped(**entries: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"folder/{name}.csv", content)
    return packed.getvalue()


def workbook(code: str = CODE) -> bytes:
    book, packed = openpyxl.Workbook(), io.BytesIO()
    book.create_sheet("second").append(["企业代号", code])
    book.save(packed)
    return packed.getvalue()


PACKED: dict[str, Callable[[], bytes]] = {
    "zip": lambda: zipped(a=OTHER, b=TEXT),
    "zip behind other bytes": lambda: b"#!/bin/sh\n" + zipped(a=TEXT),
    "workbook": workbook,
    "second gzip member": lambda: gzip.compress(OTHER) + gzip.compress(TEXT),
    "zip in zip": lambda: zipped(inner=zipped(a=TEXT)),
    "gzip in zip": lambda: zipped(inner=gzip.compress(OTHER) + gzip.compress(TEXT)),
    "workbook in gzip": lambda: gzip.compress(workbook()),
}

BLIND: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: gzip.compress(bytes(3 << 20)),
    "bomb in zip": lambda: zipped(inner=gzip.compress(bytes(3 << 20))),
    "cut-off zip": lambda: zipped(a=TEXT)[:-30],
    "cut-off gzip": lambda: gzip.compress(TEXT)[:-30],
    "encrypted zip": lambda: zipped(a=TEXT).replace(b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1"),
    "damaged Parquet file": lambda: b"PAR1" + OTHER,
}  # fmt: skip


def deliver(home: InvoiceHome, content: bytes) -> str:
    """Bytes that the adapter can't read, in the inbox and refused by the run; returns their folder below the home."""
    month = MONTHS[-1].plus(1)
    folder = home.home / "inbox" / "sme_tax_out" / "enterprise.invoice" / f"{month}-r1"
    folder.mkdir(parents=True)
    data = folder / f"{month}.csv.gz"
    data.write_bytes(content)
    write_manifest(
        data, source="sme_tax_out", adapter="sme_output_invoice", subject=SubjectKind.ENTERPRISE,
        table="invoice", period=str(month), rows=2, revision=1, mode="full",
    )  # fmt: skip
    arrival = Arrival(folder, arrival_time(month), "replayed")
    receive(arrival, home.workplace.settings.archive, home.state, CLOCK)
    with pytest.raises(GsceneError):
        home.run(RAW_KEY, first=month)
    return str(folder.relative_to(home.home))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = InvoiceHome(tmp_path_factory.mktemp("packed") / "home")
    home.deliver(MONTHS[0], invoices(MONTHS[0]))
    home.run(RAW_KEY, first=MONTHS[0])
    home.close()
    return home.home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> InvoiceHome:
    return copy_of(made, tmp_path / "home")


@pytest.mark.parametrize("kind", PACKED)
def test_a_name_is_found_however_it_is_packed(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(PACKED[kind]())
    assert CODE.encode() not in file.read_bytes(), "packed so that the bytes alone don't show it"
    assert search(tmp_path, (CODE,)) == Searched([file], [])
    assert names_subject(file, (CODE,))
    assert search(tmp_path, ("FIRM-0000-4712",)) == Searched([], [])
    assert not names_subject(file, (CODE[:-1],)), "a part of a word is no name"


@pytest.mark.parametrize("kind", BLIND)
def test_what_cannot_be_unpacked_is_told_and_not_called_clean(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(BLIND[kind]())
    assert search(tmp_path, ("FIRM-0000-4712",)) == Searched([], [file])


def test_the_room_is_shared_by_all_entries_and_layers_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(zipped(**{f"n{n}": bytes(400_000) for n in range(3)}))
    with pytest.raises(Unsearchable, match="unfolds to more than"):
        any_content(file, lambda pieces: not list(pieces), Limits(max_ratio=1))
    content = TEXT
    for _ in range(MOST_LAYERS + 2):
        content = gzip.compress(content)
    file.write_bytes(content)
    with pytest.raises(Unsearchable, match="times over"):
        names_subject(file, (CODE,))


@pytest.mark.parametrize("before", range(len(CODE) + 2))
def test_a_name_across_two_pieces_is_found_once_it_is_whole(before: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    start = b" " * (PIECE - before)
    file.write_bytes(start + CODE.encode())
    assert names_subject(file, (CODE,)) and search(tmp_path, (CODE,)).naming == [file]
    file.write_bytes(start + CODE.encode() + b"5")
    assert not names_subject(file, (CODE,))


@pytest.mark.parametrize("kind", ["zip", "workbook", "second gzip member", "gzip in zip"])
def test_a_refused_packed_file_and_its_copy_in_the_inbox_go_whole(home: InvoiceHome, kind: str) -> None:
    folder = home.home / deliver(home, PACKED[kind]())
    token = token_of(home)
    assert search(home.home / "inbox", (CODE,)).naming, "found before, or its absence would prove nothing"
    done = erase_it(home, token)
    assert done.told["archives_removed"] == 1
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert search(home.home, (token, CODE)) == Searched([], [])


def test_a_packed_copy_elsewhere_stops_the_erasure(home: InvoiceHome) -> None:
    token, copy = token_of(home), home.home / "inbox" / "copy.xlsx"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(workbook(token))
    with pytest.raises(GsceneError, match=r"1 files still name the subject: inbox/copy\.xlsx"):
        erase_it(home, token)
    copy.unlink()
    erase_it(home, token)


def test_an_archived_file_that_cannot_be_searched_stops_the_erasure(home: InvoiceHome) -> None:
    folder = home.home / deliver(home, BLIND["bomb"]())
    token = token_of(home)
    with pytest.raises(GsceneError, match=r"2 files can't be searched for the subject: archive/"):
        erase_it(home, token)
    for file in search(home.home, (token,)).unsearchable:
        file.unlink()
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    erase_it(home, token)
