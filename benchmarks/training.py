"""`python -m benchmarks.training`: our training step beside bare `lightgbm.train`, one matrix, the same parameters, in one run.

Runs alternate in one process after a first one that warms both; medians of their wall times are compared. Trials of a search
share one binned Dataset; what binning for each would have cost is measured too.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from benchmarks.scoring import matrix, names
from core.telemetry import quiet
from models.definition import LightgbmParameters
from models.lightgbm_model import SharedDatasets, booster_settings, fit_booster

#: Our step may take so much of the bare one's wall time.
MOST = 1.2


@dataclass(frozen=True)
class TrainingResult:
    """Median wall seconds: bare and our training; a number of trials on a shared Dataset and on one of their own each.

    `equal`: both trainings gave trees that score the rows alike to the bit.
    """

    bare: float
    ours: float
    shared: float
    each: float
    equal: bool

    @property
    def ratio(self) -> float:
        """Ours per bare."""
        return self.ours / self.bare


def run(rows: int, rounds: int, trials: int, repeats: int, threads: int) -> TrainingResult:
    """Train `repeats` times each way, then `trials` short trainings with and without sharing."""
    import lightgbm

    from models.lightgbm_model import BoosterScore

    x = matrix(rows, 1)
    odds = np.nan_to_num(x[:, 2::3]).sum(axis=1) * 0.3 + 0.4 * np.nan_to_num(x[:, 1]) - 2.0
    y = (np.random.default_rng(2).random(rows) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int8)
    parameters = LightgbmParameters(rounds=rounds, learning_rate=0.05, num_leaves=31, min_data_in_leaf=30)
    settings = booster_settings(parameters, [0] * len(names()), threads, 1)

    def bare() -> Any:
        return lightgbm.train(
            settings, lightgbm.Dataset(x, label=y, feature_name=names(), params=settings), rounds
        )

    def ours() -> Any:
        return fit_booster(x, y, names(), {}, parameters, threads=threads, seed=1)

    equal = (
        bare().predict(x[:1_000], raw_score=True).tobytes()
        == BoosterScore(ours().text, names()).log_odds(x[:1_000], 1).tobytes()
    )
    walls: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(repeats):
        walls["bare"].append(_wall(bare))
        walls["ours"].append(_wall(ours))
    short = parameters.model_copy(update={"rounds": max(rounds // 10, 1)})

    def datasets() -> SharedDatasets:
        half = rows // 2
        return SharedDatasets(
            (x[:half], y[:half]),
            (x[half:], y[half:]),
            names(),
            {},
            short,
            offered=set(names()),
            threads=threads,
        )

    def shared() -> None:
        data = datasets()
        for seed in range(trials):
            data.try_out(short, seed)

    def each() -> None:
        for seed in range(trials):
            datasets().try_out(short, seed)

    return TrainingResult(
        statistics.median(walls["bare"]), statistics.median(walls["ours"]), _wall(shared), _wall(each), equal
    )


def _wall(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@click.command()
@click.option("--rows", default=100_000, show_default=True, help="Rows to learn from.")
@click.option("--rounds", default=100, show_default=True, help="Trees.")
@click.option("--trials", default=10, show_default=True, help="Trials of a search, of a tenth of the trees.")
@click.option("--repeats", default=3, show_default=True, help="Trainings each way.")
@click.option("--threads", default=2, show_default=True, help="Threads of both.")
def main(rows: int, rounds: int, trials: int, repeats: int, threads: int) -> None:
    """Ratio of wall time of our training step and bare LightGBM; exit code 1 above 1.2 or where scores differ."""
    quiet(os.environ)  # OMP_WAIT_POLICY=passive, before LightGBM is loaded
    result = run(rows, rounds, trials, repeats, threads)
    click.echo(
        f"{rows:,} rows x {len(names())} features, {rounds} trees, {threads} threads, median of {repeats}"
    )
    click.echo("| training | wall s |\n|---|---:|")
    click.echo(f"| bare lightgbm.train | {result.bare:.2f} |\n| ours | {result.ours:.2f} |")
    click.echo(f"| {trials} trials, one Dataset | {result.shared:.2f} |")
    click.echo(f"| {trials} trials, a Dataset each | {result.each:.2f} |")
    click.echo(f"ratio: {result.ratio:.2f}; scores {'equal to the bit' if result.equal else 'DIFFER'}")
    raise SystemExit(0 if result.equal and result.ratio <= MOST else 1)


if __name__ == "__main__":
    main()
