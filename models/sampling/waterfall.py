"""A waterfall: rows at the start, rows left out by reason, and what the rest consists of. It adds up exactly or isn't made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import GsceneError

LEFT_OUT = "left out: "

#: What the rows of a joined sample consist of, and those of a split one.
OUTCOMES = ("events", "non-events", "indeterminate")
SIDES = ("training rows", "out-of-time rows")


@dataclass(frozen=True)
class Waterfall:
    """`start` rows = rows left out (reason, rows) + rows of the parts (name, rows). GsceneError where they differ."""

    what: str
    start: int
    left_out: tuple[tuple[str, int], ...]
    parts: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        told = sum(rows for _, rows in (*self.left_out, *self.parts))
        if told != self.start or any(rows < 0 for _, rows in (*self.left_out, *self.parts)):
            raise GsceneError(
                f"the waterfall of {self.what} doesn't add up: {self.start:,} at the start, {told:,} told.",
                "This is a mistake of the program; report it with the command that led to it.",
            )

    @property
    def left(self) -> int:
        """Rows that aren't left out."""
        return sum(rows for _, rows in self.parts)


def waterfalls(steps: Mapping[str, int]) -> tuple[Waterfall, ...]:
    """Those of a training's steps: outcomes to sample, and sample to the two sides where it was split by time.

    `steps` as `Sample.steps` and `TimeSides.steps` (prefixed with `split: `) count them; the first one that is no count of
    features starts.
    """
    joined = {
        name: rows for name, rows in steps.items() if not name.startswith(("split: ", "feature rows without"))
    }
    found = []
    if set(OUTCOMES) <= set(joined):
        what = next(iter(joined))
        found.append(_waterfall(what, joined, OUTCOMES))
    split = {name.removeprefix("split: "): rows for name, rows in steps.items() if name.startswith("split: ")}
    if set(SIDES) <= set(split):
        found.append(_waterfall("rows", split, SIDES))
    return tuple(found)


def _waterfall(what: str, steps: Mapping[str, int], parts: tuple[str, ...]) -> Waterfall:
    left_out = tuple(
        (name.removeprefix(LEFT_OUT), rows) for name, rows in steps.items() if name.startswith(LEFT_OUT)
    )
    return Waterfall(what, steps[what], left_out, tuple((name, steps[name]) for name in parts))
