"""Score everyone who has features at an as-of month, keep the scores, and write the file that goes back to the provider."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from core.clock import Clock
from core.derivation import record_derivation, require_fresh, require_fresh_content
from core.errors import GateRefused
from core.months import Month, knowledge_cutoff
from core.purpose import Purpose
from core.settings import Settings
from core.state import StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.consent_mask import purpose_mask
from features.entitlement import Entitlement, Entitlements
from features.feature_store import feature_recipe
from features.ineligible import Ineligible, keep, kept
from models.batch_scoring import BatchScorer, LocalScorer
from models.bundle_trial import tried_bundle
from models.definition import ModelDefinition
from models.marks import require_trained_again
from models.sign_off import require_sign_off

SCHEMA = pa.schema(
    [
        ("subject_no", pa.int32()),
        ("pd", pa.float64()),
        ("points", pa.int32()),
        ("grade", pa.int8()),
        ("model_version", pa.string()),
        ("knowledge_cutoff", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True)
class Scored:
    """What one scoring gave: rows, mean probability, rows by grade (1 best), version used, the written file, and who wasn't
    scored for want of consent. `scored_again`: False where the stored scores were still those of the same inputs."""

    rows: int
    mean_pd: float
    by_grade: dict[int, int]
    model_version: str
    file: Path
    ineligible: Ineligible
    scored_again: bool = True


def score_table(definition: ModelDefinition) -> str:
    """Table-store name of a model's scores."""
    return f"scores/{definition.subject}/{definition.name}"


def score_monthly(
    definition: ModelDefinition,
    feature_set: FeatureSet,
    as_of: Month,
    *,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    registry: SubjectRegistry,
    clock: Clock,
    entitlements: Entitlements,
    scorer: BatchScorer | None = None,
) -> Scored:
    """Score the features of `as_of` with the live version. The bundle must be the one that was signed, byte for byte.

    SignOffRefused (a GateRefused) where no version is live, or its sign-off has ended, is for other bytes or doesn't verify.

    Only subjects who may be used for the model's purpose now are scored, and only from sources that may. Where features, bundle
    and who may be used are what the stored scores were made from, nothing is scored again: the rows stay, byte for byte.

    For a marketing model `pd` is the probability of a response. GateRefused where the features are stale.
    """
    version, signed = require_sign_off(state, settings, definition.name, as_of, clock)
    features = (feature_set.table, str(as_of))
    require_fresh_content(state, store, features, feature_recipe(feature_set, entitlements.contracts))
    require_trained_again(state, version, clock)
    purpose, use = Purpose(definition.purpose), entitlements.for_use(as_of)
    name = signed.name + signed.mark
    cutoff = pd.Timestamp(knowledge_cutoff(as_of, settings.cutoff_days))
    told_by = [version.bundle_sha256, name, str(cutoff), use_digest(store, feature_set, as_of, purpose, use)]
    recipe = hashlib.sha256("\n".join(told_by).encode()).hexdigest()
    made = (score_table(definition), str(as_of))
    scored_again = not _still_holds(state, store, made, features, recipe)
    if scored_again:
        bundle = tried_bundle(settings.home / version.bundle, signed.bundle_sha256)
        bundle = bundle.with_fast_trees() if signed.fast else bundle
        told = (scorer or LocalScorer(settings.threads))(bundle, store, feature_set, as_of, purpose, use)
        rows = told.scores.sort_values("subject_no").assign(model_version=name, knowledge_cutoff=cutoff)
        store.replace(*made, pa.Table.from_pandas(rows[SCHEMA.names], schema=SCHEMA, preserve_index=False))
        with state.session() as session:
            keep(session, *made, told.ineligible)
        # Last: what was broken off before this line is scored again.
        record_derivation(state, store, clock, made, [features], recipe)
        ineligible = told.ineligible
    else:
        rows = store.read(made[0], [made[1]]).to_pandas()
        with state.session() as session:
            ineligible = kept(session, *made)
        ineligible.without_any = store.rows(*features) - len(rows)
    file = settings.out / "scores" / definition.name / f"{as_of}.csv"
    write_scores(file, rows, as_of, registry)
    return Scored(
        rows=len(rows),
        mean_pd=float(rows["pd"].mean()) if len(rows) else 0.0,
        by_grade={
            grade: int((rows["grade"] == grade).sum()) for grade in sorted(set(rows["grade"].tolist()))
        },
        model_version=name,
        file=file,
        ineligible=ineligible,
        scored_again=scored_again,
    )


def use_digest(
    store: TableStore, feature_set: FeatureSet, as_of: Month, purpose: Purpose, use: Entitlement
) -> str:
    """sha256 of which cells of the stored features may be used, and why others may not: a consent given or withdrawn changes
    it, a subject who has no features at the month doesn't."""
    numbers = store.read(feature_set.table, [str(as_of)], ["subject_no"]).column("subject_no").to_numpy()
    mask = purpose_mask(feature_set, use, as_of, [purpose])
    digest = hashlib.sha256(numbers.astype(np.int32).tobytes())
    for asked, facts, reasons in mask.questions():
        digest.update(f"{asked}/{facts}".encode())
        digest.update(reasons[numbers].tobytes())
    for feature in mask.features:
        digest.update(feature.name.encode())
        digest.update(np.packbits(mask.cells(feature, numbers)).tobytes())
    return digest.hexdigest()


def _still_holds(
    state: StateDatabase,
    store: TableStore,
    made: tuple[str, str],
    features: tuple[str, str],
    recipe: str,
) -> bool:
    try:
        require_fresh(state, store, made, [features], recipe)
    except GateRefused:
        return False
    return True


def write_scores(file: Path, rows: pd.DataFrame, as_of: Month, registry: SubjectRegistry) -> None:
    """CSV provider_code, subject_id, as_of, pd, points, grade, model_version, knowledge_cutoff (UTC) in the order of
    provider_code and subject_id; written whole or not at all."""
    numbers = rows["subject_no"].to_numpy(dtype=np.int32)
    table = pa.table(
        {
            "provider_code": registry.provider_codes(numbers),
            "subject_id": registry.subject_ids(numbers),
            "as_of": pa.repeat(str(as_of), len(rows)),
            "pd": pa.array(rows["pd"].round(6)),
            "points": pa.array(rows["points"]),
            "grade": pa.array(rows["grade"]),
            "model_version": pa.array(rows["model_version"], pa.string()),
            "knowledge_cutoff": _utc_text(rows["knowledge_cutoff"]),
        }
    ).sort_by([("provider_code", "ascending"), ("subject_id", "ascending")])
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    pyarrow.csv.write_csv(table, part, pyarrow.csv.WriteOptions(quoting_style="needed"))
    part.replace(file)


def _utc_text(moments: pd.Series) -> pa.Array:
    """`2026-11-05T15:59:59Z`; a month has one cutoff, so each different one is written once."""
    codes, told = pd.factorize(moments)
    texts = np.array([f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in told], dtype=object)
    return pa.array(texts[codes] if len(codes) else [], pa.string())
