"""Punctuality: which feeds that always deliver hadn't sent a month by its knowledge cutoff.

A delivery that came and was refused isn't late: the ledger tells why it was refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from core.months import Month, knowledge_cutoff
from expectations.plausibility import Finding, Verdict
from sources.versions import KnownDelivery

CHECK = "late_delivery"
#: A feed is expected when it had delivered each of so many months before in time.
EXPECTED_AFTER = 2


def punctuality(
    table: str, month: Month, deliveries: Mapping[int, KnownDelivery] | Collection[KnownDelivery]
) -> Finding:
    """Sources of `table` that delivered the months before in time and sent nothing of this one; `of` counts the sources
    expected."""
    entries = list(deliveries.values() if isinstance(deliveries, Mapping) else deliveries)
    expected = sources_in_time(entries, month.plus(-1))
    for months_back in range(2, EXPECTED_AFTER + 1):
        expected &= sources_in_time(entries, month.plus(-months_back))
    late = expected - sources_in_time(entries, month, accepted=False)
    verdict = Verdict.FAIL if late else Verdict.PASS
    return Finding(CHECK, table, str(month), "", len(late), len(expected), verdict)


def sources_in_time(entries: Collection[KnownDelivery], month: Month, accepted: bool = True) -> set[str]:
    """Sources with a delivery of the month (an accepted one, or one in whatever state) that came by its knowledge cutoff."""
    cutoff = knowledge_cutoff(month)
    return {
        entry.source
        for entry in entries
        if entry.period == str(month) and entry.received_at <= cutoff and (entry.accepted or not accepted)
    }
