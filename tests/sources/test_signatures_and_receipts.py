"""Sources that sign, keys that rotate, and the bank's signed answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import select

from core.errors import GsceneError, Refusal
from core.state import AuditEvent
from sources.delivery_receipt import receipts_of, write_receipts
from sources.operator_decisions import withdraw
from sources.signature import check_signature, key_id_of, load_public_key, signature_of
from sources.trust_store import add_key, revoke_key
from tests.sources.bench import GOOD, Bench, text_of


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)


def pem(key: Ed25519PrivateKey, path: Path) -> Path:
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def register(bench: Bench, key: Ed25519PrivateKey) -> str:
    file = pem(key, bench.root / "public.pem")
    return add_key(bench.root / "trust", "city", file, bench.state, bench.clock, "Li Na").key_id


def test_a_source_with_a_key_must_sign_and_keys_rotate(bench: Bench, key: Ed25519PrivateKey) -> None:
    bench.deliver(text_of(GOOD), revision=1)
    assert bench.entry(1).signed_by is None
    old_id = register(bench, key)
    with pytest.raises(Refusal, match="must sign"):
        bench.deliver(text_of(GOOD[:2]), revision=2)
    result = bench.deliver(text_of(GOOD[:2]), revision=2, signing_key=key)
    assert bench.entry(result.delivery_no).signed_by == old_id
    new = Ed25519PrivateKey.generate()
    new_id = register(bench, new)
    for revision, signer, signed_by in ((3, key, old_id), (4, new, new_id)):
        done = bench.deliver(text_of(GOOD[:2]), revision=revision, signing_key=signer)
        assert bench.entry(done.delivery_no).signed_by == signed_by
    revoke_key(bench.root / "trust", "city", old_id, bench.state, bench.clock, "Li Na")
    with pytest.raises(Refusal, match="was revoked"):
        bench.deliver(text_of(GOOD[:2]), revision=5, signing_key=key)
    revoke_key(bench.root / "trust", "city", new_id, bench.state, bench.clock, "Li Na")
    with pytest.raises(Refusal, match="must sign"):
        bench.deliver(text_of(GOOD[:2]), revision=5)
    with pytest.raises(GsceneError, match="was revoked"):
        register(bench, new)
    with bench.state.session() as session:
        actions = session.scalars(select(AuditEvent.action).where(AuditEvent.object == "city")).all()
    assert actions == ["trust.added", "trust.added", "trust.revoked", "trust.revoked"]


def test_a_replayed_signed_manifest_is_a_duplicate(bench: Bench, key: Ed25519PrivateKey) -> None:
    register(bench, key)
    folder = bench.lay(text_of(GOOD), signing_key=key)
    number = bench.receive(folder)
    bench.take_in(number)
    first = receipts_of(bench.state, number)
    assert [bench.receive(folder) for _ in range(5)] == [number] * 5
    assert [r.sha256 for r in receipts_of(bench.state, number)] == [r.sha256 for r in first]
    assert (bench.archive / bench.entry(number).manifest_sha256).read_bytes() == (
        folder / "manifest.json"
    ).read_bytes()
    signature = bench.archive / f"{bench.entry(number).manifest_sha256}.sig"
    body = (bench.archive / bench.entry(number).manifest_sha256).read_bytes()
    assert check_signature(body, signature, "city", bench.root / "trust"), "the evidence can be checked again"


def test_a_bad_signature_and_then_a_good_one(bench: Bench, key: Ed25519PrivateKey) -> None:
    register(bench, key)
    folder = bench.lay(text_of(GOOD), signing_key=Ed25519PrivateKey.generate())
    for _ in range(2):
        with pytest.raises(Refusal, match="REFUSED/SIGNATURE"):
            bench.receive(folder, bench.clock.now())
    assert bench.entry(1).content_sha256 == "" and not (bench.archive / "x").exists()
    (folder / "manifest.sig").write_text(signature_of((folder / "manifest.json").read_bytes(), key))
    assert bench.take_in(bench.receive(folder, bench.clock.now())).accepted == 3


def test_a_key_made_by_openssl_works_and_others_are_refused(bench: Bench, tmp_path: Path) -> None:
    if shutil.which("openssl") is not None:
        private, public = tmp_path / "private.pem", tmp_path / "public.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        assert len(key_id_of(load_public_key(public))) == 16
    wrong = tmp_path / "wrong.pem"
    private_pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    for body in (b"", b"no key", private_pem):
        wrong.write_bytes(body)
        with pytest.raises(GsceneError, match="no Ed25519 public key"):
            add_key(bench.root / "trust", "city", wrong, bench.state, bench.clock, "Li Na")
    with pytest.raises(GsceneError, match="can't be a source's name"):
        add_key(bench.root / "trust", "../city", wrong, bench.state, bench.clock, "Li Na")


# -- receipts --------------------------------------------------------------------------------------------------------------


def test_a_receipt_says_what_became_of_a_delivery_and_is_signed_by_the_bank(bench: Bench) -> None:
    bench.deliver(text_of([*GOOD, GOOD[0]]))
    folder = bench.root / "out" / "receipts"
    file = folder / "city" / "resident.si_person_month" / "2026-10-r1-1.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["rows"] == {
        "accepted": 3,
        "delivered": 4,
        "left_out": {"exact_duplicate": 1},
        "quarantined": 0,
    }
    assert (told["state"], told["source"], told["period"], told["revision"]) == (
        "ACCEPTED",
        "city",
        "2026-10",
        1,
    )
    assert told["manifest_sha256"] == bench.entry(1).manifest_sha256
    signature = json.loads(file.with_suffix(".sig").read_text())
    public = load_public_key(folder / "bank.pem")
    public.verify(bytes.fromhex(signature["signature"]), file.read_bytes())
    assert signature["key_id"] == key_id_of(public)
    secret = bench.root / "keys" / "receipt.key"
    assert secret.stat().st_mode & 0o777 == 0o600


def test_every_outcome_has_its_receipt_and_lost_files_come_back_the_same(bench: Bench) -> None:
    bench.deliver(text_of(GOOD), sequence=1)
    with pytest.raises(Refusal):
        bench.deliver(text_of([GOOD[0] + ",1"]), revision=2, rows=1)
    bench.receive(bench.lay(text_of(GOOD), revision=4, sequence=3))
    withdraw(bench.state, bench.clock, 1, "Li Na", "wrong")
    write_receipts(bench.state, bench.root / "out" / "receipts", bench.root / "keys")
    folder = bench.root / "out" / "receipts" / "city" / "resident.si_person_month"
    before = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    assert list(before) == sorted(
        f"2026-10-{n}.{end}" for n in ("r1-1", "r1-2", "r2-1", "r4-1") for end in ("json", "sig")
    )
    told = {name: json.loads(body)["state"] for name, body in before.items() if name.endswith("json")}
    assert list(told.values()) == ["ACCEPTED", "WITHDRAWN", "REFUSED", "HELD"]
    assert json.loads(before["2026-10-r2-1.json"])["place"] == "data.csv:2"
    shutil.rmtree(folder)
    write_receipts(bench.state, bench.root / "out" / "receipts", bench.root / "keys")
    assert {file.name: file.read_bytes() for file in sorted(folder.iterdir())} == before


def test_an_unreadable_delivery_in_a_folder_with_a_hostile_name_gets_a_receipt_too(bench: Bench) -> None:
    folder = bench.root / "inbox" / "张三" / "11010519491231002X.t; DROP" / "2026-10-r1"
    folder.mkdir(parents=True)
    with pytest.raises(Refusal, match="REFUSED/MANIFEST"):
        bench.receive(folder)
    entry = bench.entry(1)
    assert (entry.source, entry.subject, entry.table, entry.period) == (
        "unknown",
        "unknown",
        "unknown",
        "2026-10",
    )
    assert (bench.root / "out" / "receipts" / "unknown" / "unknown.unknown" / "2026-10-r1-1.json").is_file()
