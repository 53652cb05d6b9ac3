"""Pseudonyms without a key are refused, however they are dressed."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.errors import GsceneError, Refusal
from sources.delivered_rows import DeliveredRows
from sources.unkeyed_hash import FILE_NAME, refuse_canaries, refuse_unkeyed_hashes, write_canaries
from tests.sources.bench import GOOD, Bench, text_of, token
from tests.sources.identity import planted

KNOWN = [planted.resident_with_x(np.random.default_rng(seed)) for seed in range(20)]


def digest(name: str, text: str) -> str:
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


SAYS_SO = {
    "md5": digest("md5", KNOWN[0]),
    "sha1": digest("sha1", KNOWN[0]),
    "sha256": digest("sha256", KNOWN[0]),
    "sm3 in capitals": digest("sm3", KNOWN[0]).upper(),
    "base64 of sha256": base64.b64encode(bytes.fromhex(digest("sha256", KNOWN[0]))).decode(),
    "base64 of md5": base64.b64encode(bytes.fromhex(digest("md5", KNOWN[0]))).decode(),
    "named plain": f"sha-plain:{digest('sha256', KNOWN[0])[:40]}",
    "named md5": f"md5:{digest('md5', KNOWN[0])}",
    "named in braces": "{SHA}" + base64.b64encode(bytes.fromhex(digest("sha1", KNOWN[0]))).decode(),
    "padded": f" {digest('sha1', KNOWN[0])} ",
}


@pytest.mark.parametrize("way", SAYS_SO)
def test_a_plain_hash_that_says_so_is_refused_at_intake(bench: Bench, way: str) -> None:
    with pytest.raises(Refusal) as caught:
        bench.deliver(text_of([GOOD[0], GOOD[1].replace(token("a"), SAYS_SO[way])]))
    refusal = caught.value
    assert (refusal.code, refusal.column, refusal.line) == ("REFUSED/UNKEYED", "grbh", 3)
    assert SAYS_SO[way] not in str(refusal)
    assert not bench.store.exists("raw/resident/si_person_month")


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sm3", "sha512"])
@pytest.mark.parametrize("write", ["as is", "lower case", "15 digits", "twice", "UTF-16", "newline"])
def test_a_plain_hash_dressed_as_keyed_meets_the_canaries(bench: Bench, name: str, write: str) -> None:
    write_canaries(KNOWN, bench.root / "keys")
    number = KNOWN[7]
    body = {
        "as is": number.encode(),
        "lower case": number.lower().encode(),
        "15 digits": (number[:6] + number[8:17]).encode(),
        "twice": digest(name, number).encode(),
        "UTF-16": number.encode("utf-16-le"),
        "newline": f"{number}\n".encode(),
    }[write]
    plain = hashlib.new(name, body, usedforsecurity=False).hexdigest()
    dressed = f"k1:{plain.ljust(40, '0')[:40]}"
    with pytest.raises(Refusal) as caught:
        bench.deliver(text_of([*GOOD, GOOD[0].replace(token("b"), dressed)]))
    assert caught.value.code == "REFUSED/UNKEYED"
    assert not bench.store.exists("raw/resident/si_person_month")
    assert bench.entry(1).reason == "REFUSED/UNKEYED"


def test_keyed_tokens_pass(bench: Bench) -> None:
    write_canaries(KNOWN, bench.root / "keys")
    assert bench.deliver(text_of(GOOD)).accepted == 3


def test_canaries_are_hashes_of_mode_0600_and_nobody_s_id(tmp_path: Path) -> None:
    write_canaries(KNOWN, tmp_path)
    file = tmp_path / FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    assert not any(number.encode() in file.read_bytes() for number in KNOWN)
    file.chmod(0o644)
    with pytest.raises(GsceneError, match="can be read by others"):
        refuse_canaries(pa.array([token("a")]), tmp_path, "data.csv")


def test_a_million_tokens_meet_no_canary_by_chance(tmp_path: Path) -> None:
    write_canaries(KNOWN, tmp_path)
    rng = np.random.default_rng(1)
    refuse_canaries(pa.array([f"k1:{rng.bytes(20).hex()}" for _ in range(100_000)]), tmp_path, "data.csv")


def test_other_columns_may_hold_hashes() -> None:
    rows = DeliveredRows(pa.table({"grbh": [token("a")], "record_hash": [SAYS_SO["sha256"]]}), "data.csv")
    refuse_unkeyed_hashes(rows, ["grbh"])
    with pytest.raises(Refusal, match="UNKEYED"):
        refuse_unkeyed_hashes(rows, ["record_hash"])
