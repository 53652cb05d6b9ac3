"""What a training on a table leaves in its folder: aggregates and the model itself; rows only where they are asked for."""

from __future__ import annotations

import json
from pathlib import Path

from core.definition_file import Bilingual
from models.artefact import write_bundle
from models.evidence import REPORT
from models.labelled_table.pack import TablePack
from models.report.circumstances import Circumstances
from models.report.files import training_files
from models.validation.summary import keep_findings

NOTICE = Bilingual(
    zh="由单独一张表训练，没有人批准，不得用于评分。",
    en="Trained on a table alone; no person has approved it, and it may not score.",
)


def write_pack(pack: TablePack, out: Path, scores: Path | None) -> dict[str, str]:
    """Write report, bundle (its card is model.json), findings, sample report and columns; the same pack gives the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    bundle = out / "bundle"
    sha256 = write_bundle(pack.record, bundle, NOTICE)
    circumstances = Circumstances(pack.titles(), bundle_sha256=sha256, notice=NOTICE)
    for name, body in training_files(pack.record, circumstances).items():
        (out / name).write_bytes(body)
    findings = keep_findings(bundle, pack.record.findings)
    files = {"report": out / REPORT, "card": bundle / "model.json", "findings": findings}
    sample = None if pack.record.sample is None else pack.record.sample.plain()
    for name, told in (("sample", sample), ("columns", pack.made.encoding.plain())):
        files[name] = out / f"{name}.json"
        files[name].write_text(
            json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False) + "\n", "utf-8"
        )
    if scores is not None:
        scores.parent.mkdir(parents=True, exist_ok=True)
        pack.scores().to_csv(scores, index=False, lineterminator="\n")
        files["scores"] = scores
    return {name: str(path) for name, path in files.items()}
