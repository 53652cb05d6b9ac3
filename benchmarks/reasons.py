"""`python -m benchmarks.reasons`: reasons for 10,000 subjects of a 300-tree model, beside LightGBM's own `pred_contrib`.

Both on one thread in a process of their own. Reasons are whole: contributions, the check of each told one by scoring again at the
reference, and the order. LightGBM gives contributions alone; it is timed on a tenth of the rows. Their numbers are compared.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.measure import Cost, measure
from benchmarks.scoring import FEATURES, LEAVES, TREES, matrix, names, train
from core.telemetry import quiet
from models.calibration import Calibration
from models.candidates import CandidateKind
from models.explanation.reason_plan import ReasonPlan
from models.explanation.reasons import reasons_for
from models.explanation.reference import reference_of
from models.explanation.scored_model import ScoredModel
from models.explanation.tree_contributions import contribution_trees
from models.fast_trees import fast_trees
from models.lightgbm_model import BoosterScore
from models.scorecard import Scorecard

#: CPU seconds that the issue allows for 10,000 subjects.
MOST_CPU, MOST_ROWS = 25.0, 10_000

#: Features to a reason code, as in the catalogue.
A_CODE = 3

#: Differences of contributions from LightGBM's that are rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Explained:
    """CPU seconds once the kernels were warm, and what came out: reasons a subject, or contributions of the first 1,000 rows."""

    cpu: float
    reasons: float
    contributions: np.ndarray


def ours(folder: Path) -> Explained:
    """Reasons for every row."""
    model, rows = _model(folder), np.load(folder / "rows.npy")
    codes = tuple(f"CODE_{place // A_CODE}" for place in range(FEATURES))
    plan = ReasonPlan(codes, ("",) * FEATURES, {}, {})
    reference = reference_of(matrix(2_000, 1), names())
    reasons_for(model, rows[:50], reference, plan)
    before = time.process_time()
    told = reasons_for(model, rows, reference, plan)
    cpu = time.process_time() - before
    a_subject = sum(len(each.reasons) for each in told) / len(told)
    return Explained(cpu, a_subject, model.contributions(rows[: len(rows) // 10], reference.vector(names())))


def lightgbms(folder: Path) -> Explained:
    """`pred_contrib` of a tenth of the rows."""
    booster, rows = (
        BoosterScore((folder / "trees.txt").read_text(), names()).booster,
        np.load(folder / "rows.npy"),
    )
    booster.predict(rows[:10], pred_contrib=True, num_threads=1)
    before = time.process_time()
    told = booster.predict(rows[: len(rows) // 10], pred_contrib=True, num_threads=1)
    return Explained(time.process_time() - before, 0.0, np.asarray(told)[:, :-1])


def _model(folder: Path) -> ScoredModel:
    text = (folder / "trees.txt").read_text()
    platt = Calibration("platt", 1.0, 0.0, (), (), 0.0, 0.05, 1, 1)
    return ScoredModel(
        names(), CandidateKind.LIGHTGBM, Scorecard(0.0, (), ()), BoosterScore(text, names()), platt, fast_trees(text),
        contribution_trees(text),
    )  # fmt: skip


def run(folder: Path, rows: int, leaves: int) -> tuple[Cost, Cost, float]:
    """Both costs, and the largest difference between their contributions."""
    (folder / "trees.txt").write_text(train(leaves))
    np.save(folder / "rows.npy", matrix(rows, 3))
    mine, theirs = measure(ours, folder), measure(lightgbms, folder)
    return mine, theirs, float(np.abs(mine.result.contributions - theirs.result.contributions).max())


@click.command()
@click.option(
    "--rows", default=MOST_ROWS, show_default=True, type=click.IntRange(100), help="Subjects that ask."
)
@click.option("--leaves", default=LEAVES, show_default=True, help="Leaves of a tree, at most 64.")
def main(rows: int, leaves: int) -> None:
    """CPU of reasons; exit code 1 where it is beyond 25 s for 10,000 subjects or contributions differ from LightGBM's."""
    quiet(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        mine, theirs, difference = run(Path(folder), rows, leaves)
    told, shares = mine.result, theirs.result
    click.echo(f"{TREES} trees x {FEATURES} features, {leaves} leaves, {rows:,} subjects, one thread")
    click.echo("| | CPU s | ms a subject | CPU s with start-up | peak MB |\n|---|---:|---:|---:|---:|")
    for name, timed, count, whole in (
        ("reasons", told, rows, mine),
        ("pred_contrib alone", shares, rows // 10, theirs),
    ):
        click.echo(
            f"| {name} | {timed.cpu:.2f} | {timed.cpu / count * 1e3:.3f} | {whole.cpu:.2f} | {whole.peak_mb:.0f} |"
        )
    ratio = (shares.cpu / (rows // 10)) / (told.cpu / rows)
    click.echo(
        f"{told.reasons:.2f} reasons a subject; pred_contrib takes {ratio:.1f} times as much; difference {difference:.1e}"
    )
    held = told.cpu <= MOST_CPU * rows / MOST_ROWS and difference < ROUNDING
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
