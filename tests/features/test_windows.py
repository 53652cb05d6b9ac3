"""Window formulas against slow, obvious arithmetic and against their own rules."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import window_kernels_of_two
from features.window_kernels import KERNELS
from features.window_kernels_of_two import KERNELS_OF_TWO
from features.windows import EXTRA_MONTHS, FORMULAS, OF_TWO

NAN = np.nan
#: Identities A and B under the first key, and what they are under the second.
A1, B1, A2, B2 = 2**48 + 5.0, 2**48 + 6.0, 2 * 2**48 + 7.0, 2 * 2**48 + 8.0


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def one(formula: str, *values: float) -> float:
    return float(KERNELS[formula](column(*values))[0])


@pytest.mark.parametrize(
    ("formula", "values", "expected"),
    [
        ("sum", (1, NAN, 3), 4),
        ("sum", (NAN, NAN), NAN),
        ("mean", (1, NAN, 3), 2),
        ("min", (4, NAN, 3), 3),
        ("max", (NAN, NAN), NAN),
        ("std", (1, 3), 1),
        ("std", (1, NAN), NAN),
        ("cv", (1, 3), 0.5),
        ("cv", (-1, 1), NAN),
        ("slope", (1, 2, 3), 0.5),
        ("slope", (1, NAN, 3), NAN),
        ("slope", (2, NAN, 4, 5), 3 / 11),
        ("last", (5, 7, NAN), 7),
        ("records", (NAN, NAN), 0),
        ("records", (0, NAN), 1),
        ("positive", (0, 2, NAN), 1),
        ("positive", (NAN,), NAN),
        ("positive_share", (0, 2, NAN), 0.5),
        ("any_positive", (0, 2, 7), 1),
        ("any_positive", (0, NAN), 0),
        ("any_positive", (NAN,), NAN),
        ("longest_gap", (NAN, 1, 0, NAN, 1, 0), 2),
        ("longest_gap", (0, 0), NAN),
        ("longest_run", (1, 1, 0, 1, NAN), 2),
        ("longest_run", (NAN,), NAN),
        ("since_positive", (1, 0, NAN), 2),
        ("since_positive", (0, 0), NAN),
        ("since_record", (0, NAN), 1),
        ("change", (4, NAN, 5), 0.25),
        ("change", (0, 5), NAN),
        ("ratio_previous", (1, 1, 3, 1), 2),
        ("ratio_previous", (0, 0, 3, 1), NAN),
        ("rises", (1, NAN, 2, 2, 1, 3), 2),
        ("rises", (NAN, 4), NAN),
        ("falls", (3, NAN, 2, 2, 1, 3), 2),
        ("falls", (NAN,), NAN),
        ("level_change", (-2, NAN, 5, NAN), 7),
        ("level_change", (NAN, 5), NAN),
        ("current_run", (1, 0, 1, NAN, 1, NAN), 2),
        ("current_run", (1, 1, 0), 0),
        ("current_run", (NAN,), NAN),
        ("last_of_peak", (2, 8, NAN, 6, NAN), 0.75),
        ("last_of_peak", (0, 0), NAN),
        ("changes", (A1, NAN, A1, B1, A1), 2),
        ("changes", (A1, A2, B2), 1),
        ("changes", (NAN,), NAN),
        ("held", (A1, B1, NAN, B1, NAN), 3),
        ("held", (A1, A2, NAN), 2),
        ("held", (A1, B1), 1),
        ("held", (NAN,), NAN),
        ("peak_share", (1, NAN, 3), 0.75),
        ("peak_share", (0, 0), NAN),
    ],
)
def test_worked_by_hand(formula: str, values: tuple[float, ...], expected: float) -> None:
    assert one(formula, *values) == pytest.approx(expected, nan_ok=True)


def test_year_on_year_compares_the_same_months() -> None:
    values = [1.0, 2.0] + [100.0] * 10 + [2.0, 4.0]
    assert one("year_on_year", *values) == 2.0


def test_each_month_is_held_against_the_same_month_a_year_before() -> None:
    year = [10.0, 10.0, 0.0, 10.0, NAN] + [1.0] * 7
    now = [8.0, 6.9, 5.0, 7.0, 1.0]
    assert one("worst_on_year", *year, *now) == pytest.approx(0.69)
    # 7.0 is 30 % below, not more; nothing is a fall from 0 or from no record.
    assert one("down_on_year", *year, *now) == 1.0
    assert np.isnan(one("worst_on_year", *year, NAN, NAN, 4.0))
    assert np.isnan(one("down_on_year", *year, NAN, NAN, 4.0))


def test_paid_is_counted_as_below_due_by_month() -> None:
    assert window_kernels_of_two.months_below(column(1, 3, 2, NAN), column(2, 3, NAN, 9))[0] == 1
    assert np.isnan(window_kernels_of_two.months_below(column(NAN), column(1))[0])


def test_co_movement_is_a_correlation_of_the_months_that_have_both() -> None:
    x, y = column(1, 2, 3, NAN, 5, 6, 7), column(2, 1, 4, 9, 3, 8, 5)
    expected = np.corrcoef([1, 2, 3, 5, 6, 7], [2, 1, 4, 3, 8, 5])[0, 1]
    assert window_kernels_of_two.co_movement(x, y)[0] == pytest.approx(expected)
    assert np.isnan(window_kernels_of_two.co_movement(x[:6], y[:6])[0]), "five months with both"
    assert np.isnan(window_kernels_of_two.co_movement(np.full((7, 1), 0.1), y)[0]), (
        "what never changes moves with nothing"
    )


def test_share_of_divides_sums_not_months() -> None:
    assert window_kernels_of_two.share_of(column(1, 3), column(4, 4))[0] == 0.5
    assert np.isnan(window_kernels_of_two.share_of(column(1, 3), column(0, 0))[0])


cells = st.one_of(st.just(NAN), st.integers(-5, 20).map(float))
tables = st.integers(1, 24).flatmap(
    lambda months: st.lists(st.lists(cells, min_size=months, max_size=months), min_size=1, max_size=6)
)


@given(tables)
def test_a_subject_does_not_depend_on_its_neighbours(rows: list[list[float]]) -> None:
    x = np.array(rows).T.copy()
    for name, formula in KERNELS.items():
        if name in EXTRA_MONTHS and len(x) < 13:
            continue
        together = formula(x)
        alone = np.array([formula(x[:, [i]].copy())[0] for i in range(x.shape[1])])
        np.testing.assert_array_equal(together, alone, err_msg=name)


@given(tables)
def test_agrees_with_pandas(rows: list[list[float]]) -> None:
    frame = pd.DataFrame(np.array(rows))
    x = np.ascontiguousarray(frame.to_numpy().T)
    expected = {
        "sum": frame.sum(axis=1, min_count=1),
        "mean": frame.mean(axis=1),
        "min": frame.min(axis=1),
        "max": frame.max(axis=1),
        "std": frame.std(axis=1, ddof=0).where(frame.count(axis=1) > 1),
        "records": frame.count(axis=1).astype(float),
        "positive": (frame > 0).sum(axis=1).where(frame.count(axis=1) > 0),
        "last": frame.ffill(axis=1).iloc[:, -1],
    }
    steps = pd.DataFrame([row.dropna().diff() for _, row in frame.iterrows()]).reindex(frame.index)
    several = frame.count(axis=1) > 1
    expected["rises"] = (steps > 0).sum(axis=1).where(several)
    expected["falls"] = (steps < 0).sum(axis=1).where(several)
    expected["level_change"] = steps.sum(axis=1).where(several)
    expected["peak_share"] = frame.max(axis=1) / frame.sum(axis=1).where(frame.sum(axis=1) != 0)
    expected["last_of_peak"] = frame.ffill(axis=1).iloc[:, -1] / frame.max(axis=1).where(
        frame.max(axis=1) != 0
    )
    for name, value in expected.items():
        np.testing.assert_allclose(
            KERNELS[name](x),
            value.to_numpy(dtype=float),
            rtol=1e-12,
            atol=1e-12,
            err_msg=name,
        )


def test_every_formula_of_the_catalogue_has_its_kernel() -> None:
    assert {*KERNELS, *KERNELS_OF_TWO} == set(FORMULAS)
    assert set(KERNELS_OF_TWO) == OF_TWO
