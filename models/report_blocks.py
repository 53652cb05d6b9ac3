"""What a report is made of, before anybody knows whether it becomes HTML, a Word file or a workbook.

Whoever measures something says how it is shown with a function of its result that returns blocks; the report puts them
into its parts. Blocks hold counts, measures and definitions; never a row of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.definition_file import Bilingual

Cell = str | int | float | Bilingual | None


class Part(StrEnum):
    """The twelve parts of a validation report, in their order."""

    PURPOSE = "purpose"
    DATA = "data"
    SOUNDNESS = "soundness"
    TESTING = "testing"
    OUTCOMES = "outcomes"
    STABILITY = "stability"
    EXPLANATION = "explanation"
    FAIRNESS = "fairness"
    LIMITS = "limits"
    IMPLEMENTATION = "implementation"
    FINDINGS = "findings"
    SIGNATURES = "signatures"


@dataclass(frozen=True)
class Paragraph:
    """A sentence or a few, in both languages."""

    text: Bilingual


@dataclass(frozen=True)
class Table:
    """`rows` as long as `columns`; numbers stay numbers (a workbook can calculate with them), None is shown as a dash.

    `formats`: a Python format for the numbers of a column (".3f", ",d", ".1%"), "" where none; as long as `columns` or empty.
    `folded`: a detail, which a page shows closed until it is asked for.
    """

    title: Bilingual
    columns: tuple[Bilingual, ...]
    rows: tuple[tuple[Cell, ...], ...]
    formats: tuple[str, ...] = ()
    note: Bilingual | None = None
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """`svg`: one self-contained SVG with English labels; `alt`: what it shows, for those who can't see it. `png`: the same for
    programs that know no SVG, such as Word; `models.report.drawing.draw` makes both.
    """

    title: Bilingual
    svg: bytes
    alt: Bilingual
    png: bytes | None = None


Block = Paragraph | Table | Picture
