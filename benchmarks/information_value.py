"""`python -m benchmarks.information_value`: information value of many columns beside optbinning, and a whole screening.

optbinning solves a small optimisation per column, which is why it is timed on a part of the columns; ratios are per column.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime

import click
import numpy as np
import pandas as pd

from benchmarks.measure import Cost, measure
from models.definition import ScorecardParameters

#: Ten bins on both sides, no smoothing, small bins allowed: the same question.
RULES = ScorecardParameters(max_features=1, max_bins=10, min_bin_share=0.01, prior_rows=0.0)

MONTHS = ("2026-04", "2026-10")


def made(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) in Fortran order and 0/1 outcomes (5 %): normal, skewed, counted; a tenth of the cells missing."""
    random = np.random.default_rng(3)
    target = (random.random(rows) < 0.05).astype(np.float64)
    matrix = np.empty((rows, columns), order="F")
    for place in range(columns):
        column = random.normal(size=rows) + target * (place % 10) / 10
        if place % 3 == 1:
            column = np.exp(column)
        elif place % 3 == 2:
            column = np.floor(np.abs(column) * 2)
        column[random.random(rows) < 0.1] = np.nan
        matrix[:, place] = column
    return matrix, target


def nothing(rows: int, columns: int) -> None:
    """What every row of the table pays before it starts: the data, and the compiled loops."""
    from models.information_values import information_values

    matrix, target = made(rows, columns)
    information_values(matrix[:1000, :1], target[:1000], RULES)


def ours(rows: int, columns: int) -> list[float]:
    """Every column."""
    from models.information_values import information_values

    matrix, target = made(rows, columns)
    information_values(matrix[:1000, :1], target[:1000], RULES)
    return [float(value) for value in information_values(matrix, target, RULES)]


def optbinning(rows: int, columns: int, part: int) -> list[float]:
    """The first `part` columns of the same matrix."""
    import warnings

    from optbinning import OptimalBinning

    warnings.simplefilter("ignore")  # scikit-learn tells of every column with ties
    nothing(rows, columns)
    matrix, target = made(rows, columns)
    found = []
    for place in range(part):
        binning = OptimalBinning(
            dtype="numerical",
            prebinning_method="quantile",
            max_n_prebins=10,
            min_prebin_size=0.01,
            monotonic_trend=None,
        )
        binning.fit(matrix[:, place], target)
        binning.binning_table.build()
        found.append(float(binning.binning_table.iv))
    return found


def screening(rows: int, columns: int) -> int:
    """Missing shares, IV, AUC alone, PSI, likeness and leak probe of two months."""
    from models.screening.expected_breaks import load_breaks
    from models.screening.screen import SourceOf, screen

    matrix, target = made(rows, columns)
    subjects = np.tile(np.arange(rows), len(MONTHS))
    index = pd.MultiIndex.from_arrays([subjects, np.repeat(MONTHS, rows)], names=["subject_no", "as_of"])
    features = pd.DataFrame(
        np.vstack([matrix] * len(MONTHS)), index, [f"f{place}" for place in range(columns)]
    )
    sources = {name: SourceOf(frozenset({"made.up"}), 1) for name in features.columns}
    told = screen("made_up", features, sources, load_breaks(), pd.Series(target, index[:rows]))
    return len(told.features)


def _net(cost: Cost, base: Cost) -> float:
    return max(cost.cpu - base.cpu, 1e-9)


@click.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--columns", default=500, show_default=True)
@click.option("--part", default=40, show_default=True, help="Columns that optbinning is timed on.")
@click.option("--screened", default=300, show_default=True, help="Columns of the whole screening.")
def main(rows: int, columns: int, part: int, screened: int) -> None:
    """Each row is a process of its own; making the data is measured alone and taken off."""
    base = measure(nothing, rows, columns)
    mine, theirs = measure(ours, rows, columns), measure(optbinning, rows, columns, part)
    # optbinning makes the data twice, once beside warming up.
    mine_each, theirs_each = _net(mine, base) / columns, max(theirs.cpu - 2 * base.cpu, 1e-9) / part
    whole = measure(screening, rows, screened)
    apart = np.abs(np.array(mine.result[:part]) - np.array(theirs.result))
    click.echo(
        "\n".join(
            [
                f"Information value, {rows:,} rows, ten bins, a tenth of the cells missing.",
                "",
                "| | columns | CPU s | CPU ms a column |",
                "|---|---:|---:|---:|",
                f"| gscene (quantile bins, Numba) | {columns} | {_net(mine, base):.2f} | {1e3 * mine_each:.2f} |",
                f"| optbinning {_version()} (quantile prebins, optimised) | {part} | {theirs_each * part:.2f} "
                f"| {1e3 * theirs_each:.1f} |",
                "",
                f"optbinning / gscene: {theirs_each / mine_each:.0f} times the CPU of a column. IVs differ by at most "
                f"{apart.max():.4f} on the {part} columns (largest {max(theirs.result):.3f}): optbinning merges bins.",
                "",
                f"Whole screening of {screened} columns, {len(MONTHS)} months of {rows:,} rows (all statistics): "
                f"{whole.cpu:.1f} CPU-s, {whole.wall:.1f} s, {whole.peak_mb:.0f} MB, made-up data included.",
                "",
                f"Machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
                f"Date: {datetime.now(UTC):%Y-%m-%d}.",
            ]
        )
    )


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("optbinning")


if __name__ == "__main__":
    main()
