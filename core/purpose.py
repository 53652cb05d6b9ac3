"""What data may be used for. Purpose is a key on columns, features, models, scores and exports."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Purpose(StrEnum):
    """A lawful purpose; risk and marketing rest on different consent."""

    RISK = "risk"
    MARKETING = "marketing"
    EVALUATION = "evaluation"
    MIGRATION_CHECK = "migration_check"


#: Kinds of consent from weakest to strongest; `none` is what the bank's own records need.
ConsentKind = Literal["none", "notice", "general", "separate", "written"]
CONSENT_KINDS: tuple[ConsentKind, ...] = ("none", "notice", "general", "separate", "written")


def strength(kind: str) -> int:
    """Place of a kind of consent among CONSENT_KINDS. A kind that isn't there (a guardian's, for a child under fourteen) suffices
    for nothing that a bank does here, so it stands below all: -1."""
    return CONSENT_KINDS.index(kind) if kind in CONSENT_KINDS else -1
