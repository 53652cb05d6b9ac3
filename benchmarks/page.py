"""The page that `python -m benchmarks` writes."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from benchmarks.features import MONTHS, OTHERS, OURS, PANEL, Result
from benchmarks.intake import MONTHS as DELIVERED_MONTHS
from benchmarks.intake import IntakeResult

Costs = Callable[[str], float | None]


def page(results: Sequence[Result], taken: IntakeResult) -> str:
    """Markdown: costs by stage and size, ratios, intake, machine and date."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Each stage is a process of its own; CPU is user+sys, memory is the peak of the whole process",
        "as the operating system tells it. Ratios count; seconds belong to the machine and to what else it was doing.",
        "",
        f"Residents x {MONTHS} months of social insurance, wages and utility bills; 2 % of the rows corrected a month later, a",
        "few per cent of the subjects join or leave. CPU seconds, and MB at the peak.",
        "",
        f"| stage | {' | '.join(f'{r.residents:,} residents' for r in results)} |",
        f"|---|{'---:|' * len(results)}",
        f"| raw rows | {' | '.join(f'{r.rows:,}' for r in results)} |",
        f"| features (of these by every way) | {' | '.join(f'{r.features} ({r.compared})' for r in results)} |",
        *(_stage(name, what, results) for name, what in (OURS | OTHERS).items()),
        "",
        f"| ratio of CPU | goal | {' | '.join(f'{r.residents:,}' for r in results)} |",
        f"|---|---|{'---:|' * len(results)}",
        *(_ratio(what, goal, of, results) for what, goal, of in _RATIOS),
        *_growth(results),
        "",
        "Folded months are state: the stateless row says what they cost when nothing is kept. Largest relative difference of any",
        "cell between the engine and each other way, missing cells alike: "
        + "; ".join(
            f"{name} at {r.residents:,} {told:.1e}" for r in results for name, told in r.differences.items()
        )
        + ". Folding a month before and after its correction",
        "leaves, bit for bit, what folding it once does (checked in the same run).",
        "",
        *_intake(taken),
        "",
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"Date: {datetime.now(UTC):%Y-%m-%d}.",
        "",
    ]
    return "\n".join(lines)


def _stage(name: str, what: str, results: Sequence[Result]) -> str:
    cells = [
        f"{r.costs[name].cpu:.1f} s, {r.costs[name].peak_mb:,.0f} MB" if name in r.costs else "-"
        for r in results
    ]
    return f"| {what} | {' | '.join(cells)} |"


def _over(above: str, *below: str) -> Callable[[Costs], float | None]:
    def of(cost: Costs) -> float | None:
        top, bottom = cost(above), [cost(name) for name in below]
        return (
            None if top is None or None in bottom else top / sum(each for each in bottom if each is not None)
        )

    return of


_RATIOS: tuple[tuple[str, str, Callable[[Costs], float | None]], ...] = (
    ("fold one month / decode its columns once", "at most 3", _over("fold_one", "decode")),
    ("DuckDB / features of one month with writing", "at least 25", _over("duckdb", "as_of")),
    ("DuckDB / the same without writing", "", _over("duckdb", "as_of_unwritten")),
    ("DuckDB with rows as they are / features of one month", "", _over("duckdb_plain", "as_of")),
    ("Polars / features of one month", "at least 15", _over("polars", "as_of")),
    ("pandas / features of one month", "at least 25", _over("pandas", "as_of")),
    ("stateless: DuckDB / fold all months + features", "", _over("duckdb", "fold_all", "as_of")),
    (f"panel of {PANEL} months / decode all months once", "at most 2.5", _over("panel", "read")),
    ("monthly run / decode all months once", "at most 3", _over("monthly", "read")),
)


def _ratio(what: str, goal: str, of: Callable[[Costs], float | None], results: Sequence[Result]) -> str:
    cells = []
    for result in results:
        told = of(lambda name, costs=result.costs: costs[name].cpu if name in costs else None)
        cells.append("-" if told is None else f"{told:.1f}")
    return f"| {what} | {goal} | {' | '.join(cells)} |"


def _growth(results: Sequence[Result]) -> list[str]:
    """How features and monthly run grow from each smaller size to the largest."""
    *smaller, largest = results
    lines = []
    for stage in ("as_of", "monthly"):
        cells = [f"{largest.costs[stage].cpu / r.costs[stage].cpu:.1f}" for r in smaller]
        goals = [f"subjects grow {largest.residents / r.residents:.1f}-fold" for r in smaller]
        if cells:
            lines.append(
                f"| {largest.residents:,} residents over fewer, {stage} | {', '.join(goals)} | {' | '.join(cells)} | |"
            )
    return lines


def _intake(taken: IntakeResult) -> list[str]:
    both = taken.intake.cpu + taken.validation.cpu
    rows = (
        ("once a process: state database, contracts, adapters, Great Expectations", taken.start),
        ("intake (hash, receive, archive, read, identities, convert, write)", taken.intake),
        ("validation and receipts", taken.validation),
        ("DuckDB reads the files once", taken.duckdb),
    )
    return [
        "## Taking deliveries in",
        "",
        f"{DELIVERED_MONTHS} months of social insurance, wages and electricity of {taken.residents:,} residents: "
        f"{taken.rows:,} rows, {taken.megabytes:.0f} MB of text. "
        "DuckDB reads the same files once into typed Arrow tables, one thread.",
        "",
        "| stage | CPU s | wall s | peak MB |",
        "|---|---:|---:|---:|",
        *(f"| {what} | {cost.cpu:.2f} | {cost.wall:.2f} | {cost.peak_mb:,.0f} |" for what, cost in rows),
        "",
        f"Intake and validation, start of the process included, take **{both / taken.duckdb.cpu:.1f} times** the CPU of the "
        f"reading; {(both - taken.start.cpu) / taken.duckdb.cpu:.1f} times without the start. Goal: 4.",
    ]
