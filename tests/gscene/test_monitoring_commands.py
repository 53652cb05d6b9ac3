"""`gscene models monitor` shows what is stored; `gscene scores ifrs9` refuses without a signed model."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import Settings
from core.table_store import TableStore
from models.monitoring.measure import Measure, Monitored
from models.monitoring.monthly_monitoring import monitoring_table
from pipelines.workplace import blueprint
from tests.gscene.command import gscene
from tests.models.signing import SignedHome

Capture = pytest.CaptureFixture[str]
MODEL = "enterprise_risk"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    signed = SignedHome(tmp_path / "home")
    store = TableStore(Settings.load(signed.home).lake)
    for month, psi in (("2026-07", 0.4), ("2026-08", 0.5)):
        measures = (Measure("scored", 900.0, 900), Measure("score_psi_reference", psi, 900, chance=0.02))
        told = Monitored(MODEL, month, f"{MODEL}/2026-06-0123456789ab", "a" * 64, "2026-06", "", measures)
        store.replace(monitoring_table(blueprint().models[MODEL]), month, told.table())
    return signed.home


def test_months_triggers_and_pages_are_told(home: Path, capsys: Capture) -> None:
    said = gscene(capsys, "models", "monitor", "--home", home, "--json")
    assert said.code == 0, said.err
    months = said.json["months"]
    assert [(each["model"], each["month"], each["PSI reference"]) for each in months] == [
        (MODEL, "2026-07", 0.4),
        (MODEL, "2026-08", 0.5),
    ]
    assert [[told["response"] for told in each["triggers"]] for each in months] == [["told"], ["retrain"]]
    assert months[1]["page"].endswith(f"monitoring_{MODEL}/2026-08.html")
    one = gscene(capsys, "models", "monitor", MODEL, "--month", "2026-08", "--home", home, "--json")
    assert one.json["months"] == months[1:]
    shown = gscene(capsys, "models", "monitor", "--model", MODEL, "--home", home)
    assert shown.code == 0 and "SCORE_DRIFT" in shown.err and "监测" in shown.err


def test_nothing_monitored_and_wrong_use_are_told(tmp_path: Path, home: Path, capsys: Capture) -> None:
    empty = SignedHome(tmp_path / "empty").home
    said = gscene(capsys, "models", "monitor", "--home", empty)
    assert said.code == 1 and "no month is monitored yet" in said.err
    assert gscene(capsys, "models", "monitor", "no_such", "--home", home).code == 1
    assert gscene(capsys, "models", "monitor", MODEL, "--as", "Zhao Lin", "--home", home).code == 2
    assert gscene(capsys, "models", "monitor", MODEL, "--reason", "x", "--home", home).code == 2


def test_the_export_is_refused_by_the_gate_without_a_signed_model(home: Path, capsys: Capture) -> None:
    said = gscene(capsys, "scores", "ifrs9", "--as-of", "2026-08", "--home", home, "--json")
    assert said.code == 3 and said.json["code"] == "SIGN_OFF/MISSING"
    other = gscene(capsys, "scores", "ifrs9", "--as-of", "2026-08", "--model", "invoice_risk", "--home", home)
    assert other.code == 1 and "none for IFRS 9" in other.err
