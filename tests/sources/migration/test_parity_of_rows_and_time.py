"""Columns, rows, subjects, missing cells, history, lateness and restatement: each check on its own, and nothing on one truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.months import Month
from sources.migration.crosswalk import Crosswalk
from sources.migration.finding import ParityFinding, Verdict, judged
from sources.migration.links import UNLINKED
from sources.migration.matching import pair_rows
from sources.migration.parity_of_rows import (
    crosswalk_cardinality,
    key_coverage,
    key_versions,
    nulls,
    schema_kept,
    volume,
)
from sources.migration.parity_of_time import history_depth, lateness, restatement
from sources.migration.sides import TableSides
from sources.migration.tolerances import Tolerances
from tests.sources.migration.pairs import FED, SUBJECTS, rows, side, sides, with_column

LIMITS = Tolerances()
CUT_OVER = Month(2026, 10)


def every(both: TableSides) -> list[ParityFinding]:
    """All checks of this page."""
    return [
        *schema_kept(both, LIMITS), *volume(both, LIMITS), *key_coverage(both, LIMITS), *nulls(both, LIMITS),
        *history_depth(both, LIMITS, CUT_OVER), *lateness(both, LIMITS), *restatement(both, LIMITS),
    ]  # fmt: skip


def tripped(both: TableSides) -> dict[str, Verdict]:
    return {f.check: f.verdict for f in every(both) if f.verdict is not Verdict.PASS}


def test_one_truth_trips_nothing() -> None:
    assert tripped(sides()) == {}


def unlinked(part: int) -> pa.Table:
    numbers = rows().column("subject_no").to_numpy().copy()
    numbers[numbers % part == 0] = UNLINKED
    return with_column(rows(), "subject_no", numbers)


def thinned(condition: Callable[[pa.Table], np.ndarray]) -> pa.Table:
    return rows().filter(pa.array(~condition(rows())))


def of_county(table: pa.Table) -> np.ndarray:
    """3 % of one county's rows in one month: 0.3 % of all."""
    here = (table.column("region").to_numpy(False) == "430181") & (
        table.column("period").to_numpy(False) == "2026-08"
    )
    return here & (np.cumsum(here) % 33 == 0)


FAULTS: dict[str, tuple[Callable[[], TableSides], dict[str, Verdict]]] = {
    "a column isn't fed any more": (
        lambda: sides(side(rows(), fed=FED - {"months"})),
        {"PC01": Verdict.FAIL},
    ),
    "1 % of all rows gone": (
        lambda: sides(side(thinned(lambda t: np.arange(t.num_rows) % 100 == 0))),
        {"PC02": Verdict.FAIL},
    ),
    "3 % of a county's rows in one month gone": (lambda: sides(side(thinned(of_county))), {"PC02": Verdict.FAIL}),
    "1 % of subjects not in the crosswalk": (lambda: sides(side(unlinked(100))), {"PC03": Verdict.FAIL}),
    "1 % of employers lead elsewhere": (
        lambda: sides(
            side(
                with_column(
                    rows(), "employer_id",
                    [
                        f"k1:{99:040x}" if i % 100 == 0 else told
                        for i, told in enumerate(rows().column("employer_id").to_pylist())
                    ],
                )
            )
        ),
        {"PC03": Verdict.FAIL},
    ),
    "1 % of cells missing": (
        lambda: sides(
            side(
                with_column(
                    rows(), "base_amt",
                    pc.if_else(pa.array(np.arange(rows().num_rows) % 100 != 0), rows().column("base_amt"), None),
                )
            )
        ),
        {"PC08": Verdict.FAIL},
    ),
    "a county's history begins a year late": (
        lambda: sides(
            side(rows(), first_months={"430121": "2024-04", "430181": "2025-09", "430182": "2024-04"})
        ),
        {"PC09": Verdict.WARN},
    ),
    "10 days later": (lambda: sides(side(rows(), days_late=np.full(10, 20.0))), {"PC10": Verdict.WARN}),
    "the last tenth 8 days later": (
        lambda: sides(side(rows(), days_late=np.where(np.arange(100) < 90, 10.0, 18.0))),
        {"PC10": Verdict.WARN},
    ),
    "3 % of records restated": (
        lambda: sides(side(rows(), restated=np.arange(100) < 3)),
        {"PC11": Verdict.WARN},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_trips_its_own_check_and_no_other(fault: str) -> None:
    bent, expected = FAULTS[fault]
    assert tripped(bent()) == expected


def test_a_county_that_only_the_province_has_is_counted_and_not_compared() -> None:
    more = with_column(rows(), "region", ["430103"] * rows().num_rows)
    both = sides(side(pa.concat_tables([rows(), more])))
    (total,) = volume(both, LIMITS)
    assert (total.verdict, total.counts["rows_of_added_regions"]) == (Verdict.PASS, more.num_rows)


def test_a_county_that_is_expected_and_never_comes_fails() -> None:
    found = volume(sides(), LIMITS, ["430121", "430181", "430182", "430103"])
    assert all(finding.verdict is Verdict.PASS for finding in found), "the old side hasn't it either"
    one_less = sides(side(thinned(lambda t: t.column("region").to_numpy(False) == "430182")))
    assert {f.column for f in volume(one_less, LIMITS) if f.blocks} >= {"430182 2026-07", "430182 2026-09"}


def test_history_within_the_look_back_is_all_that_is_asked() -> None:
    both = sides(side(rows(), first_months=dict.fromkeys(["430121", "430181", "430182"], "2024-10")))
    assert tripped(both) == {}, "24 months before the cut-over are there"


def test_a_strangers_key_version_is_found() -> None:
    ids = pa.array(["k2:" + "0" * 40, "k1:" + "1" * 40])
    assert key_versions("resident", ids, "k2").blocks
    assert not key_versions("resident", ids.slice(0, 1), "k2").blocks


def test_pairs_that_are_not_one_to_one_are_counted_both_ways() -> None:
    crosswalk = Crosswalk(
        pa.array(["a", "b", "c", "c", "d"]), pa.array(["A", "A", "C", "D", "E"]), pa.array(["x"] * 5)
    )
    assert crosswalk.cardinality == {"pairs": 5, "one_to_one": 1, "one_to_several": 1, "several_to_one": 1}
    assert crosswalk.old_of(pa.array(["E", "A", "C", "Z"])).to_pylist() == ["d", None, None, None]
    assert crosswalk_cardinality(crosswalk, LIMITS).blocks


def test_without_links_coverage_is_a_ratio_of_numbers() -> None:
    (found,) = key_coverage(sides(linked=False), LIMITS)
    assert (found.verdict, found.statistic) == (Verdict.NOT_ROW_VERIFIABLE, 1.0)


def test_columns_that_one_side_lacks_are_left_to_the_schema_check() -> None:
    none = pa.nulls(rows().num_rows, rows().column("months").type)
    bent = side(with_column(rows(), "months", none), fed=FED - {"months"})
    assert tripped(sides(bent)) == {"PC01": Verdict.FAIL}


keys = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["x", "y", None])), max_size=12)


@given(keys, keys)
def test_pairs_are_those_that_a_loop_finds(old: list[tuple[int, str]], new: list[tuple[int, str]]) -> None:
    def table(told: list[tuple[int, str]]) -> pa.Table:
        return pa.table(
            {
                "a": pa.array([a for a, _ in told], pa.int32()),
                "b": pa.array([b for _, b in told], pa.string()),
            }
        )

    found = pair_rows(table(old), table(new), ["a", "b"])
    wanted = {
        (i, new.index(key))
        for i, key in enumerate(old)
        if None not in key and old.count(key) == 1 and new.count(key) == 1
    }
    assert set(zip(found.old.tolist(), found.new.tolist(), strict=True)) == wanted


@given(st.floats(allow_nan=True), st.none() | st.floats(0, 1), st.none() | st.floats(0, 1))
def test_a_number_outside_its_limits_never_passes(
    value: float, low: float | None, high: float | None
) -> None:
    found = judged("PC04", "t", "m", value, low=low, high=high)
    inside = value == value and (low is None or value >= low) and (high is None or value <= high)
    assert (found.verdict is Verdict.PASS) == inside == (not found.blocks)
    warned = judged("PC10", "t", "m", value, low=low, high=high)
    assert not warned.blocks and (warned.verdict is Verdict.WARN) == (not inside)
    assert ParityFinding.from_plain(found.as_plain()) == found


def test_every_subject_of_the_made_up_table_is_on_both_sides() -> None:
    assert len(np.unique(sides().old.own_subject)) == SUBJECTS
    assert replace(sides(), key=()).row_verifiable is False
