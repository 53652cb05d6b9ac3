"""Purpose over the lineage of a list: an acquisition model for marketing, a risk model for the gate alone, and only registers
that marketing may read decide who is approached. Told when definitions load, with the line of the policy's file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from core.definition_file import CODE, line_of
from core.errors import Refusal
from core.purpose import Purpose
from core.table_schema import TableSchema
from leads.policy import FOLDER, LeadPolicy
from models.definition import ModelDefinition
from models.lineage import allowed_purposes

#: Columns by which a list decides who is approached, and by whom. Registers that only leave subjects out (suppressions, holdings,
#: earlier contacts) protect the subject: reading them needs no purpose of marketing.
APPROACH_COLUMNS: dict[str, tuple[str, ...]] = {
    "consent_register": ("consent_id", "purpose", "kind", "granted_at", "valid_to", "withdrawn_at"),
    "bk_customer": ("branch_id",),
}


def check_list(
    policy: LeadPolicy,
    risk: ModelDefinition,
    acquisition: ModelDefinition | None,
    registers: Collection[str],
    schemas: Mapping[str, TableSchema],
    folder: Path = FOLDER,
) -> None:
    """Refusal with file and line where something on the way to the list may not be used for marketing.

    The risk score serves the gate, under its own consent; it is never part of the order of a list's sentences.
    """
    path = folder / f"{policy.policy}.yaml"
    for model, purpose in ((risk, Purpose.RISK), (acquisition, Purpose.MARKETING)):
        if model is None:
            continue
        if model.purpose != purpose or model.subject is not policy.subject:
            raise _refuse(
                path,
                f"{model.name} is for {model.purpose} on {model.subject}s; {purpose} on {policy.subject}s is needed",
                "policy",
            )
    for register in registers:
        for column in APPROACH_COLUMNS.get(register, ()):
            if Purpose.MARKETING not in allowed_purposes([(register, column)], schemas):
                raise _refuse(path, f"{register}.{column} may not serve marketing", "policy")


def _refuse(path: Path, message: str, place: str) -> Refusal:
    return Refusal(
        CODE,
        message + ".",
        file=str(path),
        line=line_of(path, place),
        remedy="Choose another model or register, or ask the owner of the contract to allow the purpose.",
    )
