"""`python -m benchmarks.information_value`: information value of many columns beside optbinning, and a whole screening.

optbinning solves a small optimisation per column, which is why it is timed on a part of the columns; ratios are per column.
"""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime

import click
import numpy as np
import pandas as pd

from benchmarks.measure import measure
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


def ours(rows: int, columns: int) -> tuple[float, list[float]]:
    """CPU seconds and IVs of every column."""
    from models.information_values import information_values

    matrix, target = made(rows, columns)
    information_values(matrix[:1000, :1], target[:1000], RULES)  # the loops are compiled once per machine
    start = time.process_time()
    found = information_values(matrix, target, RULES)
    return time.process_time() - start, [float(value) for value in found]


def optbinning(rows: int, columns: int, options: dict[str, object]) -> tuple[float, list[float]]:
    """The same of the first `columns` columns, import not counted."""
    import warnings

    from optbinning import OptimalBinning

    warnings.simplefilter("ignore")  # scikit-learn tells of every column with ties
    matrix, target = made(rows, columns)
    found = []
    start = time.process_time()
    for column in matrix.T:
        binning = OptimalBinning(dtype="numerical", **options)
        binning.fit(column, target)
        binning.binning_table.build()
        found.append(float(binning.binning_table.iv))
    return time.process_time() - start, found


def screening(rows: int, columns: int) -> float:
    """CPU seconds of gaps, IV, AUC alone, PSI, likeness and leak probe of two months."""
    from models.screening.expected_breaks import load_breaks
    from models.screening.screen import SourceOf, screen

    matrix, target = made(rows, columns)
    subjects = np.tile(np.arange(rows), len(MONTHS))
    index = pd.MultiIndex.from_arrays([subjects, np.repeat(MONTHS, rows)], names=["subject_no", "as_of"])
    features = pd.DataFrame(
        np.vstack([matrix] * len(MONTHS)), index, [f"f{place}" for place in range(columns)]
    )
    sources = {name: SourceOf(frozenset({"made.up"}), 1) for name in features.columns}
    outcomes = pd.Series(target, index[:rows])
    screen("made_up", features.iloc[:: rows // 100, :2], sources, load_breaks(), outcomes)
    start = time.process_time()
    screen("made_up", features, sources, load_breaks(), outcomes)
    return time.process_time() - start


@click.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--columns", default=500, show_default=True)
@click.option("--part", default=40, show_default=True, help="Columns that optbinning is timed on.")
@click.option("--screened", default=300, show_default=True, help="Columns of the whole screening.")
def main(rows: int, columns: int, part: int, screened: int) -> None:
    """Each row is a process of its own; CPU seconds without imports and making the data."""
    cpu, values = measure(ours, rows, columns).result
    quantile: dict[str, object] = {
        "prebinning_method": "quantile", "max_n_prebins": 10, "min_prebin_size": 0.01, "monotonic_trend": None,
    }  # fmt: skip
    alike_cpu, alike = measure(optbinning, rows, part, quantile).result
    plain_cpu, plain = measure(optbinning, rows, part, {}).result
    whole = measure(screening, rows, screened)
    apart = max(abs(a - b) for a, b in zip(values, alike, strict=False))
    lines = [
        f"Information value, {rows:,} rows, at most ten bins, a tenth of the cells missing.",
        "",
        "| | columns | CPU s | CPU ms a column | times ours |",
        "|---|---:|---:|---:|---:|",
        _row("gscene (quantile bins, Numba)", columns, cpu, cpu / columns),
        _row(f"optbinning {_version()}, ten quantile bins, no trend", part, alike_cpu, cpu / columns),
        _row(f"optbinning {_version()}, as it comes", part, plain_cpu, cpu / columns),
        "",
        f"IVs of the same bins differ by at most {apart:.4f} (largest {max(alike):.3f}): optbinning merges some; as it comes its "
        f"largest is {max(plain):.3f}.",
        "",
        f"Whole screening of {screened} columns, {len(MONTHS)} months of {rows:,} rows: {whole.result:.1f} CPU-s, "
        f"{whole.peak_mb:.0f} MB with the data.",
        "",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"Date: {datetime.now(UTC):%Y-%m-%d}.",
    ]
    click.echo("\n".join(lines))


def _row(name: str, columns: int, cpu: float, ours_each: float) -> str:
    return f"| {name} | {columns} | {cpu:.2f} | {1e3 * cpu / columns:.2f} | {cpu / columns / ours_each:.0f} |"


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("optbinning")


if __name__ == "__main__":
    main()
