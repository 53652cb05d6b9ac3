"""What a cell looks like without what it says: the only trace of a value that an error text may carry."""

from __future__ import annotations

import re

#: Longer shapes would start to identify free text.
LONGEST = 24


def shape(text: str) -> str:
    """`2020-6-18` is `9999-9-99`, `正常` is `字字`; cut after 24 characters."""
    return "".join(_mask(character) for character in text[:LONGEST]) + ("..." if len(text) > LONGEST else "")


def is_name_like(text: str) -> bool:
    """Whether a header cell can be a column's name: short, with a letter, without a long run of digits."""
    return len(text) <= 40 and re.search(r"[^\W\d]", text) is not None and re.search(r"\d{4}", text) is None


def _mask(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isascii():
        return ("A" if character.isupper() else "a") if character.isalpha() else character
    return "字"
