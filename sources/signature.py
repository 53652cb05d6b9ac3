"""Ed25519 signatures on what sources send and on what the bank answers.

`manifest.sig` beside a manifest: JSON with `key_id` and `signature` (hexadecimal, over the manifest's exact bytes). The
source's public keys lie in `<home>/trust/<source>/<key_id>.pem`; several at once let a source change its key without a
day's break. A source that ever had a key there must sign: revoked keys are kept under `revoked/`, so that taking the last
key away stops a source rather than letting it send unsigned.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from core.errors import GsceneError, Refusal

SIGNATURE_NAME = "manifest.sig"
REVOKED = "revoked"

_LONGEST = 1000
_KEY_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True)
class TrustedKey:
    """A source's public key as it is registered."""

    source: str
    key_id: str
    file: Path
    revoked: bool


def key_id_of(key: Ed25519PublicKey) -> str:
    """The id of a key: the first 16 hexadecimal digits of the sha256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def signature_of(body: bytes, key: Ed25519PrivateKey) -> str:
    """The text of a signature file over `body`; the same key and bytes give the same text."""
    told = {"key_id": key_id_of(key.public_key()), "signature": key.sign(body).hex()}
    return json.dumps(told, sort_keys=True) + "\n"


def trusted_keys(trust: Path, source: str | None = None) -> list[TrustedKey]:
    """Registered keys of one source or of all, revoked ones too."""
    found = []
    for folder in sorted(trust.iterdir()) if trust.is_dir() else []:
        if not folder.is_dir() or (source is not None and folder.name != source):
            continue
        for revoked, files in ((False, folder.glob("*.pem")), (True, (folder / REVOKED).glob("*.pem"))):
            found += [TrustedKey(folder.name, file.stem, file, revoked) for file in sorted(files)]
    return found


def check_signature(body: bytes, file: Path, source: str, trust: Path) -> str | None:
    """The id of the key that signed `body`, None where the source has no key and needn't sign.

    Raises Refusal REFUSED/SIGNATURE: missing, not of the form, by an unknown or revoked key, or over other bytes.
    """
    keys = {key.key_id: key for key in trusted_keys(trust, source)}
    if not keys:
        return None
    if not file.is_file() or file.is_symlink():
        raise _refuse(file, "the source must sign its manifests, and there is no signature")
    key_id, signature = _read(file)
    known = keys.get(key_id)
    if known is None:
        raise _refuse(file, "signed with a key that isn't registered for this source")
    if known.revoked:
        raise _refuse(file, f"signed with the key {key_id}, which was revoked")
    try:
        load_public_key(known.file).verify(signature, body)
    except InvalidSignature:
        raise _refuse(
            file, "the signature doesn't fit the manifest: it was changed, or signed otherwise"
        ) from None
    return key_id


def load_public_key(file: Path) -> Ed25519PublicKey:
    """An Ed25519 public key from a PEM file; GsceneError where it is anything else."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise GsceneError(
            f"{file} holds no Ed25519 public key in PEM.",
            "Have the source make one: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout",
        )
    return key


def _read(file: Path) -> tuple[str, bytes]:
    wrong = _refuse(file, "not of the form {key_id, signature}")
    try:
        if file.stat().st_size > _LONGEST:
            raise wrong
        told = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(told, dict) or set(told) != {"key_id", "signature"}:
        raise wrong
    key_id, signature = told["key_id"], told["signature"]
    if not isinstance(key_id, str) or not isinstance(signature, str):
        raise wrong
    if not _KEY_ID.fullmatch(key_id) or not _SIGNATURE.fullmatch(signature):
        raise wrong
    return key_id, bytes.fromhex(signature)


def _refuse(file: Path, message: str) -> Refusal:
    return Refusal(
        "REFUSED/SIGNATURE",
        f"{message}.",
        file=file.name,
        remedy="Ask the source who sent it; register a new key of its own with: gscene trust add.",
    )
