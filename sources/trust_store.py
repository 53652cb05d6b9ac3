"""Registering and revoking the public keys that sources sign with; each change is audited by name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from core.audit import record
from core.clock import Clock
from core.errors import GsceneError
from core.state import StateDatabase
from sources.delivery import NAME
from sources.signature import REVOKED, TrustedKey, key_id_of, load_public_key, trusted_keys


def add_key(trust: Path, source: str, file: Path, state: StateDatabase, clock: Clock, by: str) -> TrustedKey:
    """Register the public key in a PEM file for a source, which must sign from now on. The same key again is a no-op; a
    revoked one doesn't come back. GsceneError where the file holds no such key.
    """
    if not re.fullmatch(NAME, source):
        raise GsceneError(f"`{source}` can't be a source's name.", "Names are like city_tax.")
    key = load_public_key(file)
    key_id = key_id_of(key)
    known = next((known for known in trusted_keys(trust, source) if known.key_id == key_id), None)
    if known is not None and known.revoked:
        raise GsceneError(f"the key {key_id} of {source} was revoked.", "Have the source make a new key.")
    target = trust / source / f"{key_id}.pem"
    if known is None:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(file.read_bytes())
        os.replace(part, target)
        with state.session() as session:
            record(session, clock, by, "trust.added", source, {"key_id": key_id})
    return TrustedKey(source, key_id, target, revoked=False)


def revoke_key(trust: Path, source: str, key_id: str, state: StateDatabase, clock: Clock, by: str) -> None:
    """Refuse what this key signs from now on. GsceneError where the source has no such key."""
    known = next((known for known in trusted_keys(trust, source) if known.key_id == key_id), None)
    if known is None or known.revoked:
        raise GsceneError(f"{source} has no key {key_id} in force.", "gscene trust list shows the keys.")
    folder = trust / source / REVOKED
    folder.mkdir(exist_ok=True)
    os.replace(known.file, folder / known.file.name)
    with state.session() as session:
        record(session, clock, by, "trust.revoked", source, {"key_id": key_id})
