"""Who may get a table, and its grade by GB/T 42460-2023.

| grade | data |
|---|---|
| 1 | holds direct identifiers |
| 2 | holds none, but somebody can be picked out with more than the accepted chance |
| 3 | nobody can |
| 4 | counts and sums of groups, none of them small |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.definition_file import Bilingual
from sources.deidentification.anonymity import Anonymity, Diversity


class Release(StrEnum):
    """Who gets the table."""

    INTERNAL = "internal"
    MARKETING = "marketing"
    PUBLIC = "public"


@dataclass(frozen=True)
class Threshold:
    """The least k, the least distinct l of each sensitive column."""

    k: int
    l: int  # noqa: E741 - its name in the literature


#: Inside the bank a class of five; outside, and to people who sell, ten, and no class whose sensitive value is the same for all.
THRESHOLDS = {
    Release.INTERNAL: Threshold(5, 1),
    Release.MARKETING: Threshold(10, 2),
    Release.PUBLIC: Threshold(10, 2),
}


@dataclass(frozen=True)
class Found:
    """Direct identifiers in a column: the kind, and in how many different cells."""

    column: str
    kind: str
    told: str
    cells: int


def grade(found: Sequence[Found], measured: Anonymity, threshold: Threshold) -> int:
    """1, 2 or 3; a table of persons is never 4."""
    if found:
        return 1
    return 3 if measured.people == 0 or measured.k >= threshold.k else 2


def obstacles(
    found: Sequence[Found], measured: Anonymity, diverse: Sequence[Diversity], threshold: Threshold
) -> list[Bilingual]:
    """Why the table may not be released; empty where it may."""
    told = [
        Bilingual(
            zh=f"列 {one.column} 含直接标识符（{one.kind}），{one.cells} 个不同单元格。",
            en=f"{one.column} holds {one.told}, in {one.cells} different cells.",
        )
        for one in found
    ]
    if measured.people and measured.k < threshold.k:
        under = measured.under[threshold.k]
        told.append(
            Bilingual(
                zh=f"k = {measured.k}，低于 {threshold.k}：{under:,} 人处于过小的等价类。",
                en=f"k = {measured.k}, below {threshold.k}: {under:,} people are in classes that are too small.",
            )
        )
    told += [
        Bilingual(
            zh=f"{one.column} 的 l = {one.l}，低于 {threshold.l}：{one.single:,} 个等价类内取值全部相同。",
            en=f"l of {one.column} = {one.l}, below {threshold.l}: in {one.single:,} classes everybody has the same value.",
        )
        for one in diverse
        if measured.people and one.l < threshold.l
    ]
    return told
