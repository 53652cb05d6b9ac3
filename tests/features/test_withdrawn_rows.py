"""A row that withdraws its key takes the key's facts away from the moment it is known, and is never itself a fact."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.fold import fold_month
from sources.versions import Resolver
from tests.features.test_fold import SCHEMA, START, definition, ledger, raw, row

FACTS = definition(total={"agg": "sum", "column": "amt"}, rows={"agg": "count"})


def facts_at(day: int, deliveries: int = 2) -> list[tuple[int, float]]:
    """(subject, total in fen) that became known on a day."""
    table = raw([[row(1, "a", amt=100), row(1, "b", amt=30), row(2, "c", amt=7)], [row(1, "a"), row(2, "c")]])
    withdrawing = table.column("delivery_no").to_numpy() == 1
    numbers = np.where(
        withdrawing, -1 - table.column("row_no").to_numpy(), table.column("row_no").to_numpy() + 1
    )
    place = table.schema.get_field_index("row_no")
    table = table.set_column(place, "row_no", pa.array(numbers.astype(np.int32)))
    table = table.filter(pc.less(table.column("delivery_no"), deliveries))
    facts = fold_month(table, FACTS, SCHEMA, Resolver(SCHEMA, ledger(deliveries)))
    moment = pa.scalar(START.replace(day=START.day + day), pa.timestamp("us", tz="UTC"))
    known = facts.filter(pc.equal(facts.column("known_at").cast(moment.type), moment))
    return sorted(zip(known.column("subject_no").to_pylist(), known.column("total").to_pylist(), strict=True))


def test_what_was_known_before_stays_and_what_is_known_after_lacks_the_key() -> None:
    assert facts_at(0) == facts_at(0, deliveries=1) == [(1, 130), (2, 7)]
    # Subject 1 keeps the other invoice; of subject 2 nothing is left.
    (first, second) = facts_at(1)
    assert first == (1, 30)
    assert second[0] == 2 and np.isnan(second[1])
