"""Subject numbers on intake, where a migration has replaced pseudonyms: an old one never becomes a stranger."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from core.errors import Refusal
from core.state import StateDatabase
from core.subject_registry import NEVER_REPLACED, RETIRED, SubjectRegistry
from sources.migration.lanes import may_use_old_key


def subject_numbers(
    state: StateDatabase,
    registry: SubjectRegistry,
    source: str,
    subject_ids: pa.Array,
    codes: pa.Array,
    add: bool = True,
) -> np.ndarray:
    """`registry.numbers`, int32 of shape (rows,).

    Pseudonyms that a migration has replaced lead to their subjects while the source may still use the old key. From any other
    source, and once the window has ended, the delivery is refused whole (REFUSED/RETIRED_KEY): rows left out would lose, say, a
    customer's refusal without anybody noticing.
    """
    former = registry.former_numbers(subject_ids)
    replaced = former != NEVER_REPLACED
    if not replaced.any():
        return registry.numbers(subject_ids, codes, add)
    with state.session() as session:
        allowed = may_use_old_key(session, source)
    if not allowed or (former == RETIRED).any():
        raise Refusal(
            "REFUSED/RETIRED_KEY",
            f"{int(replaced.sum())} rows are about subjects under a key that a platform migration has replaced.",
            remedy="Have the source send the delivery again under the new key, as a new revision.",
        )
    kept = pa.array(~replaced)
    numbers = former.copy()
    numbers[~replaced] = registry.numbers(subject_ids.filter(kept), codes.filter(kept), add)
    return numbers
