"""What a signature stands on: the bundle, the review report, further evidence files of the validation, and the sign-off policy.

Kept beside the bundle in `<bundle>.evidence/`, never changed; one hash over all of it goes into every signature.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import SignOffRefused
from core.settings import Settings
from core.state import ModelVersion
from models.promotion_key import sha256_of

REPORT, FINDINGS = "report.html", "validation.json"

#: The review report in every form that a training writes: to read, as plain data, to edit in either language, to calculate
#: with, and the model card.
REPORT_JSON, CARD = "report.json", "card.json"
REPORT_FILES = (REPORT, REPORT_JSON, "report.zh.docx", "report.en.docx", "report.xlsx", CARD)
CODE = "SIGN_OFF/EVIDENCE"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def evidence_folder(settings: Settings, version: ModelVersion) -> Path:
    """Where the evidence of a version lies."""
    bundle = settings.home / version.bundle
    return bundle.with_name(f"{bundle.name}.evidence")


def keep_report(bundle: Path, files: Mapping[str, bytes]) -> Path:
    """Keep the review report of a training beside its bundle: those in `out/` may be overwritten by the next training. `files` by
    the names of `REPORT_FILES`; gives the folder back."""
    folder = bundle.with_name(f"{bundle.name}.evidence")
    for name, body in files.items():
        _keep(folder / name, body)
    return folder


def report_files(settings: Settings, version: ModelVersion) -> list[Path]:
    """The kept forms of the review report of a version; none where it was trained without."""
    folder = evidence_folder(settings, version)
    return [folder / name for name in REPORT_FILES if (folder / name).is_file()]


def keep_files(settings: Settings, version: ModelVersion, files: Sequence[Path]) -> dict[str, str]:
    """Keep evidence files; returns sha256 by name, those of the report in all its forms and of the findings of the training's
    own validation included. SignOffRefused without a report."""
    folder = evidence_folder(settings, version)
    if not (folder / REPORT).is_file():
        raise _refuse(
            f"{version.name} of {version.training_month} has no review report.", "Train it again: gscene run."
        )
    for file in files:
        if _NAME.fullmatch(file.name) is None or file.name in REPORT_FILES:
            raise _refuse(
                f"{file.name} can't be the name of an evidence file.",
                "Use letters, digits, dots and hyphens.",
            )
        kept = folder / file.name
        body = file.read_bytes()
        if kept.exists() and kept.read_bytes() != body:
            raise _refuse(
                f"other evidence was kept under the name {file.name}.", "Give the file another name."
            )
        _keep(kept, body)
    own = [file.name for file in report_files(settings, version)]
    names = [*own, *([FINDINGS] if (folder / FINDINGS).is_file() else []), *(file.name for file in files)]
    return {name: sha256_of((folder / name).read_bytes()) for name in names}


def require_intact(settings: Settings, version: ModelVersion, files: Mapping[str, str]) -> None:
    """SignOffRefused SIGN_OFF/EVIDENCE where a file is missing or no longer what was signed."""
    folder = evidence_folder(settings, version)
    for name, sha256 in files.items():
        kept = folder / name
        if not kept.is_file() or sha256_of(kept.read_bytes()) != sha256:
            raise _refuse(
                f"the evidence {name} is missing or was changed since it was signed.",
                f"Restore {folder} from a backup, or validate and approve anew.",
            )


def evidence_sha256(bundle_sha256: str, files: Mapping[str, str], policy_sha256: str) -> str:
    """One hash over bundle, evidence files and policy."""
    told = {"bundle": bundle_sha256, "files": dict(files), "policy": policy_sha256}
    return sha256_of(json.dumps(told, sort_keys=True).encode())


def _keep(kept: Path, body: bytes) -> Path:
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_name(f".{kept.name}.part")
    part.write_bytes(body)
    os.replace(part, kept)
    return kept


def _refuse(message: str, remedy: str) -> SignOffRefused:
    return SignOffRefused(CODE, message, remedy)
