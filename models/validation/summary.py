"""Findings as a whole: headline numbers, plain data for a file, and the hash that a sign-off stands on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.validation.declared import declared
from models.validation.finding import Finding, Verdict, worst

FILE = "validation.json"


def headline(findings: Sequence[Finding]) -> dict[str, float]:
    """Numbers for MLflow and Dagster: values of the sample as a whole, and how many findings there are of each verdict."""
    numbers = {
        f"validation.{each.name}": each.value
        for each in findings
        if each.value is not None
        and (not each.about or each.family in ("stability", "stress", "sensitivity"))
    }
    for verdict in Verdict if findings else ():
        numbers[f"validation.findings_{verdict}"] = float(sum(each.verdict is verdict for each in findings))
    return numbers


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as plain data with the hash of the limits that judged them."""
    families = {
        family: str(worst([each for each in findings if each.family == family]))
        for family in declared().families
    }
    return {
        "format": "gscene-validation/1",
        "statistics_version": declared().version,
        "statistics_sha256": declared().sha256,
        "verdict": str(worst(findings)),
        "families": families,
        "findings": [each.plain() for each in findings],
    }


def json_bytes(findings: Sequence[Finding]) -> bytes:
    """The file's bytes, the same for the same findings."""
    text = json.dumps(as_json(findings), ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    return (text + "\n").encode()


def findings_table(findings: Sequence[Finding]) -> list[list[str]]:
    """Family, pass, warn, fail, unproven, not measured: one row a family, for small pages such as Dagster's."""
    rows = []
    for name, title in declared().families.items():
        own = [each.verdict for each in findings if each.family == name]
        if own:
            kinds = (Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNPROVEN, Verdict.UNMEASURED)
            rows.append([f"{title.zh} {title.en}", *(str(own.count(kind)) for kind in kinds)])
    return rows


def evidence_sha256(findings: Sequence[Finding]) -> str:
    """Hash of that file: what a sign-off stands on."""
    return hashlib.sha256(json_bytes(findings)).hexdigest()


def keep_findings(bundle: Path, findings: Sequence[Finding]) -> Path:
    """Write the findings beside the bundle and its card, as `<bundle>.evidence/validation.json`, whole or not at all."""
    file = bundle.with_name(f"{bundle.name}.evidence") / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{FILE}.part")
    part.write_bytes(json_bytes(findings))
    os.replace(part, file)
    return file
