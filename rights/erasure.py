"""Erasing a subject from everything an installation holds (PIPL art. 47), step by step, to be resumed after a kill at any point.

The steps and their order: *opened* - from here on no new row about the subject is accepted or written; *traced* - what the
next steps need to know is written down; *recalled* - published lists, notices, vault; *scores* - files that went out;
*archive* - delivered bytes and copies of them; *tables* - every Delta table, bytes of old versions included, receipts and
derivations renewed; *searched* - every file is looked through; *registry* - the last place that links the pseudonym with a
number; *done*. Each step can be repeated; the state database keeps the last one finished, and of the subject only a keyed hash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from filelock import FileLock, Timeout
from sqlalchemy import select

from core import audit
from core.errors import GsceneError
from core.state import Erasure
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from rights.erase_archive import redact_archive
from rights.erase_files import (
    erase_delivered_copies,
    erase_from_loose_tables,
    erase_from_scores,
    erase_from_vault,
    recall_lists,
)
from rights.erase_quarantine import forget_held_rows
from rights.erase_tables import erase_from_tables
from rights.installation import Installation
from rights.search import search
from rights.subject import KnownSubject, find_subject, holder
from rights.trace import write_down
from sources.erased import tombstone

#: Why a subject is erased: the cases of PIPL art. 47.
Reason = Literal["subject_request", "consent_withdrawn", "purpose_achieved", "retention_over", "unlawful"]

STEPS = ("opened", "traced", "recalled", "scores", "archive", "tables", "searched", "registry", "done")

#: Days until every model that learned from the subject must have been trained again.
RETRAIN_DAYS = 90

#: Called at every point where a kill would hurt most; tests kill there.
Checkpoint = Callable[[str], None]


@dataclass(frozen=True)
class ErasureDone:
    """A finished erasure: its number, what was removed, and what is left to do for people."""

    erasure_no: int
    told: dict[str, int]
    repeated: bool = False


@dataclass(frozen=True)
class _Case:
    home: Installation
    subject: KnownSubject
    erasure_no: int
    tombstone: str


def erase(
    home: Installation,
    *,
    token: str,
    request_ref: str,
    reason: Reason,
    actor: str,
    kind: SubjectKind | None = None,
    retrain_days: int = RETRAIN_DAYS,
    checkpoint: Checkpoint = lambda _point: None,
) -> ErasureDone:
    """Erase a subject, or go on with an erasure of it that stopped. GsceneError where nobody of that pseudonym is known, another
    erasure is under way in another process, or a file still names the subject at the end or can't be searched."""
    lock = FileLock(str(home.settings.home / ".erasure.lock"), timeout=0)
    try:
        with lock:
            return _erase(home, token, request_ref, reason, actor, kind, retrain_days, checkpoint)
    except Timeout:
        raise GsceneError("another erasure is under way.", "Wait until it is done.") from None


def _erase(
    home: Installation, token: str, request_ref: str, reason: Reason, actor: str, kind: SubjectKind | None,
    retrain_days: int, checkpoint: Checkpoint,
) -> ErasureDone:  # fmt: skip
    known = _known_erasure(home, token, kind)
    if known is not None and known.done_at is not None:
        return ErasureDone(known.erasure_no, dict(known.told), repeated=True)
    subject = _subject(home, token, kind, known)
    if known is None:
        known = _open(home, subject, request_ref, reason, actor, retrain_days)
    for registry, number in subject.numbers.items():
        home.store.erased.add(registry, number)
    case = _Case(home, subject, known.erasure_no, known.tombstone)
    checkpoint("opened")
    for step in STEPS[STEPS.index(known.step) + 1 : -1]:
        checkpoint(f"{step}: begun")
        told = _STEPS[step](case, known)
        checkpoint(f"{step}: made")
        _note(home, known.erasure_no, step, told)
        checkpoint(step)
    return _close(home, known.erasure_no, actor)


def _known_erasure(home: Installation, token: str, kind: SubjectKind | None) -> Erasure | None:
    with home.state.session() as session:
        for each in [kind] if kind is not None else list(SubjectKind):
            query = select(Erasure).where(
                Erasure.subject == str(each), Erasure.tombstone == tombstone(home.settings.keys, each, token)
            )
            found = session.scalars(query).first()
            if found is not None:
                return found
    return None


def _subject(home: Installation, token: str, kind: SubjectKind | None, known: Erasure | None) -> KnownSubject:
    """The subject, from the registries, or from the erasure where they have forgotten it already."""
    try:
        found = find_subject(home.store, token=token, kind=kind)
    except GsceneError:
        if known is None:
            raise
        return KnownSubject(SubjectKind(known.subject), token, token, dict(known.numbers))
    if known is None:
        return found
    return KnownSubject(found.kind, found.subject_id, found.provider_code, dict(known.numbers))


def _open(
    home: Installation, subject: KnownSubject, request_ref: str, reason: Reason, actor: str, retrain_days: int
) -> Erasure:
    hash_ = tombstone(home.settings.keys, subject.kind, subject.subject_id)
    now = home.clock.now()
    with home.state.session() as session:
        entry = Erasure(
            subject=str(subject.kind), tombstone=hash_, numbers=dict(subject.numbers), request_ref=request_ref,
            reason=reason, step="opened", told={}, opened_at=now, done_at=None,
            retrain_by=now + timedelta(days=retrain_days),
        )  # fmt: skip
        session.add(entry)
        session.flush()
        details = {"erasure_no": entry.erasure_no, "request_ref": request_ref, "reason": reason}
        audit.record(session, home.clock, actor, "subject.erasure_opened", f"{subject.kind}/{hash_}", details)
        return entry


def _note(home: Installation, erasure_no: int, step: str, told: dict[str, int]) -> None:
    with home.state.session() as session:
        entry = session.get_one(Erasure, erasure_no)
        entry.step, entry.told = step, {**entry.told, **told}


def _close(home: Installation, erasure_no: int, actor: str) -> ErasureDone:
    with home.state.session() as session:
        entry = session.get_one(Erasure, erasure_no)
        entry.step, entry.done_at = "done", home.clock.now()
        object_ = f"{entry.subject}/{entry.tombstone}"
        details = {"erasure_no": erasure_no, **entry.told}
        audit.record(session, home.clock, actor, "subject.erased", object_, details)
        return ErasureDone(erasure_no, dict(entry.told))


# -- steps -------------------------------------------------------------------------------------------------------------


def _trace(case: _Case, known: Erasure) -> dict[str, int]:
    return write_down(case.home, case.subject, case.erasure_no, known.retrain_by)


def _recall(case: _Case, _known: Erasure) -> dict[str, int]:
    return recall_lists(case.home, case.subject, case.erasure_no) | erase_from_vault(case.home, case.subject)


def _scores(case: _Case, _known: Erasure) -> dict[str, int]:
    return erase_from_scores(case.home, case.subject) | erase_from_loose_tables(case.home, case.subject)


def _archive(case: _Case, _known: Erasure) -> dict[str, int]:
    told = redact_archive(case.home, case.subject) | forget_held_rows(case.home)
    return told | erase_delivered_copies(case.home)


def _tables(case: _Case, _known: Erasure) -> dict[str, int]:
    return erase_from_tables(case.home, case.subject, case.erasure_no, case.tombstone)


def _search(case: _Case, _known: Erasure) -> dict[str, int]:
    """Everything but the registries, which go last; GsceneError names what still holds the subject or may hold it."""
    home = case.home.settings.home
    searched = search(home, case.subject.names, leave_out=(case.home.settings.lake / "registry",))
    for files, what, remedy in (
        (searched.naming, "still name the subject", "Take in or remove what waits there"),
        (
            searched.unsearchable,
            "can't be searched for the subject",
            "Look into them elsewhere and remove them",
        ),
    ):
        if files:
            shown = ", ".join(str(file.relative_to(home)) for file in files[:5])
            raise GsceneError(
                f"{len(files)} files {what}: {shown}.", f"{remedy}, then run the same command again."
            )
    return {"files_naming_the_subject": 0}


def _registry(case: _Case, _known: Erasure) -> dict[str, int]:
    files = 0
    for registry, number in case.subject.numbers.items():
        table = f"registry/{registry}"
        SubjectRegistry.named(case.home.store, registry).erase(number)
        files += case.home.store.purge(table, holder(case.subject, table, []))
    return {"registry_files_removed": files}


_STEPS: dict[str, Callable[[_Case, Erasure], dict[str, int]]] = {
    "traced": _trace,
    "recalled": _recall,
    "scores": _scores,
    "archive": _archive,
    "tables": _tables,
    "searched": _search,
    "registry": _registry,
}
