"""What could be told more coarsely, and what that would do: proposals, one step at a time, each measured.

Each column has a ladder by what its texts look like: regions to county, city, province; ages to bands of 5, 10 and 20 years;
industries of GB/T 4754 to divisions and sections; days to months, quarters and years; numbers to bands. The step is taken
that leaves the fewest people in classes that are too small, until none is left or all ladders are at their end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from core.definition_file import Bilingual
from sources.deidentification.people import Coded, People
from sources.identity.numbers import PROVINCES

#: So much of a column's texts must have a form for its ladder to fit.
_MOST = 0.95

#: Divisions of GB/T 4754-2017 by section: the first of each.
_SECTIONS = (
    (1, "A"), (6, "B"), (13, "C"), (44, "D"), (47, "E"), (51, "F"), (53, "G"), (61, "H"), (63, "I"), (66, "J"),
    (70, "K"), (71, "L"), (73, "M"), (76, "N"), (80, "O"), (83, "P"), (84, "Q"), (86, "R"), (91, "S"), (97, "T"),
)  # fmt: skip

#: A province first: so no month of 19xx or 20xx is taken for a region.
_REGION = rf"({'|'.join(map(str, PROVINCES))})\d{{4}}(\d{{3}}|\d{{6}})?"
_AGE_COLUMN = re.compile(r"age|年龄|^nl$|_nl$", re.IGNORECASE)


@dataclass(frozen=True)
class Step:
    """One generalisation: of which column, to what, and the function on its texts."""

    column: str
    to: Bilingual
    change: Callable[[str], str]


@dataclass(frozen=True)
class Proposed:
    """A step taken, and what is left after it: `k`, classes, and people in classes `under` the threshold."""

    column: str
    to: Bilingual
    k: int
    classes: int
    under: int


def ladder(name: str, column: Coded) -> list[Step]:
    """The steps that fit a column, finest first; none where its texts have no form that is known here."""
    texts = [text for text in column.texts if text]
    for fits, steps in _LADDERS:
        if texts and sum(fits(name, text) for text in texts) >= _MOST * len(texts):
            return [Step(name, to, _keeping_missing(change)) for to, change in steps]
    return []


def propose(people: People, quasi: list[str], threshold: int) -> list[Proposed]:
    """Steps that bring the classes to `threshold` people, as far as ladders go: one a column, the coarsest that is needed."""
    search = _Search(people.distinct(quasi), quasi, threshold)
    rungs: dict[str, int] = {}
    sizes = search.sizes(rungs)
    while search.under(sizes):
        higher = [rungs | {name: rungs.get(name, 0) + 1} for name in quasi if search.can_climb(name, rungs)]
        if not higher:
            break
        # Of steps that leave equally many, the one that keeps most classes.
        rungs = min(higher, key=lambda tried: search.cost(search.sizes(tried)))
        sizes = search.sizes(rungs)
    left = search.under(sizes)
    for name in list(rungs):
        # A step that a later one has made needless is taken back.
        while rungs.get(name, 0) and search.under(search.sizes(rungs | {name: rungs[name] - 1})) <= left:
            rungs[name] -= 1
    return search.told({name: rung for name, rung in rungs.items() if rung})


class _Search:
    """Class sizes for any choice of rungs; 0 is a column as it came."""

    def __init__(self, people: People, quasi: list[str], threshold: int) -> None:
        self.people, self.quasi, self.threshold = people, quasi, threshold
        self.ladders: dict[str, list[tuple[Step, Coded]]] = {name: [] for name in quasi}
        for name in quasi:
            before = column = people.columns[name]
            for step in ladder(name, column):
                after = column.mapped(step.change)
                if len(after.texts) < len(before.texts):
                    self.ladders[name].append((step, after))
                    before = after
        self._known: dict[tuple[int, ...], np.ndarray] = {}

    def can_climb(self, name: str, rungs: dict[str, int]) -> bool:
        return rungs.get(name, 0) < len(self.ladders[name])

    def sizes(self, rungs: dict[str, int]) -> np.ndarray:
        key = tuple(rungs.get(name, 0) for name in self.quasi)
        if key not in self._known:
            changed = {name: self.ladders[name][rung - 1][1] for name, rung in rungs.items() if rung}
            people = replace(self.people, columns=self.people.columns | changed)
            self._known[key] = people.class_sizes(self.quasi)
        return self._known[key]

    def under(self, sizes: np.ndarray) -> int:
        return int(sizes[sizes < self.threshold].sum())

    def cost(self, sizes: np.ndarray) -> tuple[int, int]:
        return self.under(sizes), -len(sizes)

    def told(self, rungs: dict[str, int]) -> list[Proposed]:
        """The steps one after the other, each with what it leaves."""
        taken: list[Proposed] = []
        so_far: dict[str, int] = {}
        for name, rung in rungs.items():
            so_far[name] = rung
            sizes = self.sizes(so_far)
            step = self.ladders[name][rung - 1][0]
            taken.append(Proposed(name, step.to, int(sizes.min()), len(sizes), self.under(sizes)))
        return taken


def _keeping_missing(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: change(text) if text else text


def _region(digits: int) -> Callable[[str], str]:
    return lambda text: text[:digits].ljust(6, "0") if text[:6].isdigit() else text


def _band(width: int) -> Callable[[str], str]:
    def change(text: str) -> str:
        try:
            low = int(float(text)) // width * width
        except (ValueError, OverflowError):
            return text
        return f"{low}-{low + width - 1}"

    return change


def _year_band(width: int) -> Callable[[str], str]:
    """The years of a day, a month or a year, in bands."""
    return lambda text: _band(width)(text[:4]) if text[:4].isdigit() else text


def _quarter(text: str) -> str:
    found = re.match(r"(\d{4})\D?(\d{2})", text)
    return f"{found[1]}Q{(int(found[2]) + 2) // 3}" if found else text


def _month(text: str) -> str:
    found = re.match(r"(\d{4})\D?(\d{2})", text)
    return f"{found[1]}-{found[2]}" if found else text


def _division(text: str) -> str:
    return text[:3] if text[:1].isalpha() else text[:2]


def _section(text: str) -> str:
    if text[:1].isalpha():
        return text[0]
    division = int(text[:2]) if text[:2].isdigit() else 0
    return next((letter for first, letter in reversed(_SECTIONS) if division >= first), text)


def _magnitude(factor: float) -> Callable[[str], str]:
    """Bands whose ends are powers of a factor: 10 to 100, 100 to 1000."""

    def change(text: str) -> str:
        try:
            value = float(text)
        except ValueError:
            return text
        if value == 0 or not np.isfinite(value):
            return "0"
        power = int(np.floor(np.log(abs(value)) / np.log(factor) + 1e-9))
        return f"{'-' if value < 0 else ''}{factor**power:.0f}+"

    return change


def _two(zh: str, en: str) -> Bilingual:
    return Bilingual(zh=zh, en=en)


_Change = tuple[Bilingual, Callable[[str], str]]
_LADDERS: tuple[tuple[Callable[[str, str], bool], tuple[_Change, ...]], ...] = (
    (
        lambda _, text: re.fullmatch(_REGION, text) is not None,
        (
            (_two("县（6 位区划代码）", "county (6 digits)"), _region(6)),
            (_two("市（4 位）", "city (4 digits)"), _region(4)),
            (_two("省（2 位）", "province (2 digits)"), _region(2)),
        ),
    ),
    (
        lambda _, text: re.fullmatch(r"[A-T]\d{2,4}", text) is not None,
        (
            (_two("行业大类", "industry division"), _division),
            (_two("行业门类", "industry section"), _section),
        ),
    ),
    (
        lambda name, text: (
            _AGE_COLUMN.search(name) is not None and re.fullmatch(r"1?\d{1,2}(\.0)?", text) is not None
        ),
        (
            (_two("5 岁一档", "bands of 5 years"), _band(5)),
            (_two("10 岁一档", "bands of 10 years"), _band(10)),
            (_two("20 岁一档", "bands of 20 years"), _band(20)),
        ),
    ),
    (
        lambda _, text: (
            re.fullmatch(r"(19|20)\d{2}[-/.]?(0[1-9]|1[0-2])([-/.]?[0-3]\d.*)?", text) is not None
        ),
        (
            (_two("到月", "month"), _month),
            (_two("到季", "quarter"), _quarter),
            (_two("到年", "year"), lambda text: text[:4]),
            (_two("5 年一档", "bands of 5 years"), _year_band(5)),
            (_two("10 年一档", "bands of 10 years"), _year_band(10)),
        ),
    ),
    (
        lambda _, text: re.fullmatch(r"(19|20)\d{2}", text) is not None,
        (
            (_two("5 年一档", "bands of 5 years"), _year_band(5)),
            (_two("10 年一档", "bands of 10 years"), _year_band(10)),
            (_two("20 年一档", "bands of 20 years"), _year_band(20)),
        ),
    ),
    (
        lambda _, text: re.fullmatch(r"-?\d+(\.\d+)?", text) is not None,
        (
            (_two("翻倍分档", "bands that double"), _magnitude(2.0)),
            (_two("十倍分档", "bands by ten"), _magnitude(10.0)),
        ),
    ),
)
