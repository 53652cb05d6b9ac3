"""k, l, t and the grade agree with a slow reference; what is too fine isn't released."""

from __future__ import annotations

import math

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import GateRefused, GsceneError
from expectations.deidentification import deid_report, generalised, require_release

ROWS = st.lists(
    st.tuples(st.sampled_from(["430102", "430104", None]), st.sampled_from("ABC"), st.sampled_from(["x", "y", "z", None])),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=80)
@given(ROWS)
def test_measures_agree_with_a_slow_reference(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    frame = pd.DataFrame(rows, columns=["region", "industry", "grade"])
    told = deid_report(pa.Table.from_pandas(frame), ["region", "industry"], "grade")
    values = frame["grade"].fillna("none")
    overall = values.value_counts(normalize=True)
    classes = [values[group.index] for _, group in frame.groupby(["region", "industry"], dropna=False)]
    shares = [each.value_counts(normalize=True) for each in classes]
    sizes = [len(each) for each in classes]
    assert (told.rows, told.classes, told.k) == (len(frame), len(classes), min(sizes))
    assert told.unique == sum(size for size in sizes if size == 1)
    assert told.under_5 == sum(size for size in sizes if size < 5)
    assert sum(told.sizes.values()) == len(frame) and told.sizes["3-4"] == sum(
        s for s in sizes if 3 <= s <= 4
    )
    assert told.l_distinct == min(each.nunique() for each in classes)
    assert told.l_entropy == pytest.approx(
        min(math.exp(-sum(p * math.log(p) for p in share)) for share in shares)
    )
    assert told.alpha == pytest.approx(max(share.max() for share in shares))
    distances = [sum(abs(share.get(v, 0.0) - p) for v, p in overall.items()) / 2 for share in shares]
    assert told.t == pytest.approx(max(distances), abs=1e-12)
    assert told.risk_max == pytest.approx(1 / min(sizes))


def _table(*sizes: int) -> pa.Table:
    regions = [f"4301{place:02d}" for place, size in enumerate(sizes) for _ in range(size)]
    return pa.table({"region": regions})


@pytest.mark.parametrize(
    ("sizes", "grade", "internal", "marketing"),
    [
        ((1, 20), 2, False, False),
        ((4, 20), 3, False, False),
        ((5, 20), 3, True, False),
        ((10, 20), 4, True, True),
    ],
)
def test_small_classes_are_not_released(
    sizes: tuple[int, ...], grade: int, internal: bool, marketing: bool
) -> None:
    told = deid_report(_table(*sizes), ["region"])
    assert told.grade == grade
    for release, allowed in (("internal", internal), ("marketing", marketing), ("public", marketing)):
        if allowed:
            require_release(told, release)  # type: ignore[arg-type]
        else:
            with pytest.raises(GateRefused):
                require_release(told, release)  # type: ignore[arg-type]


def test_direct_identifiers_are_grade_one_and_never_released() -> None:
    told = deid_report(_table(50), ["region"], direct=["bz"])
    assert told.grade == 1
    with pytest.raises(GateRefused, match="direct identifiers stand in bz"):
        require_release(told, "internal")


def test_generalising_a_region_joins_its_classes() -> None:
    table = _table(1, 4, 7)
    assert deid_report(table, ["region"]).k == 1
    assert deid_report(generalised(table, "region", 4), ["region"]).k == 12


def test_a_column_that_is_not_there_is_told_and_never_reaches_sql() -> None:
    with pytest.raises(GsceneError, match="no column"):
        deid_report(_table(3), ['region"); DROP TABLE x; --'])
    odd = _table(3).rename_columns(['a") FROM t; DROP TABLE x; --'])
    assert deid_report(odd, odd.column_names).k == 3
