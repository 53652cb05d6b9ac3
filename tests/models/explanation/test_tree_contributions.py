"""Our Shapley values beside LightGBM's own, and beside the definition worked out by hand."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.definition import LightgbmParameters
from models.explanation.tree_contributions import ContributionTrees, contribution_trees
from models.fast_trees import edge_rows, fast_trees
from models.lightgbm_model import BoosterScore, fit_booster

NAMES = [f"f{place}" for place in range(7)]


def _trained(leaves: int, seed: int, signs: dict[str, int] | None = None, rows: int = 800) -> str:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, len(NAMES)))
    x[:, 1] = draw.poisson(1.0, rows)
    x[draw.random(x.shape) < 0.1] = np.nan
    odds = np.nan_to_num(x[:, 0]) + np.nan_to_num(x[:, 1]) * np.nan_to_num(x[:, 2]) - 1.0
    y = (draw.random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int8)
    parameters = LightgbmParameters(rounds=20, learning_rate=0.2, num_leaves=leaves, min_data_in_leaf=5)
    return fit_booster(x, y, NAMES, signs or {}, parameters, threads=1, seed=seed).text


@pytest.mark.parametrize("leaves", [2, 6, 40])
@pytest.mark.parametrize("signs", [{}, {"f0": 1, "f1": 1}])
def test_equal_to_lightgbms_own(leaves: int, signs: dict[str, int]) -> None:
    text = _trained(leaves, 3, signs)
    trees, fast = contribution_trees(text), fast_trees(text)
    assert trees is not None and fast is not None
    rows = edge_rows(fast, len(NAMES), 400, seed=5)
    theirs = BoosterScore(text, NAMES).booster.predict(rows, pred_contrib=True, num_threads=1)
    ours = trees.contributions(rows)
    np.testing.assert_allclose(ours, theirs[:, :-1], rtol=0.0, atol=1e-12)
    assert np.abs(ours).max() > 0.1


def test_equal_to_shap() -> None:
    """The reference implementation of TreeSHAP as an oracle."""
    shap = pytest.importorskip("shap")
    text = _trained(8, 4)
    trees = contribution_trees(text)
    assert trees is not None
    rows = np.random.default_rng(0).normal(size=(50, len(NAMES)))
    explainer = shap.TreeExplainer(
        BoosterScore(text, NAMES).booster, feature_perturbation="tree_path_dependent"
    )
    told = np.asarray(explainer.shap_values(rows))
    np.testing.assert_allclose(trees.contributions(rows), told, rtol=0.0, atol=1e-6)


def test_a_row_gets_the_same_in_any_company_and_on_any_thread() -> None:
    trees = contribution_trees(_trained(31, 6))
    assert trees is not None
    rows = np.random.default_rng(1).normal(size=(5_000, len(NAMES)))
    whole = trees.contributions(rows, threads=1)
    assert trees.contributions(rows, threads=2).tobytes() == whole.tobytes()
    assert trees.contributions(rows[3_000:3_001]).tobytes() == whole[3_000].tobytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_one_leaf_against_the_definition(data: st.DataObject) -> None:
    """The Shapley value of the game v(S) = value * prod of o over S * prod of z outside, summed over all coalitions."""
    count = data.draw(st.integers(1, 14))
    cover = np.array(data.draw(st.lists(st.floats(0.01, 1.0), min_size=count, max_size=count)))
    x = np.array(
        [data.draw(st.lists(st.sampled_from([-1.0, 0.5, 2.0, np.nan]), min_size=count, max_size=count))]
    )
    one = ContributionTrees(
        count, np.array([3.0]), np.array([0, count]), np.arange(count), np.zeros(count), np.ones(count),
        np.zeros(count, dtype=np.bool_), cover,
    )  # fmt: skip
    met = (x[0] > 0.0) & (x[0] <= 1.0)
    want = np.zeros(count)
    weights = [factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)]
    for i in range(count):
        rest = [j for j in range(count) if j != i]
        satisfied = [j for j in rest if met[j]]
        for size in range(len(satisfied) + 1):
            for chosen in combinations(satisfied, size):
                others = np.prod([cover[j] for j in rest if j not in chosen])
                want[i] += weights[size] * others * (float(met[i]) - cover[i])
    np.testing.assert_allclose(one.contributions(x)[0], 3.0 * want, rtol=1e-9, atol=1e-12)


def test_what_cannot_be_read_is_left_to_lightgbm() -> None:
    text = _trained(6, 3)
    assert contribution_trees(text) is not None
    assert (
        contribution_trees("\n".join(line for line in text.split("\n") if not line.startswith("leaf_count")))
        is None
    )
