"""Pseudonyms as they are written at rest: `k`, the key's number, `:` and 40 lower-case hexadecimal digits.

Most texts of most deliveries are such tokens. They are known by their bytes in one pass, and then nothing else needs to look at
them: no step of normalising changes one, none is a null token, and none holds an identifier.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

#: Bytes of a token whose key has one digit; one of a later key is longer and goes the general way.
TOKEN_BYTES = 43
#: Steps of `sources.cells.normalised` that leave every token as it is.
LEAVE_TOKENS = frozenset({"nfkc", "strip", "lower", "drop_hyphens", "drop_blanks", "org_code_of_uscc"})

#: Turns hexadecimal digits into 0 and all other bytes into themselves.
_WITHOUT_DIGITS = bytes(0 if chr(byte) in "0123456789abcdef" else byte for byte in range(256))


def are_tokens(texts: pa.Array) -> np.ndarray:
    """Which texts are tokens of a key with one digit, bool (texts,)."""
    found = np.zeros(len(texts), dtype=bool)
    if not len(texts):
        return found
    ends = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    sized = np.diff(ends) == TOKEN_BYTES
    if not sized.any():
        return found
    chosen = texts if sized.all() else texts.filter(pa.array(sized))
    found[sized] = _by_bytes(chosen)
    return found


def _by_bytes(texts: pa.Array) -> np.ndarray:
    """Of texts of a token's length, those that are tokens. `translate` goes over a million of them in 50 ms."""
    start = int(np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset])
    written = memoryview(texts.buffers()[2])[start : start + TOKEN_BYTES * len(texts)]
    letters = np.frombuffer(written, dtype=np.uint8).reshape(-1, TOKEN_BYTES)
    others = np.frombuffer(bytes(written).translate(_WITHOUT_DIGITS), dtype=np.uint8)
    rest = others.reshape(-1, TOKEN_BYTES)
    good = (rest[:, 0] == ord("k")) & (rest[:, 2] == ord(":"))
    good &= (letters[:, 1] >= ord("0")) & (letters[:, 1] <= ord("9"))
    # Nothing but these two is left of a token; where that holds for all together, no text is looked at by itself.
    if not (good.all() and np.count_nonzero(others) == 2 * len(texts)):
        good &= ~rest[:, 3:].any(axis=1)
    return good


def are_of_key(tokens: pa.Array, key_ver: str) -> np.ndarray:
    """Which of texts that are all tokens (`are_tokens`) were made with the key, bool (tokens,)."""
    if len(key_ver) != 2:
        # No token of a key with one digit begins with it.
        return np.zeros(len(tokens), dtype=bool)
    starts = np.frombuffer(tokens.buffers()[1], dtype=np.int32)[tokens.offset : tokens.offset + len(tokens)]
    return np.frombuffer(tokens.buffers()[2], dtype=np.uint8)[starts + 1] == ord(key_ver[1])
