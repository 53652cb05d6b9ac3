"""The two kinds of subject. A sole proprietor is an enterprise with an owner."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal


class SubjectKind(StrEnum):
    """Who a row is about; part of every table name and asset key."""

    RESIDENT = "resident"
    ENTERPRISE = "enterprise"

    @property
    def zh(self) -> str:
        """The word shown to Chinese readers."""
        return "居民" if self is SubjectKind.RESIDENT else "企业"


#: Stands where a subject kind would, for tables whose rows are about no subject: reconciliations, campaigns, costs.
SHARED: Final = "shared"

#: Whose rows a table holds: the second part of `raw/<owner>/<table>`.
TableOwner = SubjectKind | Literal["shared"]


def owner_of(text: str) -> TableOwner:
    """The owner of this name; ValueError where there is none."""
    return SHARED if text == SHARED else SubjectKind(text)
