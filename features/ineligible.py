"""How many subjects were left out for want of consent, under which reason: counted at every stage, never dropped in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.purpose import Purpose
from core.state import IneligibleCount
from features.entitlement import counts

#: Stands where a source would: the subject got no row at all.
NO_ROW = ""


@dataclass
class Ineligible:
    """Subjects by (purpose, source, reason) whose records of the source may not be used; `without_any`: subjects with records
    and no row, because no source of theirs may be used for any purpose."""

    by_reason: Counter[tuple[Purpose, str, str]] = field(default_factory=Counter)
    without_any: int = 0

    def add(self, purpose: Purpose, source: str, reasons: np.ndarray) -> None:
        """Count an array of reasons, entitled ones left aside."""
        for reason, subjects in counts(reasons).items():
            self.by_reason[purpose, source, reason] += subjects

    @property
    def rows(self) -> list[tuple[str, str, str, int]]:
        """(purpose, source, reason, subjects), sorted."""
        return [(str(p), s, r, n) for (p, s, r), n in sorted(self.by_reason.items())]


def keep(session: Session, table: str, partition: str, told: Ineligible) -> None:
    """Replace what the state database tells of one made partition."""
    session.execute(
        delete(IneligibleCount).where(IneligibleCount.table == table, IneligibleCount.partition == partition)
    )
    for purpose, source, reason, subjects in told.rows:
        session.add(
            IneligibleCount(
                table=table,
                partition=partition,
                purpose=purpose,
                source=source,
                reason=reason,
                subjects=subjects,
            )
        )


def kept(session: Session, table: str, partition: str) -> Ineligible:
    """What was kept of one made partition; `without_any` isn't kept and is 0 here."""
    query = select(IneligibleCount).where(
        IneligibleCount.table == table, IneligibleCount.partition == partition
    )
    found = Ineligible()
    for row in session.scalars(query):
        found.by_reason[Purpose(row.purpose), row.source, row.reason] = row.subjects
    return found


def told_of(session: Session, partition: str) -> list[IneligibleCount]:
    """What the stages of one month counted, in a fixed order."""
    key = (IneligibleCount.table, IneligibleCount.purpose, IneligibleCount.source, IneligibleCount.reason)
    return list(
        session.scalars(select(IneligibleCount).where(IneligibleCount.partition == partition).order_by(*key))
    )
