"""Words of the tables inside findings, in both languages."""

from __future__ import annotations

from core.definition_file import Bilingual
from models.validation.declared import declared


def word(name: str) -> Bilingual:
    """A word of a table: declared, or `to_3`, `by_region`, `late_source_2m`, which are made as they come."""
    known = declared().words.get(name)
    if known is not None:
        return known
    stem, _, rest = name.partition("_")
    made = {
        "to": Bilingual(zh=f"到 {rest}", en=f"to {rest}"),
        "by": Bilingual(zh=f"按 {rest}", en=f"by {rest}"),
        "late": Bilingual(zh=f"来源迟到 {rest.rpartition('_')[2]}", en=f"late by {rest.rpartition('_')[2]}"),
    }
    return made[stem]
