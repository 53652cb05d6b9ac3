"""Roles of columns: targets, times, codes and leaks, by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import Refusal
from models.labelled_table.encoding import fit_encoding
from models.labelled_table.periods import periods_of, plan_periods
from models.labelled_table.target import NO_OUTCOME, refuse_leaks, target_of
from models.labelled_table.trusted_labels import flips_against_trusted
from models.validation.finding import Verdict

FILE = Path("table.csv")


@pytest.mark.parametrize(
    ("cells", "event", "found"),
    [
        ([0, 1, None], None, [0, 1, NO_OUTCOME]),
        ([True, False, True], None, [1, 0, 1]),
        ([True, False, None], None, [1, 0, NO_OUTCOME]),
        (["0", "1", None], None, [0, 1, NO_OUTCOME]),
        (["是", "否", None], "是", [1, 0, NO_OUTCOME]),
        ([2, 1, 2], "2", [1, 0, 1]),
    ],
)
def test_targets(cells: list[object], event: str | None, found: list[int]) -> None:
    assert target_of(FILE, pd.DataFrame({"y": cells}), "y", event).tolist() == found


@pytest.mark.parametrize(
    ("cells", "event", "said"),
    [
        (["good", "bad"], None, "isn't 0/1: it holds 2"),
        ([0, 2], None, "isn't 0/1"),
        (["a", "b"], "c", "no cell"),
        (["a", "a"], "a", "every cell"),
    ],
)
def test_a_target_that_is_not_0_or_1_is_refused_without_its_cells(
    cells: list[object], event: str | None, said: str
) -> None:
    with pytest.raises(Refusal, match=said) as refusal:
        target_of(FILE, pd.DataFrame({"y": cells}), "y", event)
    assert refusal.value.code == "REFUSED/TARGET" and refusal.value.column == "y"
    assert not any(repr(cell) in refusal.value.message for cell in cells if isinstance(cell, str))


def test_columns_that_are_the_target_are_named() -> None:
    draw = np.random.default_rng(1)
    y = draw.integers(0, 2, 200).astype(np.int8)
    table = pd.DataFrame(
        {
            "same": y, "turned": 5.0 - y, "ranks": y + draw.random(200) * 0.9, "code": np.where(y == 1, "loss", "paid"),
            "honest": y + draw.normal(size=200), "remark": [f"r{i}" for i in range(200)], "constant": 1,
        }
    )  # fmt: skip
    with pytest.raises(Refusal) as refusal:
        refuse_leaks(FILE, table, y, list(table.columns))
    assert refusal.value.code == "REFUSED/LEAK"
    assert "same, turned, ranks, code." in refusal.value.message
    assert "--exclude same" in refusal.value.remedy
    refuse_leaks(FILE, table, y, ["honest", "remark", "constant"])
    # Sixteen rows may be parted by chance: nothing is said of them.
    refuse_leaks(FILE, table[:16], y[:16], ["same"])


@pytest.mark.parametrize(
    ("cells", "vintages"),
    [
        (["2026-01-31", "2026-02-01", None], ["2026-01", "2026-02", ""]),
        (["2026/1/31", "2026/2", "2026-03"], ["2026-01", "2026-02", "2026-03"]),
        ([202601, 202612, 202511], ["2026-01", "2026-12", "2025-11"]),
        ([20260131, 20261231, 20251101], ["2026-01", "2026-12", "2025-11"]),
        ([2025.0, 2026.0, np.nan], ["2025-01", "2026-01", ""]),
        (pd.to_datetime(["2026-01-31", None, "2026-03-01"]), ["2026-01", "", "2026-03"]),
    ],
)
def test_times(cells: list[object], vintages: list[str]) -> None:
    assert periods_of(FILE, pd.DataFrame({"t": cells}), "t").vintage.tolist() == vintages


def test_many_months_become_quarters_and_other_numbers_are_refused() -> None:
    days = pd.date_range("2015-01-01", "2026-12-01", freq="MS").strftime("%Y-%m-%d")
    found = periods_of(FILE, pd.DataFrame({"t": days}), "t")
    assert found.grain == 3 and len(set(found.vintage)) == 48
    with pytest.raises(Refusal) as refusal:
        periods_of(FILE, pd.DataFrame({"t": [15074, 2026]}), "t")
    assert refusal.value.code == "REFUSED/TIME" and refusal.value.column == "t"
    assert refusal.value.message.startswith("1 cells") and "15074" not in str(refusal.value)


def test_the_newest_periods_judge_and_a_gap_is_kept() -> None:
    months = [f"2026-{month:02d}" for month in range(1, 11)]
    periods = periods_of(FILE, pd.DataFrame({"t": np.repeat(months, 10)}), "t")
    plan = plan_periods(FILE, "t", periods, np.tile([0, 1], 50), 0.25, 3)
    assert [str(month) for month in plan.out_of_time] == ["2026-08", "2026-09", "2026-10"]
    assert str(plan.training[-1]) == "2026-05" and len(plan.training) == 5
    with pytest.raises(Refusal, match="none to train on"):
        plan_periods(FILE, "t", periods, np.tile([0, 1], 50), 0.25, 12)


def test_codes_become_features_without_a_look_at_the_target() -> None:
    table = pd.DataFrame(
        {
            "收入": np.arange(100.0),
            "sex": ["m", "f"] * 50,
            "town": ["a"] * 40 + ["b"] * 30 + ["c"] * 25 + ["d"] * 3 + [None] * 2,
            "code": [1, 2] * 50,
            "day": ["2026-01-02", "2026-02-03"] * 50,
            "name": [f"n{i}" for i in range(100)],
            "same": 7,
        }
    )
    found = fit_encoding(table, list(table.columns), ["code"])
    assert [each.name for each in found.features] == [
        "column_1", "sex__m", "town__a", "town__b", "town__c", "code__2",
    ]  # fmt: skip
    assert dict(found.left_out) == {
        "day": "a date", "name": "a value of its own in most rows", "same": "the same in every row",
    }  # fmt: skip
    matrix = found.matrix(table)
    assert matrix["town__a"].tolist()[:40] == [1.0] * 40
    assert matrix.loc[97, ["town__a", "town__b", "town__c"]].tolist() == [0.0, 0.0, 0.0]
    assert matrix.loc[98:, ["town__a", "town__b", "town__c"]].isna().all(axis=None)
    # New rows: a value never seen is 0 in all of them.
    other = table.assign(town="new", sex="f")
    assert found.matrix(other)[["town__a", "town__b", "town__c", "sex__m"]].sum().sum() == 0.0


def test_flips_among_unverified_labels_are_found_and_honest_ones_are_not_accused() -> None:
    """By hand: every group has the rate p among verified rows and f + (1 - 2f) p among the others."""
    draw = np.random.default_rng(7)
    p = draw.beta(1.2, 6.0, 40_000)
    honest = (draw.random(40_000) < p).astype(np.int8)
    trusted = draw.random(40_000) < 0.5
    clean = flips_against_trusted(p, honest, trusted)
    assert clean.verdict not in (Verdict.WARN, Verdict.FAIL) and clean.interval is not None
    assert clean.interval.low == 0.0
    turned = np.where(~trusted & (draw.random(40_000) < 0.03), 1 - honest, honest)
    found = flips_against_trusted(p, turned, trusted)
    assert found.verdict is Verdict.FAIL and found.interval is not None
    assert found.interval.low < 0.03 < found.interval.high and found.interval.low > 0.01
    # Only the order of the score counts, so a wrong level accuses nobody.
    assert flips_against_trusted(5.0 + 3.0 * p, turned, trusted) == found
