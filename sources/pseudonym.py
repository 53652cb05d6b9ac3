"""Pseudonyms made on entry, for sources that send their own codes: keyed HMAC-SHA-256, so that nobody without
the key can try codes out. The key lies in `<home>/keys`, readable by its owner alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from core.key_file import KEY_BYTES, load_key
from core.subject import SubjectKind
from sources.keyed_token import TokenKey

FILE_NAME = "pseudonym.key"
#: Name of the key in every pseudonym: a second key would write `k2:` beside it.
KEY_VERSION = "k1"


@dataclass(frozen=True)
class PseudonymKey:
    """The secret of one installation."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < KEY_BYTES:
            raise ValueError(f"a pseudonym key has at least {KEY_BYTES} bytes")

    @classmethod
    def load(cls, folder: Path) -> PseudonymKey:
        """Read the key in `folder`, making it with mode 0600 at first use; GsceneError where others can read
        it.
        """
        return cls(load_key(folder / FILE_NAME))

    def pseudonyms(self, kind: SubjectKind, code_space: str, codes: pa.Array) -> pa.Array:
        """`k1:` and 40 hexadecimal digits per code, shape (rows,). Kind and code space keep equal codes of
        different issuers apart.
        """
        return TokenKey(KEY_VERSION, self.secret).token_column(f"{kind}|{code_space}", codes)
