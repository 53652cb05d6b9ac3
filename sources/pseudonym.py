"""Pseudonyms made on entry, for sources that send their own codes: keyed HMAC-SHA-256, so that nobody without
the key can try codes out. The key lies in `<home>/keys`, readable by its owner alone.
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from core.errors import GsceneError
from core.subject import SubjectKind

FILE_NAME = "pseudonym.key"
KEY_BYTES = 32

#: Name of the key in every pseudonym: a second key would write `k2:` beside it.
KEY_VERSION = "k1"

#: Hexadecimal digits kept: 160 bits, far beyond any chance of two subjects sharing one.
_DIGITS = 40


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
        file = folder / FILE_NAME
        if not file.exists():
            _create(file)
        if file.stat().st_mode & 0o077:
            raise GsceneError(f"{file} can be read by others.", f"Run: chmod 600 {file}")
        return cls(file.read_bytes())

    def pseudonyms(self, kind: SubjectKind, code_space: str, codes: pa.Array) -> pa.Array:
        """`k1:` and 40 hexadecimal digits per code, shape (rows,). Kind and code space keep equal codes of
        different issuers apart.
        """
        encoded = codes.dictionary_encode()
        made = [self._one(f"{kind}|{code_space}|{code}") for code in encoded.dictionary.to_pylist()]
        return pa.array(made, pa.string()).take(encoded.indices)

    def _one(self, message: str) -> str:
        return f"{KEY_VERSION}:{hmac.digest(self.secret, message.encode(), 'sha256').hex()[:_DIGITS]}"


def _create(file: Path) -> None:
    """Made whole under another name and then linked, so that two first users end with one key and never with
    half of one.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(secrets.token_bytes(KEY_BYTES))
        opened.flush()
        os.fsync(opened.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
