"""Plain hashes are no pseudonyms: whoever knows how ids are built hashes them all (a county's in seconds) and reads the table.

Three signs: a token without a key id or with one that says so (`sha-plain`); a bare hash of 32, 40 or 64 hexadecimal digits;
and the proof, where the bank has a list of ids that it lawfully knows: one of them, hashed plainly in a usual way, stands in
the column.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from sources.convert import FIRST_LINE, DeliveredRows
from sources.identity.written_id import one_form

_ALGORITHMS = ("md5", "sha1", "sha256", "sm3")
_BARE = r"^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"
_SAID = r"^(?i:sha-?plain|md5|sha1|sha256|sm3|plain)[:_-]"


class CanaryIds:
    """Ids that the bank knows lawfully (its own customers'), as a set of their plain hashes; the ids themselves aren't kept."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._prefixes = {digest[:32] for text in ids for digest in _plain_hashes(text)}

    @cached_property
    def array(self) -> pa.Array:
        """The first 32 hexadecimal digits of each hash: tokens are cut at different lengths."""
        return pa.array(sorted(self._prefixes), pa.string())

    def __bool__(self) -> bool:
        return bool(self._prefixes)


def refuse_unkeyed(delivered: DeliveredRows, column: str, canaries: CanaryIds | None = None) -> None:
    """Raise REFUSED/UNKEYED where the subject column holds plain hashes."""
    # Tokens with a key id are what is wanted.
    others = np.flatnonzero(~delivered.tokens(column))
    texts = pc.utf8_trim_whitespace(delivered.texts(column).take(pa.array(others)))
    for pattern, what in (
        (_SAID, "tokens that call themselves plain hashes"),
        (_BARE, "bare hashes without a key id"),
    ):
        found = pc.indices_nonzero(pc.match_substring_regex(texts, pattern)).to_pylist()
        if found:
            raise _refusal(delivered, column, others[found].tolist(), what)
    if canaries:
        texts = pc.utf8_trim_whitespace(delivered.texts(column))
        digits = pc.utf8_slice_codeunits(pc.replace_substring_regex(texts, r"^k[0-9]+:", ""), 0, 32)
        found = pc.indices_nonzero(pc.is_in(pc.utf8_lower(digits), value_set=canaries.array)).to_pylist()
        if found:
            raise _refusal(delivered, column, found, "plain hashes of ids that the bank knows")


def _plain_hashes(text: str) -> set[str]:
    written = {text, text.strip(), text.upper(), text.lower(), one_form(text), one_form(text).lower()}
    return {
        hashlib.new(algorithm, form.encode()).hexdigest() for algorithm in _ALGORITHMS for form in written
    }


def _refusal(delivered: DeliveredRows, column: str, found: list[int], what: str) -> Refusal:
    return Refusal(
        "REFUSED/UNKEYED",
        f"the column holds {what}.",
        file=delivered.file,
        line=delivered.first_row(column, found) + FIRST_LINE,
        column=column,
        remedy="Delete the file: it can be read by anyone. The source must use keyed tokens (gscene pseudonymise).",
    )
