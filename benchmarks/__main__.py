"""`python -m benchmarks`: measure, print, and write docs/benchmarks.md with the machine and the date."""

from __future__ import annotations

import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks import intake
from benchmarks.features import MONTHS, Result, run
from benchmarks.measure import Cost

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


@click.command()
@click.option("--residents", default=200_000, show_default=True)
@click.option("--delivered", default=500_000, show_default=True, help="Residents of the delivered month.")
@click.option("--write/--no-write", default=True, help="Write docs/benchmarks.md.")
def main(residents: int, delivered: int, write: bool) -> None:
    """Intake, fold and as-of features beside DuckDB; ratios are what counts, seconds belong to this machine."""
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), residents)
    with tempfile.TemporaryDirectory() as folder:
        taken = intake.run(Path(folder), delivered)
    text = page(result, taken)
    click.echo(text)
    if write:
        PAGE.write_text(text, encoding="utf-8")


def page(result: Result, taken: intake.IntakeResult) -> str:
    """The Markdown page."""
    ours = result.fold_one.cpu + result.as_of.cpu
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Each row is a process of its own; CPU is user+sys, memory is the peak of the whole process.",
        "Ratios count; seconds belong to the machine and to what else it was doing.",
        "",
        f"{result.residents:,} residents x {MONTHS} months, {result.rows:,} raw rows (tax, social insurance, utilities; "
        f"2 % of the rows corrected a month later), {result.features} features at one as-of month.",
        "",
        "| stage | CPU s | wall s | peak MB |",
        "|---|---:|---:|---:|",
        _row("decode the needed raw columns of one month once", result.decode),
        _row("fold one delivered month (read, resolve versions, fold, write)", result.fold_one),
        _row(f"fold all {MONTHS} months, once in the life of the data", result.fold_all),
        _row("features of one as-of month from folded months, with writing", result.as_of),
        _row("one DuckDB GROUP BY, every row as it is", result.duckdb),
        _row("one DuckDB GROUP BY, latest version known at the cutoff", result.duckdb_versions),
        "",
        "| ratio of CPU | |",
        "|---|---:|",
        f"| DuckDB (versions resolved) / fold one month + features | {result.duckdb_versions.cpu / ours:.1f} |",
        f"| DuckDB (rows as they are: other values) / fold one month + features | {result.duckdb.cpu / ours:.1f} |",
        f"| DuckDB (versions resolved) / features alone | {result.duckdb_versions.cpu / result.as_of.cpu:.1f} |",
        f"| stateless: DuckDB (versions resolved) / fold all {MONTHS} months + features | "
        f"{result.duckdb_versions.cpu / (result.fold_all.cpu + result.as_of.cpu):.1f} |",
        f"| fold one month / decode its columns once | {result.fold_one.cpu / result.decode.cpu:.1f} |",
        "",
        "Folded months are state: the stateless row says what they cost when nothing is kept. Largest relative difference of any "
        f"cell between the engine and the baseline: {result.largest_difference:.1e}; missing cells agree.",
        "",
        "## Taking deliveries in",
        "",
        f"One month of social insurance, wages and electricity of {taken.residents:,} residents: {taken.rows:,} rows, "
        f"{taken.megabytes:.0f} MB of text. DuckDB reads the same files once into typed Arrow tables, one thread.",
        "",
        "| stage | CPU s | wall s | peak MB |",
        "|---|---:|---:|---:|",
        _row("intake (hash, receive, archive, read, identities, convert, write)", taken.intake),
        _row("validation and receipts (with the import of Great Expectations)", taken.validation),
        _row("DuckDB reads the files once", taken.duckdb),
        "",
        f"Intake and validation take {(taken.intake.cpu + taken.validation.cpu) / taken.duckdb.cpu:.1f} times the CPU of "
        "the reading.",
        "",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"Date: {datetime.now(UTC):%Y-%m-%d}.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, cost: Cost) -> str:
    return f"| {name} | {cost.cpu:.2f} | {cost.wall:.2f} | {cost.peak_mb:.0f} |"


if __name__ == "__main__":
    main()
