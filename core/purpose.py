"""What data may be used for. Purpose is a key on columns, features, models, scores and exports."""

from __future__ import annotations

from enum import StrEnum


class Purpose(StrEnum):
    """A lawful purpose; risk and marketing rest on different consent."""

    RISK = "risk"
    MARKETING = "marketing"
    EVALUATION = "evaluation"
    MIGRATION_CHECK = "migration_check"
