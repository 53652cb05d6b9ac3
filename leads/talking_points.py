"""Why now: at most three plain sentences per lead, in Chinese and English, from features that marketing may use.

Phrases are YAML files in `leads/phrases/`. A phrase is fixed text behind a condition on one feature: no number is ever put
into it, so a list can't give away a feature's value beyond the condition. Nothing about debts, lateness or risk: a phrase on
a feature that isn't permitted for marketing is refused when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from core.definition_file import CODE, Bilingual, Definition, line_of, load_definition
from core.errors import Refusal
from core.subject import SubjectKind

FOLDER = Path(__file__).parent / "phrases"

#: More than three reasons are read by nobody on a branch's telephone.
MOST = 3

#: Between two sentences of one lead.
SEPARATOR = Bilingual(zh="；", en="; ")


class Phrase(Definition):
    """One sentence: said when `at_least` <= feature <= `at_most` (either may be left out; a missing value never counts)."""

    phrase: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    feature: str
    at_least: float | None = None
    at_most: float | None = None
    text: Bilingual

    @model_validator(mode="after")
    def _conditioned(self) -> Phrase:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if any("{" in words or "%" in words for words in (self.text.zh, self.text.en)):
            raise ValueError("a phrase is fixed text; leave placeholders and percentages out")
        return self

    def holds(self, values: np.ndarray) -> np.ndarray:
        """bool per value."""
        with np.errstate(invalid="ignore"):
            low = values >= (-np.inf if self.at_least is None else self.at_least)
            high = values <= (np.inf if self.at_most is None else self.at_most)
        return np.asarray(low & high)


class PhraseBook(Definition):
    """One file of phrases, the most telling first."""

    subject: SubjectKind
    title: Bilingual
    phrases: list[Phrase]


def load_phrases(path: Path, permitted: Collection[str]) -> PhraseBook:
    """Read one phrase book; Refusal with file and line for a feature that isn't among `permitted`.

    `permitted`: the names that `FeatureSet.for_purpose(Purpose.MARKETING)` gives.
    """
    book = load_definition(path, PhraseBook)
    for position, phrase in enumerate(book.phrases):
        if phrase.feature not in permitted:
            raise Refusal(
                CODE,
                f"{phrase.phrase}: the feature {phrase.feature} isn't in the catalogue or not permitted for marketing.",
                file=str(path),
                line=line_of(path, "phrases", position, "feature"),
                remedy="Use a feature with the purpose marketing, or take the phrase out.",
            )
    return book


def talking_points(features: pd.DataFrame, book: PhraseBook) -> pd.DataFrame:
    """Texts per row of `features` (subject_no and the book's feature columns): subject_no, why_now_zh, why_now_en.

    The first `MOST` phrases of the book that hold, each text once; empty texts where none does.
    """
    rows = len(features)
    said = np.zeros(rows, dtype=np.int8)
    zh, en = np.full(rows, "", dtype=object), np.full(rows, "", dtype=object)
    used: dict[str, np.ndarray] = {}
    for phrase in book.phrases:
        now = phrase.holds(features[phrase.feature].to_numpy(dtype=np.float64, na_value=np.nan)) & (
            said < MOST
        )
        now &= ~used.get(phrase.text.en, np.zeros(rows, dtype=bool))
        used[phrase.text.en] = used.get(phrase.text.en, np.zeros(rows, dtype=bool)) | now
        further = now & (said > 0)
        zh[further] += SEPARATOR.zh
        en[further] += SEPARATOR.en
        zh[now] += phrase.text.zh
        en[now] += phrase.text.en
        said[now] += 1
    return pd.DataFrame({"subject_no": features["subject_no"].to_numpy(), "why_now_zh": zh, "why_now_en": en})
