"""Secrets of one installation: files in `<home>/keys`, made at first use, readable by their owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from core.errors import GsceneError

#: Bytes of a secret.
KEY_BYTES = 32


def load_key(file: Path) -> bytes:
    """Read the secret in `file`, making it with mode 0600 at first use; GsceneError where others can read it."""
    if not file.exists():
        _create(file)
    if file.stat().st_mode & 0o077:
        raise GsceneError(f"{file} can be read by others.", f"Run: chmod 600 {file}")
    return file.read_bytes()


def _create(file: Path) -> None:
    """Made whole under another name and then linked, so that two first users end with one key and never with half of one."""
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
