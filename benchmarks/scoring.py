"""`python -m benchmarks.scoring`: batch scoring by the fast trees beside bare `Booster.predict`, on one model and the same rows.

Both run on one thread in a process of their own and are compared to the bit. The ratio of CPU is what counts.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.measure import Cost, measure
from core.telemetry import quiet
from models.definition import LightgbmParameters
from models.fast_trees import FastTrees, edge_rows, fast_trees
from models.lightgbm_model import BoosterScore, fit_booster
from models.scoring import CHUNK_ROWS

TREES, FEATURES, LEAVES, TRAINING_ROWS = 300, 120, 31, 20_000


@dataclass(frozen=True)
class Timed:
    """sha256 of all scores, and the CPU seconds that they took once the scorer had scored a first few rows."""

    sha256: str
    cpu: float


@dataclass(frozen=True)
class ScoringResult:
    """CPU seconds of both for the same rows, and whether every score is equal to the bit, on made-up rows on the thresholds too.

    `whole`: the processes from their start, with importing LightGBM or loading the kernel, and reading the model.
    """

    rows: int
    booster: Timed
    fast: Timed
    whole: tuple[Cost, Cost]
    equal: bool

    @property
    def ratio(self) -> float:
        """CPU of `Booster.predict` per CPU of ours."""
        return self.booster.cpu / self.fast.cpu


def matrix(rows: int, seed: int) -> np.ndarray:
    """(rows, 120): amounts, counts and flags, a tenth missing."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, FEATURES))
    x[:, ::3] = np.round(np.exp(x[:, ::3] * 2 + 6), 2)
    x[:, 1::3] = draw.poisson(1.5, (rows, len(range(1, FEATURES, 3))))
    x[draw.random(x.shape) < 0.1] = np.nan
    return x


def train(leaves: int) -> str:
    """A model of 300 trees as the project trains them."""
    x = matrix(TRAINING_ROWS, 1)
    odds = np.nan_to_num(x[:, 2::3]).sum(axis=1) * 0.3 + 0.4 * np.nan_to_num(x[:, 1]) - 2.0
    y = (np.random.default_rng(2).random(TRAINING_ROWS) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int8)
    parameters = LightgbmParameters(rounds=TREES, learning_rate=0.05, num_leaves=leaves, min_data_in_leaf=30)
    return fit_booster(x, y, names(), {}, parameters, threads=2, seed=1).text


def names() -> list[str]:
    """Feature names."""
    return [f"f{place}" for place in range(FEATURES)]


def by_booster(folder: Path) -> Timed:
    """All scores by LightGBM, chunk by chunk."""
    trees = BoosterScore((folder / "trees.txt").read_text(), names())
    return _scores(folder, trees)


def by_fast_trees(folder: Path) -> Timed:
    """All scores by the fast trees, chunk by chunk."""
    trees = fast_trees((folder / "trees.txt").read_text())
    assert trees is not None
    return _scores(folder, trees)


def _scores(folder: Path, trees: BoosterScore | FastTrees) -> Timed:
    rows, digest = np.load(folder / "rows.npy", mmap_mode="r"), hashlib.sha256()
    trees.log_odds(np.ascontiguousarray(rows[:100]), 1)
    before = time.process_time()
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = np.ascontiguousarray(rows[start : start + CHUNK_ROWS])
        digest.update(trees.log_odds(chunk, 1).tobytes())
    return Timed(digest.hexdigest(), time.process_time() - before)


def run(folder: Path, rows: int, leaves: int = LEAVES) -> ScoringResult:
    """Train, score `rows` rows both ways, compare."""
    text = train(leaves)
    (folder / "trees.txt").write_text(text)
    np.save(folder / "rows.npy", matrix(rows, 3))
    trees = fast_trees(text)
    assert trees is not None
    edge = edge_rows(trees, FEATURES, 20_000, 1)
    agree = trees.log_odds(edge, 1).tobytes() == BoosterScore(text, names()).log_odds(edge, 1).tobytes()
    whole = measure(by_booster, folder), measure(by_fast_trees, folder)
    booster, fast = whole[0].result, whole[1].result
    return ScoringResult(rows, booster, fast, whole, agree and booster.sha256 == fast.sha256)


@click.command()
@click.option("--rows", default=200_000, show_default=True, help="Rows to score.")
@click.option("--leaves", default=LEAVES, show_default=True, help="Leaves of a tree, at most 64.")
def main(rows: int, leaves: int) -> None:
    """Ratio of CPU of `Booster.predict` and the fast trees; exit code 1 where one score differs in one bit."""
    quiet(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), rows, leaves)
    click.echo(f"{TREES} trees x {FEATURES} features, {leaves} leaves, {rows:,} rows, one thread")
    click.echo("| scorer | CPU s | us a row | CPU s with start-up | peak MB |\n|---|---:|---:|---:|---:|")
    both = zip(("Booster.predict", "fast trees"), (result.booster, result.fast), result.whole, strict=True)
    for name, timed, whole in both:
        each = timed.cpu / rows * 1e6
        click.echo(f"| {name} | {timed.cpu:.2f} | {each:.2f} | {whole.cpu:.2f} | {whole.peak_mb:.0f} |")
    click.echo(f"ratio of CPU: {result.ratio:.1f}; scores {'equal to the bit' if result.equal else 'DIFFER'}")
    raise SystemExit(0 if result.equal else 1)


if __name__ == "__main__":
    main()
