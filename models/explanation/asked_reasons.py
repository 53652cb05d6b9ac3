"""Reasons for subjects whom somebody asks about, by the version that is live. Who asked is noted, not what was said."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from core.audit import record
from core.clock import Clock
from core.definition_file import Bilingual
from core.derivation import require_fresh_content
from core.errors import GsceneError
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
from models.artefact import Bundle
from models.bundle_trial import tried_bundle
from models.definition import ModelDefinition
from models.explanation.kept_reference import reference_of_bundle
from models.explanation.phrases import PhraseBook, load_phrase_book, require_reviewed
from models.explanation.reason_plan import ReasonPlan, plan_reasons
from models.explanation.reasons import Reasons, reasons_for
from models.explanation.reference import Reference
from models.explanation.scored_model import ScoredModel
from models.lifecycle import name_of
from models.marks import require_trained_again
from models.sign_off import require_sign_off

#: Most subjects of one question: reasons are for those who ask, not for everybody.
MOST_SUBJECTS = 10_000


@dataclass(frozen=True)
class SubjectReasons:
    """One asked subject; `reasons` None where `status` says why nothing can be told."""

    subject_id: str
    status: Bilingual
    reasons: Reasons | None
    points: int | None = None
    grade: int | None = None


@dataclass(frozen=True)
class AskedReasons:
    """What was asked of which version, by whom, and what can be said. `texts`: sentence by code; `drafts`: sentences told
    without review, in a demonstration alone; `withheld`: features that are never told."""

    model_version: str
    as_of: Month
    subjects: tuple[SubjectReasons, ...]
    texts: dict[str, Bilingual]
    drafts: bool
    reference: Reference
    withheld: dict[str, Bilingual]


EXPLAINED = Bilingual(zh="已说明", en="explained")
UNKNOWN = Bilingual(zh="未登记的主体", en="not a known subject")
NO_FEATURES = Bilingual(
    zh="当月没有可用于该用途的特征", en="no features that may be used for this in the month"
)


def ask_reasons(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    as_of: Month,
    tokens: Sequence[str],
    *,
    actor: str,
    reason: str,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    registry: SubjectRegistry,
    clock: Clock,
    entitlements: Entitlements,
) -> AskedReasons:
    """Reasons for `tokens` (pseudonyms) as of a month, in their order.

    SignOffRefused without a live version, GateRefused for stale features or unreviewed sentences, GsceneError for a model of
    another purpose, an empty question or one of more than 10,000.
    """
    if definition.purpose is not Purpose.RISK:
        raise GsceneError(
            f"{definition.name} serves {definition.purpose}.", "Reasons are told of risk models only."
        )
    asked = list(dict.fromkeys(tokens))
    if not asked or len(asked) > MOST_SUBJECTS or not reason.strip():
        raise GsceneError(
            f"{len(asked)} subjects asked about; 1 to {MOST_SUBJECTS:,} and a reason are needed.",
            "Give pseudonyms, one a line, and --reason with the reference of the request.",
        )
    who = actor_name(actor)
    version, signed = require_sign_off(state, settings, definition.name, as_of, clock)
    require_fresh_content(
        state, store, (feature_set.table, str(as_of)), feature_recipe(feature_set, entitlements.contracts)
    )
    require_trained_again(state, version, clock)
    bundle = tried_bundle(settings.home / version.bundle, signed.bundle_sha256)
    bundle = bundle.with_fast_trees() if signed.fast else bundle
    reference = reference_of_bundle(bundle)
    book = load_phrase_book(definition.subject, settings)
    plan = plan_reasons(bundle.names, feature_set, book)
    if not settings.demo:
        with state.session() as session:
            require_reviewed(session, book, plan.codes)
    usable = usable_features(store, feature_set, [as_of], Purpose.RISK, entitlements.for_use(as_of)).frame
    frame = usable.reset_index(level="as_of", drop=True)
    numbers = registry.numbers(pa.array(asked, pa.string()), add=False)
    rows = frame.index.get_indexer(pd.Index(numbers))
    there = np.flatnonzero(rows >= 0)
    matrix = frame.iloc[rows[there]][bundle.names].to_numpy(dtype=np.float64)
    told = _told(bundle, matrix, reference, plan, settings.threads)
    subjects = [
        SubjectReasons(token, UNKNOWN if number < 0 else NO_FEATURES, None)
        for token, number in zip(asked, numbers, strict=True)
    ]
    for place, (reasons, points, grade) in zip(there, told, strict=True):
        subjects[place] = SubjectReasons(asked[place], EXPLAINED, reasons, points, grade)
    with state.session() as session:
        details = {
            "as_of": str(as_of), "asked": len(asked), "explained": len(there), "reason": reason.strip(),
            "list_sha256": hashlib.sha256("\n".join(sorted(asked)).encode()).hexdigest(),
        }  # fmt: skip
        record(session, clock, who, "reasons.told", name_of(version), details)
    return AskedReasons(
        signed.name + signed.mark,
        as_of,
        tuple(subjects),
        _texts(book),
        settings.demo,
        reference,
        plan.withheld,
    )


def _told(
    bundle: Bundle, matrix: np.ndarray, reference: Reference, plan: ReasonPlan, threads: int
) -> list[tuple[Reasons, int, int]]:
    """Reasons, points and grade by row."""
    from models.points import points_of

    if not len(matrix):
        return []
    reasons = reasons_for(ScoredModel.of_bundle(bundle), matrix, reference, plan, threads)
    calibrated = bundle.calibrated(matrix, threads)
    points, grades = np.rint(points_of(calibrated)).astype(int), bundle.scale.of(calibrated)
    return [(why, int(p), int(g)) for why, p, g in zip(reasons, points, grades, strict=True)]


def _texts(book: PhraseBook) -> dict[str, Bilingual]:
    return dict(book.texts)
