"""Window formulas against slow, obvious arithmetic and against their own rules."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import window_kernels
from features.window_kernels import KERNELS
from features.windows import FORMULAS

NAN = np.nan


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
    ],
)
def test_worked_by_hand(formula: str, values: tuple[float, ...], expected: float) -> None:
    assert one(formula, *values) == pytest.approx(expected, nan_ok=True)


def test_year_on_year_compares_the_same_months() -> None:
    values = [1.0, 2.0] + [100.0] * 10 + [2.0, 4.0]
    assert one("year_on_year", *values) == 2.0


def test_share_of_divides_sums_not_months() -> None:
    assert window_kernels.share_of(column(1, 3), column(4, 4))[0] == 0.5
    assert np.isnan(window_kernels.share_of(column(1, 3), column(0, 0))[0])


cells = st.one_of(st.just(NAN), st.integers(-5, 20).map(float))
tables = st.integers(1, 24).flatmap(
    lambda months: st.lists(st.lists(cells, min_size=months, max_size=months), min_size=1, max_size=6)
)


@given(tables)
def test_a_subject_does_not_depend_on_its_neighbours(rows: list[list[float]]) -> None:
    x = np.array(rows).T.copy()
    for name, formula in KERNELS.items():
        if name == "year_on_year":
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
    for name, value in expected.items():
        np.testing.assert_allclose(
            KERNELS[name](x),
            value.to_numpy(dtype=float),
            rtol=1e-12,
            atol=1e-12,
            err_msg=name,
        )


def test_every_formula_of_the_catalogue_has_its_kernel() -> None:
    assert {*KERNELS, "share_of"} == set(FORMULAS)
