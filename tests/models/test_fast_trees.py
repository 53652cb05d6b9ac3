"""The fast scorer gives LightGBM's own numbers, bit for bit, on anything; where it can't, it says so and LightGBM scores."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import models.artefact as artefact
from models.artefact import load_bundle, write_bundle
from models.candidates import CandidateKind
from models.definition import LightgbmParameters
from models.fast_trees import MAX_LEAVES, FastTrees, edge_rows, fast_trees
from models.lightgbm_model import BoosterScore, fit_booster
from models.scoring import score
from tests.models.test_artefact_and_scoring import features, shipping
from tests.models.worlds import NAMES, matrix, trained


def fitted(leaves: int, seed: int, rows: int = 600, missing: bool = True) -> tuple[str, list[str]]:
    draw = np.random.default_rng(seed)
    x = np.round(draw.normal(size=(rows, 5)), int(draw.integers(0, 4)))
    x[:, 3] = draw.integers(-1, 2, rows)
    if missing:
        x[draw.random(x.shape) < 0.15] = np.nan
    y = (draw.random(rows) < 1 / (1 + np.exp(-np.nan_to_num(x[:, 0] - x[:, 1] * x[:, 2])))).astype(np.int8)
    names = [f"f{place}" for place in range(5)]
    parameters = LightgbmParameters(rounds=12, learning_rate=0.2, num_leaves=leaves, min_data_in_leaf=3)
    return fit_booster(x, y, names, {}, parameters, threads=1, seed=seed).text, names


@settings(max_examples=25)
@given(leaves=st.integers(2, MAX_LEAVES), seed=st.integers(0, 1000), missing=st.booleans())
def test_equal_to_the_bit_on_thresholds_and_beside_them(leaves: int, seed: int, missing: bool) -> None:
    text, names = fitted(leaves, seed, missing=missing)
    trees = fast_trees(text)
    assert trees is not None
    rows = edge_rows(trees, len(names), 1_500, seed)
    expected = BoosterScore(text, names).log_odds(rows, 1)
    for threads in (1, 2):
        assert trees.log_odds(rows, threads).tobytes() == expected.tobytes()


def test_a_scorer_that_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of the form matters: changed, the made-up rows show it."""
    text, names = fitted(8, 3)
    trees, lightgbm = fast_trees(text), BoosterScore(text, names)
    assert trees is not None
    rows = edge_rows(trees, len(names), 5_000, 1)
    with np.errstate(over="ignore"):
        higher = np.nextafter(trees.threshold, np.inf)
    wrong = {
        "thresholds a hair higher": replace(trees, threshold=higher),
        "missing values on the other side": replace(trees, missing_left=~trees.missing_left),
        "leaves in another order": replace(trees, leaves=trees.leaves[::-1].copy()),
        "a leaf off by one bit": replace(trees, leaves=np.nextafter(trees.leaves, np.inf)),
    }
    for what, changed in wrong.items():
        assert changed.log_odds(rows, 1).tobytes() != lightgbm.log_odds(rows, 1).tobytes(), what


def test_it_takes_less_than_a_third_of_lightgbms_cpu() -> None:
    """Measured: a fifteenth (python -m benchmarks.scoring)."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(6_000, 30))
    y = (draw.random(6_000) < 1 / (1 + np.exp(-x[:, :8].sum(axis=1)))).astype(np.int8)
    names = [f"f{place}" for place in range(30)]
    parameters = LightgbmParameters(rounds=100, learning_rate=0.1, num_leaves=15, min_data_in_leaf=20)
    text = fit_booster(x, y, names, {}, parameters, threads=1, seed=1).text
    rows, trees, lightgbm = np.tile(x, (5, 1)), fast_trees(text), BoosterScore(text, names)
    assert trees is not None

    def cpu(scorer: FastTrees | BoosterScore) -> float:
        scorer.log_odds(rows[:10], 1)
        before = time.process_time()
        scorer.log_odds(rows, 1)
        return time.process_time() - before

    assert cpu(lightgbm) > 3 * cpu(trees)


def test_stumps_and_no_rows(tmp_path: Path) -> None:
    text, names = fitted(2, 1, rows=8)
    trees = fast_trees(text)
    assert trees is not None
    rows = np.full((3, 5), np.nan)
    assert trees.log_odds(rows, 2).tobytes() == BoosterScore(text, names).log_odds(rows, 1).tobytes()
    assert len(trees.log_odds(rows[:0], 2)) == 0


def test_what_it_cant_do_it_leaves_to_lightgbm() -> None:
    big, _ = fitted(MAX_LEAVES + 40, 2, rows=4_000)
    assert fast_trees(big) is None
    text, _ = fitted(8, 3)
    # Zeros as missing, sent another way than their value: kind 1 in bits 2-3 of decision_type.
    odd = re.sub(r"(?m)^decision_type=.*$", lambda m: re.sub(r"\d+", "4", m[0]), text)
    assert odd != text and fast_trees(odd) is None


def test_scores_are_the_same_with_and_without(tmp_path: Path) -> None:
    for kind in CandidateKind:
        write_bundle(shipping(kind), tmp_path / kind)
        bundle = load_bundle(tmp_path / kind)
        assert bundle.fast_agrees() == (kind is CandidateKind.LIGHTGBM)
        fast = bundle.with_fast_trees()
        assert (fast.fast is not None) == (kind is CandidateKind.LIGHTGBM)
        table = features(400)
        pd.testing.assert_frame_equal(
            score(fast, table, chunk_rows=97, threads=2), score(bundle, table), check_exact=True
        )


def test_where_it_disagrees_it_isnt_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(shipping(CandidateKind.LIGHTGBM), tmp_path)
    bundle = load_bundle(tmp_path)
    whole = fast_trees(bundle.booster.text)
    assert whole is not None
    off = replace(whole, leaves=np.nextafter(whole.leaves, np.inf))
    monkeypatch.setattr(artefact, "fast_trees", lambda _text: off)
    assert not bundle.fast_agrees()
    assert bundle.with_fast_trees() is bundle


def test_the_trained_world_is_covered() -> None:
    trees = fast_trees(trained().booster.text)
    assert trees is not None and set(trees.used) <= set(range(len(NAMES)))
    x, _ = matrix(500, 9)
    assert (
        trees.log_odds(x, 1).tobytes() == BoosterScore(trained().booster.text, NAMES).log_odds(x, 1).tobytes()
    )
