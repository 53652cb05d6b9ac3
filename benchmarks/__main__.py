"""`python -m benchmarks`: measure, print, and write docs/benchmarks.md with the machine and the date."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks import features, intake
from benchmarks.page import page

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
#: Polars needs 3 GB at a hundred thousand residents, and memory grows with them.
_AT_MOST = {"polars": 100_000, "pandas": 100_000}


def _sizes(_context: click.Context, _option: click.Parameter, value: str) -> list[int]:
    try:
        return sorted({int(size) for size in value.split(",")})
    except ValueError:
        raise click.BadParameter("give numbers with commas, as in 100000,500000") from None


@click.command()
@click.option("--sizes", default="100000", show_default=True, callback=_sizes, help="Residents, with commas.")
@click.option("--delivered", default=500_000, show_default=True, help="Residents of the delivered months.")
@click.option("--write/--no-write", default=True, help="Write docs/benchmarks.md.")
def main(sizes: list[int], delivered: int, write: bool) -> None:
    """Intake, folding, as-of features and the monthly run beside DuckDB, Polars and pandas.

    Ratios are what counts, seconds belong to this machine. The whole table: --sizes 100000,500000,1770000 --delivered 1770000
    takes about an hour and 40 GB of disk.
    """
    # Kernels are compiled once in the life of an installation; that is no cost of a run.
    with tempfile.TemporaryDirectory() as folder:
        features.run(Path(folder), 2_000, [], lambda _: None)
    results = []
    for residents in sizes:
        others = [name for name in features.OTHERS if residents <= _AT_MOST.get(name, residents)]
        with tempfile.TemporaryDirectory() as folder:
            results.append(
                features.run(Path(folder), residents, others, lambda line: click.echo(line, err=True))
            )
    with tempfile.TemporaryDirectory() as folder:
        taken = intake.run(Path(folder), delivered)
    text = page(results, taken)
    click.echo(text)
    if write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
