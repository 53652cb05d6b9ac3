"""The keyed hashes of lead lists: tokens, holdout draws and tie-breaks, all from one secret of the installation.

HMAC-SHA-256 with a subkey per use, so that a token tells nothing about a draw. The secret lies in `<home>/keys`, readable
by its owner alone, never in the repository, the database or a list.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.key_file import KEY_BYTES, load_key

FILE_NAME = "leads.key"

#: Draws are made of the first 8 bytes of a hash: 2**-64 is far below any share that matters.
_DRAW_BYTES = 8


@dataclass(frozen=True)
class LeadKey:
    """The secret of one installation. Same secret, same tokens and draws, on every machine and in every run."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < KEY_BYTES:
            raise ValueError(f"a lead key has at least {KEY_BYTES} bytes")

    @classmethod
    def load(cls, folder: Path) -> LeadKey:
        """Read `leads.key` in `folder`, making it with mode 0600 at first use; GsceneError where others can read it."""
        return cls(load_key(folder / FILE_NAME))

    def token(self, use: str, text: str, characters: int = 40) -> str:
        """`characters` hexadecimal digits (at most 64) for one text."""
        return hmac.digest(self._subkey(use), text.encode(), "sha256").hex()[:characters]

    def tokens(self, use: str, texts: Iterable[str], characters: int = 40) -> list[str]:
        """`token` for many texts."""
        subkey = self._subkey(use)
        return [hmac.digest(subkey, text.encode(), "sha256").hex()[:characters] for text in texts]

    def draws(self, use: str, texts: Iterable[str]) -> np.ndarray:
        """float64 in [0, 1), one per text: uniform, and always the same for the same text."""
        subkey = self._subkey(use)
        heads = b"".join(hmac.digest(subkey, text.encode(), "sha256")[:_DRAW_BYTES] for text in texts)
        # 53 bits fit a float exactly, so that a draw can never round up to 1.
        return (np.frombuffer(heads, dtype=">u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def _subkey(self, use: str) -> bytes:
        return hmac.digest(self.secret, b"gscene/leads/" + use.encode(), "sha256")
