"""What `gscene pseudonymise` hands over is what `gscene run` takes in: signed, counted, one subject an id, and nobody's id."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.settings import Settings
from core.state import StateDatabase
from core.table_store import TableStore
from tests.gscene.command import gscene
from tests.sources.identity import planted

Capture = pytest.CaptureFixture[str]
HEADER = "sfzh|xm|fkssq|dyfkssq|xzlx|dwxydm|jfzt|jfjs|grjfe|dwjfe|dzbz|xzqh|bz|env_flag"
PLAN = {
    "plan": "city_si_person",
    "source": "sim_city_si",
    "purpose": "risk",
    "file": {"format": "csv", "encoding": "gb18030", "delimiter": "|"},
    "ids": {"sfzh": {"kind": "resident", "to": "grbh"}, "dwxydm": {"kind": "enterprise", "to": "dwbh"}},
    "keep": ["fkssq", "dyfkssq", "xzlx", "jfzt", "jfjs", "grjfe", "dwjfe", "dzbz", "xzqh", "bz", "env_flag"],
    "drop": ["xm"],
    "delivery": {
        "adapter": "sim_city_si_person",
        "subject": "resident",
        "table": "si_person_month",
        "control_sums": ["jfjs"],
    },
}


def people_file(folder: Path, month: str, people: list[str], firms: list[str]) -> Path:
    rng = np.random.default_rng(5)
    rows = [
        f"{number}|{planted.name(rng)}|{month}|{month}|110|{firms[place % len(firms)]}|1|8000.00|640.00|1280.00|1|430102||0"
        for place, number in enumerate(people)
    ]
    file = folder / f"people-{month}.csv"
    file.write_bytes("\n".join([HEADER, *rows, ""]).encode("gb18030"))
    return file


def pair_of_keys(folder: Path) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = folder / "private.pem", folder / "public.pem"
    pem = serialization.Encoding.PEM
    private.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.mark.slow
def test_a_signed_delivery_of_the_gateway_is_taken_in(tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(8)
    people, firms = [planted.resident(rng) for _ in range(60)], [planted.uscc(rng) for _ in range(5)]
    plan, keys, inbox, home = (tmp_path / name for name in ("plan.yaml", "keys", "outbox", "home"))
    plan.write_text(yaml.safe_dump(PLAN), encoding="utf-8")
    private, public = pair_of_keys(tmp_path)
    assert gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys).code == 0
    assert gscene(capsys, "trust", "add", "sim_city_si", public, "--by", "Li Na", "--home", home).code == 0
    # A month later the same people are written otherwise.
    months = {"2026-09": people, "2026-10": [planted.full_width(number.lower()) for number in people]}
    for period, written in months.items():
        file = people_file(tmp_path, period.replace("-", ""), written, firms)
        said = gscene(
            capsys, "pseudonymise", "file", file, "--plan", plan, "--keys", keys, "--inbox", inbox,
            "--period", period, "--sign-with", private, "--json",
        )  # fmt: skip
        assert said.code == 0 and said.json["rows_written"] == 60
    run = gscene(capsys, "run", "--inbox", inbox, "--home", home, "--json")
    told = gscene(capsys, "deliveries", "list", "--home", home, "--json").json["deliveries"]
    assert [(one["state"], one["accepted"]) for one in told] == [("ACCEPTED", 60)] * 2, run.err
    table = TableStore(Settings.load(home).lake).read("raw/resident/si_person_month", list(months))
    subjects = table.column("subject_no").to_pylist()
    assert len(subjects) == 120 and len(set(subjects)) == 60
    StateDatabase(Settings.load(home).state_url).engine.dispose()
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert kept and not any(
        number.encode() in body
        for body in (path.read_bytes() for path in kept)
        for number in [*people, *firms]
    )


def test_without_the_source_s_signature_it_is_refused(tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(8)
    plan, keys, inbox, home = (tmp_path / name for name in ("plan.yaml", "keys", "outbox", "home"))
    plan.write_text(yaml.safe_dump(PLAN), encoding="utf-8")
    _, public = pair_of_keys(tmp_path)
    gscene(capsys, "pseudonymise", "keys", "new", "--keys", keys)
    gscene(capsys, "trust", "add", "sim_city_si", public, "--by", "Li Na", "--home", home)
    file = people_file(tmp_path, "202610", [planted.resident(rng)], [planted.uscc(rng)])
    command = [
        "pseudonymise", "file", file, "--plan", plan, "--keys", keys, "--inbox", inbox, "--period", "2026-10",
    ]  # fmt: skip
    assert gscene(capsys, *command).code == 0
    run = gscene(capsys, "run", "--inbox", inbox, "--home", home)
    assert run.code != 0 and "REFUSED/SIGNATURE" in run.err
