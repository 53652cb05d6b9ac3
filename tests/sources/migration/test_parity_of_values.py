"""Matched pairs find what distributions can't: the measured table of migration defects, and one bent column at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import from_fen
from features.stability import psi
from sources.migration.finding import ParityFinding, Verdict
from sources.migration.parity_of_values import (
    code_table,
    codes_determined,
    commonest_shift,
    dates_kept,
    matched_equal,
    numbers_equal,
    unit_probe,
    units_kept,
)
from sources.migration.sides import TableSides
from sources.migration.tolerances import Tolerances
from tests.sources.migration.pairs import MONTHS, fen_of, rows, side, sides, with_column

SALES = np.random.default_rng(2026).lognormal(11.0, 1.3, 50_000)
LIMITS = Tolerances()
CHECKS = (numbers_equal, units_kept, codes_determined, dates_kept)


def share(part: float) -> np.ndarray:
    """The first part of the rows; they are in no order."""
    return np.arange(len(SALES)) < round(part * len(SALES))


def misjoined(part: float) -> np.ndarray:
    chosen, moved = np.flatnonzero(share(part)), SALES.copy()
    moved[chosen] = SALES[np.random.default_rng(1).permutation(chosen)]
    return moved


#: defect -> (new side, PSI, ratio of means, matched-equal share), the figures as published in the project's domain page.
PUBLISHED = {
    "1 % of rows in 万元": (np.where(share(0.01), SALES / 1e4, SALES), 0.0008, 0.990, 0.990),
    "10 % of rows in 万元": (np.where(share(0.10), SALES / 1e4, SALES), 0.066, 0.902, 0.902),
    "all rows in 万元": (SALES / 1e4, 8.28, 0.0001, 0.000),
    "5 % of keys mis-joined": (misjoined(0.05), 0.0, 1.000, 0.951),
    "100 % of keys mis-joined": (misjoined(1.0), 0.0, 1.000, 0.003),
    "3 % of rows with tax": (np.where(share(0.03), SALES * 1.13, SALES), 0.0, 1.004, 0.969),
    "quarter of 2 months in 3": (SALES * 2 / 3, 0.095, 0.667, 0.000),
}


@pytest.mark.parametrize("defect", PUBLISHED)
def test_the_published_table_of_defects(defect: str) -> None:
    new, index, means, equal = PUBLISHED[defect]
    assert psi(SALES, new) == pytest.approx(index, rel=0.08, abs=0.0002)
    assert new.mean() / SALES.mean() == pytest.approx(means, abs=0.004)
    assert matched_equal(SALES, new) == pytest.approx(equal, abs=0.0025)


def failing(both: TableSides) -> dict[str, set[str]]:
    """Columns by check whose findings aren't green."""
    found: dict[str, set[str]] = {}
    for check in CHECKS:
        for finding in check(both, LIMITS):
            if finding.verdict is not Verdict.PASS:
                found.setdefault(finding.check, set()).add(finding.column)
    return found


def test_one_truth_passes_every_check_of_values() -> None:
    assert failing(sides()) == {}


def one_in(count: int) -> np.ndarray:
    return np.arange(rows().num_rows) % count == 0


def amounts(change: Callable[[np.ndarray], np.ndarray]) -> TableSides:
    table = rows()
    return sides(side(with_column(table, "base_amt", from_fen(change(fen_of(table))))))


BENT: dict[str, tuple[Callable[[], TableSides], dict[str, set[str]]]] = {
    "2 ‰ of amounts 13 % higher": (
        lambda: amounts(lambda fen: np.where(one_in(500), (fen * 1.13).astype(np.int64), fen)),
        {"PC04": {"base_amt"}},
    ),
    "0.5 ‰ of amounts in 万元": (
        lambda: amounts(lambda fen: np.where(one_in(2000), fen // 10_000, fen)),
        {"PC05": {"base_amt"}},
    ),
    "amounts in fen for yuan": (lambda: amounts(lambda fen: fen * 100), {"PC04": {"base_amt"}, "PC05": {"base_amt"}}),
    "amounts a fen apart": (lambda: amounts(lambda fen: fen + 1), {}),
    "one code split in two": (
        lambda: sides(
            side(with_column(rows(), "status", np.where(one_in(50), "gap", rows().column("status").to_numpy(False))))
        ),
        {"PC06": {"status"}},
    ),
    "a code lost": (
        lambda: sides(
            side(with_column(rows(), "status", pa.array(rows().column("status").to_pylist(), mask=one_in(5000))))
        ),
        {"PC06": {"status"}},
    ),
    "codes held back as unmapped": (lambda: sides(side(rows(), unmapped={"status": 3})), {"PC06": {"status"}}),
    "codes renamed one to one": (
        lambda: sides(
            side(
                with_column(
                    rows(), "status",
                    [{"gap": "back_pay", "back_pay": "gap"}.get(code, code) for code in rows().column("status").to_pylist()],
                )
            )
        ),
        {"PC06": {"status"}},
    ),
    "every date a day later": (
        lambda: sides(
            side(with_column(rows(), "paid_date", [d + timedelta(1) for d in rows().column("paid_date").to_pylist()]))
        ),
        {"PC07": {"paid_date"}},
    ),
    "one date in a hundred a month later": (
        lambda: sides(
            side(
                with_column(
                    rows(), "paid_date",
                    [d + timedelta(30 * (i % 100 == 0)) for i, d in enumerate(rows().column("paid_date").to_pylist())],
                )
            )
        ),
        {"PC07": {"paid_date"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BENT)
def test_a_bent_column_trips_its_own_check_and_no_other(fault: str) -> None:
    bent, expected = BENT[fault]
    assert failing(bent()) == expected


def test_a_renamed_code_is_told_but_does_not_block() -> None:
    bent, _ = BENT["codes renamed one to one"]
    (told,) = [finding for finding in codes_determined(bent(), LIMITS) if finding.verdict is not Verdict.PASS]
    assert (told.measure, told.statistic, told.blocks) == ("codes_renamed", 2.0, False)


def test_a_constant_offset_of_one_day_is_within_a_day_and_still_found() -> None:
    found = {
        f.measure: f
        for f in dates_kept(BENT["every date a day later"][0](), LIMITS)
        if f.column == "paid_date"
    }
    assert found["within_a_day"].verdict is Verdict.PASS
    assert found["constant_offset_share"].verdict is Verdict.FAIL
    assert found["constant_offset_share"].counts["offset_days"] == 1


@given(st.lists(st.integers(-40, 40), max_size=60))
def test_the_commonest_shift_is_the_one_that_counting_finds(days: list[int]) -> None:
    offset, part = commonest_shift(np.array(days, dtype=np.int64))
    moved = [day for day in days if day]
    assert part == (max(moved.count(day) for day in moved) / len(days) if moved else 0.0)
    assert not moved or moved.count(offset) / len(days) == part


@given(st.floats(0.02, 1e6), st.sampled_from([2, 3, 4]), st.sampled_from([1, -1]), st.floats(-0.019, 0.019))
def test_the_unit_probe_knows_each_power_either_way(old: float, power: int, sign: int, off: float) -> None:
    probe = unit_probe(np.array([old]), np.array([old * 10 ** (sign * power + off)]))
    assert (probe.share, probe.power) == (1.0, sign * power)


def test_the_unit_probe_passes_over_zeros_unlike_signs_and_other_ratios() -> None:
    old, new = np.array([0.0, 5.0, 5.0, 5.0, 5.0]), np.array([10.0, 0.0, -500.0, 50.0, 5 * 10**2.03])
    assert unit_probe(old, new).share == 0.0


def test_code_tables_count_by_old_code() -> None:
    table = code_table(pa.array(["a", "a", "a", "b", None]), pa.array(["x", "x", None, "b", "b"]))
    assert table == {"a": (2, 2, 1, True), "b": (1, 1, 0, False)}


def all_values(both: TableSides) -> list[ParityFinding]:
    return [finding for check in CHECKS for finding in check(both, LIMITS)]


@pytest.mark.parametrize("how", ["no links", "no common key"])
def test_without_row_names_only_totals_are_told_and_said_to_be_so(how: str) -> None:
    both = sides(linked=False) if how == "no links" else sides(match_on=())
    found = all_values(both)
    assert {finding.check for finding in found} == {"PC04", "PC05", "PC06", "PC07"}
    assert {finding.verdict for finding in found} == {Verdict.NOT_ROW_VERIFIABLE}
    assert not any(finding.blocks for finding in found)
    ratios = {f.column: f.statistic for f in found if f.measure == "ratio_of_sums"}
    assert ratios["base_amt"] == pytest.approx(1.0)


def test_rows_without_any_counterpart_are_no_parity() -> None:
    table = rows()
    elsewhere = with_column(table, "period", ["2025-01"] * table.num_rows)
    assert {f.check for f in all_values(sides(side(elsewhere))) if f.blocks} == {"PC04", "PC07"}


def test_a_table_that_tells_nothing_on_either_side_passes() -> None:
    table = rows(0)
    assert not [f for f in all_values(sides(side(table), side(table))) if f.blocks]


def test_months_of_the_dual_run_are_in_the_key() -> None:
    assert set(rows().column("period").to_pylist()) == set(MONTHS)
