"""Reviewed sentences for reasons: YAML files by kind of subject, and who reviewed which wording.

A review is a link of the audit chain that names each sentence's hash: a changed sentence has to be reviewed again, and nobody can
mark one as reviewed by editing a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.audit import record
from core.clock import Clock
from core.definition_file import CODE, Bilingual, Definition, load_definition
from core.errors import GateRefused, GsceneError, Refusal
from core.person import actor_name
from core.settings import Settings
from core.state import AuditEvent
from core.subject import SubjectKind

SHIPPED = Path(__file__).parent / "phrases"

#: Folder of the home with a bank's own wording.
OWN = "reason_phrases"

REVIEWED = "reasons.phrases_reviewed"

#: Digits of a sentence's sha256 in the audit chain.
_DIGITS = 16

Key = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class PhraseBook(Definition):
    """One file. `phrases`: by phrase key of the catalogue; `absences`: by facts, where all that a model uses is missing."""

    subject: SubjectKind
    title: Bilingual
    phrases: dict[Key, Bilingual]
    absences: dict[str, Bilingual] = {}

    @field_validator("phrases", "absences")
    @classmethod
    def _fixed_text(cls, texts: dict[str, Bilingual]) -> dict[str, Bilingual]:
        for key, text in texts.items():
            for words in (text.zh, text.en):
                if (
                    not words.strip()
                    or any(sign in words for sign in "{}%")
                    or any(c.isdigit() for c in words)
                ):
                    raise ValueError(
                        f"{key}: a reason is fixed text in both languages, without numbers or placeholders"
                    )
        return texts

    @property
    def texts(self) -> dict[str, Bilingual]:
        """Sentence by reason code."""
        return self.phrases | {absence_code(facts): text for facts, text in self.absences.items()}

    def hashes(self) -> dict[str, str]:
        """Hash of each sentence by its code."""
        return {code: _hash(code, text) for code, text in self.texts.items()}


def absence_code(facts: str) -> str:
    """Reason code of records that are missing."""
    return f"NO_{facts.upper()}"


def load_phrase_book(kind: SubjectKind, settings: Settings | None = None) -> PhraseBook:
    """The book of a kind of subject: the home's own where there is one. A Refusal names file and line."""
    own = None if settings is None else settings.home / OWN / f"{kind}.yaml"
    path = own if own is not None and own.exists() else SHIPPED / f"{kind}.yaml"
    book = load_definition(path, PhraseBook)
    if book.subject is not kind:
        raise Refusal(
            CODE, f"the sentences for {book.subject} stand in the file of {kind}.", file=str(path), remedy="Correct `subject`."
        )  # fmt: skip
    return book


def reviews(session: Session) -> dict[str, tuple[str, str, str]]:
    """Hash of a sentence -> who reviewed it, on which day, and why it was found right; the latest review of each."""
    found: dict[str, tuple[str, str, str]] = {}
    for event in session.scalars(
        select(AuditEvent).where(AuditEvent.action == REVIEWED).order_by(AuditEvent.event_no)
    ):
        for sha in event.details["phrases"].values():
            found[str(sha)] = (event.actor, f"{event.at:%Y-%m-%d}", str(event.details["reason"]))
    return found


def review(
    session: Session, clock: Clock, book: PhraseBook, codes: Collection[str], actor: str, reason: str
) -> list[str]:
    """Note that a person has read these sentences and stands by them, in the caller's transaction; returns the codes.

    GsceneError for a code that the book doesn't have, or without a reason.
    """
    hashes = book.hashes()
    unknown = sorted(set(codes) - set(hashes))
    if unknown or not reason.strip():
        told = f"there is no sentence {unknown[0]}" if unknown else "a review takes a reason"
        raise GsceneError(f"{told}.", "See: gscene models phrases; give --reason.")
    chosen = {code: hashes[code] for code in sorted(codes)}
    details = {"subject": str(book.subject), "phrases": chosen, "reason": reason.strip()}
    record(session, clock, actor_name(actor), REVIEWED, f"reason_phrases/{book.subject}", details)
    return list(chosen)


def unreviewed(session: Session, book: PhraseBook, codes: Collection[str]) -> list[str]:
    """Codes whose present wording nobody has reviewed."""
    done, hashes = reviews(session), book.hashes()
    return sorted(code for code in codes if hashes[code] not in done)


def require_reviewed(session: Session, book: PhraseBook, codes: Collection[str]) -> None:
    """GateRefused where a sentence that would be told hasn't been reviewed."""
    waiting = unreviewed(session, book, codes)
    if waiting:
        raise GateRefused(
            f"{len(waiting)} sentences for {book.subject} haven't been reviewed as they read now: {', '.join(waiting[:5])}.",
            f'Read them, then: gscene models phrases {book.subject} --review all --as "NAME" --reason TEXT.',
        )


def _hash(code: str, text: Bilingual) -> str:
    body: Mapping[str, str] = {"code": code, "zh": text.zh, "en": text.en}
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:_DIGITS]
