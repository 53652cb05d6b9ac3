"""Pseudonyms that are plain hashes are refused: who knows how ids look tries them all (2.2 seconds for a county and a year).

Three signs, each enough:
1. the key's version is missing or names a hash (`sha-plain`, `md5`, `sm3`);
2. the cell is a bare hash: 32, 40 or 64 hexadecimal digits, or the base64 of as many bytes;
3. ids that the bank knows lawfully (its canaries), hashed without a key in every usual way, meet the delivered tokens: this
   finds a provider who writes `k1:` before a plain hash.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GsceneError, Refusal
from sources.delivered_rows import FIRST_LINE, DeliveredRows
from sources.identity.numbers import characters

#: The bank's canaries: first eight bytes of each hash, sorted. As secret as the keys it lies beside: it tells who is in it.
FILE_NAME = "canaries.bin"

_BARE = (
    r"^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{56}|[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128}"
    r"|[A-Za-z0-9+/_-]{22}==|[A-Za-z0-9+/_-]{27}=|[A-Za-z0-9+/_-]{43}=)$"
)
_NAMED = r"^(?i:(?:sha|md5|sm3|hash|plain|none|raw)[a-z0-9_-]*\s*[:$|].*|\{(?:sha|md5|ssha)[^}]*\}.*)$"
_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sm3")
_PREFIX_DIGITS = 16
_TOKEN = r"^[a-z0-9]+:[0-9a-f]{40}$"
_NOTHING = "k1:" + "0" * 40
_HEX = np.zeros(256, dtype=np.uint8)
_HEX[[ord(digit) for digit in "0123456789abcdef"]] = np.arange(16)
_REMEDY = (
    "The source must use a keyed hash (gscene pseudonymise); a plain one is no protection. Destroy the file."
)


def refuse_unkeyed_hashes(delivered: DeliveredRows, columns: Iterable[str]) -> None:
    """Raise REFUSED/UNKEYED at the first cell of the named columns that says itself that it is a plain hash."""
    for column in columns:
        texts = pc.utf8_trim_whitespace(delivered.texts(column))
        bad = pc.or_(pc.match_substring_regex(texts, _BARE), pc.match_substring_regex(texts, _NAMED))
        if pc.any(bad).as_py():
            hits = bad.take(delivered.columns[column].indices)
            raise Refusal(
                "REFUSED/UNKEYED",
                "pseudonyms without a key's version, or with a plain hash for one.",
                file=delivered.file,
                line=int(pc.index(hits, True).as_py()) + FIRST_LINE,
                column=column,
                remedy=_REMEDY,
            )


def refuse_canaries(tokens: pa.Array | pa.ChunkedArray, keys: Path, file: str) -> None:
    """Raise REFUSED/UNKEYED where a token is the plain hash of an id that the bank knows. A no-op without canaries.

    `tokens` are pseudonyms `key:hex` of shape (rows,); `keys` is the home's folder of keys.
    """
    path = keys / FILE_NAME
    if not path.exists() or not len(tokens):
        return
    if path.stat().st_mode & 0o077:
        raise GsceneError(f"{path} can be read by others.", f"Run: chmod 600 {path}")
    known = np.fromfile(path, dtype=">u8")
    met = np.isin(_prefixes(tokens), known)
    if met.any():
        raise Refusal(
            "REFUSED/UNKEYED",
            f"{int(met.sum())} pseudonyms are plain hashes of ids that the bank knows.",
            file=file,
            remedy=_REMEDY,
        )


def write_canaries(ids: Iterable[str], keys: Path) -> int:
    """Make the file of canaries from ids that the bank knows lawfully; returns how many hashes it holds. The ids themselves
    are kept nowhere.
    """
    found = {int(digest[:_PREFIX_DIGITS], 16) for number in ids for digest in plain_hashes(number)}
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, part = keys / FILE_NAME, keys / f".{FILE_NAME}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(np.array(sorted(found), dtype=">u8").tobytes())
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    return len(found)


def plain_hashes(number: str) -> Iterator[str]:
    """Every usual plain hash of an id in hexadecimal: seven algorithms over seven ways of writing it, once and twice."""
    number = number.strip().upper()
    ways = dict.fromkeys(
        [
            number,
            number.lower(),
            f"{number}\n",
            f" {number}",
            f"{number} ",
            number[:6] + number[8:17] if len(number) == 18 else number,
            number[8:17] if len(number) == 18 else number,
        ]
    )
    bodies = [way.encode() for way in ways] + [number.encode("utf-16-le")]
    for name in _ALGORITHMS:
        for body in bodies:
            once = hashlib.new(name, body, usedforsecurity=False).hexdigest()
            yield once
            yield hashlib.new(name, once.encode(), usedforsecurity=False).hexdigest()


def _prefixes(tokens: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The first 16 of each token's 40 hexadecimal digits as a number, uint64 (rows,); 0 for what is no token."""
    whole = tokens.combine_chunks() if isinstance(tokens, pa.ChunkedArray) else tokens
    good = pc.match_substring_regex(whole, _TOKEN)
    begun = pc.binary_slice(pc.if_else(good, whole, _NOTHING).cast(pa.binary()), -40, -24).cast(pa.string())
    values = _HEX[characters(begun, _PREFIX_DIGITS)].astype(np.uint64)
    return (values << np.arange(60, -4, -4, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
