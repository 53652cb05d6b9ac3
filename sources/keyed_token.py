"""Tokens: `{key id}:{40 hexadecimal digits}`, a keyed hash of who is meant. One implementation for codes replaced on entry
(`sources.pseudonym`) and for the gateway at the provider (`sources.gateway`).

Without the key nobody can try ids out: a county and a year of birth leave 365,000 resident ids, which a plain hash gives away in
seconds. 160 bits are kept; the chance that two of a billion subjects share a token is 3e-31.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import pyarrow as pa

Algorithm = Literal["hmac-sha256", "hmac-sm3"]
ALGORITHMS: Final = get_args(Algorithm)

#: Hexadecimal digits kept: 160 bits.
DIGITS = 40

_DIGEST = {"hmac-sha256": "sha256", "hmac-sm3": "sm3"}


@dataclass(frozen=True)
class TokenKey:
    """A secret and what its tokens are marked with."""

    key_id: str
    secret: bytes = field(repr=False)
    algorithm: Algorithm = "hmac-sha256"

    def token(self, message: str) -> str:
        """The token of one message."""
        digest = hmac.digest(self.secret, message.encode(), _DIGEST[self.algorithm])
        return f"{self.key_id}:{digest.hex()[:DIGITS]}"

    def tokens(self, domain: str, texts: list[str]) -> list[str]:
        """The token of `domain|text` for each text. The domain says whose ids they are, so that equal ids of different
        issuers stay apart.
        """
        secret, digest, begin = self.secret, _DIGEST[self.algorithm], f"{domain}|"
        mark = f"{self.key_id}:"
        return [mark + hmac.digest(secret, (begin + text).encode(), digest).hex()[:DIGITS] for text in texts]

    def token_column(self, domain: str, texts: pa.Array) -> pa.Array:
        """Tokens of a column of texts, shape (rows,), each different text hashed once; null stays null."""
        encoded = texts.dictionary_encode()
        made = self.tokens(domain, encoded.dictionary.to_pylist())
        return pa.array(made, pa.string()).take(encoded.indices)
