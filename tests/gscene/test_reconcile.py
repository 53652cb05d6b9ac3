"""`gscene reconcile`: books as files in, cases told, deliveries that are taken in like any other, bad books refused whole."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest

from core.months import CHINA_TIME, Month
from expectations.month_findings import RECONCILED
from sources.arrivals import Arrival
from sources.province.scenes.non_tax import PLANTED, NonTax, write
from sources.reconciliation import SETTLED, Case, reconcile
from sources.reconciliation_books import columns_of, read_book
from tests.gscene.command import gscene
from tests.sources.province.scenes.office import Office

MONTH = Month(2026, 3)
BOOKS = ("platform", "gov", "bank")
Capsys = pytest.CaptureFixture[str]


def lay_books(folder: Path, fees: NonTax) -> dict[str, Path]:
    """The scene's three books as files, amounts in yuan."""
    folder.mkdir()
    paths = {}
    for name, book in write(fees, folder / "inbox of the scene").books.items():
        fen = book.column("amt_fen").to_pylist()
        yuan = [f"{'-' if each < 0 else ''}{abs(each) // 100}.{abs(each) % 100:02d}" for each in fen]
        table = book.append_column("amt", [yuan]).select(columns_of(name))
        paths[name] = folder / f"{name}.csv"
        pa_csv.write_csv(table, paths[name], pa_csv.WriteOptions(quoting_style="none", quoting_header="none"))
    return paths


def options(paths: dict[str, Path]) -> list[str | Path]:
    return [each for name in BOOKS for each in (f"--{name}", paths[name])] + ["--platform-cd", "430800"]


def test_books_in_files_are_told_as_they_were_planted(tmp_path: Path, capsys: Capsys) -> None:
    fees = NonTax(payers=200, payments=500)
    paths = lay_books(tmp_path / "books", fees)
    open_orders = tmp_path / "open.csv"
    said = gscene(
        capsys,
        "reconcile",
        *options(paths),
        "--open-orders",
        open_orders,
        "--inbox",
        tmp_path / "inbox",
        "--json",
    )
    assert said.code == 3
    cases = {str(case): count for case, count in PLANTED.items()}
    assert said.json["cases"] == {**cases, str(Case.MATCHED): 500 - sum(PLANTED.values())}
    with open_orders.open(encoding="utf-8") as lines:
        listed = Counter(row["case"] for row in csv.DictReader(lines))
    assert listed == {str(case): count for case, count in PLANTED.items() if case not in SETTLED}
    # The result comes in as any delivery does, to the fen.
    (tmp_path / "bank").mkdir()
    office = Office(tmp_path / "bank")
    at = datetime(2026, 4, 3, 9, tzinfo=CHINA_TIME)
    (folder,) = said.json["deliveries"]
    office.take([Arrival(Path(folder), at, "replayed")])
    days = office.rows(RECONCILED)
    expected = reconcile(*(read_book(paths[name], name) for name in BOOKS)).days
    assert days.num_rows == expected.num_rows
    for name in ("gov_amt_fen", "bank_amt_fen", "long_cnt"):
        assert pc.sum(days.column(name)).as_py() == pc.sum(expected.column(name)).as_py()
    assert days.column("settled_flag").to_pylist().count(False) == sum(said.json["open_days"].values())
    # The same revision isn't written over.
    again = gscene(capsys, "reconcile", *options(paths), "--inbox", tmp_path / "inbox")
    assert again.code == 1 and "--revision" in again.err


def test_books_that_agree_end_with_0(tmp_path: Path, capsys: Capsys) -> None:
    settled = {case: count for case, count in PLANTED.items() if case in SETTLED}
    paths = lay_books(tmp_path / "books", NonTax(payers=50, payments=80, planted=settled))
    said = gscene(capsys, "reconcile", *options(paths))
    assert said.code == 0 and "一致" in said.err


@pytest.mark.parametrize(
    ("line", "place", "told"),
    [
        (",PT9,wechat,ZS1,1.00,CZ9", "[entry_date]", "empty"),
        ("2026-03-32,PT9,wechat,ZS1,1.00,CZ9", "[entry_date]", "2026-03-31"),
        ("2026-03-02,PT9,wechat,ZS1,1.005,CZ9", "[amt]", "decimals"),
        ("2026-03-02,PT9,wechat,ZS1,1.00", "gov.csv:4", "6 cells"),
    ],
)
def test_a_bad_book_is_refused_with_line_and_column(
    tmp_path: Path, capsys: Capsys, line: str, place: str, told: str
) -> None:
    paths = lay_books(tmp_path / "books", NonTax(payers=10, payments=20, planted={}))
    lines = paths["gov"].read_text(encoding="utf-8").splitlines()
    paths["gov"].write_text("\n".join([*lines[:3], line, *lines[3:]]) + "\n", encoding="utf-8")
    said = gscene(capsys, "reconcile", *options(paths), "--inbox", tmp_path / "inbox")
    assert said.code == 1 and "gov.csv" in said.err and "4" in said.err and told in said.err
    assert not (tmp_path / "inbox").exists()
    if place.startswith("["):
        assert place[1:-1] in said.err
