"""Reject inference: each method by hand, and a benchmark that says so when nothing helped."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from core.errors import TooFewOutcomes
from models.definition import ScorecardParameters
from models.report_blocks import Paragraph, Table
from models.sampling.masked_benchmark import MaskedBenchmark, benchmark_blocks, masked_benchmark
from models.sampling.reject_inference import PRUDENCE, accepts_only, fuzzy, parcelling, reweighting

RULES = ScorecardParameters(max_features=4, max_bins=6, prior_rows=5.0)
NAMES = ["a", "b"]


def sides(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PDs of 4,000 accepted rows with outcomes true to them, and PDs of 1,000 riskier rejected ones."""
    draw = np.random.default_rng(seed)
    accepted, rejected = draw.uniform(0.02, 0.4, 4000), draw.uniform(0.2, 0.7, 1000)
    return accepted, (draw.random(4000) < accepted).astype(np.int8), rejected


def test_accepts_only_guesses_nothing() -> None:
    accepted, target, rejected = sides()
    rows = accepts_only(accepted, target, rejected, np.random.default_rng(0))
    assert rows.rows.tolist() == list(range(4000)) and rows.weight.sum() == 4000


def test_parcelling_draws_the_event_rate_of_the_band_times_prudence() -> None:
    accepted, target, rejected = sides()
    rows = parcelling(accepted, target, rejected, np.random.default_rng(0))
    assert np.array_equal(rows.target[:4000], target) and len(rows.target) == 5000
    guessed = rows.target[4000:]
    low = (rejected > 0.25) & (rejected < 0.35)
    assert guessed[low].mean() == pytest.approx(PRUDENCE * 0.3, abs=0.06)


def test_fuzzy_rows_weigh_one_together() -> None:
    accepted, target, rejected = sides()
    rows = fuzzy(accepted, target, rejected, np.random.default_rng(0))
    weight = np.bincount(rows.rows, rows.weight)
    assert np.allclose(weight, 1.0)
    events = np.bincount(rows.rows, rows.weight * rows.target)
    assert np.allclose(events[4000:], np.minimum(PRUDENCE * rejected, 1.0))


def test_reweighting_counts_the_rejected_of_each_band() -> None:
    accepted, target, rejected = sides()
    rows = reweighting(accepted, target, rejected, np.random.default_rng(0))
    assert rows.weight.min() == 1.0 and rows.weight.max() <= 10.0
    bands = rows.weight < 10.0
    assert np.corrcoef(accepted[bands], rows.weight[bands])[0, 1] > 0.5
    assert np.array_equal(rows.target, target)


def world(odds: Callable[[np.ndarray], np.ndarray], rows: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    x = draw.normal(size=(rows, 2))
    return x, (draw.random(rows) < 1.0 / (1.0 + np.exp(-odds(x)))).astype(np.int8)


def bench(x: np.ndarray, y: np.ndarray, share: float = 0.6) -> MaskedBenchmark:
    return masked_benchmark(x, y, NAMES, {}, RULES, accepted_share=share, repeats=4, seed=1)


def test_the_benchmark_says_when_nothing_helped() -> None:
    """Features without a word on the outcome: the rule accepts by chance, nothing is missing, so guesses can only do harm."""
    found = bench(*world(lambda x: np.full(len(x), -1.0)))
    assert found.accepted_rate == pytest.approx(found.rejected_rate, abs=0.02)
    assert found.helped == ()
    told = {each.method: each for each in found.results}
    assert told["accepts only"].gain == 0.0 and told["accepts only"].verdict == "no difference told"
    assert told["fuzzy"].gain < 0.0
    text = next(block.text.en for block in benchmark_blocks(found) if isinstance(block, Paragraph))
    assert "Methods that helped: none" in text and "never used in the model" in text


def test_the_benchmark_measures_what_masking_costs() -> None:
    found = bench(*world(lambda x: -1.5 + 1.5 * x[:, 0] + 0.7 * x[:, 1]))
    told = {each.method: each for each in found.results}
    assert found.rejected_rate > 2.0 * found.accepted_rate
    assert told["accepts only"].log_loss > found.oracle_log_loss
    assert told["accepts only"].observed_over_expected > 1.1
    assert all(each.low <= each.gain <= each.high for each in found.results)
    for each in found.results:
        assert (each.verdict == "helped") == (each.low > 0.0) and (each.verdict == "hurt") == (
            each.high < 0.0
        )
    json.dumps(found.plain(), allow_nan=False)
    table = next(block for block in benchmark_blocks(found) if isinstance(block, Table))
    assert len(table.rows) == 4 and all(
        len(row) == len(table.columns) == len(table.formats) for row in table.rows
    )


def test_the_same_seed_gives_the_same_benchmark_and_few_events_are_refused() -> None:
    x, y = world(lambda x: -1.0 + x[:, 0], 2000)
    assert bench(x, y) == bench(x, y)
    with pytest.raises(TooFewOutcomes, match="events among accepted rows"):
        bench(x, y, share=0.01)
