"""Decisions on applications from a month's published scores, by the policy in force; the score file isn't touched."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from core.audit import record
from core.clock import Clock
from core.derivation import require_fresh_content
from core.errors import GateRefused, GsceneError
from core.months import Month
from core.person import actor_name
from core.purpose import Purpose
from core.settings import Settings
from core.state import StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlements
from features.feature_store import feature_recipe, usable_features
from models.conditions import today
from models.decision.decide import decide
from models.decision.outcome import TEXTS, Outcome
from models.decision.policy import check_policy
from models.decision.register import Registered, policy_in_force
from models.definition import ModelDefinition
from models.monthly_scores import score_table
from models.sign_off import require_sign_off

#: Stands in place of a rule where a subject on the list has no score: a person looks.
NO_SCORE = "NO_SCORE"

HEADER = ("subject_id", "as_of", "points", "grade", "decision", "decision_zh", "decision_en", "rules", "rules_zh", "rules_en",
          "policy", "policy_sha256", "model_version")  # fmt: skip


@dataclass(frozen=True)
class Decided:
    """One line an application, as text; `counts` by outcome and by rule."""

    registered: Registered
    on: date
    model_version: str
    lines: tuple[tuple[str, ...], ...]
    counts: dict[str, int]


def decide_applications(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    as_of: Month,
    tokens: Sequence[str] | None,
    *,
    actor: str,
    reason: str,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    registry: SubjectRegistry,
    clock: Clock,
    entitlements: Entitlements,
    on: date | None = None,
) -> Decided:
    """Decisions for `tokens` (None: everybody with a score) from a month's scores, by the policy in force `on` (None: today).

    Refused where no policy is in force or its file isn't what was adopted, where the scores aren't those of the version that is
    signed, or where they or the features are stale. Subjects who may no longer be used have no score: they are referred.
    """
    if not reason.strip():
        raise GsceneError("deciding takes a reason.", "Give --reason.")
    who, on = actor_name(actor), on or today(clock)
    with state.session() as session:
        registered = policy_in_force(session, settings, definition.name, on)
    policy = registered.policy
    check_policy(policy, registered.file, definition, feature_set)
    _, signed = require_sign_off(state, settings, definition.name, as_of, clock)
    scored = (score_table(definition), str(as_of))
    require_fresh_content(state, store, scored)
    require_fresh_content(
        state, store, (feature_set.table, str(as_of)), feature_recipe(feature_set, entitlements.contracts)
    )
    usable = usable_features(store, feature_set, [as_of], Purpose.RISK, entitlements.for_use(as_of)).frame
    features = usable.reset_index(level="as_of", drop=True)
    wanted = ["subject_no", "points", "grade", "model_version"]
    scores = store.read(*_one(scored), wanted).to_pandas().set_index("subject_no")
    name = signed.name + signed.mark
    if (scores.pop("model_version") != name).any():
        raise GateRefused(
            f"{scored[0]} of {as_of} was made by another version than {name}, which is in force.",
            f"Run the asset {scored[0]} for {as_of}, then this.",
        )
    scores = scores[scores.index.isin(features.index)]
    decided = decide(policy, scores["points"].to_numpy(), features.loc[scores.index])
    texts = {veto.rule: veto.text for veto in policy.vetoes}
    asked = (
        list(dict.fromkeys(tokens))
        if tokens is not None
        else registry.subject_ids(scores.index.to_numpy(np.int32)).to_pylist()
    )
    numbers = registry.numbers(pa.array(asked, pa.string()), add=False)
    places = scores.index.get_indexer(pd.Index(numbers))
    lines = []
    counts = dict.fromkeys([*(str(each) for each in Outcome), *texts, NO_SCORE], 0)
    for token, place in zip(asked, places.tolist(), strict=True):
        rules = decided.rules(place) if place >= 0 else [NO_SCORE]
        outcome = Outcome(decided.outcome[place]) if place >= 0 else Outcome.REFER
        for counted in (str(outcome), *rules):
            counts[counted] += 1
        row = scores.iloc[place] if place >= 0 else None
        said = [texts[rule] for rule in rules if rule in texts]
        lines.append((
            token, str(as_of), "" if row is None else str(row["points"]), "" if row is None else str(row["grade"]), str(outcome),
            TEXTS[outcome].zh, TEXTS[outcome].en, ";".join(rules), "；".join(t.zh for t in said), "; ".join(t.en for t in said),
            policy.name, policy.sha256[:12], name,
        ))  # fmt: skip
    with state.session() as session:
        told = {
            "as_of": str(as_of), "on": str(on), "policy": policy.name, "policy_sha256": policy.sha256, "rows": len(lines),
            "counts": counts, "reason": reason.strip(),
            "list_sha256": hashlib.sha256("\n".join(sorted(asked)).encode()).hexdigest(),
        }  # fmt: skip
        record(session, clock, who, "policy.applied", name, told)
    return Decided(registered, on, name, tuple(lines), counts)


def as_csv(decided: Decided) -> bytes:
    """UTF-8 with byte-order mark as Excel wants it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    writer.writerows(decided.lines)
    return text.getvalue().encode("utf-8-sig")


def _one(partition: tuple[str, str]) -> tuple[str, list[str]]:
    return partition[0], [partition[1]]
