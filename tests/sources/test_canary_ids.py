"""A provider who hashes without a key is told by ids that the bank knows, however the hash is dressed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GsceneError, Refusal
from sources.canary_ids import FILE_NAME, known_canaries, plain_hashes, refuse_canaries, write_canaries
from sources.delivered_rows import DeliveredRows
from sources.keyed_token import TokenKey
from tests.sources.bench import GOOD, Bench, text_of, token
from tests.sources.identity import planted

KNOWN = [planted.resident_with_x(np.random.default_rng(seed)) for seed in range(20)]

WAYS: dict[str, Callable[[str], bytes]] = {
    "as is": str.encode,
    "lower case": lambda n: n.lower().encode(),
    "15 digits": lambda n: (n[:6] + n[8:17]).encode(),
    "UTF-16": lambda n: n.encode("utf-16-le"),
    "newline": lambda n: f"{n}\n".encode(),
}
DRESSES: dict[str, Callable[[bytes], str]] = {
    "hexadecimal": lambda h: h.hex(),
    "capitals": lambda h: h.hex().upper(),
    "full width": lambda h: planted.full_width(h.hex()),
    "as a token": lambda h: f"k1:{h.hex().ljust(40, '0')[:40]}",
    "cut to 32": lambda h: h.hex()[:32],
    "with blanks": lambda h: f" {h.hex()} ",
    "in JSON": lambda h: '{"a":"' + h.hex() + '"}',
    "beside a token": lambda h: f"{token('c')},{h.hex()}",
    "base64": lambda h: base64.b64encode(h).decode(),
    "base64 of a URL": lambda h: base64.urlsafe_b64encode(h).decode().rstrip("="),
    "base64 as a token": lambda h: f"k1:{base64.b64encode(h).decode()}",
}


def digest(name: str, body: bytes) -> bytes:
    return hashlib.new(name, body, usedforsecurity=False).digest()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    keys = tmp_path_factory.mktemp("keys")
    write_canaries(KNOWN, keys)
    found = known_canaries(keys)
    assert found is not None
    return found


def delivered(cell: str, column: str = "bz") -> DeliveredRows:
    around = [token("a"), "", "正常", "1024.50", hashlib.sha256(b"row").hexdigest()]
    return DeliveredRows(pa.table({"lsh": [str(n) for n in range(6)], column: [*around, cell]}), "data.csv")


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sm3", "sha512"])
def test_a_plain_hash_is_found_however_it_is_written(known: np.ndarray, name: str, dress: str) -> None:
    for way in WAYS.values():
        cell = DRESSES[dress](digest(name, way(KNOWN[7])))
        with pytest.raises(Refusal) as caught:
            refuse_canaries(delivered(cell), known)
        refusal = caught.value
        assert (refusal.code, refusal.column, refusal.line) == ("REFUSED/UNKEYED", "bz", 7)
        assert cell.strip() not in str(refusal) and KNOWN[7] not in str(refusal)
        # Another person's hash, or the same with a key, is nobody whom the bank knows.
        other = planted.resident(np.random.default_rng(99))
        refuse_canaries(delivered(DRESSES[dress](digest(name, way(other)))), known)


def test_a_hash_of_a_hash_is_found(known: np.ndarray) -> None:
    once = digest("md5", KNOWN[3].encode()).hex()
    for inner in (once, once.upper()):
        with pytest.raises(Refusal):
            refuse_canaries(delivered(digest("md5", inner.encode()).hex()), known)


def test_a_credit_code_s_organisation_code_is_hashed_too() -> None:
    code = planted.uscc(np.random.default_rng(4))
    made = set(plain_hashes(code))
    for written in (code, code.lower(), code[8:17], f"{code[8:16]}-{code[16]}"):
        assert digest("sm3", written.encode()).hex() in made


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.sampled_from(["hmac-sha256", "hmac-sm3"]))
def test_keyed_tokens_of_the_same_ids_pass(known: np.ndarray, secret: bytes, algorithm: str) -> None:
    tokens = TokenKey("k1", secret, algorithm).tokens("risk|city|resident", KNOWN)  # type: ignore[arg-type]
    refuse_canaries(DeliveredRows(pa.table({"grbh": tokens}), "data.csv"), known)


def test_a_million_tokens_meet_no_canary_by_chance(known: np.ndarray) -> None:
    hexes = np.random.default_rng(1).bytes(20_000_000).hex()
    cells = [f"k1:{hexes[at : at + 40]}" for at in range(0, 40_000_000, 40)]
    refuse_canaries(DeliveredRows(pa.table({"grbh": cells}), "data.csv"), known)


def test_intake_refuses_a_hash_dressed_as_keyed(bench: Bench) -> None:
    write_canaries(KNOWN, bench.root / "keys")
    dressed = DRESSES["as a token"](digest("sha256", KNOWN[7].encode()))
    with pytest.raises(Refusal) as caught:
        bench.deliver(text_of([*GOOD, GOOD[0].replace(token("b"), dressed)]))
    refusal = caught.value
    assert (refusal.code, refusal.column, refusal.line) == ("REFUSED/UNKEYED", "grbh", 5)
    assert not bench.store.exists("raw/resident/si_person_month")
    assert bench.entry(1).reason == "REFUSED/UNKEYED"


def test_intake_looks_into_ignored_columns_too(bench: Bench) -> None:
    write_canaries(KNOWN, bench.root / "keys")
    note = DRESSES["base64"](digest("sm3", KNOWN[2].encode()))
    with pytest.raises(Refusal, match="UNKEYED") as caught:
        bench.deliver(text_of([GOOD[0].replace("备注", note)]))
    assert caught.value.column == "bz"


def test_intake_without_canaries_or_with_others_accepts(bench: Bench) -> None:
    dressed = DRESSES["as a token"](digest("sha256", KNOWN[7].encode()))
    rows = [GOOD[0].replace(token("b"), dressed), *GOOD[1:]]
    assert bench.deliver(text_of(rows)).accepted == 3
    write_canaries(KNOWN[:7], bench.root / "keys")
    assert bench.deliver(text_of([row.replace("2026-10,", "2026-09,").replace("202610,", "202609,") for row in rows]),
                         period="2026-09").accepted == 3  # fmt: skip


def test_canaries_are_hashes_of_mode_0600_and_nobody_s_id(tmp_path: Path) -> None:
    assert known_canaries(tmp_path) is None
    write_canaries(KNOWN, tmp_path)
    file = tmp_path / FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    assert not any(number.encode() in file.read_bytes() for number in KNOWN)
    file.chmod(0o644)
    with pytest.raises(GsceneError, match="can be read by others"):
        known_canaries(tmp_path)
