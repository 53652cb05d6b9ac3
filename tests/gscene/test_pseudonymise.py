"""`gscene pseudonymise` as a provider uses it: keys, a plan, a file, a delivery, a rotation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sources.delivery import read_delivery
from tests.gscene.command import gscene
from tests.sources.gateway.plans import csv_text, firms
from tests.sources.identity import planted

Capture = pytest.CaptureFixture[str]
CHECKOUT = Path(__file__).parents[2]
DELIVERY = {
    "adapter": "city_tax_vat",
    "subject": "enterprise",
    "table": "tax_vat_return",
    "control_sums": ["ysxse"],
}


@pytest.fixture
def provider(tmp_path: Path) -> Path:
    """A folder with a file of firms and nothing else."""
    (tmp_path / "tax.csv").write_text(csv_text(firms(60)), encoding="utf-8")
    return tmp_path


def planned(capsys: Capture, folder: Path) -> Path:
    """The plan that the program proposes, with what only a person can add."""
    said = gscene(
        capsys, "pseudonymise", "plan", folder / "tax.csv", "--source", "city_tax", "--purpose", "risk"
    )
    assert said.code == 0
    file = folder / "plan.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(said.out) | {"delivery": DELIVERY}, allow_unicode=True))
    return file


def test_from_a_file_to_a_delivery_and_a_rotation(provider: Path, capsys: Capture) -> None:
    keys, plan = provider / "keys", planned(capsys, provider)
    common = ["--plan", plan, "--keys", keys]
    assert gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys, "--json").json["key_id"] == "k1"
    said = gscene(
        capsys, "pseudonymise", "file", provider / "tax.csv", *common,
        "--inbox", provider / "out", "--period", "2026-10", "--json",
    )  # fmt: skip
    assert said.code == 0 and said.json["rows_written"] == 60 and said.json["key_id"] == "k1"
    delivery = read_delivery(provider / "out" / "city_tax" / "enterprise.tax_vat_return" / "2026-10-r1")
    assert delivery.manifest.rows == 60
    made = gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys, "--algorithm", "hmac-sm3", "--json")
    assert made.json["key_id"] == "k2"
    turned = gscene(
        capsys, "pseudonymise", "rotate", provider / "tax.csv", provider / "walk.parquet", *common,
        "--column", "nsrsbh", "--from", "k1", "--to", "k2", "--valid-from", "2026-11-01", "--json",
    )  # fmt: skip
    assert turned.code == 0 and turned.json["pairs"] == 60
    assert gscene(capsys, "pseudonymise", "keys", "retire", "k1", "--keys", keys).code == 0
    listed = gscene(capsys, "pseudonymise", "keys", "list", "--keys", keys, "--json").json["keys"]
    assert [(key["key_id"], key["retired_at"] is None) for key in listed] == [("k1", False), ("k2", True)]
    refused = gscene(
        capsys,
        "pseudonymise",
        "file",
        provider / "tax.csv",
        provider / "again.csv",
        *common,
        "--key-id",
        "k1",
    )
    assert refused.code == 1 and not (provider / "again.csv").exists()


def test_nobody_s_id_and_no_key_is_said_or_left_behind(provider: Path, capsys: Capture) -> None:
    keys, plan = provider / "keys", planned(capsys, provider)
    gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys)
    said = gscene(
        capsys,
        "pseudonymise",
        "file",
        provider / "tax.csv",
        provider / "out.csv",
        "--plan",
        plan,
        "--keys",
        keys,
    )
    secret = (keys / "k1.key").read_bytes()
    left = [path for path in provider.rglob("*") if path.is_file() and path.name not in ("tax.csv", "k1.key")]
    texts = [path.read_bytes() for path in left] + [said.out.encode(), said.err.encode()]
    for row in firms(60):
        for text in texts:
            assert row["nsrsbh"].encode() not in text and row["jyzsfz"].encode() not in text
    assert not any(secret in text or secret.hex().encode() in text for text in texts)


def test_the_key_may_come_from_another_program(provider: Path, capsys: Capture) -> None:
    """Through stdin, in a process of its own: not in the arguments, the environment or a file."""
    plan, secret = planned(capsys, provider), bytes(range(32))
    command = [
        sys.executable, "-m", "gscene", "pseudonymise", "file", str(provider / "tax.csv"), str(provider / "out.csv"),
        "--plan", str(plan), "--key-fd", "0", "--key-id", "k9", "--algorithm", "hmac-sm3", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, input=secret, capture_output=True, cwd=CHECKOUT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["key_id"] == "k9"
    header, first, *_ = (provider / "out.csv").read_text().splitlines()
    assert header.startswith("nsrsbh,") and first.startswith("k9:")


def test_wrong_use_is_told(provider: Path, capsys: Capture) -> None:
    plan, file = planned(capsys, provider), provider / "tax.csv"
    for arguments, told in (
        ([file, "--plan", plan, "--keys", provider], "either TARGET or --inbox"),
        ([file, "--plan", plan, "--keys", provider, "--inbox", provider], "--inbox needs --period"),
        ([file, provider / "o.csv", "--plan", plan], "--keys"),
        ([file, provider / "o.csv", "--plan", plan, "--key-fd", "0"], "--key-fd needs --key-id"),
    ):
        said = gscene(capsys, "pseudonymise", "file", *arguments)
        assert said.code == 2 and told in said.err


def test_a_delivery_isn_t_written_over(provider: Path, capsys: Capture) -> None:
    keys, plan = provider / "keys", planned(capsys, provider)
    gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys)
    command = [
        "pseudonymise", "file", provider / "tax.csv", "--plan", plan, "--keys", keys,
        "--inbox", provider / "out", "--period", "2026-10",
    ]  # fmt: skip
    assert gscene(capsys, *command).code == 0
    again = gscene(capsys, *command)
    assert again.code == 2 and "--revision" in again.err
    assert gscene(capsys, *command, "--revision", "2").code == 0


def test_a_refused_run_leaves_nothing_in_the_inbox_and_may_be_repeated(
    provider: Path, capsys: Capture
) -> None:
    keys, plan, good = provider / "keys", planned(capsys, provider), (provider / "tax.csv").read_text("utf-8")
    gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys)
    command = [
        "pseudonymise", "file", provider / "tax.csv", "--plan", plan, "--keys", keys,
        "--inbox", provider / "out", "--period", "2026-10",
    ]  # fmt: skip
    (provider / "tax.csv").write_text(good.replace("202610", "联系13800138000", 1), encoding="utf-8")
    refused = gscene(capsys, *command)
    assert refused.code == 1 and "REFUSED/IDENTITY" in refused.err
    assert [path for path in (provider / "out").rglob("*") if path.name != "city_tax"] == []
    (provider / "tax.csv").write_text(good, encoding="utf-8")
    assert gscene(capsys, *command).code == 0
    left = sorted(path.name for path in (provider / "out").rglob("*") if path.is_file())
    assert left == ["2026-10-r1.data.csv.report.json", "data.csv", "manifest.json"]


def test_a_file_can_be_checked_before_it_is_sent(provider: Path, capsys: Capture) -> None:
    keys, plan = provider / "keys", planned(capsys, provider)
    before = gscene(capsys, "pseudonymise", "check", provider / "tax.csv", "--json")
    assert before.code == 3
    found = {(one["column"], one["kind"]) for one in before.json["findings"]}
    assert {("nsrsbh", "uscc"), ("jyzsfz", "resident_id"), ("nsrmc", "name")} <= found
    gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys)
    gscene(
        capsys,
        "pseudonymise",
        "file",
        provider / "tax.csv",
        provider / "out.csv",
        "--plan",
        plan,
        "--keys",
        keys,
    )
    assert gscene(capsys, "pseudonymise", "check", provider / "out.csv", "--json").code == 0


def test_canaries_go_into_the_home_s_keys(tmp_path: Path, capsys: Capture) -> None:
    import numpy as np

    ids = [planted.resident(np.random.default_rng(seed)) for seed in range(5)]
    (tmp_path / "ids.txt").write_text("\n".join([*ids, ""]))
    said = gscene(
        capsys, "pseudonymise", "canaries", tmp_path / "ids.txt", "--home", tmp_path / "home", "--json"
    )
    assert said.code == 0 and said.json["ids"] == 5 and said.json["hashes"] >= 5 * 14 * 6
    file = tmp_path / "home" / "keys" / "canaries.bin"
    assert os.stat(file).st_mode & 0o077 == 0
