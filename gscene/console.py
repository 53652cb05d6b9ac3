"""What commands say: bars on a terminal, plain lines elsewhere, one JSON object with `--json`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from core.progress import Stage

#: Columns of tables where there is no terminal.
WIDTH = 160

#: Seconds between plain progress lines of one stage.
PLAIN_INTERVAL = 5.0


class Reporter:
    """Says things to people on stderr and results on stdout."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.people = Console(stderr=True, highlight=False)
        if not self.people.is_terminal:
            # A log or a pipe has no width of its own; at 80 columns tables would break in the middle of words.
            self.people = Console(stderr=True, highlight=False, width=WIDTH)
        self.result: dict[str, Any] = {}
        self._bars: Progress | None = None

    def say(self, text: str) -> None:
        """A line for people; nothing with `--json`."""
        if not self.as_json:
            self.people.print(text, markup=False, soft_wrap=True)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table for people; nothing with `--json`."""
        if self.as_json:
            return
        table = Table(title=title, title_justify="left", header_style="bold")
        for position, name in enumerate(header):
            numeric = rows and all(isinstance(row[position], int | float) for row in rows)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(f"{cell:,}" if isinstance(cell, int) else escape(_text(cell)) for cell in row))
        self.people.print(table)

    def results(self, values: Mapping[str, Any]) -> None:
        """Results by name: collected for `--json`, else printed as `name: value` on stdout."""
        self.result.update(values)
        if not self.as_json:
            for name, value in values.items():
                print(f"{name}: {value}", flush=True)

    def finish(self) -> None:
        """Print the collected results as one JSON object."""
        if self.as_json:
            print(
                json.dumps(self.result, ensure_ascii=False, indent=2, default=str),
                flush=True,
            )

    # -- core.progress.Progress ------------------------------------------------------------------------------------

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Stage]:
        """A stage of work, shown as a bar on a terminal and as plain lines elsewhere."""
        if self.people.is_terminal and not self.as_json:
            with self._bar(title, total) as stage:
                yield stage
        else:
            plain = _PlainStage(self, title, total)
            yield plain
            plain.end()

    @contextmanager
    def _bar(self, title: str, total: int | None) -> Iterator[Stage]:
        bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=self.people,
        )
        with bars:
            task = bars.add_task(title, total=total, note="")

            class Bar:
                def advance(self, n: int = 1, note: str = "") -> None:
                    """Move the bar."""
                    bars.update(task, advance=n, note=note)

            yield Bar()


class _PlainStage:
    """Lines like `facts/resident/util_bill 12/30 2025-04`, at most one in five seconds, and one at the end."""

    def __init__(self, reporter: Reporter, title: str, total: int | None) -> None:
        self.reporter, self.title, self.total = reporter, title, total
        self.done = 0
        self.started = self.told = time.monotonic()

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count, and tell now and then."""
        self.done += n
        now = time.monotonic()
        if now - self.told >= PLAIN_INTERVAL:
            self.told = now
            of = f"/{self.total}" if self.total is not None else ""
            self.reporter.say(f"  {self.title} {self.done}{of} {note}")

    def end(self) -> None:
        """Tell that the stage is over."""
        seconds = time.monotonic() - self.started
        self.reporter.say(f"  {self.title}: done, {self.done} in {seconds:.1f} s")


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return str(value)
