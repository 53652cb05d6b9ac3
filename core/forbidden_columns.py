"""Columns that may not exist in any table: pupils, biometrics, places, diagnoses, and whatever tells who a pseudonym is.

The block list is data (`forbidden_columns.yaml`, domain rule L4). It goes by name, so it catches the honest mistake, not a column
that hides under another name; what cells hold is looked at by `sources.identity`.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path

from core.definition_file import Bilingual, Definition, load_definition

FILE = Path(__file__).with_name("forbidden_columns.yaml")


class ForbiddenGroup(Definition):
    """What a group of names stands for; `words` match anywhere in a column's name, `endings` as its last words."""

    what: Bilingual
    words: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()

    def holds(self, column: str) -> bool:
        """Whether the column's name is one of the group's."""
        return self._pattern.search(f"_{column.lower()}_") is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """All words at once: names are asked for by the thousand when contracts and adapters load."""
        words = [f"_{re.escape(word)}_" for word in self.words]
        return re.compile("|".join([*words, *(f"_{re.escape(word)}_$" for word in self.endings)]))


class BlockList(Definition):
    """The whole list."""

    groups: tuple[ForbiddenGroup, ...]


@cache
def block_list() -> BlockList:
    """The shipped list, read once a process."""
    return load_definition(FILE, BlockList)


def forbidden(column: str) -> Bilingual | None:
    """What a column of this name would hold that no table may hold; None where the name is free.

    >>> forbidden("pupil_id").en, forbidden("real_name_level"), forbidden("payer_name").en
    ('a pupil or a child', None, 'who somebody is or how to reach them')
    """
    return next((group.what for group in block_list().groups if group.holds(column)), None)
