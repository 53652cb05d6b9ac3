"""`gscene subject` as an operator meets it: reports, erasure, exit codes, help in two languages."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gscene.__main__ import cli
from tests.gscene.command import gscene
from tests.pipelines.invoice_home import CODES, FACTS_KEY, MONTHS, RAW_KEY, InvoiceHome, copy_of, invoices

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("subject") / "home"
    home = InvoiceHome(folder)
    for month in MONTHS:
        home.deliver(month, invoices(month))
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    home.close()
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return copy_of(made, tmp_path / "home").home


def test_a_report_as_table_json_and_page(home: Path, tmp_path: Path, capsys: Capture) -> None:
    said = gscene(capsys, "subject", "report", "--provider-code", CODES[1], "--home", home)
    assert (
        said.code == 0
        and "rows: 12" in said.out
        and "raw/enterprise/invoice" in said.err
        and "增值税发票" in said.err
    )
    told = gscene(capsys, "subject", "report", "--provider-code", CODES[1], "--home", home, "--json").json
    raw = next(s for s in told["sections"] if s["place"] == "raw/enterprise/invoice")
    assert len(raw["rows"]) == 6 and raw["rows"][0]["delivery_no"] == "sme_tax_out 2024-08 r1 (#1)"
    assert raw["rows"][0]["net_amt"] == "1000.00"
    page = tmp_path / "answer.html"
    again = gscene(
        capsys, "subject", "report", "--subject", told["subject_id"], "--home", home, "--html", page
    )
    assert again.code == 0 and told["subject_id"] in page.read_text("utf-8")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_a_page_inside_the_home_is_refused(home: Path, capsys: Capture) -> None:
    said = gscene(
        capsys, "subject", "report", "--provider-code", CODES[1], "--home", home, "--html", home / "x.html"
    )
    assert said.code == 1 and "inside the home" in said.err and not (home / "x.html").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["report", "--provider-code", "E9999"], 1, "no subject of this home"),
        (["report"], 1, "either --subject or --provider-code"),
        (["report", "--subject", "x", "--provider-code", "y"], 1, "either --subject or --provider-code"),
        (["erase", "--subject", "k1:0", "--request-ref", "R-1", "--reason", "boredom"], 2, "--reason"),
        (
            ["erase", "--subject", "k1:0", "--request-ref", "张三 R1", "--reason", "unlawful"],
            2,
            "--request-ref",
        ),
        (
            ["erase", "--subject", "k1:0", "--request-ref", "R-1", "--reason", "unlawful"],
            1,
            "no subject of this home",
        ),
        (["acknowledge", "--recall", "9"], 1, "no recall 9"),
    ],
)
def test_mistakes_are_told(arguments: list[str], code: int, told: str, home: Path, capsys: Capture) -> None:
    said = gscene(capsys, "subject", *arguments, "--home", home)
    assert said.code == code and told in said.err and "E9999" not in said.err and "张三" not in said.out


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path, capsys: Capture) -> None:
    said = gscene(capsys, "subject", "report", "--provider-code", "E1", "--home", tmp_path / "none")
    assert said.code == 1 and not (tmp_path / "none").exists()


def test_erasing_twice_and_looking_again(home: Path, capsys: Capture) -> None:
    told = gscene(capsys, "subject", "report", "--provider-code", CODES[1], "--home", home, "--json").json
    erase = [
        "subject",
        "erase",
        "--subject",
        told["subject_id"],
        "--request-ref",
        "R-1",
        "--reason",
        "unlawful",
    ]
    done = gscene(capsys, *erase, "--home", home, "--json")
    assert (
        done.code == 0 and done.json["erased"]["table_rows_removed"] == 12 and done.json["repeated"] is False
    )
    assert done.json["recalls"] == [] and done.json["models"] == []
    again = gscene(capsys, *erase, "--home", home, "--json").json
    assert again["repeated"] is True and again["erased"]["table_rows_removed"] == 12
    assert gscene(capsys, "subject", "report", "--provider-code", CODES[1], "--home", home).code == 1
    others = gscene(capsys, "subject", "report", "--provider-code", CODES[0], "--home", home, "--json")
    assert others.code == 0 and len(others.json["sections"][0]["rows"]) > 0
    assert gscene(capsys, "doctor", "--home", home).code in (0, 1)
    assert json.loads(gscene(capsys, "subject", "recalls", "--home", home, "--json").out) == {
        "recalls": [],
        "models": [],
    }


def test_help_teaches_in_two_languages(capsys: Capture) -> None:
    assert "subject" in cli.commands
    for command in ("", "report", "erase", "recalls", "acknowledge"):
        said = gscene(capsys, "subject", *([command] if command else []), "--help")
        assert said.code == 0 and any("\u4e00" <= c <= "\u9fff" for c in said.out), command
    assert "gscene subject erase --subject" in gscene(capsys, "subject", "erase", "--help").out
