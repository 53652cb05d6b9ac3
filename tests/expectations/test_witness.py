"""The few deciding rows are judged as the whole partition is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import validate as judge
from expectations.contract import load_contracts
from expectations.suite import MONTHS_LATE, rules_of
from expectations.witness import witness
from tests.expectations.rows import rows_of, with_column

SOCIAL = load_contracts()["si_person_month"]
BASE = rows_of(SOCIAL, count=8)

BREAKS: dict[str, list[Any]] = {
    "pay_status": ["normal", "gap", "secret", None],
    "scheme": ["pension_emp", "unemp", "other", None],
    "base_amt": [None, "0.00", "1000000.00", "1000000.01", "-0.01"],
    "subject_no": [0, 1, 2, 3, 4, 5, 6, 7],
    "delivery_no": [1, 1, 1, 2],
}


@st.composite
def partitions(draw: st.DrawFn) -> pa.Table:
    """Rows of which some cells of some columns are exchanged."""
    table = BASE
    for name in draw(st.lists(st.sampled_from(sorted(BREAKS)), max_size=2, unique=True)):
        values = table.column(name).to_pylist()
        for place in draw(st.lists(st.integers(0, 7), max_size=3)):
            chosen = draw(st.sampled_from(BREAKS[name]))
            values[place] = (
                pa.scalar(chosen).cast(table.schema.field(name).type).as_py() if chosen else chosen
            )
        table = with_column(table, name, values)
    return table


@settings(max_examples=60)
@given(partitions())
def test_the_witness_keeps_the_contract_exactly_if_the_partition_does(table: pa.Table) -> None:
    rules = rules_of(SOCIAL)
    timed = table.append_column(MONTHS_LATE, pa.array(np.zeros(table.num_rows, dtype=np.int64)))
    deciding = timed.take(pa.array(witness(timed, rules)))
    told = judge._failures(SOCIAL, timed)
    assert {failure.partition(":")[0] for failure in judge._failures(SOCIAL, deciding)} == {
        failure.partition(":")[0] for failure in told
    }


def test_a_million_rows_have_a_witness_of_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    whole = judge._failures
    monkeypatch.setattr(judge, "_failures", lambda c, rows: (sizes.append(rows.num_rows), whole(c, rows))[1])
    many = pa.concat_tables([BASE] * 20_000)
    many = with_column(many, "subject_no", list(range(many.num_rows)))
    assert judge.validate(SOCIAL, many).passed
    assert len(sizes) == 1 and sizes[0] < 40
