"""Pseudonyms as numbers, so that folded months can say whether it is still the same employer without keeping who it is.

The version of the key stands above 48 bits of the pseudonym: identities under two keys can't be compared, and formulas take a
change of key for no change. Float64 holds such numbers exactly. Two pseudonyms share a number once in 2^48 pairs.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: What one version of the key takes up.
KEY_SPAN = 2**48
#: Versions told apart: 53 bits less the 48.
KEYS = 32
_DIGITS = 12


def identity_numbers(pseudonyms: pa.Array) -> np.ndarray:
    """int64 of shape (pseudonyms,): version of the key x 2^48 + the first twelve hexadecimal digits; 0 for a null."""
    texts = pc.fill_null(pseudonyms, "k0:" + "0" * _DIGITS).to_pylist()
    numbers = np.empty(len(texts), dtype=np.int64)
    for place, text in enumerate(texts):
        key, _, digits = text.partition(":")
        numbers[place] = int(key[1:]) % KEYS * KEY_SPAN + int(digits[:_DIGITS], 16)
    return numbers
