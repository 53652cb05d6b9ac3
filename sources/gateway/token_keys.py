"""Keys of the gateway and the tokens made with them.

One master key per key id; from it a subkey per purpose, source and kind of subject by HKDF-SHA-256 (RFC 5869), so that a
token of one purpose or source tells nothing about that of another. A token is `<key id>:` and 160 bits of an HMAC in
hexadecimal. The key, not the hash, is what protects: all resident ids of a county can be hashed in seconds.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import GsceneError
from core.key_file import KEY_BYTES, load_key
from core.purpose import Purpose
from core.subject import SubjectKind

#: SM3 (GB/T 32905) where Chinese commercial cryptography is asked for; both give 256 bits, of which 160 are kept.
Algorithm = Literal["sha256", "sm3"]
ALGORITHMS: tuple[str, ...] = get_args(Algorithm)
TOKEN_DIGITS = 40

_KEY_ID = re.compile(r"k[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class TokenKey:
    """One master key, known by its id (`k1`)."""

    key_id: str
    master: bytes = field(repr=False)
    algorithm: Algorithm = "sha256"

    def __post_init__(self) -> None:
        if _KEY_ID.fullmatch(self.key_id) is None:
            raise ValueError("a key id is k and a number, such as k1")
        if len(self.master) < KEY_BYTES:
            raise ValueError(f"a master key has at least {KEY_BYTES} bytes")

    def tokeniser(self, purpose: Purpose, source: str, kind: SubjectKind) -> Tokeniser:
        """What makes the tokens of one purpose, source and kind of subject."""
        info = f"gscene/{self.algorithm}/{purpose}/{source}/{kind}".encode()
        subkey = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self.master)
        return Tokeniser(self.key_id, subkey, self.algorithm, f"{purpose}|{source}|{kind}|")


@dataclass(frozen=True)
class Tokeniser:
    """Tokens of one domain: (normal form of an id) -> `k1:` and 40 hexadecimal digits."""

    key_id: str
    subkey: bytes = field(repr=False)
    algorithm: Algorithm
    domain: str

    def token(self, plain: str) -> str:
        """The token of one id in its normal form (`sources.identity.written_id`)."""
        digest = hmac.digest(self.subkey, (self.domain + plain).encode(), self.algorithm)
        return f"{self.key_id}:{digest.hex()[:TOKEN_DIGITS]}"


class KeyFolder:
    """Master keys in one folder, `<key id>.key`, each readable by its owner alone; `<key id>.retired` beside a retired one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new(self) -> str:
        """Make the next key and return its id."""
        key_id = f"k{max((int(known[1:]) for known in self.ids()), default=0) + 1}"
        load_key(self._file(key_id))
        return key_id

    def ids(self) -> list[str]:
        """All key ids, oldest first."""
        found = [file.stem for file in self.folder.glob("k*.key") if _KEY_ID.fullmatch(file.stem)]
        return sorted(found, key=lambda key_id: int(key_id[1:]))

    def is_retired(self, key_id: str) -> bool:
        """Whether the key may no longer make tokens (it still may in a rotation)."""
        return self._file(key_id).with_suffix(".retired").exists()

    def retire(self, key_id: str) -> None:
        """Say that the key makes no more tokens."""
        self.load(key_id, retired=True)
        self._file(key_id).with_suffix(".retired").touch(mode=0o600)

    def load(self, key_id: str, algorithm: Algorithm = "sha256", retired: bool = False) -> TokenKey:
        """The key; GsceneError where it is missing, readable by others, or retired (unless `retired` are allowed)."""
        file = self._file(key_id)
        if not file.is_file():
            known = ", ".join(self.ids()) or "none"
            raise GsceneError(
                f"there is no key {key_id} in {self.folder} (there: {known}).", "gscene pseudonymise keys new"
            )
        if self.is_retired(key_id) and not retired:
            raise GsceneError(
                f"the key {key_id} is retired.", "Use the newest key: gscene pseudonymise keys list"
            )
        return TokenKey(key_id, load_key(file), algorithm)

    def _file(self, key_id: str) -> Path:
        return self.folder / f"{key_id}.key"


def key_from_descriptor(key_id: str, descriptor: int, algorithm: Algorithm = "sha256") -> TokenKey:
    """A master key handed over on a file descriptor (from a safe or an HSM's client), in raw bytes or hexadecimal; never on the
    command line, where every process can read it.
    """
    with os.fdopen(os.dup(descriptor), "rb") as opened:
        handed = opened.read(4096).strip(b"\r\n")
    if re.fullmatch(rb"[0-9a-fA-F]{64,}", handed):
        handed = bytes.fromhex(handed.decode())
    if len(handed) < KEY_BYTES:
        raise GsceneError(
            f"the key handed over has fewer than {KEY_BYTES} bytes.",
            "Hand over 32 random bytes or 64 hexadecimal digits.",
        )
    return TokenKey(key_id, handed, algorithm)


def fresh_master() -> bytes:
    """Random bytes for a master key that is kept elsewhere."""
    return secrets.token_bytes(KEY_BYTES)
