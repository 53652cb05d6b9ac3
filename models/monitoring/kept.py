"""Keep a monitored month: its table, its page, and an event with a reason code for every threshold that is passed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from core import audit
from core.clock import Clock
from core.derivation import record_derivation
from core.months import Month
from core.settings import Settings
from core.state import AuditEvent, StateDatabase
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlements
from models.definition import ModelDefinition
from models.monitoring.measure import Monitored
from models.monitoring.monthly_monitoring import monitor_month, monitoring_table, read_monitored
from models.monitoring.page import page
from models.monitoring.triggers import Decision, TriggerPolicy, decide, load_trigger_policy
from models.monthly_scores import score_table

#: Audit action by response; the sensor reads them.
ACTIONS = {
    "told": "model.monitoring_warned",
    "review": "model.review_wanted",
    "retrain": "model.retraining_wanted",
}

ACTOR = "monitoring"


@dataclass(frozen=True)
class Kept:
    """A monitored month with what it calls for, its page and its table as JSON, and how many events are new."""

    monitored: Monitored
    decisions: tuple[Decision, ...]
    page: Path
    table: Path
    events: int


def page_folder(settings: Settings, name: str) -> Path:
    """Where a model's monitoring pages lie."""
    return settings.out / "reports" / f"monitoring_{name}"


def keep_month(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    clock: Clock,
    entitlements: Entitlements,
) -> Kept:
    """Monitor a month and keep it. Run again on the same data it writes the same bytes and no second event."""
    monitored = monitor_month(
        definition, feature_set, as_of, store=store, state=state, settings=settings, clock=clock, entitlements=entitlements
    )  # fmt: skip
    policy, made = load_trigger_policy(settings), (monitoring_table(definition), str(as_of))
    rows = monitored.table()
    if not store.exists(made[0]) or made[1] not in store.partitions(made[0]) or not _same(store, made, rows):
        store.replace(*made, rows)
    inputs = [(score_table(definition), str(as_of)), (feature_set.table, str(as_of))]
    record_derivation(state, store, clock, made, inputs, policy.sha256)
    history = read_monitored(store, definition, as_of)
    decisions = decide(policy, history, as_of)
    events = record_events(state, clock, monitored, decisions, policy)
    folder = page_folder(settings, definition.name)
    folder.mkdir(parents=True, exist_ok=True)
    html, table = folder / f"{as_of}.html", folder / f"{as_of}.json"
    html.write_text(page(definition.title, monitored, history, decisions, policy), encoding="utf-8")
    told = monitored.plain() | {
        "decisions": [each.plain() for each in decisions],
        "policy_sha256": policy.sha256,
    }
    table.write_text(json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return Kept(monitored, decisions, html, table, events)


@dataclass(frozen=True)
class Wanted:
    """A review or retraining that monitoring asked for; `event_no`: its link of the audit chain."""

    event_no: int
    response: str
    model: str
    version: str
    month: str
    code: str


def wanted_since(state: StateDatabase, event_no: int) -> list[Wanted]:
    """Reviews and retrainings asked for after an event of the audit chain, in order."""
    responses = {action: response for response, action in ACTIONS.items() if response != "told"}
    query = select(AuditEvent).where(AuditEvent.event_no > event_no, AuditEvent.action.in_(list(responses)))
    with state.session() as session:
        return [
            Wanted(
                event.event_no, responses[event.action], event.details["model"], event.details["version"],
                event.details["month"], event.details["code"],
            )
            for event in session.scalars(query.order_by(AuditEvent.event_no))
        ]  # fmt: skip


def record_events(
    state: StateDatabase,
    clock: Clock,
    monitored: Monitored,
    decisions: tuple[Decision, ...],
    policy: TriggerPolicy,
) -> int:
    """One audit event per decision, once: told by model, version, month, reason code and response. Returns how many are new."""
    new = 0
    with state.session() as session:
        for decision in decisions:
            action, about = (
                ACTIONS[decision.response],
                f"{monitored.model_version}/{monitored.month}/{decision.code}",
            )
            known = select(AuditEvent.event_no).where(AuditEvent.action == action, AuditEvent.object == about)
            if session.scalars(known).first() is not None:
                continue
            details = decision.plain() | {
                "model": monitored.model, "month": monitored.month, "version": monitored.model_version,
                "policy_sha256": policy.sha256,
                "measures_sha256": hashlib.sha256(json.dumps(monitored.plain(), sort_keys=True).encode()).hexdigest(),
            }  # fmt: skip
            audit.record(session, clock, ACTOR, action, about, details)
            new += 1
    return new


def _same(store: TableStore, made: tuple[str, str], rows) -> bool:  # type: ignore[no-untyped-def]
    return bool(store.read(made[0], [made[1]]).drop_columns(["period"]).equals(rows))
