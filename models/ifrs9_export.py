"""Twelve-month probabilities of default for IFRS 9: who, how likely, by which signed model, known until when; with a manifest.

Not in it, and said so in the manifest: lifetime PD, LGD, EAD, expected loss, stages, a forward-looking macro overlay. A stage
needs the PD at origination and days past due (SICR with its 30-DPD backstop), which belong to the bank's own engine.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from core.clock import Clock
from core.definition_file import Bilingual
from core.derivation import require_fresh_content
from core.errors import GateRefused, GsceneError
from core.months import Month, knowledge_cutoff
from core.purpose import Purpose
from core.settings import Settings
from core.state import StateDatabase
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from models.artefact import load_bundle
from models.definition import AccountDpdLabel, ModelDefinition
from models.marks import require_trained_again
from models.monthly_scores import score_table
from models.sign_off import require_sign_off

FORMAT = "gscene-ifrs9/1"

HORIZON = 12

#: Decimal places of a PD in the files; the control sum is of the written numbers, exactly.
PLACES = 8

Form = Literal["csv", "parquet"]

NOT_CONTAINED = (
    Bilingual(zh="整个存续期违约概率", en="lifetime PD"),
    Bilingual(zh="违约损失率、违约风险敞口、预期信用损失", en="LGD, EAD, expected credit loss"),
    Bilingual(zh="前瞻性宏观调整", en="a forward-looking macroeconomic overlay"),
    Bilingual(
        zh="阶段划分：需要初始确认时的违约概率和逾期天数（30 天兜底），由行内系统判定",
        en="the stage: it needs the PD at origination and days past due (30-DPD backstop), which the bank's own engine knows",
    ),
)


@dataclass(frozen=True)
class Ifrs9Export:
    """What was written: data file, manifest, sha256 of the data, rows, sum of the PDs as written."""

    data: Path
    manifest: Path
    sha256: str
    rows: int
    control_sum: Decimal


def export_ifrs9(
    definition: ModelDefinition,
    as_of: Month,
    folder: Path,
    *,
    form: Form,
    store: TableStore,
    state: StateDatabase,
    settings: Settings,
    registry: SubjectRegistry,
    clock: Clock,
) -> Ifrs9Export:
    """Write the stored scores of a month: one row per subject in the order of provider code and pseudonym. The same month again
    gives the same bytes.

    SignOffRefused where no signed version is in force; GateRefused where the scores are stale or of another version; GsceneError
    for a model that predicts something else than a default within 12 months.
    """
    _require_twelve_months(definition)
    version, signed = require_sign_off(state, settings, definition.name, as_of, clock)
    require_trained_again(state, version, clock)
    made, name = (score_table(definition), str(as_of)), signed.name + signed.mark
    require_fresh_content(state, store, made)
    scores = store.read(made[0], [made[1]]).to_pandas()
    cutoff = knowledge_cutoff(as_of, settings.cutoff_days).isoformat(timespec="seconds")
    if set(scores["model_version"]) - {name}:
        raise GateRefused(
            f"the scores of {as_of} are not by {name}, which is in force now.",
            f"Run the asset {made[0]} for {as_of}, then this one.",
        )
    card = load_bundle(settings.home / version.bundle, version.bundle_sha256).card
    pds = [f"{value:.{PLACES}f}" for value in scores["pd"]]
    numbers = scores["subject_no"].to_numpy(dtype=np.int32)
    table = pa.table(
        {
            "provider_code": registry.provider_codes(numbers),
            "subject_id": registry.subject_ids(numbers),
            "as_of": pa.repeat(str(as_of), len(scores)),
            "pd_12m": pa.array(pds, pa.string()),
            "grade": pa.array(scores["grade"], pa.int8()),
            "points": pa.array(scores["points"], pa.int32()),
            "default_dpd": pa.repeat(pa.scalar(definition.label.bad_dpd, pa.int16()), len(scores)),  # type: ignore[union-attr]
            "central_tendency": pa.repeat(card.calibration.central_tendency, len(scores)),
            "model_version": pa.repeat(name, len(scores)),
            "bundle_sha256": pa.repeat(version.bundle_sha256, len(scores)),
            "knowledge_cutoff": pa.repeat(cutoff, len(scores)),
        }
    ).sort_by([("provider_code", "ascending"), ("subject_id", "ascending")])
    total = sum(map(Decimal, pds), Decimal(0))
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"ifrs9_{definition.name}_{as_of}.{form}"
    _write(table, data, form)
    sha256 = hashlib.sha256(data.read_bytes()).hexdigest()
    manifest = data.with_name(f"{data.name}.manifest.json")
    told: dict[str, Any] = {
        "format": FORMAT, "file": data.name, "sha256": sha256, "rows": len(scores), "control_sum": {"pd_12m": str(total)},
        "model": definition.name, "title": definition.title.model_dump(), "subject": str(definition.subject), "as_of": str(as_of),
        "knowledge_cutoff": cutoff, "horizon_months": HORIZON, "model_version": name, "bundle_sha256": version.bundle_sha256,
        "definition_sha256": card.definition_sha256, "sign_off_sha256": signed.statement_sha256,
        "sign_off_expires": signed.expires_at.isoformat(timespec="seconds"), "approved_by_people": not signed.automatic,
        "default_definition": definition.label.model_dump(mode="json"),
        "calibration": {
            "kind": card.calibration.kind, "central_tendency": card.calibration.central_tendency,
            "training_month": card.training_month,
        },
        "rows_by_grade": {
            str(grade): int(count) for grade, count in sorted(scores["grade"].value_counts().items())
        },
        "scores_content_hash": store.content_hash(*made),
        "not_contained": [text.model_dump() for text in NOT_CONTAINED],
    }  # fmt: skip
    part = manifest.with_name(f".{manifest.name}.part")
    part.write_text(json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(manifest)
    return Ifrs9Export(data, manifest, sha256, len(scores), total)


def _require_twelve_months(definition: ModelDefinition) -> None:
    label = definition.label
    if (
        definition.purpose is Purpose.RISK
        and isinstance(label, AccountDpdLabel)
        and label.window_months == HORIZON
    ):
        return
    raise GsceneError(
        f"{definition.name} doesn't predict a default within {HORIZON} months: its PD is none for IFRS 9.",
        "Choose a risk model whose label has window_months: 12.",
    )


def _write(table: pa.Table, data: Path, form: Form) -> None:
    """Whole or not at all. In Parquet the PD is a decimal, so that it adds up to the control sum exactly."""
    part = data.with_name(f".{data.name}.part")
    if form == "csv":
        pyarrow.csv.write_csv(table, part, pyarrow.csv.WriteOptions(quoting_style="needed"))
    else:
        place = table.schema.get_field_index("pd_12m")
        exact = pa.array(
            [Decimal(text) for text in table.column("pd_12m").to_pylist()], pa.decimal128(9, PLACES)
        )
        pq.write_table(table.set_column(place, "pd_12m", exact), part, compression="zstd")
    part.replace(data)
