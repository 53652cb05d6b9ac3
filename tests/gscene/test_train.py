"""`gscene train`: what it says, writes, and refuses; the same table gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.gscene.command import gscene

Capture = pytest.CaptureFixture[str]


def table(rows: int = 400, seed: int = 3) -> pd.DataFrame:
    """Firms with a number, a code, a month and an outcome; every tenth has none."""
    draw = np.random.default_rng(seed)
    late, town = draw.poisson(1.0, rows), draw.choice(["east", "west", "north"], rows)
    odds = -1.5 + 0.9 * late + np.where(town == "east", 0.8, 0.0)
    y = (draw.random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(float)
    y[::10] = np.nan
    months = [f"2025-{1 + i % 12:02d}" for i in range(rows)]
    return pd.DataFrame(
        {"late": late, "town": town, "noise": draw.normal(size=rows), "month": months, "y": y}
    )


def written(frame: pd.DataFrame, folder: Path, name: str = "firms.csv") -> Path:
    file = folder / name
    if name.endswith(".parquet"):
        frame.to_parquet(file)
    elif name.endswith(".xlsx"):
        frame.to_excel(file, index=False)
    else:
        frame.to_csv(file, index=False)
    return file


def test_help_teaches(capsys: Capture) -> None:
    said = gscene(capsys, "train", "--help")
    assert said.code == 0
    for word in ("--monotone", "loans.csv", "在任意带标签的表上", "LightGBM ships only", "事件"):
        assert word in said.out


def test_by_time_it_reports_everything_and_no_rows(tmp_path: Path, capsys: Capture) -> None:
    file = written(table(), tmp_path)
    out = tmp_path / "out"
    command = [
        "train", "--table", file, "--target", "y", "--time", "month", "--monotone", "late=+1", "--segment", "town",
        "--out", out, "--subject", "enterprise",
    ]  # fmt: skip
    said = gscene(capsys, *command, "--json")
    assert said.code == 0
    told = said.json
    assert told["steps"]["rows of the table"] == 400 and told["steps"]["left out: no outcome"] == 40
    assert told["steps"]["split: training rows"] + told["steps"]["split: out-of-time rows"] == 360
    assert told["metrics"]["scorecard.out_of_time.auc"] > 0.6 and told["signs"] == {"late": 1}
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert names == [
        "bundle.evidence/validation.json", "bundle/golden.json", "bundle/lightgbm.txt", "bundle/model.json",
        "bundle/scorecard.json", "card.json", "columns.json", "report.en.docx", "report.html", "report.json", "report.xlsx",
        "report.zh.docx", "sample.json",
    ]  # fmt: skip
    card = json.loads((out / "bundle" / "model.json").read_text())
    assert card["notice"]["en"].startswith("Trained on a table alone")
    assert card["record"]["definition"]["label"]["column"] == "y"
    assert card["record"]["sample"]["overlap"]["unlabelled"] == 40
    assert "As the column y of the table states it" in (out / "report.html").read_text()
    before = {name: (out / name).read_bytes() for name in names}
    shown = gscene(capsys, *command, "--threads", "2")
    assert {name: (out / name).read_bytes() for name in names} == before
    for word in (
        "Sample / 样本",
        "left out: no outcome",
        "Candidates",
        "Validation / 验证",
        "Event rate from training",
    ):
        assert word in shown.err


def test_reject_inference_is_measured_and_never_used(tmp_path: Path, capsys: Capture) -> None:
    file = written(table(2400), tmp_path)
    command = [
        "train",
        "--table",
        file,
        "--target",
        "y",
        "--exclude",
        "month",
        "--repeats",
        "1",
        "--as-of",
        "2026-01",
    ]
    plain = gscene(capsys, *command, "--out", tmp_path / "a", "--json")
    tried = gscene(capsys, *command, "--out", tmp_path / "b", "--reject-benchmark", "--json")
    assert {each["method"] for each in tried.json["reject_benchmark"]["results"]} == {
        "accepts only", "parcelling", "fuzzy", "reweighting",
    }  # fmt: skip
    assert plain.json["metrics"] == tried.json["metrics"]
    card = Path("bundle", "model.json")
    assert (tmp_path / "a" / card).read_bytes() == (tmp_path / "b" / card).read_bytes()
    assert "Reported only" in gscene(capsys, *command, "--out", tmp_path / "c", "--reject-benchmark").err


@pytest.mark.parametrize("name", ["firms.parquet", "firms.xlsx", "firms.csv.gz"])
def test_other_files_say_the_same_by_repeats(tmp_path: Path, capsys: Capture, name: str) -> None:
    scores = tmp_path / "scores.csv"
    results = []
    for each in ("plain.csv", name):
        file = written(table(), tmp_path, each)
        said = gscene(
            capsys, "train", "--table", file, "--target", "y", "--exclude", "month", "--repeats", "1",
            "--as-of", "2026-01", "--out", tmp_path / "out", "--scores", scores, "--json",
        )  # fmt: skip
        assert said.code == 0
        results.append((said.json["metrics"], pd.read_csv(scores)))
    assert results[0][0] == results[1][0]
    pd.testing.assert_frame_equal(results[0][1], results[1][1])
    frame = results[0][1]
    assert list(frame.columns) == ["row", "judged_as", "pd", "points", "grade"]
    assert len(frame) == 360 and set(frame["row"]) == {i + 2 for i in range(400) if i % 10}


def test_rows_of_one_id_stay_together(tmp_path: Path, capsys: Capture) -> None:
    """Each firm stands five times with one outcome and a feature that tells it from others: by rows that looks like skill."""
    draw = np.random.default_rng(8)
    firm = np.repeat(np.arange(80), 5)
    frame = pd.DataFrame(
        {"firm": firm, "mark": draw.normal(size=80)[firm], "y": (draw.random(80) < 0.4)[firm].astype(int)}
    )
    file = written(frame, tmp_path)
    command = [
        "train",
        "--table",
        file,
        "--target",
        "y",
        "--repeats",
        "2",
        "--out",
        tmp_path / "out",
        "--json",
    ]
    by_rows = gscene(capsys, *command, "--exclude", "firm").json["metrics"]["lightgbm.repeats.auc_mean"]
    by_firm = gscene(capsys, *command, "--id", "firm").json["metrics"]["lightgbm.repeats.auc_mean"]
    assert by_rows > 0.75 and by_firm < 0.65


@pytest.mark.parametrize(
    ("changes", "arguments", "code", "said"),
    [
        ({}, ["--target", "no"], 1, "the table has no such column"),
        ({}, ["--target", "y", "--exclude", "no,late"], 1, "the table has no such column"),
        ({}, ["--target", "town"], 1, "isn't 0/1"),
        ({}, ["--target", "y", "--monotone", "town=+1"], 1, "is no number"),
        ({}, ["--target", "y", "--monotone", "late=up"], 2, "COL=+1"),
        ({}, ["--target", "y", "--time", "noise"], 1, "can't be read"),
        ({"y": 0}, ["--target", "y"], 1, "0 events to learn from"),
        ({"after": "y"}, ["--target", "y"], 1, "leak suspects that alone know every outcome: after."),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, capsys: Capture, changes: dict[str, object], arguments: list[str], code: int, said: str
) -> None:
    frame = table()
    frame = frame.assign(
        **{name: frame[value] if isinstance(value, str) else value for name, value in changes.items()}
    )
    file = written(frame, tmp_path)
    told = gscene(capsys, "train", "--table", file, *arguments, "--out", tmp_path / "out")
    assert told.code == code and said in told.err
    assert not (tmp_path / "out").exists()


def test_broken_files_and_identities_are_refused_with_their_place(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "broken.csv"
    file.write_text("a,y\n1,0\n2,1,9\n", encoding="utf-8")
    told = gscene(capsys, "train", "--table", file, "--target", "y")
    assert told.code == 1 and "REFUSED/STRUCTURE" in told.err and "broken.csv" in told.err
    file.write_text("a,a,y\n1,0,1\n", encoding="utf-8")
    told = gscene(capsys, "train", "--table", file, "--target", "y")
    assert "a column stands twice" in told.err
    (tmp_path / "other.txt").write_text("a,y\n", encoding="utf-8")
    assert (
        "REFUSED/STRUCTURE" in gscene(capsys, "train", "--table", tmp_path / "other.txt", "--target", "y").err
    )
    phones = [f"138{10_000_000 + 7919 * i}" for i in range(400)]
    file = written(table().assign(contact=phones), tmp_path, "phones.csv")
    told = gscene(capsys, "train", "--table", file, "--target", "y", "--exclude", "month")
    assert "REFUSED/IDENTITY" in told.err and "contact" in told.err
    assert not any(phone in told.err for phone in phones)
