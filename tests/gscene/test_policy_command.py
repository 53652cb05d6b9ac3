"""`gscene policy` the whole way: study, propose, adopt, decide; and what it refuses."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from core.clock import SystemClock
from core.state import AuditEvent
from models.conditions import today
from models.training_record import TrainingRecord
from tests.gscene.command import Said, gscene
from tests.models.explanation.asked_home import (
    AS_OF,
    ROWS,
    TOKENS,
    DecidedHome,
    matrix,
    order,
    record,
    small_plan,
)
from tests.models.signing import NAME

Capture = pytest.CaptureFixture[str]

TEXT = """
policy: tiny_credit
version: {version}
model: tiny_risk
title: {{zh: 试, en: tiny}}
owner: {{zh: 风险, en: Risk}}
effective_from: {begin}
cut_offs: {{approve_from: 500, decline_below: 480}}
economics: {{exposure_amt: 100000, margin_rate: 0.3, lgd: 0.5, cost_amt: 100}}
vetoes:
  - rule: FEW_CUSTOMERS
    feature: customers_12m
    at_most: 3
    outcome: decline
    text: {{zh: 客户过少, en: Hardly any customers}}
"""


def challenger() -> TrainingRecord:
    """The same model by its other candidate."""
    from models.candidates import CandidateKind

    ships = CandidateKind.SCORECARD if record().ships is CandidateKind.LIGHTGBM else CandidateKind.LIGHTGBM
    return replace(record(), choice=replace(record().choice, ships=ships))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecidedHome]:
    with small_plan():
        made = DecidedHome(tmp_path_factory.mktemp("decided") / "home", start=SystemClock().now())
        made.fill()
        made.live("2026-06", record())
        made.score()
        made.train("2026-05", challenger())
        yield made


def write(folder: Path, version: int = 1, begin: str = "") -> Path:
    file = folder / f"tiny-{version}.yaml"
    file.write_text(TEXT.format(version=version, begin=begin or today(SystemClock())), encoding="utf-8")
    return file


def run(capsys: Capture, home: DecidedHome, *arguments: str | Path) -> Said:
    return gscene(capsys, "policy", *arguments, "--home", home.home)


def test_a_study_and_its_page(home: DecidedHome, tmp_path: Path, capsys: Capture) -> None:
    file = write(tmp_path)
    told = run(capsys, home, "what-if", file, "--json").json
    x, y = matrix(ROWS, seed=2)
    few = int((x[:, order().index("customers_12m")] <= 3).sum())
    assert (
        told["rows"] == ROWS
        and told["rows_seen_in_training"] is True
        and told["vetoes"][0]["rows"] == few > 0
    )
    assert sum(each["rows"] for each in told["outcomes"].values()) == ROWS
    assert sum(each["events"] for each in told["outcomes"].values()) == int(y.sum())
    assert told["outcomes"]["approve"]["rows"] == told["own"]["approved"] > 0
    other = run(capsys, home, "what-if", file, "--approve-from", "520", "--lgd", "0.9", "--json").json
    assert other["own"]["points"] == 520 and other["own"]["approved"] < told["own"]["approved"]
    page = tmp_path / "study.html"
    said = run(capsys, home, "what-if", file, "--html", page)
    assert (
        said.code == 0 and "Cut-offs" in said.err and "模型学习过这些行" in page.read_text(encoding="utf-8")
    )
    assert not any(token in page.read_text(encoding="utf-8") for token in TOKENS)
    assert run(capsys, home, "what-if", file, "--lgd", "2").code == 2
    with home.state.session() as session:
        assert not session.scalars(select(AuditEvent).where(AuditEvent.action.like("policy.%"))).all()


def test_the_swap_set_of_two_versions(home: DecidedHome, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "swap.html"
    said = run(capsys, home, "swap", write(tmp_path), "--challenger", "2026-05", "--html", page, "--json")
    swap = said.json["swap_set"]
    assert sum(swap[cell]["rows"] for cell in ("both", "swapped_in", "swapped_out", "neither")) == ROWS
    assert swap["swapped_in"]["rows"] > 0 and swap["champion_from"] == 500
    assert [name.split("/")[1][:7] for name in said.json["versions"]] == ["2026-06", "2026-05"]
    assert "换入换出" in page.read_text(encoding="utf-8")


def test_from_proposal_to_decisions(home: DecidedHome, tmp_path: Path, capsys: Capture) -> None:
    file, out = write(tmp_path), tmp_path / "decisions.csv"
    asked = tmp_path / "asked.txt"
    asked.write_text("\n".join([*TOKENS[:60], "k1:nobody"]), encoding="utf-8")
    act = ("--as", "Li Wei", "--reason", "because")
    apply = ("apply", NAME, "--subjects", asked, "--out", out, "--as", "Wang Fang", "--reason", "daily")
    assert run(capsys, home, *apply).code == 3 and not out.exists()
    assert run(capsys, home, "propose", file, *act).code == 0
    assert run(capsys, home, *apply).code == 3
    assert run(capsys, home, "adopt", "tiny_credit", "--version", "1", *act).code == 3
    assert (
        run(
            capsys, home, "adopt", "tiny_credit", "--version", "1", "--as", "Chen Yu", "--reason", "committee"
        ).code
        == 0
    )
    listed = run(capsys, home, "list", "--json").json["policies"]
    assert [(p["policy"], p["state"], p["proposed by"], p["adopted by"]) for p in listed] == [
        ("tiny_credit/1", "in force", "Li Wei", "Chen Yu")
    ]
    shown = run(capsys, home, "show", "tiny_credit", "--json").json
    assert shown["vetoes"][0]["rule"] == "FEW_CUSTOMERS" and shown["state"] == "in force"

    said = run(capsys, home, *apply, "--json")
    assert said.code == 0, said.err
    assert out.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8-sig"))))
    assert [row["subject_id"] for row in rows] == [*TOKENS[:60], "k1:nobody"]
    x, _ = matrix(ROWS, seed=2)
    published = (home.settings.out / "scores" / NAME / f"{AS_OF}.csv").read_text(encoding="utf-8")
    pd = {row["subject_id"]: float(row["pd"]) for row in csv.DictReader(io.StringIO(published))}
    customers = x[:, order().index("customers_12m")]
    for place, row in enumerate(rows[:60]):
        points = int(row["points"])
        exact = 600 + 20 / np.log(2) * (np.log(1 / pd[row["subject_id"]] - 1) - np.log(30))
        assert abs(points - exact) < 0.51
        by_score = "approve" if points >= 500 else "refer" if points >= 480 else "decline"
        assert row["decision"] == ("decline" if customers[place] <= 3 else by_score)
        assert row["rules"] == ("FEW_CUSTOMERS" if customers[place] <= 3 else "")
        assert row["policy"] == "tiny_credit/1" and row["policy_sha256"] == listed[0]["sha256"]
    assert {row["decision"] for row in rows} == {"approve", "refer", "decline"}
    assert (rows[-1]["decision"], rows[-1]["rules"]) == ("refer", "NO_SCORE")
    with home.state.session() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "policy.applied")).one()
    assert (
        event.actor == "Wang Fang"
        and event.details["rows"] == 61
        and event.details["counts"] == said.json["counts"]
    )

    # Everybody with a score, where no list is given; and by the policy of another day there is none.
    everybody = run(
        capsys, home, "apply", NAME, "--out", out, "--as", "Wang Fang", "--reason", "all", "--json"
    )
    assert everybody.json["rows"] == ROWS
    assert run(capsys, home, *apply, "--on", "2020-01-01").code == 3
    assert run(capsys, home, "apply", NAME, "--out", home.home / "x.csv", *act).code == 1
    kept = home.home / "policies" / "tiny_credit" / "1.yaml"
    text = kept.read_text(encoding="utf-8")
    kept.write_text(text.replace("approve_from: 500", "approve_from: 480"), encoding="utf-8")
    refused = run(capsys, home, *apply)
    kept.write_text(text, encoding="utf-8")
    assert refused.code == 3 and "was changed" in refused.err


def test_a_policy_that_does_not_fit_the_model_is_not_proposed(
    home: DecidedHome, tmp_path: Path, capsys: Capture
) -> None:
    file = write(tmp_path, version=2)
    file.write_text(file.read_text(encoding="utf-8").replace("customers_12m", "sex"), encoding="utf-8")
    said = run(capsys, home, "propose", file, "--as", "Li Wei", "--reason", "because")
    assert (
        said.code == 1
        and "isn't a feature" in said.err
        and not (home.home / "policies" / "tiny_credit" / "2.yaml").exists()
    )


def test_help_teaches_in_two_languages(capsys: Capture) -> None:
    for command in ("", "list", "show", "what-if", "swap", "propose", "adopt", "apply"):
        said = gscene(capsys, "policy", *([command] if command else []), "--help")
        assert said.code == 0 and any("\u4e00" <= c <= "\u9fff" for c in said.out), command
        assert "gscene policy" in said.out
