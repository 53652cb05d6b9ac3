"""The inventory of models: every version with its state, owner, use, limits, data sources, and what is due next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import SignOffRefused
from core.model_state import ModelOutbox
from core.months import CHINA_TIME
from core.settings import Settings
from core.state import ModelVersion
from features.catalogue import FeatureSet
from models.conditions import conditions_of, overdue
from models.definition import ModelDefinition
from models.lifecycle import ModelState, history_of, name_of, state_of
from models.lineage import data_sources
from models.sign_off import APPROVED, NOT_APPROVED, standing_sign_off, verified_sign_off
from models.sign_off_policy import SignOffPolicy

#: Where a candidate's discrimination was measured, the hardest test first.
_MEASURED_ON = ("out_of_time.auc", "cross_validation.auc", "out_of_fold.auc", "repeats.auc_mean")


@dataclass(frozen=True)
class InventoryLine:
    """One version. `holds`: why its sign-off doesn't hold ("" where it does or none is needed yet); `review`: when it is looked
    at again at the latest; `due`: what is due next, and when; `overdue`: open conditions past their day; `waits`: entries that
    MLflow hasn't been told."""

    model: str
    version: str
    state: str
    tier: int | None
    owner: str
    use: str
    limits: list[str]
    data_sources: list[str]
    purpose: str
    ships: str
    auc: float | None
    trained: date
    approved_by: str
    approval: str
    expires: date | None
    pia: str
    holds: str
    review: date | None
    due: date | None
    due_for: str
    conditions: int
    overdue: int
    waits: int


def inventory(
    session: Session,
    settings: Settings,
    clock: Clock,
    policy: SignOffPolicy,
    models: Mapping[str, ModelDefinition],
    feature_sets: Mapping[str, FeatureSet],
    name: str | None = None,
) -> list[InventoryLine]:
    """Every version of every model (or of one), the newest of a model first."""
    query = select(ModelVersion).order_by(
        ModelVersion.name, ModelVersion.training_month.desc(), ModelVersion.model_no.desc()
    )
    versions = session.scalars(query if name is None else query.where(ModelVersion.name == name))
    return [_line(session, settings, clock, policy, models, feature_sets, version) for version in versions]


def auc_of(version: ModelVersion) -> float | None:
    """AUC of the candidate that ships, by the hardest test that it took."""
    found = (version.metrics.get(f"{version.ships}.{rows}") for rows in _MEASURED_ON)
    return next((float(value) for value in found if value is not None), None)


def _line(
    session: Session,
    settings: Settings,
    clock: Clock,
    policy: SignOffPolicy,
    models: Mapping[str, ModelDefinition],
    feature_sets: Mapping[str, FeatureSet],
    version: ModelVersion,
) -> InventoryLine:
    entry, definition = policy.models.get(version.name), models.get(version.name)
    signed, state = standing_sign_off(session, version), state_of(session, version)
    conditions = conditions_of(session, version, open_only=True)
    due = list(_due(session, version, policy, state))
    first = min(due, default=(None, ""), key=lambda each: each[0] or date.max)
    waits = session.scalar(
        select(func.count())
        .select_from(ModelOutbox)
        .where(ModelOutbox.model_no == version.model_no, ModelOutbox.done_at.is_(None))
    )
    return InventoryLine(
        model=version.name,
        version=name_of(version).split("/")[1],
        state=str(state),
        tier=entry.tier if entry else None,
        owner=f"{entry.owner.zh} / {entry.owner.en}" if entry else "",
        use=f"{entry.use.zh} / {entry.use.en}" if entry else "",
        limits=[f"{limit.zh} / {limit.en}" for limit in definition.known_limits] if definition else [],
        data_sources=data_sources(definition, feature_sets[definition.feature_set]) if definition else [],
        purpose=str(definition.purpose) if definition else "",
        ships=version.ships,
        auc=auc_of(version),
        trained=version.trained_at.astimezone(CHINA_TIME).date(),
        approved_by=signed.approver if signed else "",
        approval="" if signed is None else _told(signed.automatic),
        expires=signed.expires_at.astimezone(CHINA_TIME).date() if signed else None,
        pia=signed.pia_ref if signed else "",
        holds=_holds(session, settings, clock, version) if signed else "",
        review=_review(session, version, policy, state),
        due=first[0],
        due_for=first[1],
        conditions=len(conditions),
        overdue=len(overdue(conditions, clock)),
        waits=int(waits or 0),
    )


def _due(
    session: Session, version: ModelVersion, policy: SignOffPolicy, state: ModelState
) -> Iterable[tuple[date, str]]:
    """What is due for a version: its open conditions, and for one that was signed the end of the approval and the next review."""
    for condition in conditions_of(session, version, open_only=True):
        yield condition.due_on, f"条件 / condition {condition.condition_no}"
    signed = standing_sign_off(session, version)
    if signed is None or state is ModelState.RETIRED:
        return
    yield signed.expires_at.astimezone(CHINA_TIME).date(), "审批到期 / approval ends"
    review = _review(session, version, policy, state)
    if review is not None:
        yield review, "复审 / review"


def _review(session: Session, version: ModelVersion, policy: SignOffPolicy, state: ModelState) -> date | None:
    """The next review of a signed version; None where none is due."""
    if state is ModelState.RETIRED or standing_sign_off(session, version) is None:
        return None
    looked_at = [done.at for done in history_of(session, version) if done.act in ("validate", "monitor")]
    if not looked_at:
        return None
    return looked_at[-1].astimezone(CHINA_TIME).date() + timedelta(policy.review_every_days)


def _holds(session: Session, settings: Settings, clock: Clock, version: ModelVersion) -> str:
    try:
        verified_sign_off(session, settings, version, clock)
    except SignOffRefused as refused:
        return refused.code
    return ""


def _told(automatic: bool) -> str:
    told = NOT_APPROVED if automatic else APPROVED
    return f"{told.zh} / {told.en}"


def plain(line: InventoryLine) -> dict[str, Any]:
    """For JSON."""
    return {name: str(value) if isinstance(value, date) else value for name, value in vars(line).items()}
