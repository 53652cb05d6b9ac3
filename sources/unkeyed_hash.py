"""Pseudonyms that are plain hashes are refused: who knows how ids look tries them all (2.2 seconds for a county and a year).

Two signs, each enough: the key's version is missing or names a hash (`sha-plain`, `md5`, `sm3`); the cell is a bare hash of 32,
40, 56, 64, 96 or 128 hexadecimal digits, or the base64 of as many bytes. Plain hashes behind a key's version are told by
`sources.canary_ids`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from sources.delivered_rows import FIRST_LINE, DeliveredRows

_BARE = (
    r"^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{56}|[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128}"
    r"|[A-Za-z0-9+/_-]{22}==|[A-Za-z0-9+/_-]{27}=|[A-Za-z0-9+/_-]{43}=)$"
)
_NAMED = r"^(?i:(?:sha|md5|sm3|hash|plain|none|raw)[a-z0-9_-]*\s*[:$|].*|\{(?:sha|md5|ssha)[^}]*\}.*)$"
#: What to do with a file whose pseudonyms protect nobody.
REMEDY = (
    "The source must use a keyed hash (gscene pseudonymise); a plain one is no protection. Destroy the file."
)


def refuse_unkeyed_hashes(delivered: DeliveredRows, columns: Iterable[str]) -> None:
    """Raise REFUSED/UNKEYED at the first cell of the named columns that says itself that it is a plain hash."""
    for column in columns:
        # Tokens with a key's version are what is wanted.
        others = np.flatnonzero(~delivered.tokens(column))
        texts = pc.utf8_trim_whitespace(delivered.texts(column).take(pa.array(others)))
        bad = pc.or_(pc.match_substring_regex(texts, _BARE), pc.match_substring_regex(texts, _NAMED))
        found = others[pc.indices_nonzero(bad).to_numpy()]
        if len(found):
            raise Refusal(
                "REFUSED/UNKEYED",
                "pseudonyms without a key's version, or with a plain hash for one.",
                file=delivered.file,
                line=delivered.first_row(column, found) + FIRST_LINE,
                column=column,
                remedy=REMEDY,
            )
