"""The gateway's keys: a folder with one secret a key and an index that holds no secret.

`k1.key` is 32 random bytes, readable by its owner alone; `keyring.json` says which keys there are, since when, and which are
retired. A secret never appears in a configuration, a log, an argument or an error. Where an HSM or a vault keeps it, it comes
through a file descriptor (`key_from`) and no file is made.

What makes tokens is not the secret itself but a subkey of it for one purpose and one domain (HKDF, RFC 5869): who learns
the subkey of one learns nothing of the others, and tokens of two purposes can't be joined.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import get_args

from cryptography.hazmat.primitives.hashes import SHA256, SM3, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.clock import Clock
from core.errors import GsceneError
from core.key_file import KEY_BYTES, load_key
from core.purpose import Purpose
from sources.keyed_token import Algorithm, TokenKey

INDEX = "keyring.json"
FORMAT = "gscene-keyring/1"
#: What key ids look like; they stand in every token.
KEY_ID = re.compile(r"k[1-9][0-9]{0,3}")

_SALT = b"gscene-gateway/1"
_HASHES: dict[Algorithm, type[HashAlgorithm]] = {"hmac-sha256": SHA256, "hmac-sm3": SM3}


@dataclass(frozen=True)
class KeyEntry:
    """A key without its secret. `check` are eight digits that two holders of the key can compare by telephone."""

    key_id: str
    algorithm: Algorithm
    made_at: str
    check: str
    retired_at: str | None = None


@dataclass(frozen=True)
class MasterKey:
    """A secret, its id and its algorithm."""

    key_id: str
    algorithm: Algorithm
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not KEY_ID.fullmatch(self.key_id):
            raise GsceneError("a key's id is k1, k2 and so on.", "Give --key-id k2.")
        if len(self.secret) < KEY_BYTES:
            raise GsceneError(
                f"the key has {len(self.secret)} bytes, {KEY_BYTES} are needed.",
                "Make one with: gscene pseudonymise keys new.",
            )

    @property
    def check(self) -> str:
        """Eight hexadecimal digits that tell keys apart and tell nothing of them."""
        return hmac.digest(self.secret, b"gscene key check", "sha256").hex()[:8]

    def subkey(self, purpose: Purpose, domain: str) -> TokenKey:
        """The key that makes tokens for one purpose in one domain."""
        kdf = HKDF(
            algorithm=_HASHES[self.algorithm](),
            length=KEY_BYTES,
            salt=_SALT,
            info=f"{purpose}|{domain}".encode(),
        )
        return TokenKey(self.key_id, kdf.derive(self.secret), self.algorithm)


class Keyring:
    """The keys in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entries(self) -> list[KeyEntry]:
        """All keys in the order they were made, retired ones too."""
        path = self.folder / INDEX
        if not path.exists():
            return []
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["format"] != FORMAT:
                raise ValueError(told["format"])
            return [KeyEntry(**entry) for entry in told["keys"]]
        except (ValueError, KeyError, TypeError):
            raise GsceneError(f"{path} is no keyring.", "Restore it from backup beside its keys.") from None

    def new(self, clock: Clock, algorithm: Algorithm, key_id: str | None = None) -> KeyEntry:
        """Make a key; without `key_id` the next number. GsceneError where the id is taken, or its file lies there."""
        entries = self.entries()
        taken = {entry.key_id for entry in entries}
        key_id = key_id or f"k{max((int(known[1:]) for known in taken), default=0) + 1}"
        if not KEY_ID.fullmatch(key_id) or key_id in taken or self._file(key_id).exists():
            raise GsceneError(f"{key_id} can't be made: ids are k1, k2 …, each once.", "Leave --id out.")
        secret = load_key(self._file(key_id))
        made = MasterKey(key_id, algorithm, secret)
        entry = KeyEntry(key_id, algorithm, clock.now().isoformat(timespec="seconds"), made.check)
        self._write([*entries, entry])
        return entry

    def retire(self, clock: Clock, key_id: str) -> KeyEntry:
        """No new tokens with this key; it stays for crosswalks to its successor. GsceneError for an unknown key."""
        entries = self.entries()
        known = next((entry for entry in entries if entry.key_id == key_id), None)
        if known is None:
            raise GsceneError(
                f"the keyring has no {key_id}.", "gscene pseudonymise keys list shows the keys."
            )
        if known.retired_at is None:
            known = replace(known, retired_at=clock.now().isoformat(timespec="seconds"))
            self._write([known if entry.key_id == key_id else entry for entry in entries])
        return known

    def active(self, key_id: str | None = None) -> MasterKey:
        """The key that makes tokens: the named one, else the newest in force. GsceneError where it is retired or missing."""
        in_force = [entry for entry in self.entries() if entry.retired_at is None]
        wanted = [entry for entry in in_force if key_id is None or entry.key_id == key_id]
        if not wanted:
            raise GsceneError(
                f"{self.folder} has no key in force" + (f" called {key_id}." if key_id else "."),
                "Make one with: gscene pseudonymise keys new.",
            )
        return self._master(wanted[-1])

    def any(self, key_id: str) -> MasterKey:
        """A key by its id, retired or not, for crosswalks."""
        known = next((entry for entry in self.entries() if entry.key_id == key_id), None)
        if known is None:
            raise GsceneError(
                f"the keyring has no {key_id}.", "gscene pseudonymise keys list shows the keys."
            )
        return self._master(known)

    def _master(self, entry: KeyEntry) -> MasterKey:
        file = self._file(entry.key_id)
        if not file.is_file():
            raise GsceneError(f"{file} is missing.", "Restore it from backup; a new key makes other tokens.")
        master = MasterKey(entry.key_id, entry.algorithm, load_key(file))
        if master.check != entry.check:
            raise GsceneError(
                f"{file} isn't the key that {INDEX} describes.", "Restore both from the same backup."
            )
        return master

    def _file(self, key_id: str) -> Path:
        return self.folder / f"{key_id}.key"

    def _write(self, entries: list[KeyEntry]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / INDEX
        part = path.with_suffix(".part")
        told = {"format": FORMAT, "keys": [asdict(entry) for entry in entries]}
        part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        os.replace(part, path)


def key_from(descriptor: int, key_id: str, algorithm: Algorithm) -> MasterKey:
    """A key handed over on an open file descriptor (0 is stdin): 64 hexadecimal digits, or 32 raw bytes.

    GsceneError where it is neither; the text never quotes what came.
    """
    try:
        with os.fdopen(os.dup(descriptor), "rb") as pipe:
            handed = pipe.read(4096)
    except OSError:
        raise GsceneError(
            f"file descriptor {descriptor} can't be read.", "Hand the key over, as in: … --key-fd 3 3< KEY"
        ) from None
    if len(handed) != KEY_BYTES:
        try:
            handed = bytes.fromhex(handed.decode("ascii").strip())
        except ValueError:
            raise GsceneError(
                "what came on the file descriptor is no key.", "Hand over 32 bytes, or 64 hexadecimal digits."
            ) from None
    return MasterKey(key_id, algorithm, handed)


def algorithm_named(name: str) -> Algorithm:
    """The algorithm of this name; GsceneError for another."""
    for algorithm in get_args(Algorithm):
        if algorithm == name:
            return algorithm
    raise GsceneError(f"no algorithm is called {name}.", f"Use {' or '.join(get_args(Algorithm))}.")
