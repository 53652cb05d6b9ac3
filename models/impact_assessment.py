"""Impact assessments (PIA, PIPL art. 55-56): what one covers, and whether a model lies within it.

One YAML a file in `<home>/pia`, named after its reference; the assessment itself is kept by the bank for at least three years.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from core.definition_file import Definition, load_definition
from core.errors import SignOffRefused
from core.purpose import Purpose
from core.subject import SubjectKind

CODE = "SIGN_OFF/PIA"
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ImpactAssessment(Definition):
    """Scope of one assessment. `features`: names, or patterns with `*`; `valid_until`: the last day it holds."""

    pia: str = Field(pattern=_REFERENCE.pattern)
    title: str
    assessed_by: str
    assessed_on: date
    valid_until: date
    subjects: list[SubjectKind] = Field(min_length=1)
    purposes: list[Purpose] = Field(min_length=1)
    features: list[str] = Field(min_length=1)

    @property
    def sha256(self) -> str:
        """Hash of the scope that an approval stands on."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def outside(self, features: Sequence[str]) -> list[str]:
        """Those of the features that the scope doesn't cover."""
        return [name for name in features if not any(fnmatchcase(name, each) for each in self.features)]


def covering_assessment(
    folder: Path, reference: str, *, subject: SubjectKind, purpose: Purpose, features: Sequence[str], on: date
) -> ImpactAssessment:
    """The assessment of this reference; SignOffRefused SIGN_OFF/PIA where it is missing, has ended or doesn't cover the model."""
    file = folder / f"{reference}.yaml"
    if not reference or _REFERENCE.fullmatch(reference) is None or not file.is_file():
        raise _refuse(
            f"there is no impact assessment {reference!r}."
            if reference
            else "no impact assessment is named.",
            f"Lay its scope down as {folder}/REFERENCE.yaml (docs/model-lifecycle.md shows one) and give --pia REFERENCE.",
        )
    found = load_definition(file, ImpactAssessment)
    if found.pia != reference:
        raise _refuse(f"{file} holds the assessment {found.pia}.", "Name the file after its reference.")
    if not found.assessed_on <= on <= found.valid_until:
        raise _refuse(
            f"{reference} holds from {found.assessed_on} to {found.valid_until} only.",
            "Assess the impact again.",
        )
    outside = found.outside(features)
    for wrong, what in (
        (subject not in found.subjects, f"the subject {subject}"),
        (purpose not in found.purposes, f"the purpose {purpose}"),
        (bool(outside), f"{len(outside)} features, such as {', '.join(outside[:5])}"),
    ):
        if wrong:
            raise _refuse(
                f"{reference} does not cover {what}.", "Widen the assessment, or train without them."
            )
    return found


def _refuse(message: str, remedy: str) -> SignOffRefused:
    return SignOffRefused(CODE, message, remedy)
