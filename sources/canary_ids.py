"""Canary ids: a few ids that the bank knows lawfully, kept as plain hashes, by which a provider who hashes without a key is told.

A plain hash dressed as a pseudonym (`k1:` before it) looks like a keyed one. Only who knows an id that is in it can tell: the
id's hashes, in every usual way of writing and hashing, are met with what every column of a delivery holds. Kept are the first
eight bytes of each hash, in the home's folder of keys beside other secrets, since they tell who is among the canaries.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GsceneError, Refusal
from sources.delivered_rows import FIRST_LINE, DeliveredRows
from sources.identity.numbers import characters
from sources.unkeyed_hash import REMEDY

#: The bank's canaries in its folder of keys: first eight bytes of each hash, big-endian, ascending.
FILE_NAME = "canaries.bin"

_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sm3")
#: Characters of eight bytes: hexadecimal, and base64 (66 bits).
_HEX_BEGINNING, _BASE64_BEGINNING = 16, 11
#: The shortest hash, MD5: in base64 without padding, and in hexadecimal.
_SHORTEST, _SHORTEST_HEX = 22, 32
_HEX_RUN = f"(?:^|[^0-9a-fA-F])(?P<begun>[0-9a-fA-F]{{{_HEX_BEGINNING}}})[0-9a-fA-F]{{16,}}"
_ALL_HEX_RUNS = re.compile(f"(?<![0-9a-fA-F])[0-9a-fA-F]{{{_SHORTEST_HEX},}}")
_TWO_RUNS = f"[0-9a-fA-F]{{{_SHORTEST_HEX}}}[^0-9a-fA-F].*[0-9a-fA-F]{{{_SHORTEST_HEX}}}"
#: Base64 of 16, 20, 28, 32, 48 or 64 bytes, with or without its padding, after a key's name or alone.
_BASE64 = (
    f"^(?:[A-Za-z0-9_-]*[:$|])?(?P<begun>[A-Za-z0-9+/_-]{{{_BASE64_BEGINNING}}})"
    r"(?:[A-Za-z0-9+/_-]{11}(?:==)?|[A-Za-z0-9+/_-]{16}=?|[A-Za-z0-9+/_-]{27}(?:==)?|[A-Za-z0-9+/_-]{32}=?"
    r"|[A-Za-z0-9+/_-]{53}|[A-Za-z0-9+/_-]{75}(?:==)?)$"
)


def _values(alphabet: str) -> np.ndarray:
    values = np.zeros(256, dtype=np.uint64)
    values[[ord(character) for character in alphabet]] = np.arange(len(alphabet), dtype=np.uint64)
    return values


_HEX = _values("0123456789abcdef")
_SIX_BITS = _values("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_SIX_BITS[ord("-")], _SIX_BITS[ord("_")] = 62, 63


def known_canaries(keys: Path) -> np.ndarray | None:
    """The beginnings of the canaries' hashes, uint64 (hashes,), ascending; None where the bank has given none."""
    path = keys / FILE_NAME
    if not path.exists():
        return None
    if path.stat().st_mode & 0o077:
        raise GsceneError(f"{path} can be read by others.", f"Run: chmod 600 {path}")
    return np.fromfile(path, dtype=">u8").astype(np.uint64)


def write_canaries(ids: Iterable[str], keys: Path) -> int:
    """Keep the canaries' hashes instead of those that were there; returns how many. The ids themselves are kept nowhere."""
    found = {int(digest[:_HEX_BEGINNING], 16) for number in ids for digest in plain_hashes(number)}
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
    """Every usual plain hash of an id in hexadecimal: seven algorithms over the ways of writing it, once and twice."""
    number = number.strip().upper()
    ways = {number, number.lower(), f"{number}\n", f" {number}", f"{number} "}
    if len(number) == 18:
        # The old id of 15 digits; the organisation code inside a credit code.
        ways |= {number[:6] + number[8:17], number[8:17], f"{number[8:16]}-{number[16]}"}
    bodies = [way.encode() for way in sorted(ways)] + [number.encode("utf-16-le")]
    for name in _ALGORITHMS:
        for body in bodies:
            once = hashlib.new(name, body, usedforsecurity=False).hexdigest()
            yield once
            for again in (once, once.upper()):
                yield hashlib.new(name, again.encode(), usedforsecurity=False).hexdigest()


def refuse_canaries(delivered: DeliveredRows, known: np.ndarray | None) -> None:
    """Raise REFUSED/UNKEYED at the first cell of the first column that holds the plain hash of a canary: in hexadecimal
    anywhere in the cell, in base64 alone or after a key's name; cut to 32 digits or more.
    """
    if known is None or not len(known):
        return
    for column in delivered.columns:
        met = _met(delivered.texts(column), known)
        if len(met):
            raise Refusal(
                "REFUSED/UNKEYED",
                "a cell is the plain hash of an id that the bank knows.",
                file=delivered.file,
                line=delivered.first_row(column, met) + FIRST_LINE,
                column=column,
                remedy=REMEDY,
            )


def _met(texts: pa.Array, known: np.ndarray) -> np.ndarray:
    """Positions of the texts that hold a canary's hash, ascending."""
    places = np.flatnonzero(pc.binary_length(texts).to_numpy(zero_copy_only=False) >= _SHORTEST)
    if not len(places):
        return places
    some = texts if len(places) == len(texts) else texts.take(pa.array(places))
    if not pc.all(pc.string_is_ascii(some)).as_py():
        some = pc.utf8_normalize(some, form="NFKC")
    some = pc.ascii_trim_whitespace(some)
    met = np.zeros(len(some), dtype=bool)
    for form, alphabet, length in ((_HEX_RUN, _HEX, _HEX_BEGINNING), (_BASE64, _SIX_BITS, _BASE64_BEGINNING)):
        begun = pc.struct_field(pc.extract_regex(some, form), "begun")
        formed = np.flatnonzero(begun.is_valid().to_numpy(zero_copy_only=False))
        if len(formed):
            found = begun.drop_null() if alphabet is _SIX_BITS else pc.ascii_lower(begun.drop_null())
            met[formed] |= _among(_numbers(characters(found, length), alphabet), known)
    for place in pc.indices_nonzero(pc.match_substring_regex(some, _TWO_RUNS)).to_pylist():
        runs = _ALL_HEX_RUNS.findall(some[place].as_py())
        met[place] |= bool(
            _among(np.array([int(run[:_HEX_BEGINNING], 16) for run in runs], np.uint64), known).any()
        )
    return places[met]


def _numbers(beginnings: np.ndarray, alphabet: np.ndarray) -> np.ndarray:
    """The first 64 bits of each beginning, uint8 (texts, characters) -> uint64 (texts,)."""
    bits = 4 if alphabet is _HEX else 6
    made = np.zeros(len(beginnings), dtype=np.uint64)
    for place in range(64 // bits):
        made = (made << np.uint64(bits)) | alphabet[beginnings[:, place]]
    left = 64 % bits
    if left:
        made = (made << np.uint64(left)) | (alphabet[beginnings[:, 64 // bits]] >> np.uint64(bits - left))
    return made


def _among(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    at = np.searchsorted(known, numbers)
    found: np.ndarray = known[np.minimum(at, len(known) - 1)] == numbers
    return found
