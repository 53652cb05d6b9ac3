"""Scoring demands a sign-off that holds: missing, ended, tampered with or the demo's, it refuses with a code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from core.errors import GsceneError
from core.model_state import ModelChange
from core.state import ModelVersion
from models.demo_sign_off import mark_as_demo, sign_automatically
from models.monthly_training import champion_or_newest
from models.promotion_key import create_key, load_promotion_key, revoke_key
from models.signing_desk import SigningDesk
from tests.models.signing import AS_OF, NAME, NOW, WHY, SignedHome, refused
from tests.models.worlds import trained

PIA = "PIA-2026-07"


def test_what_was_never_signed_doesnt_score(empty: SignedHome) -> None:
    refused("MISSING", empty.gate)
    version = empty.train()
    for act in (
        lambda: None,
        lambda: empty.desk.submit(version, "Author A", WHY),
        lambda: empty.desk.validate(version, "Validator B", WHY),
        lambda: empty.desk.approve(version, "Approver C", WHY, empty.key, pia=PIA),
    ):
        act()
        told = refused("MISSING", empty.gate)
        assert "gscene models" in told.remedy and NAME in told.remedy


def test_expired_or_under_another_policy_it_doesnt_score(home: SignedHome) -> None:
    home.days = 365
    home.gate()
    home.days = 366
    refused("EXPIRED", home.gate)
    version = home.desk
    with home.state.session() as session:
        model = session.scalars(select(ModelVersion)).one()
    refused("VALIDATION", lambda: version.approve(model, "Approver C", WHY, home.key, pia=PIA))
    home.days = 230
    home.desk.validate(model, "Validator B", WHY)
    home.desk.approve(model, "Approver C", WHY, home.key, pia=PIA, until=date(2027, 9, 1))
    home.days = 290
    home.gate()
    policy = home.home / "sign_off.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("tier: 2", "tier: 1"), encoding="utf-8")
    refused("OTHER_POLICY", home.gate)


def statement_of(home: SignedHome, suffix: str) -> Path:
    return next((home.home / "models" / NAME / "2026-06-made.signed").glob(f"*{suffix}"))


def _edit(home: SignedHome, sql: str) -> None:
    with home.state.session() as session:
        session.execute(text(sql))


def _other_key(home: SignedHome) -> None:
    file = home.home.parent / "other.pem"
    create_key(file, home.settings, home.state, home.clock, "Somebody")
    key = load_promotion_key(file, home.settings)
    statement_of(home, ".sig").write_text(key.sign(statement_of(home, ".json").read_bytes()))


def _unregistered_key(home: SignedHome) -> None:
    stranger = SignedHome(home.home.parent / "stranger")
    statement_of(home, ".sig").write_text(stranger.key.sign(statement_of(home, ".json").read_bytes()))


def _other_models_statement(home: SignedHome) -> None:
    home.approved("2026-09")
    other = next((home.home / "models" / NAME / "2026-09-made.signed").glob("*.json"))
    for suffix in (".json", ".sig"):
        shutil.copy(other.with_suffix(suffix), statement_of(home, suffix))


def _change(home: SignedHome, suffix: str, old: bytes, new: bytes) -> None:
    file = statement_of(home, suffix)
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new, 1))


def _pushed_to_live(home: SignedHome) -> None:
    home.train("2026-10")
    _edit(home, "UPDATE model_standing SET state = 'live'")


OTHER = "0" * 64

TAMPERING: dict[str, tuple[str, Callable[[SignedHome], object]]] = {
    "statement changed": ("SIGNATURE", lambda h: _change(h, ".json", b"2027", b"2029")),
    "statement gone": ("SIGNATURE", lambda h: statement_of(h, ".json").unlink()),
    "signature gone": ("SIGNATURE", lambda h: statement_of(h, ".sig").unlink()),
    "signature of nonsense": ("SIGNATURE", lambda h: statement_of(h, ".sig").write_bytes(b"\xff\x00")),
    "signature flipped": ("SIGNATURE", lambda h: _change(h, ".sig", b" ", b" 0000")),
    "signed by another registered key": ("SIGNATURE", _other_key),
    "signed by a stranger's key": ("SIGNATURE", _unregistered_key),
    "another model's statement": ("SIGNATURE", _other_models_statement),
    "key revoked": (
        "SIGNATURE",
        lambda h: revoke_key(h.key.key_id, h.settings, h.state, h.clock, "Key Officer"),
    ),
    "expiry moved in the database": (
        "SIGNATURE",
        lambda h: _edit(h, "UPDATE model_sign_off SET expires_at = '2029-01-01 00:00:00'"),
    ),
    "approver renamed in the database": (
        "SIGNATURE",
        lambda h: _edit(h, "UPDATE model_sign_off SET approver = 'Nobody'"),
    ),
    "bundle swapped in the database": (
        "OTHER_MODEL",
        lambda h: _edit(h, f"UPDATE model_version SET bundle_sha256 = '{OTHER}'"),
    ),
    "sign-off row gone": ("MISSING", lambda h: _edit(h, "DELETE FROM model_sign_off")),
    "state pushed to live without one": ("MISSING", _pushed_to_live),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_a_tampered_sign_off_is_refused(kind: str, home: SignedHome) -> None:
    home.gate()
    code, tamper = TAMPERING[kind]
    tamper(home)
    refused(code, home.gate)


def test_the_training_role_needs_no_key_and_an_open_key_is_refused(home: SignedHome) -> None:
    home.key_file.chmod(0o644)
    refused("SIGNATURE", lambda: home.key)
    home.key_file.unlink()
    home.train("2026-09")
    home.gate()
    refused("SIGNATURE", lambda: load_promotion_key(None, home.settings))
    with pytest.raises(GsceneError, match="exists already"):
        create_key(home.home / "sign_off.yaml", home.settings, home.state, home.clock, "Key Officer")


def test_a_month_before_the_training_is_scored_by_the_champion_of_then(home: SignedHome) -> None:
    first, _ = home.gate()
    second = home.live("2026-09")
    assert home.gate(AS_OF)[0].model_no == second.model_no
    assert home.gate(AS_OF.plus(-4))[0].model_no == first.model_no
    refused("MISSING", lambda: home.gate(AS_OF.plus(-7)))


# -- the demo ----------------------------------------------------------------------------------------------------------


def test_the_demo_signs_by_itself_and_only_for_itself(tmp_path: Path) -> None:
    home = SignedHome(tmp_path / "home", sign_off="automatic_in_demo")
    version = home.train()
    sign_automatically(home.state, home.settings, home.clock, version)
    sign_automatically(home.state, home.settings, home.clock, version)
    _, signed = home.gate()
    assert signed.automatic and signed.mark == "+demo"
    assert "not approved by people" in statement_of(home, ".json").read_text(encoding="utf-8")
    with home.state.session() as session:
        changes = list(session.scalars(select(ModelChange)))
    assert {c.actor for c in changes} == {"demo"} and all(c.automatic for c in changes) and len(changes) == 4
    home.days = 400
    sign_automatically(home.state, home.settings, home.clock, version)
    home.gate()
    (home.home / "gscene.yaml").write_text("sign_off: required\n")
    refused("AUTOMATIC", home.gate)


def test_the_demo_never_signs_beside_people(home: SignedHome) -> None:
    (home.home / "gscene.yaml").write_text("sign_off: automatic_in_demo\n")
    version = home.train("2026-09")
    refused("PEOPLE", lambda: sign_automatically(home.state, home.settings, home.clock, version))
    real = SigningDesk(home.state, home.settings, home.clock, automatic=True)
    refused("ACTOR", lambda: real.submit(version, "Author A", WHY))


def test_a_home_in_use_never_becomes_a_demo(home: SignedHome, tmp_path: Path) -> None:
    with pytest.raises(GsceneError, match="in use and no demo"):
        mark_as_demo(home.settings)
    fresh = type(home.settings).load(tmp_path / "fresh")
    mark_as_demo(fresh)
    assert type(fresh).load(tmp_path / "fresh").demo
    (tmp_path / "fresh" / "gscene.yaml").write_text("sign_off: nobody\n")
    with pytest.raises(GsceneError, match="sign_off is one of"):
        type(fresh).load(tmp_path / "fresh")


def test_the_fast_scorer_is_signed_for_only_where_it_agrees(home: SignedHome) -> None:
    _, signed = home.gate()
    assert signed.fast == (trained().ships == "lightgbm")
    assert signed.expires_at > NOW + timedelta(days=364)


def test_what_is_compared_but_never_published_takes_the_champion_else_the_newest(home: SignedHome) -> None:
    champion, _ = home.gate()
    home.train("2026-09")
    assert champion_or_newest(home.state, NAME, AS_OF).model_no == champion.model_no
    home.desk.retire(champion, "Risk Head", WHY)
    assert champion_or_newest(home.state, NAME, AS_OF).training_month == "2026-09"
    with pytest.raises(GsceneError, match="has not been trained"):
        champion_or_newest(home.state, "no_such", AS_OF)
