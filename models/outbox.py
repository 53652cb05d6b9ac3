"""What MLflow still has to be told: a training ends whether or not MLflow answers, and is entered exactly once when it does.

Entries are written in the transaction of what they tell of, and worked off in order: a training with its files first, then the
aliases `candidate`, `challenger` and `champion` as they stand by then. MLflow is a ledger and is never asked for anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from filelock import FileLock
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import Refusal
from core.model_state import ModelOutbox, ModelStanding
from core.settings import Settings
from core.state import ModelVersion, StateDatabase
from models.artefact import load_bundle
from models.evidence import report_files
from models.lifecycle import IN_FORCE, ModelState, versions_of
from models.registry import LedgerEntry, MlflowLedger, TrainingEntry

TRAINING, ALIASES = "training", "aliases"


@dataclass(frozen=True)
class Synced:
    """Entries done and still waiting, and why the first of these waits (the kind of error; None where none does)."""

    done: int
    waiting: int
    failure: str | None


def put_training(session: Session, clock: Clock, version: ModelVersion, entry: TrainingEntry) -> None:
    """Put a training into the outbox, once: repeated trainings of the same bundle are known already."""
    known = session.scalars(
        select(ModelOutbox).where(ModelOutbox.model_no == version.model_no, ModelOutbox.kind == TRAINING)
    ).first()
    if known is None:
        _put(session, clock, version, TRAINING, entry.plain())
    put_aliases(session, clock, version)


def put_aliases(session: Session, clock: Clock, version: ModelVersion) -> None:
    """Say that the aliases of a model follow from new states."""
    _put(session, clock, version, ALIASES, {})


def sync(state: StateDatabase, settings: Settings, clock: Clock) -> Synced:
    """Tell MLflow everything that waits, in order; what it doesn't take stays for the next time, with all that comes after it.

    A version whose bundle no longer verifies is passed over with its entries: the others needn't wait for it.
    """
    done, failure = 0, None
    refused: list[int] = []
    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / "mlflow.lock"):
        while True:
            with state.session() as session:
                entry = session.scalars(
                    select(ModelOutbox)
                    .where(ModelOutbox.done_at.is_(None), ModelOutbox.model_no.not_in(refused))
                    .order_by(ModelOutbox.entry_no)
                ).first()
            if entry is None:
                return Synced(done, waiting(state), failure)
            failed = _tell(state, settings, clock, entry)
            if failed is None:
                done += 1
                continue
            failure = failed
            if failed != Refusal.__name__:
                return Synced(done, waiting(state), failure)
            refused.append(entry.model_no)


def waiting(state: StateDatabase) -> int:
    """Entries that MLflow hasn't been told yet."""
    with state.session() as session:
        return len(session.scalars(select(ModelOutbox.entry_no).where(ModelOutbox.done_at.is_(None))).all())


def aliases_of(session: Session, name: str) -> dict[str, ModelVersion | None]:
    """`champion`: the version in force. `challenger`: the newest validated or approved one that isn't. `candidate`: the newest
    training."""
    return {
        "candidate": _last(versions_of(session, name)),
        "challenger": _last(versions_of(session, name, ModelState.VALIDATED, ModelState.APPROVED)),
        "champion": _last(versions_of(session, name, *IN_FORCE)),
    }


def _last(versions: list[ModelVersion]) -> ModelVersion | None:
    return versions[-1] if versions else None


def _put(session: Session, clock: Clock, version: ModelVersion, kind: str, body: dict[str, Any]) -> None:
    session.add(
        ModelOutbox(model_no=version.model_no, kind=kind, body=body, created_at=clock.now(), attempts=0)
    )
    session.flush()


def _tell(state: StateDatabase, settings: Settings, clock: Clock, entry: ModelOutbox) -> str | None:
    """Work one entry off; the kind of error where MLflow doesn't take it."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    ledger = MlflowLedger(settings.mlflow_uri, settings.mlflow_artifacts)
    told: LedgerEntry | None = None
    failure: str | None = None
    try:
        if entry.kind == TRAINING:
            told = _training(state, settings, ledger, entry)
        else:
            _aliases(state, ledger, entry)
    except (MlflowException, RequestException, DBAPIError, OSError, Refusal) as error:
        failure = type(error).__name__
    with state.session() as session:
        known = session.get_one(ModelOutbox, entry.entry_no)
        known.attempts, known.failure = known.attempts + 1, failure
        known.done_at = clock.now() if failure is None else None
        if told is not None:
            version = session.get_one(ModelVersion, entry.model_no)
            version.mlflow_run_id, version.mlflow_version = told.run_id, told.model_version
    return failure


def _training(
    state: StateDatabase, settings: Settings, ledger: MlflowLedger, entry: ModelOutbox
) -> LedgerEntry:
    with state.session() as session:
        version = session.get_one(ModelVersion, entry.model_no)
    bundle = load_bundle(settings.home / version.bundle, version.bundle_sha256)
    return ledger.record(TrainingEntry.of_plain(entry.body), bundle, report_files(settings, version))


def _aliases(state: StateDatabase, ledger: MlflowLedger, entry: ModelOutbox) -> None:
    with state.session() as session:
        version = session.get_one(ModelVersion, entry.model_no)
        standing = session.get_one(ModelStanding, entry.model_no).state
        found = aliases_of(session, version.name)
    # A version that was trained before there was an outbox and never reached MLflow has no number there.
    numbers = {alias: v.mlflow_version if v is not None else None for alias, v in found.items()}
    ledger.set_aliases(version.name, numbers)
    if version.mlflow_version is not None:
        ledger.tag_version(version.name, version.mlflow_version, {"gscene.state": standing})
