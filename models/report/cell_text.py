"""How a cell, a number or a text in two languages is written in a page or a Word file."""

from __future__ import annotations

from typing import Literal

from core.definition_file import Bilingual
from models.report_blocks import Cell
from models.validation.finding import VERDICT_WORDS, number

Lang = Literal["zh", "en"]

_VERDICTS = {(words.zh, words.en): str(verdict) for verdict, words in VERDICT_WORDS.items()}


def cell_text(cell: Cell, form: str, lang: Lang) -> str:
    """The cell as people read it; – where there is nothing."""
    if isinstance(cell, Bilingual):
        return in_language(cell, lang)
    if isinstance(cell, bool):
        return "✓" if cell else ""
    if isinstance(cell, int | float) and form:
        # A count that came as a float, or a rate that came as an integer: the column says how it is shown.
        return format(int(cell) if form.endswith("d") else cell, form)
    return number(cell)


def in_language(text: Bilingual, lang: Lang) -> str:
    """One side of a text."""
    return text.zh if lang == "zh" else text.en


def text_width(text: str) -> int:
    """Characters, Chinese ones counted twice as they are twice as wide."""
    return sum(2 if ord(character) > 0x2E80 else 1 for character in text)


def is_number(cell: Cell) -> bool:
    """Whether the cell stands on the right; a dash does too."""
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def verdict_of(cell: Cell) -> str:
    """The verdict that a cell says, "" where it says none: verdicts are coloured."""
    return _VERDICTS.get((cell.zh, cell.en), "") if isinstance(cell, Bilingual) else ""
