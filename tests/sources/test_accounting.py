"""Nothing is lost: delivered = accepted + left out + quarantined, whatever comes; and reading each different text once is
reading row by row."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.convert import DeliveredRows, convert
from tests.sources.adapting import PERIOD, SCHEMA, adapter_of, hold
from tests.sources.bench import token
from tests.sources.test_row_faults import EVERYTHING

CELLS = {
    "who": [token("a"), token("b"), "", "74218321-3", f" {token('a').upper()}"],
    "acct": ["m1", "m2", "m3", ""],
    "ny": ["202610", "2026-10", "202609", "?"],
    "lx": ["1", "2", "甲", "9", "1、2", "", "无"],
    "je": ["1", "0.10", "7,000", "7,0", "x", "-99999999", ""],
    "yl": ["1", "2.5", "-1", ""],
    "rq": ["2026-10-01", "20261002", "9999-9-9", "", "bad"],
    "op": ["I", "U", "D", "", "?"],
    "env": ["0", "0", "0", "1"],
    "sj": ["2026-10-01 10:00:00", "2026-10-02 10:00:00", ""],
}
COLUMNS: dict[str, Any] = {
    "acct_id": {"from": "acct"},
    "period": {"from": "ny", "parse": ["%Y%m", "%Y-%m"]},
    "kind": {"from": "lx", "codes": {"1": "a", "2": "b", "甲": "c"}, "split": {"by": "、"}},
    "amt": {"from": "je", "unit": "CNY", "thousands": ","},
    "energy": {"from": "yl", "unit": "kWh"},
    "day": {"from": "rq", "parse": ["%Y-%m-%d", "%Y%m%d"], "open_end": True},
    "due": {"derive": {"month_start": "day"}},
}
FEED: dict[str, Any] = {
    "key": {"from": "who", "normalise": ["nfkc", "strip", "lower"]},
    "columns": COLUMNS,
    "sentinels": {"open_end": ["9999-9-9"]},
    "leave_out": [{"reason": "test_row", "column": "env", "equals": ["1"]}],
    "quarantine": EVERYTHING,
}
LATEST = {"exact": "again", "latest_by": {"from": "sj", "parse": ["%Y-%m-%d %H:%M:%S"]}}
TAKE = {"kind": "only", "amt": "sum", "energy": "max", "day": "last"}
VARIANTS: list[dict[str, Any]] = [
    {"ignore": ["op", "sj"]},
    {"ignore": ["op", "sj"], "duplicates": {"exact": "again"}},
    {"ignore": ["op"], "duplicates": LATEST},
    {"ignore": ["sj"], "operation": {"from": "op", "code_map": "op_flag@letters", "missing": "insert"}},
    {"duplicates": LATEST, "operation": {"from": "op", "code_map": "op_flag@letters"}},
    {"ignore": ["op"], "grain": {"take": TAKE, "order_by": LATEST["latest_by"]}},
    {"ignore": ["op", "sj"], "key": FEED["key"] | {"missing": "leave_out"}},
]
ROWS = st.lists(
    st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()}), max_size=25
)
_FOLDER = Path(tempfile.mkdtemp())
ADAPTERS = [adapter_of(_FOLDER, **(FEED | variant)) for variant in VARIANTS]


def rows_of(rows: list[dict[str, str]], columns: tuple[str, ...]) -> DeliveredRows:
    return DeliveredRows(
        pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in columns}), "f"
    )


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(0, len(VARIANTS) - 1))
def test_delivered_is_accepted_and_left_out_and_quarantined(rows: list[dict[str, str]], variant: int) -> None:
    adapter = ADAPTERS[variant]
    result = convert(rows_of(rows, adapter.source_columns), adapter, SCHEMA, PERIOD)
    held = result.quarantined.column("row_no").to_pylist()
    assert result.delivered == len(rows)
    assert result.delivered == result.accepted + sum(result.left_out.values()) + len(held)
    assert len(set(held)) == len(held) and all(1 <= row <= len(rows) for row in held)
    assert result.accepted >= 0
    made = np.abs(np.asarray(result.rows.column("row_no")))
    assert not set(made.tolist()) & set(held)
    assert len(result.subject_codes) == result.rows.num_rows
    assert all(count > 0 for count in result.left_out.values())
    if adapter.grain is None:
        # One canonical row for each accepted source row.
        assert sorted(made.tolist()) == sorted(set(made.tolist())) and len(made) == result.accepted
    keys = list(zip(*(result.rows.column(n).to_pylist() for n in ("acct_id",)), strict=True))
    assert len(set(keys)) == len(keys)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_reading_each_text_once_is_reading_row_by_row(rows: list[dict[str, str]]) -> None:
    adapter = ADAPTERS[0].model_copy(
        # Keys of other rows have no say in what one row is read as.
        update={"quarantine": ADAPTERS[0].quarantine.model_copy(update=hold(*EVERYTHING["hold"]))}
    )
    rows = [row | {"acct": row["acct"] and f"{row['acct']}-{number}"} for number, row in enumerate(rows)]
    together = convert(rows_of(rows, adapter.source_columns), adapter, SCHEMA, PERIOD)
    alone = [convert(rows_of([row], adapter.source_columns), adapter, SCHEMA, PERIOD) for row in rows]
    told: list[tuple[Any, ...]] = []
    held: list[tuple[Any, ...]] = []
    for number, one in enumerate(alone, 1):
        told += [tuple((row | {"row_no": number}).items()) for row in one.rows.to_pylist()]
        held += [tuple((row | {"row_no": number}).items()) for row in one.quarantined.to_pylist()]
    assert [tuple(row.items()) for row in together.rows.to_pylist()] == told
    assert [tuple(row.items()) for row in together.quarantined.to_pylist()] == held
    assert sum(together.left_out.values()) == sum(sum(one.left_out.values()) for one in alone)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, len(VARIANTS) - 1), st.data())
def test_reading_held_rows_again_with_the_same_adapter_holds_them_again(
    rows: list[dict[str, str]], variant: int, data: st.DataObject
) -> None:
    adapter = ADAPTERS[variant]
    delivered = rows_of(rows, adapter.source_columns)
    held = convert(delivered, adapter, SCHEMA, PERIOD).quarantined
    only = held.column("row_no").to_numpy().astype(np.int64) - 1
    again = convert(delivered, adapter, SCHEMA, PERIOD, only=only)
    assert again.delivered == len(only)
    assert again.delivered == again.accepted + sum(again.left_out.values()) + again.quarantined.num_rows
    assert again.quarantined.equals(held)
