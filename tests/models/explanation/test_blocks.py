"""The explanation as blocks: whole, self-contained, repeatable, in both languages."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from core.definition_file import Bilingual
from models.candidates import CandidateKind
from models.explanation.blocks import explanation_blocks
from models.explanation.explanation import Explanation
from models.report_blocks import Paragraph, Picture, Table
from tests.models.explanation.worlds import NAMES, trained


def _explanation(kind: CandidateKind) -> Explanation:
    explanation = trained(kind)[0].explanation
    assert explanation is not None
    return explanation


@pytest.mark.parametrize("kind", list(CandidateKind))
def test_blocks_are_whole_and_pictures_stand_alone(kind: CandidateKind) -> None:
    explanation = _explanation(kind)
    titles = {name: Bilingual(zh=f"义{name}", en=f"meaning of {name}") for name in NAMES}
    blocks = explanation_blocks(explanation, titles)
    assert {type(block) for block in blocks} == {Paragraph, Table, Picture}
    for block in blocks:
        if isinstance(block, Table):
            assert (
                all(len(row) == len(block.columns) == len(block.formats) for row in block.rows) and block.rows
            )
        elif isinstance(block, Picture):
            ElementTree.fromstring(block.svg)
            # Namespaces and the licence-free doctype apart, nothing is fetched.
            assert b"<image" not in block.svg and b"<script" not in block.svg and len(block.svg) < 400_000
    assert [b.svg for b in blocks if isinstance(b, Picture)] == [
        b.svg for b in explanation_blocks(explanation, titles) if isinstance(b, Picture)
    ]
    importance = next(block for block in blocks if isinstance(block, Table))
    first = explanation.importance[0].name
    assert importance.rows[0][:2] == (first, titles[first])


def test_a_broken_sign_is_said() -> None:
    explanation = _explanation(CandidateKind.LIGHTGBM)
    broken = replace(explanation.constraints[0], against=7, largest_against=0.5)
    told = replace(explanation, constraints=(broken, *explanation.constraints[1:]))
    text = " ".join(b.text.en + b.text.zh for b in explanation_blocks(told) if isinstance(b, Paragraph))
    assert "7 against" in text and "7 步违反" in text
