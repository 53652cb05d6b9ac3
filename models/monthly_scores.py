"""Score everyone who has features at an as-of month, keep the scores, and write the file that goes back to the provider."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from core.clock import Clock
from core.derivation import record_derivation, require_fresh_content
from core.months import Month, knowledge_cutoff
from core.purpose import Purpose
from core.settings import Settings
from core.state import StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from features.catalogue import FeatureSet
from features.entitlement import Entitlements
from features.feature_store import feature_recipe
from features.ineligible import Ineligible, keep
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
    scored for want of consent."""

    rows: int
    mean_pd: float
    by_grade: dict[int, int]
    model_version: str
    file: Path
    ineligible: Ineligible


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

    Only subjects who may be used for the model's purpose now are scored, and only from sources that may.

    For a marketing model `pd` is the probability of a response. GateRefused where the features are stale.
    """
    version, signed = require_sign_off(state, settings, definition.name, as_of, clock)
    features = (feature_set.table, str(as_of))
    require_fresh_content(state, store, features, feature_recipe(feature_set, entitlements.contracts))
    require_trained_again(state, version, clock)
    bundle = tried_bundle(settings.home / version.bundle, signed.bundle_sha256)
    bundle = bundle.with_fast_trees() if signed.fast else bundle
    purpose = Purpose(definition.purpose)
    told = (scorer or LocalScorer(settings.threads))(
        bundle, store, feature_set, as_of, purpose, entitlements.for_use(as_of)
    )
    name = signed.name + signed.mark
    rows = told.scores.sort_values("subject_no").assign(
        model_version=name, knowledge_cutoff=pd.Timestamp(knowledge_cutoff(as_of, settings.cutoff_days))
    )
    table = pa.Table.from_pandas(rows[SCHEMA.names], schema=SCHEMA, preserve_index=False)
    store.replace(score_table(definition), str(as_of), table)
    record_derivation(
        state, store, clock, (score_table(definition), str(as_of)), [features], version.bundle_sha256
    )
    with state.session() as session:
        keep(session, score_table(definition), str(as_of), told.ineligible)
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
        ineligible=told.ineligible,
    )


def write_scores(file: Path, rows: pd.DataFrame, as_of: Month, registry: SubjectRegistry) -> None:
    """CSV provider_code, subject_id, as_of, pd, grade in the order of provider_code; written whole or not at all."""
    numbers = rows["subject_no"].to_numpy(dtype=np.int32)
    table = pa.table(
        {
            "provider_code": registry.provider_codes(numbers),
            "subject_id": registry.subject_ids(numbers),
            "as_of": pa.repeat(str(as_of), len(rows)),
            "pd": pa.array(rows["pd"].round(6)),
            "grade": pa.array(rows["grade"]),
        }
    ).sort_by("provider_code")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    pyarrow.csv.write_csv(table, part, pyarrow.csv.WriteOptions(quoting_style="needed"))
    part.replace(file)
