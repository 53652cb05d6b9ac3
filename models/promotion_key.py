"""The promotion key: Ed25519, held by whoever approves models and never by what trains them.

The private half is a PEM file outside of the training role's reach; its public half is registered in `<home>/model_trust`.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from core.audit import record
from core.clock import Clock
from core.errors import GsceneError, SignOffRefused
from core.settings import Settings
from core.state import StateDatabase
from sources.signature import REVOKED, TrustedKey, key_id_of, load_public_key, trusted_keys

#: The one signer whose keys `<home>/model_trust` holds.
SIGNER = "promotion"
CODE = "SIGN_OFF/SIGNATURE"
_SIGNATURE = re.compile(r"([0-9a-f]{16}) ([0-9a-f]{128})\n")


@dataclass(frozen=True)
class PromotionKey:
    """A loaded private key and its id."""

    key_id: str
    private: Ed25519PrivateKey

    def sign(self, body: bytes) -> str:
        """Text of a signature file over `body`."""
        return f"{self.key_id} {self.private.sign(body).hex()}\n"


def create_key(file: Path, settings: Settings, state: StateDatabase, clock: Clock, by: str) -> str:
    """Make a key pair: the private half into `file` (mode 0600, never overwritten), the public half registered. Gives its id."""
    private = Ed25519PrivateKey.generate()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise GsceneError(
            f"{file} exists already.", "Choose another file; a key is never overwritten."
        ) from None
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key_id = key_id_of(private.public_key())
    public = settings.model_trust / SIGNER / f"{key_id}.pem"
    public.parent.mkdir(parents=True, exist_ok=True)
    part = public.with_suffix(".part")
    part.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    os.replace(part, public)
    with state.session() as session:
        record(session, clock, by, "model_key.added", SIGNER, {"key_id": key_id})
    return key_id


def revoke_key(key_id: str, settings: Settings, state: StateDatabase, clock: Clock, by: str) -> None:
    """Refuse everything this key has signed, from now on. GsceneError where there is no such key in force."""
    known = next((key for key in keys_of(settings) if key.key_id == key_id and not key.revoked), None)
    if known is None:
        raise GsceneError(
            f"there is no promotion key {key_id} in force.", "gscene models keys shows the keys."
        )
    folder = settings.model_trust / SIGNER / REVOKED
    folder.mkdir(exist_ok=True)
    os.replace(known.file, folder / known.file.name)
    with state.session() as session:
        record(session, clock, by, "model_key.revoked", SIGNER, {"key_id": key_id})


def keys_of(settings: Settings) -> list[TrustedKey]:
    """Registered public halves, revoked ones too."""
    return trusted_keys(settings.model_trust, SIGNER)


def load_promotion_key(file: Path | None, settings: Settings) -> PromotionKey:
    """The private key that signs; SignOffRefused where there is none, others can read it, or it isn't registered."""
    if file is None:
        raise _refuse(
            "no promotion key is given.",
            "Give --key FILE, or promotion_key in gscene.yaml; gscene models keys makes one.",
        )
    try:
        if file.stat().st_mode & 0o077:
            raise _refuse(f"{file} can be read by others.", f"Run: chmod 600 {file}")
        private = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise _refuse(f"{file} holds no Ed25519 private key.", "gscene models keys --create FILE makes one.")
    key_id = key_id_of(private.public_key())
    if key_id not in {key.key_id for key in keys_of(settings) if not key.revoked}:
        raise _refuse(
            f"the key in {file} is not registered here, or was revoked.",
            "gscene models keys shows the keys in force.",
        )
    return PromotionKey(key_id, private)


def check_signature(body: bytes, signature: bytes, settings: Settings) -> str:
    """The id of the registered key that signed `body`; SignOffRefused SIGN_OFF/SIGNATURE for anything else."""
    form = _SIGNATURE.fullmatch(signature.decode("ascii", "replace"))
    if form is None:
        raise _refuse("the signature is not of the form `key_id signature`.", _AGAIN)
    known = {key.key_id: key for key in keys_of(settings)}.get(form[1])
    if known is None:
        raise _refuse("the signature is by a key that isn't registered here.", _AGAIN)
    if known.revoked:
        raise _refuse(f"the signature is by the key {known.key_id}, which was revoked.", _AGAIN)
    public = load_public_key(known.file)
    if key_id_of(public) != known.key_id:
        raise _refuse(f"{known.file.name} holds another key.", "Restore the folder model_trust.")
    try:
        public.verify(bytes.fromhex(form[2]), body)
    except InvalidSignature:
        raise _refuse("the signature does not fit what was signed.", _AGAIN) from None
    return known.key_id


def sha256_of(body: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(body).hexdigest()


_AGAIN = "Have the model approved again: gscene models approve NAME."


def _refuse(message: str, remedy: str) -> SignOffRefused:
    return SignOffRefused(CODE, message, remedy)
