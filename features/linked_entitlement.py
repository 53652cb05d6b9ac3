"""Who may be told of another: a person's features of the employer need the consents of both.

The subject's own consent must hold for the table that names the other (domain rule L1: a join needs a valid consent), and the
other is the subject of its own rows: an employer's tax and contribution amounts are told with its written consent alone (L9),
whoever they are told about. So linked facts are there for a subject where every other that it names in the months asked for is
entitled too. Whom the bank has no number for has consented to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from core.derivation import Partition
from core.months import month_range
from core.purpose import Purpose
from core.subject import SubjectKind
from core.subject_registry import SubjectRegistry
from core.table_store import TableStore
from features.data_span import DataSpan
from features.linked_facts import LinkedFacts
from features.linked_fold import NOBODY, Numbering
from features.monthly_facts import moment

if TYPE_CHECKING:
    from features.entitlement import Entitlement


@dataclass(frozen=True)
class Links:
    """Whom subjects name, and who of these may be told of: `entitled` opens the registers of the others' kind as the subject's
    own were opened."""

    store: TableStore
    entitled: Callable[[SubjectKind], Entitlement]
    _opened: dict[SubjectKind, tuple[Entitlement, Numbering]] = field(default_factory=dict, compare=False)

    def reasons(
        self,
        purpose: Purpose,
        definition: LinkedFacts,
        span: DataSpan,
        known_at: datetime,
        subjects: int,
        presence: bool = False,
    ) -> np.ndarray:
        """int8 (subjects,) by subject_no: the reason of an other that may not be told of; 0 where all may, or none is named.

        Others are those named in the span's months by anything known at `known_at`.
        """
        entitlement, numbering = self._open(definition.through.subject)
        theirs = entitlement.reasons(purpose, definition.other.table, presence, span)
        # The last place is whoever has no number.
        theirs = np.append(theirs, entitlement.of_a_stranger(definition.other.table))
        worst = np.zeros(subjects, dtype=np.int8)
        months = [str(month) for month in month_range(span.first, span.as_of)]
        table, measure, cutoff = definition.link.fact_table, definition.through.measure, moment(known_at)
        there = set(self.store.partitions(table))
        for period in (month for month in months if month in there):
            rows = self.store.read(table, [period], ["subject_no", "known_at", measure])
            identities = rows.column(measure).to_numpy()
            known = (rows.column("known_at").to_numpy().astype("datetime64[us]") <= cutoff) & ~np.isnan(
                identities
            )
            numbers = numbering.look_up(identities[known])
            numbers = np.where((numbers == NOBODY) | (numbers >= len(theirs) - 1), -1, numbers)
            np.maximum.at(worst, rows.column("subject_no").to_numpy()[known], theirs[numbers])
        return worst

    @property
    def used(self) -> tuple[Partition, ...]:
        """Partitions of the others' registers that were read so far."""
        return tuple(
            each for _, (opened, _) in sorted(self._opened.items()) for each in opened.registers.used
        )

    def _open(self, kind: SubjectKind) -> tuple[Entitlement, Numbering]:
        if kind not in self._opened:
            numbering = Numbering.of(SubjectRegistry(self.store, kind).pseudonyms())
            self._opened[kind] = self.entitled(kind), numbering
        return self._opened[kind]
