"""`gscene contracts` tells, checks, publishes and draws; what it refuses names file, line and version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from core.state import Delivery
from expectations.contract import FOLDER
from tests.gscene.command import gscene
from tests.pipelines.invoice_home import FACTS_KEY, MONTHS, RAW, RAW_KEY, InvoiceHome, invoices

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    """Options for a folder of two contracts that nobody has published."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    for table in ("util_bill", "ps_flag"):
        shutil.copy(FOLDER / f"{table}.yaml", folder)
    return ["--folder", str(folder), "--published", str(tmp_path / "published.json")]


def test_the_shipped_contracts_pass(capsys: Capsys) -> None:
    said = gscene(capsys, "contracts", "check", "--json")
    assert said.code == 0 and said.json["contracts"] >= 49
    assert gscene(capsys, "contracts", "diff", "--json").json == {"contracts": {}}


def test_list_and_show_tell_what_a_table_promises(capsys: Capsys) -> None:
    told = {row["table"]: row for row in gscene(capsys, "contracts", "list", "--json").json["contracts"]}
    assert told["nontax_recon"]["owners"] == ["shared"] and told["util_bill"]["domain"] == "utilities"
    said = gscene(capsys, "contracts", "show", "veh_violation")
    assert (
        said.code == 0
        and "交通违法" in said.err
        and "Traffic offences" in said.err
        and "fine_amt" in said.err
    )
    shown = gscene(capsys, "contracts", "show", "veh_violation", "--json").json["contract"]
    assert shown["columns"]["points"]["maximum"] == 12
    unknown = gscene(capsys, "contracts", "show", "nothing")
    assert unknown.code == 1 and "contracts list" in unknown.err


def test_publish_diff_and_check_go_together(capsys: Capsys, place: list[str]) -> None:
    assert gscene(capsys, "contracts", "check", *place).code == 1
    assert gscene(capsys, "contracts", "publish", *place, "--json").json == {
        "ps_flag": "1.0.0",
        "util_bill": "2.0.0",
    }
    assert gscene(capsys, "contracts", "check", *place).code == 0
    file = Path(place[1]) / "ps_flag.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("          - {value: deceased, label: 已死亡, description: Deceased}\n", ""), "utf-8"
    )
    refused = gscene(capsys, "contracts", "check", *place, "--json")
    assert refused.code == 1 and refused.json["code"] == "REFUSED/VERSION"
    assert refused.json["place"].startswith(f"{file}:") and "needs 2.0.0" in refused.json["error"]
    assert gscene(capsys, "contracts", "publish", *place).code == 1
    told = gscene(capsys, "contracts", "diff", "ps_flag", *place, "--json").json["contracts"]["ps_flag"]
    assert told["needed"] == "2.0.0" and told["changes"] == [
        {"column": "flag", "what": "code removed: deceased", "breaking": True}
    ]
    assert "major (breaking)" in gscene(capsys, "contracts", "diff", *place).err
    file.write_text(file.read_text("utf-8").replace("version: 1.0.0", "version: 2.0.0"), "utf-8")
    assert gscene(capsys, "contracts", "publish", *place).code == 0
    assert gscene(capsys, "contracts", "check", *place).code == 0


def test_the_page_is_written_where_asked(capsys: Capsys, tmp_path: Path) -> None:
    out = tmp_path / "to" / "dictionary.html"
    said = gscene(capsys, "contracts", "page", "--out", out, "--json")
    assert said.code == 0 and said.json == {"page": str(out)}
    assert "数据字典" in out.read_text(encoding="utf-8")


def test_help_teaches(capsys: Capsys) -> None:
    told = gscene(capsys, "contracts", "--help").out
    for command in ("list", "show", "check", "diff", "publish", "page"):
        assert f"gscene contracts {command}" in told


def test_rebuild_makes_raw_rows_anew_and_they_are_validated_again(capsys: Capsys, tmp_path: Path) -> None:
    home = InvoiceHome(tmp_path / "home")
    for month in MONTHS:
        home.deliver(month, invoices(month))
    home.run(RAW_KEY, FACTS_KEY, first=MONTHS[0], last=MONTHS[-1])
    before = home.store.read(RAW)
    asked = ["contracts", "rebuild", "invoice", "--by", "Li Na", "--home", home.home]
    told = gscene(capsys, *asked, "--json").json["rebuilt"]
    assert [(row["table"], row["deliveries"], row["rows"]) for row in told] == [(RAW, 3, before.num_rows)]
    assert home.store.read(RAW).equals(before)
    missing = home.workplace.settings.archive / next(iter(archived(home)))
    missing.unlink()
    said = gscene(capsys, *asked)
    assert said.code == 1 and "no longer holds the bytes" in said.err
    assert home.store.read(RAW).equals(before)
    for table, told_why in (("util_bill", "holds no rows"), ("nothing", "no contract")):
        said = gscene(capsys, "contracts", "rebuild", table, "--by", "Li Na", "--home", home.home)
        assert said.code == 1 and told_why in said.err
    home.close()


def archived(home: InvoiceHome) -> list[str]:
    with home.state.session() as session:
        return list(session.scalars(select(Delivery.archive)))
