"""Pseudonyms that say themselves that they are plain hashes are refused."""

from __future__ import annotations

import base64
import hashlib

import numpy as np
import pyarrow as pa
import pytest

from core.errors import Refusal
from sources.delivered_rows import DeliveredRows
from sources.unkeyed_hash import refuse_unkeyed_hashes
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


def test_other_columns_may_hold_hashes() -> None:
    rows = DeliveredRows(pa.table({"grbh": [token("a")], "record_hash": [SAYS_SO["sha256"]]}), "data.csv")
    refuse_unkeyed_hashes(rows, ["grbh"])
    with pytest.raises(Refusal, match="UNKEYED"):
        refuse_unkeyed_hashes(rows, ["record_hash"])
