"""Tombstones: how an installation knows a subject it has erased without remembering who it was.

A tombstone is the keyed hash of kind and pseudonym, HMAC-SHA-256 under `<home>/keys/erasure.key`. Without the key nobody can try
pseudonyms out; with it a delivery that brings the subject again is noticed. Where the pseudonym stands in rows about somebody
else (an employer, a payer), a stand-in made from the tombstone takes its place, so that different parties stay different.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import func, select

from core.errors import GateRefused
from core.key_file import load_key
from core.state import Erasure, StateDatabase
from core.subject import SubjectKind

FILE_NAME = "erasure.key"

#: Reason under which rows of erased subjects are left out of deliveries.
LEFT_OUT = "erased"

#: Key version of stand-ins: no pseudonym of anybody begins so.
STAND_IN = "k0"


def tombstone(keys: Path, kind: SubjectKind, subject_id: str) -> str:
    """64 hexadecimal digits that stand for an erased subject."""
    return _hash(load_key(keys / FILE_NAME), kind, subject_id)


def stand_in(tombstone_: str) -> str:
    """The text that takes the place of an erased pseudonym in rows about others; it has a pseudonym's form."""
    return f"{STAND_IN}:{tombstone_[:40]}"


@dataclass(frozen=True)
class Erased:
    """Whom an installation has erased, by subject kind; opened once per delivery."""

    keys: Path
    known: dict[SubjectKind, frozenset[str]]

    @classmethod
    def load(cls, state: StateDatabase, keys: Path) -> Erased:
        """All tombstones; those of erasures that are still under way count too."""
        known: dict[SubjectKind, set[str]] = {kind: set() for kind in SubjectKind}
        with state.session() as session:
            for kind, hash_ in session.execute(select(Erasure.subject, Erasure.tombstone)):
                known[SubjectKind(kind)].add(hash_)
        return cls(keys, {kind: frozenset(hashes) for kind, hashes in known.items()})

    @property
    def nobody(self) -> bool:
        """Whether nobody has ever been erased: then nothing needs to be looked for."""
        return not any(self.known.values())

    def among(self, kind: SubjectKind, subject_ids: pa.Array) -> np.ndarray:
        """bool per text (rows,): whether it is the pseudonym of an erased subject of the kind."""
        if not self.known[kind]:
            return np.zeros(len(subject_ids), dtype=bool)
        secret = load_key(self.keys / FILE_NAME)
        hashes = (None if t is None else _hash(secret, kind, t) for t in subject_ids.to_pylist())
        return np.array([hash_ in self.known[kind] for hash_ in hashes], dtype=bool)

    def stand_ins(self, texts: pa.Array) -> dict[int, str]:
        """Places of texts that are pseudonyms of erased subjects of any kind, with what takes their place."""
        found: dict[int, str] = {}
        secret = load_key(self.keys / FILE_NAME)
        for kind, hashes in self.known.items():
            if hashes:
                for place, text in enumerate(texts.to_pylist()):
                    hash_ = "" if text is None else _hash(secret, kind, text)
                    if hash_ in hashes:
                        found[place] = stand_in(hash_)
        return found


def last_erasure(state: StateDatabase) -> int:
    """The number of the last erasure begun, 0 before the first: whoever reads over a long time compares before and after."""
    with state.session() as session:
        return session.scalar(select(func.max(Erasure.erasure_no))) or 0


def require_no_erasure_since(state: StateDatabase, number: int, what: str) -> None:
    """GateRefused where an erasure has begun since `last_erasure` gave `number`: what was read may hold the subject."""
    if last_erasure(state) != number:
        raise GateRefused(
            f"a subject was erased while {what} was being made, so it isn't kept.", "Run the stage again."
        )


def require_finished(state: StateDatabase) -> None:
    """GateRefused while an erasure is unfinished."""
    with state.session() as session:
        open_: Iterable[int] = session.scalars(
            select(Erasure.erasure_no).where(Erasure.done_at.is_(None))
        ).all()
    numbers = ", ".join(map(str, open_))
    if numbers:
        raise GateRefused(
            f"erasure {numbers} is unfinished.",
            "Run the same `gscene subject erase` command again; it goes on where it stopped.",
        )


def _hash(secret: bytes, kind: SubjectKind, subject_id: str) -> str:
    return hmac.digest(secret, f"gscene/erasure|{kind}|{subject_id}".encode(), "sha256").hex()
