"""What a decision policy proposes to people."""

from __future__ import annotations

from enum import StrEnum

from core.definition_file import Bilingual


class Outcome(StrEnum):
    """From the best to the worst for the applicant; of several the worst counts."""

    APPROVE = "approve"
    REFER = "refer"
    DECLINE = "decline"


TEXTS = {
    Outcome.APPROVE: Bilingual(zh="建议通过", en="approve"),
    Outcome.REFER: Bilingual(zh="转人工审查", en="refer to a person"),
    Outcome.DECLINE: Bilingual(zh="建议拒绝", en="decline"),
}
