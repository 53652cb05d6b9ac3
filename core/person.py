"""Names of the people who decide: written down alike, and told apart by who they are, not by how they are typed."""

from __future__ import annotations

import unicodedata

from core.errors import GsceneError


def actor_name(text: str) -> str:
    """A person's name as it is kept; GsceneError for an empty one or one with control characters."""
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not 2 <= len(name) <= 80 or not name.isprintable():
        raise GsceneError("an actor is a person's name of 2 to 80 characters.", "Give it with --as.")
    return name


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are written."""
    return actor_name(one).casefold() == actor_name(other).casefold()
