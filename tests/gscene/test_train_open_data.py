"""`gscene train` on open data: what is known of these tables comes out, and what is planted in them is found by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.gscene.command import gscene

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.shared_data

TARGET = "default.payment.next.month"
CODES = ["--categorical", "GENDER,EDUCATION,MARRIAGE"]

#: Lateness raises the risk, a higher limit and higher payments lower it: what a banker would say without the data.
SIGNS = [
    *(f"PAY_{n}=+1" for n in (0, 2, 3, 4, 5, 6)), "LIMIT_BAL=-1", *(f"PAY_AMT{n}=-1" for n in range(1, 7)),
]  # fmt: skip


def trained(capsys: Capture, *arguments: str | Path) -> dict[str, Any]:
    said = gscene(capsys, "train", *arguments, "--json")
    assert said.code == 0, said.out
    told: dict[str, Any] = said.json
    return told


@pytest.fixture(scope="module")
def accounts(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "card_default" / "accounts.csv.gz")


@pytest.mark.slow
def test_card_default_reaches_its_marks_and_signs_cost_little(
    shared_data: Path, tmp_path: Path, capsys: Capture
) -> None:
    """5-fold AUC: LightGBM at least 0.780, with signs within 0.005 of it, the scorecard at least 0.765."""
    file = shared_data / "card_default" / "accounts.csv.gz"
    command = ["--table", file, "--target", TARGET, "--id", "ID", *CODES, "--out", tmp_path]
    free = trained(capsys, *command)["metrics"]
    signed = trained(capsys, *command, *(part for sign in SIGNS for part in ("--monotone", sign)))
    assert free["lightgbm.repeats.auc_mean"] >= 0.780
    assert free["scorecard.repeats.auc_mean"] >= 0.765
    assert signed["metrics"]["lightgbm.repeats.auc_mean"] >= free["lightgbm.repeats.auc_mean"] - 0.005
    assert len(signed["signs"]) == 13
    monotone = [each for each in signed["noticed"] if each["name"] == "sensitivity.monotonicity"]
    assert not monotone


def test_german_credit_ships_the_scorecard(shared_data: Path, tmp_path: Path, capsys: Capture) -> None:
    file = shared_data / "german_credit" / "applications.csv"
    told = trained(capsys, "--table", file, "--target", "creditability", "--event", "bad", "--out", tmp_path)
    assert told["ships"] == "scorecard"
    assert 0.76 < told["metrics"]["scorecard.repeats.auc_mean"] < 0.81
    assert told["metrics"]["lightgbm.repeats.auc_mean"] < 0.81


def test_sba_loans_by_time_raise_the_alarm_of_a_base_shift(
    shared_data: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Loans approved before the crisis default in one of eight cases, those just before it in two of five."""
    file = shared_data / "sba_loans" / "loans.csv"
    command = [
        "--table", file, "--target", "Default", "--time", "ApprovalFY", "--subject", "enterprise",
        "--exclude", "LoanNr_ChkDgt,ApprovalDate,DisbursementDate", "--out", tmp_path,
    ]  # fmt: skip
    told = trained(capsys, *command)
    shift = told["base_shift"]
    assert shift["alarmed"] and shift["low"] > 2.0
    assert shift["training_rate"] < 0.15 and shift["later_rate"] > 0.35
    failed = {each["name"] for each in told["noticed"] if each["verdict"] == "fail"}
    assert "calibration.observed_over_expected" in failed
    assert told["metrics"]["scorecard.out_of_time.auc"] > 0.7
    assert "ALARM: the base rate has shifted" in gscene(capsys, "train", *command).err


def test_sme_invoices_tell_their_spread(shared_data: Path, tmp_path: Path, capsys: Capture) -> None:
    """62 firms with an outcome: a number without its spread would be luck."""
    file = firms(shared_data / "sme_invoices", tmp_path)
    command = [
        "--table", file, "--target", "是否违约", "--event", "是", "--subject", "enterprise", "--out", tmp_path,
    ]  # fmt: skip
    told = trained(capsys, *command, "--exclude", "企业代号,信誉评级")
    assert told["steps"]["rows"] == 62 and told["steps"]["events"] == 14
    assert told["steps"]["left out: no outcome"] == 425 - 62
    metrics = told["metrics"]
    for kind in ("scorecard", "lightgbm"):
        assert metrics[f"{kind}.repeats.auc_sd"] > 0.005
        assert metrics[f"{kind}.repeats.auc_p05"] < metrics[f"{kind}.repeats.auc_p95"]
        assert (
            metrics[f"{kind}.cross_validation.auc_high"] - metrics[f"{kind}.cross_validation.auc_low"] > 0.15
        )


def firms(folder: Path, out: Path) -> Path:
    """A plain table of one row a firm from its issued invoices: how many, how much, how regular, how often void."""
    columns = ["企业代号", "开票日期", "购方单位代号", "价税合计", "发票状态"]
    pieces = [
        pd.read_csv(file, usecols=columns, encoding="utf-8-sig")
        for file in sorted((folder / "output_invoice").glob("*.csv.gz"))
    ]
    rows = pd.concat(pieces, ignore_index=True)
    rows["month"] = rows["开票日期"].str.extract(r"^(\d+/\d+)/", expand=False)
    rows["void"] = (rows["发票状态"] != "有效发票").astype(float)
    by_firm = rows.groupby("企业代号")
    monthly = rows.groupby(["企业代号", "month"])["价税合计"].sum().groupby("企业代号")
    made = pd.DataFrame(
        {
            "invoices": by_firm.size(), "total": by_firm["价税合计"].sum(), "median": by_firm["价税合计"].median(),
            "buyers": by_firm["购方单位代号"].nunique(), "void_share": by_firm["void"].mean(),
            "months": monthly.size(), "unrest": monthly.std() / monthly.mean(),
        }
    )  # fmt: skip
    outcomes = pd.read_csv(folder / "enterprises.csv", encoding="utf-8-sig")
    file = out / "firms.csv"
    outcomes.merge(made, left_on="企业代号", right_index=True, how="left").to_csv(file, index=False)
    return file


@pytest.mark.slow
def test_a_leak_a_proxy_and_poisoned_labels_are_named(
    accounts: pd.DataFrame, tmp_path: Path, capsys: Capture
) -> None:
    """One table with all three planted: a column from after the outcome, a stand-in for the group, and turned labels.

    3 % of the labels that nobody verified are turned round evenly, and a fifth of those of one branch on top.
    """
    draw = np.random.default_rng(20)
    rows = len(accounts)
    y = accounts[TARGET].to_numpy()
    planted = accounts.assign(
        COLLECTED=np.where(draw.random(rows) < 0.04, 1 - y, y) + draw.normal(0.0, 0.05, rows),
        CLUB=np.where(draw.random(rows) < 0.1, 3 - accounts["GENDER"], accounts["GENDER"]),
        BRANCH=[f"b{number}" for number in draw.integers(0, 10, rows)],
        VERIFIED=(draw.random(rows) < 0.5).astype(int),
    )
    unverified, branch = planted["VERIFIED"] == 0, planted["BRANCH"] == "b3"
    turned = unverified & (draw.random(rows) < np.where(branch, 0.23, 0.03))
    planted.loc[turned, TARGET] = 1 - planted.loc[turned, TARGET]
    assert 0.02 < turned.mean() < 0.03
    told = run_on(planted, tmp_path, capsys)
    noticed = {each["name"]: each for each in told["noticed"]}
    assert told["leak_suspects"] == ["COLLECTED"]
    assert "CLUB" in noticed["fairness.proxies"]["about"]
    assert "b3" in noticed["leakage.odd_batches"]["about"]
    assert noticed["leakage.flipped_labels"]["value"] > 0.02


@pytest.mark.slow
def test_a_clean_table_accuses_nobody(accounts: pd.DataFrame, tmp_path: Path, capsys: Capture) -> None:
    draw = np.random.default_rng(21)
    rows = len(accounts)
    clean = accounts.assign(
        CLUB=draw.integers(1, 3, rows),
        BRANCH=[f"b{number}" for number in draw.integers(0, 10, rows)],
        VERIFIED=(draw.random(rows) < 0.5).astype(int),
    )
    told = run_on(clean, tmp_path, capsys)
    assert told["leak_suspects"] == []
    accused = {
        "leakage.suspect_features",
        "leakage.odd_batches",
        "leakage.flipped_labels",
        "fairness.proxies",
    }
    assert not accused & {each["name"] for each in told["noticed"]}


def run_on(table: pd.DataFrame, folder: Path, capsys: Capture) -> dict[str, Any]:
    file = folder / "accounts.parquet"
    table.to_parquet(file)
    return trained(
        capsys, "--table", file, "--target", TARGET, "--id", "ID", "--group", "GENDER", "--batch", "BRANCH",
        "--trusted", "VERIFIED", "--categorical", "EDUCATION,MARRIAGE", "--out", folder,
    )  # fmt: skip
