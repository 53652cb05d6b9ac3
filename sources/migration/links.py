"""Subjects of both sides in one numbering: that of the live side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.subject_registry import SubjectRegistry
from sources.migration.crosswalk import Crosswalk

#: Stands for a trial subject whom nothing links to a live one.
UNLINKED = -1


@dataclass(frozen=True)
class SubjectLinks:
    """How trial subjects are told to be live ones: by a crosswalk, or (None) by pseudonyms that haven't changed."""

    crosswalk: Crosswalk | None

    def live_numbers(self, live: SubjectRegistry, trial: SubjectRegistry) -> np.ndarray:
        """int32 of shape (trial subjects,): the live number of each trial number, or UNLINKED."""
        return live.numbers(self.old_ids(trial.table().column("subject_id")), add=False)

    def old_ids(self, new_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The pseudonym on the old side of each on the new side, null where nothing links it; shape (rows,)."""
        plain = new_ids.combine_chunks() if isinstance(new_ids, pa.ChunkedArray) else new_ids
        return plain if self.crosswalk is None else self.crosswalk.old_of(plain)
