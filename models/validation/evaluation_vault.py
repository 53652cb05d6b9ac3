"""The evaluation vault: lawful group attributes for the purpose `evaluation`, apart from everything a model may learn from.

A vault is a folder outside the table store: `<subject>.yaml` says which attributes it holds, on what lawful basis, who approved
them and until when; `<subject>.parquet` has one row per subject (subject_id and the attributes as text). No contract, fact or
feature can name it, because those name tables of the store; and features can't import this file, because folders import one way.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from core.definition_file import Bilingual, Definition, load_definition
from core.errors import Refusal
from core.purpose import Purpose
from core.subject import SubjectKind

CODE = "REFUSED/VAULT"


class VaultAttribute(Definition):
    """One attribute, and why it may be held."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Bilingual
    lawful_basis: str = Field(min_length=3)
    approved_by: str = Field(min_length=1)
    valid_until: date


class VaultHead(Definition):
    """What a vault says of itself."""

    purpose: Literal[Purpose.EVALUATION]
    subject: SubjectKind
    attributes: list[VaultAttribute] = Field(min_length=1)


class EvaluationVault:
    """An opened vault. It gives groups of asked subjects for a statistic; it has no way to give its table."""

    def __init__(self, head: VaultHead, table: pd.DataFrame) -> None:
        self.head = head
        self._table = table

    @property
    def attributes(self) -> list[str]:
        """Names of the attributes."""
        return [each.name for each in self.head.attributes]

    def groups(self, attribute: str, subject_ids: np.ndarray) -> np.ndarray:
        """Codes (n,) of the asked subjects, "" where the vault doesn't know one."""
        told = self._table[attribute].reindex(subject_ids)
        return told.fillna("").to_numpy(dtype=str)


def open_vault(
    folder: Path, subject: SubjectKind, purpose: Purpose, today: date, learned_from: Collection[str]
) -> EvaluationVault | None:
    """The vault of a subject kind, None where there is none.

    Raises Refusal REFUSED/VAULT for another purpose than evaluation, an attribute whose approval has run out, an attribute that
    a model learned from (`learned_from`: names of features), columns that the head doesn't name, and a subject given twice.
    """
    head_file, data = folder / f"{subject}.yaml", folder / f"{subject}.parquet"
    if not head_file.exists():
        return None
    if purpose is not Purpose.EVALUATION:
        raise _refuse(
            head_file, f"it may not be read for the purpose {purpose}", "Use it for evaluation only."
        )
    head = load_definition(head_file, VaultHead)
    if head.subject != subject:
        raise _refuse(head_file, "it names another subject kind", "Name the file after its subject kind.")
    late = [each.name for each in head.attributes if each.valid_until < today]
    if late:
        raise _refuse(
            head_file, f"the approval of {', '.join(late)} has run out", "Renew it or remove the attribute."
        )
    names = [each.name for each in head.attributes]
    learned = sorted(set(names) & set(learned_from))
    if learned:
        raise _refuse(
            head_file,
            f"the model learned from {', '.join(learned)}",
            "Remove the feature: what serves evaluation can't serve a model.",
        )
    table = pd.read_parquet(data)
    if set(table.columns) != {"subject_id", *names}:
        raise _refuse(data, "its columns aren't subject_id and the attributes of its head", "Write it again.")
    if table["subject_id"].duplicated().any():
        raise _refuse(data, "it holds a subject twice", "Give one row per subject.")
    return EvaluationVault(head, table.set_index("subject_id"))


def _refuse(file: Path, what: str, remedy: str) -> Refusal:
    return Refusal(CODE, f"the evaluation vault: {what}.", file=str(file), remedy=remedy)
