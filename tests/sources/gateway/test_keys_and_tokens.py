"""Tokens are what the standards say they are, keys stay secret, and purposes and domains can't be joined."""

from __future__ import annotations

import hashlib
import hmac
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import FixedClock
from core.errors import GsceneError
from core.purpose import Purpose
from core.subject import SubjectKind
from sources.gateway.keyring import Keyring, MasterKey, key_from
from sources.keyed_token import TokenKey
from sources.pseudonym import PseudonymKey
from tests.sources.gateway.plans import KEY, NEXT

CLOCK = FixedClock(datetime(2026, 10, 1, tzinfo=UTC))
SECRET = bytes(range(32))


def test_a_token_is_the_keyed_hash_of_rfc_2104() -> None:
    """By the definition, with SHA-256 and with SM3, independent of the hmac module."""
    for algorithm, name in (("hmac-sha256", "sha256"), ("hmac-sm3", "sm3")):
        block = SECRET.ljust(64, b"\0")
        inner = hashlib.new(name, bytes(b ^ 0x36 for b in block) + b"resident|x|11010519491231002X").digest()
        outer = hashlib.new(name, bytes(b ^ 0x5C for b in block) + inner).hexdigest()
        key = TokenKey("k7", SECRET, algorithm)  # type: ignore[arg-type]
        assert key.token("resident|x|11010519491231002X") == f"k7:{outer[:40]}"
        assert key.tokens("resident|x", ["11010519491231002X"]) == [f"k7:{outer[:40]}"]


#: Key, message and digest: RFC 4231, cases 1, 2, 6 and 7; GM/T 0042-2015, appendix D.3, and the same key and text as case 2.
VECTORS = {
    "hmac-sha256": (
        (b"\x0b" * 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (b"\xaa" * 131, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
        (b"\xaa" * 131, "This is a test using a larger than block-size key and a larger than block-size data. The key "
         "needs to be hashed before being used by the HMAC algorithm.",
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ),
    "hmac-sm3": (
        (bytes(range(1, 33)), "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" * 2,
         "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a"),
        (b"\x0b" * 32, "Hi There", "c0ba18c68b90c88bc07de794bfc7d2c8d19ec31ed8773bc2b390c9604e0be11e"),
        (b"Jefe", "what do ya want for nothing?", "2e87f1d16862e6d964b50a5200bf2b10b764faa9680a296a2405f24bec39f882"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("algorithm", VECTORS)
def test_tokens_begin_like_the_standards_vectors(algorithm: str) -> None:
    for key, message, expected in VECTORS[algorithm]:
        assert TokenKey("k1", key, algorithm).token(message) == f"k1:{expected[:40]}"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("master", "token"),
    [
        (KEY, "k1:40f689318d06ae0d86888106121bec1e73b2b46a"),
        (NEXT, "k2:3f18ead88edb96b207173339d8767040f2543a9b"),
    ],
)
def test_tokens_never_change(master: MasterKey, token: str) -> None:
    """Written down once, so that no later change of code or library moves existing tokens unseen."""
    assert master.subkey(Purpose.RISK, "hunan").token("risk|hunan|resident|11010519491231002X") == token


def test_sm3_is_the_national_standards() -> None:
    # GB/T 32905-2016, appendix A.1: the message abc.
    assert hashlib.new("sm3", b"abc").hexdigest() == (
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    )


def test_pseudonyms_of_existing_homes_stay() -> None:
    made = PseudonymKey(b"k" * 32).pseudonyms(SubjectKind.ENTERPRISE, "sme", pa.array(["E1", "E2", "E1"]))
    assert made.to_pylist() == [
        "k1:29180f954fff5141ef20d8eaaf0df4e07e273124",
        "k1:33fd5f1145364b6eaef086c0eceb9ed463e54c65",
        "k1:29180f954fff5141ef20d8eaaf0df4e07e273124",
    ]


def test_subkeys_are_hkdf_of_rfc_5869() -> None:
    """Extract and expand by the definition."""
    for master, name in ((KEY, "sha256"), (NEXT, "sm3")):
        extracted = hmac.digest(b"gscene-gateway/1", master.secret, name)
        expanded = hmac.digest(extracted, b"risk|hunan\x01", name)
        assert master.subkey(Purpose.RISK, "hunan").secret == expanded[:32]


@given(st.lists(st.from_regex(r"\A[0-9]{17}[0-9X]\Z"), min_size=1, max_size=50, unique=True))
def test_two_purposes_and_two_domains_can_t_be_joined(ids: list[str]) -> None:
    tokens = [
        set(KEY.subkey(purpose, domain).tokens(f"{purpose}|{domain}|resident", ids))
        for purpose in (Purpose.RISK, Purpose.MARKETING)
        for domain in ("tax", "social")
    ]
    assert all(len(made) == len(ids) for made in tokens)
    assert len(set().union(*tokens)) == 4 * len(ids)


def test_keys_are_made_listed_and_retired(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    first = ring.new(CLOCK, "hmac-sha256")
    second = ring.new(CLOCK, "hmac-sm3")
    assert (first.key_id, second.key_id) == ("k1", "k2")
    assert ring.active().key_id == "k2"
    assert ring.active("k1").key_id == "k1"
    ring.retire(CLOCK, "k2")
    assert ring.active().key_id == "k1"
    assert ring.any("k2").algorithm == "hmac-sm3"
    with pytest.raises(GsceneError, match="no key in force called k2"):
        ring.active("k2")
    # A retired number isn't given away again.
    assert ring.new(CLOCK, "hmac-sha256").key_id == "k3"
    with pytest.raises(GsceneError, match="can't be made"):
        ring.new(CLOCK, "hmac-sha256", "k1")


def test_secrets_stay_in_their_files(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    ring.new(CLOCK, "hmac-sha256")
    secret = (tmp_path / "keys" / "k1.key").read_bytes()
    assert (tmp_path / "keys" / "k1.key").stat().st_mode & 0o777 == 0o600
    index = (tmp_path / "keys" / "keyring.json").read_bytes()
    assert secret not in index and secret.hex().encode() not in index
    for told in (repr(ring.active()), str(ring.active()), repr(ring.active().subkey(Purpose.RISK, "tax"))):
        assert secret.hex() not in told and repr(secret)[2:-1] not in told
    (tmp_path / "keys" / "k1.key").chmod(0o640)
    with pytest.raises(GsceneError, match="can be read by others"):
        ring.active()


def test_another_key_under_the_same_name_is_noticed(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys")
    ring.new(CLOCK, "hmac-sha256")
    (tmp_path / "keys" / "k1.key").write_bytes(b"x" * 32)
    with pytest.raises(GsceneError, match="isn't the key"):
        ring.active()


@pytest.mark.parametrize("handed", [SECRET, SECRET.hex().encode(), SECRET.hex().upper().encode() + b"\n"])
def test_a_key_comes_through_a_file_descriptor(handed: bytes) -> None:
    read, write = os.pipe()
    os.write(write, handed)
    os.close(write)
    assert key_from(read, "k4", "hmac-sm3") == MasterKey("k4", "hmac-sm3", SECRET)
    os.close(read)


@pytest.mark.parametrize("handed", [b"", b"short", SECRET[:31], b"zz" * 32])
def test_what_is_no_key_is_refused_without_being_quoted(handed: bytes) -> None:
    read, write = os.pipe()
    os.write(write, handed)
    os.close(write)
    with pytest.raises(GsceneError) as caught:
        key_from(read, "k4", "hmac-sm3")
    os.close(read)
    assert not handed or handed.decode("latin-1") not in str(caught.value)
