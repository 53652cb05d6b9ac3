"""`gscene models`: the whole way by commands, what they refuse and how, the inventory, comparison and rollback."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import SystemClock
from models.training_record import TrainingRecord
from tests.gscene.command import gscene
from tests.models.signing import NAME, SignedHome
from tests.models.worlds import SIGNS as ALL_SIGNS
from tests.models.worlds import definition, sample, trained

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path) -> SignedHome:
    return SignedHome(tmp_path / "home", start=SystemClock().now())


@pytest.fixture(autouse=True)
def no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told to MLflow is tested with MLflow, in test_outbox; here its import alone would take longer than everything."""
    from models.outbox import Synced

    monkeypatch.setattr("models.outbox.sync", lambda *_: Synced(0, 0, None))


def other_record() -> TrainingRecord:
    """Trained otherwise: other parameters and without one feature."""
    from models.training import train

    lightgbm = definition().lightgbm.model_copy(update={"num_leaves": 3})
    changed = definition().model_copy(update={"lightgbm": lightgbm})
    rows = replace(sample(seed=4), features=sample(seed=4).features.drop(columns="noise"))
    signs = {name: sign for name, sign in ALL_SIGNS.items() if name != "noise"}
    return train(changed, rows, signs, replace(trained().inputs, training_month="2026-09"))


def test_the_way_to_live_and_back_by_commands(home: SignedHome, tmp_path: Path, capsys: Capture) -> None:
    home.train("2026-06")
    key, at = tmp_path / "stick" / "promotion.pem", ("--home", home.home)
    made = gscene(capsys, "models", "keys", "--create", key, "--as", "Key Officer", *at, "--json")
    assert made.code == 0 and key.stat().st_mode & 0o077 == 0 and made.json["keys"][0]["state"] == "in force"

    def act(name: str, who: str, *more: str | Path, code: int = 0) -> None:
        said = gscene(capsys, "models", name, NAME, "--as", who, "--reason", "because", *more, *at, "--json")
        assert said.code == code, said.out + said.err

    act("submit", "Li Wei")
    act("validate", "Li Wei", code=3)
    act("validate", "Zhao Lin", "--condition", "2099-01-31: by branch")
    act("approve", "Zhao Lin", "--key", key, "--pia", "PIA-2026-07", code=3)
    act("approve", "Chen Yu", "--key", key, code=3)
    act("approve", "Chen Yu", "--key", key, "--pia", "PIA-2026-07")
    act("promote", "Sun Hao")
    shown = gscene(capsys, "models", "show", NAME, *at, "--json").json
    assert [(h["act"], h["who"]) for h in shown["history"]] == [
        ("submit", "Li Wei"), ("validate", "Zhao Lin"), ("approve", "Chen Yu"), ("promote", "Sun Hao"),
    ]  # fmt: skip
    assert (shown["state"], shown["pia"], shown["conditions"][0]["what"]) == (
        "live",
        "PIA-2026-07",
        "by branch",
    )
    act("close", "Zhao Lin", code=2)
    assert gscene(capsys, "models", "close", "1", "--as", "Zhao Lin", "--reason", "done", *at).code == 0

    home.train("2026-09", other_record())
    for name, who in (("submit", "Li Wei"), ("validate", "Zhao Lin")):
        act(name, who, "--version", "2026-09")
    act("approve", "Chen Yu", "--key", key, "--pia", "PIA-2026-07")
    act("promote", "Sun Hao")
    assert home.gate()[0].training_month == "2026-09"
    act("rollback", "Sun Hao")
    assert home.gate()[0].training_month == "2026-06"

    listed = gscene(capsys, "models", "list", *at, "--json").json["models"]
    assert [(line["version"][:7], line["state"], line["tier"]) for line in listed] == [
        ("2026-09", "dev", 2), ("2026-06", "live", 2),
    ]  # fmt: skip
    assert listed[1]["due"] and listed[1]["due_for"] and listed[1]["approval"].endswith("approved by people")

    changes = gscene(capsys, "models", "compare", NAME, "2026-06", "2026-09", *at, "--json").json[
        "differences"
    ]
    told = {(each["part"], each["what"]): (each["before"], each["after"]) for each in changes}
    assert told["features", "noise"] == ("free", None)
    assert told["lightgbm", "num_leaves"] == (4, 3)
    assert {"discrimination", "calibration", "grades"} <= {part for part, _ in told}
    assert ("lightgbm", "rounds") not in told, "what is equal isn't listed"

    report = gscene(
        capsys, "models", "report", NAME, "--version", "2026-06", "--out", tmp_path / "r.html", *at
    )
    assert report.code == 0 and (tmp_path / "r.html").read_text().startswith("<p>")
    act("retire", "Risk Head", "--version", "2026-06")
    with pytest.raises(Exception, match="no version of tiny_risk is live"):
        home.gate()


def test_refusals_carry_code_and_remedy(home: SignedHome, capsys: Capture) -> None:
    home.train()
    at = ("--home", home.home)
    said = gscene(capsys, "models", "promote", NAME, "--as", "Sun Hao", "--reason", "now", *at, "--json")
    assert (said.code, said.json["code"]) == (3, "SIGN_OFF/STATE") and "gscene models submit" in said.json[
        "remedy"
    ]
    said = gscene(capsys, "models", "promote", NAME, "--as", "Sun Hao", "--reason", "now", *at)
    assert "Gate refused SIGN_OFF/STATE" in said.err and "remedy:" in said.err
    assert gscene(capsys, "models", "show", "no_such", *at).code == 1
    assert gscene(capsys, "models", "show", NAME, "--version", "1999", *at).code == 1
    assert gscene(capsys, "models", "keys", "--create", home.home / "k.pem", *at).code == 2
    nowhere = gscene(capsys, "models", "list", "--home", home.home / "nowhere")
    assert nowhere.code == 1 and not (home.home / "nowhere").exists()


def test_tables_speak_both_languages(home: SignedHome, capsys: Capture) -> None:
    home.live()
    home.days = 0
    said = gscene(capsys, "models", "list", "--home", home.home)
    for word in ("模型清单", "用途与局限", "已经人工审批", "approved by people", "Approver C", "Risk"):
        assert word in said.err
    assert "审批到期 / approval ends" in said.err or "复审 / review" in said.err
    assert "MLflow has not been told" in said.err
    told = gscene(capsys, "models", "--help")
    assert "模型清单" in told.out and "rollback" in told.out


def test_a_demos_approval_is_marked_in_the_list(tmp_path: Path, capsys: Capture) -> None:
    from models.demo_sign_off import sign_automatically

    home = SignedHome(tmp_path / "home", sign_off="automatic_in_demo", start=SystemClock().now())
    sign_automatically(home.state, home.settings, home.clock, home.train())
    assert "not approved by people" in gscene(capsys, "models", "list", "--home", home.home).err
    (home.home / "gscene.yaml").write_text("sign_off: required\n")
    line = gscene(capsys, "models", "list", "--home", home.home, "--json").json["models"][0]
    assert line["holds"] == "SIGN_OFF/AUTOMATIC"


def test_a_home_in_use_is_made_a_demo_by_no_command(home: SignedHome, capsys: Capture) -> None:
    said = gscene(capsys, "run", "--demo", "--home", home.home)
    assert said.code == 1 and "in use and no demo" in said.err and "gscene models" in said.err
    assert not home.settings.demo
