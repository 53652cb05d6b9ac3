"""No direct identifier may enter: every cell of every delivered column is looked through, ignored ones too, and the file's name.

Each different text of a column is looked at once, and most not at all: tokens are known by their bytes, and what is shorter than
eleven plain characters is neither a number plate, a name nor a telephone.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from sources.convert import FIRST_LINE, DeliveredRows
from sources.identity.detectors import DETECTORS, Detector
from sources.identity.resident_id import holds_resident_id

#: Bytes of the shortest identifiers: a telephone number, an e-mail address, two Chinese characters of a name.
_SHORTEST_NUMBER, _SHORTEST_ADDRESS, _SHORTEST_NAME = 11, 6, 6
_WRITTEN_TOKEN = r"^\s*[kK][0-9]+:[0-9a-fA-F]{40}\s*$"


def refuse_identities(delivered: DeliveredRows, pseudonymised: Collection[str] = ()) -> None:
    """Raise REFUSED/IDENTITY at the first cell of the first column that holds direct identifiers.

    Columns in `pseudonymised` are replaced on entry and may hold the enterprise codes that the adapter expects there; ids of
    residents are refused in them too, since providers must not send those.
    """
    if holds_resident_id(delivered.file):
        raise _refusal(delivered.file, None, None, "the file's name holds a resident id")
    for column in delivered.columns:
        places, looked_at = _looked_at(delivered, column)
        if not len(places):
            continue
        # Tokens written in capitals, full width or between blanks are tokens still.
        others = np.flatnonzero(
            ~pc.match_substring_regex(looked_at, _WRITTEN_TOKEN).to_numpy(zero_copy_only=False)
        )
        places, looked_at = places[others], looked_at.take(pa.array(others))
        for detector in DETECTORS:
            if column in pseudonymised and detector.name != "resident_id":
                continue
            found = detector.find(looked_at)
            if found and detector.convicts(_count(looked_at, found), _different(delivered, column), column):
                raise _at(delivered, column, detector, [int(places[place]) for place in found])


def findings(table: pa.Table) -> list[tuple[str, str, int, bool]]:
    """(column, detector, different texts that look like it, whether that refuses the column), to look before sending."""
    found = []
    delivered = DeliveredRows(table, "")
    for column in delivered.columns:
        _, looked_at = _looked_at(delivered, column)
        for detector in DETECTORS:
            places = detector.find(looked_at) if len(looked_at) else []
            hits = _count(looked_at, places) if places else 0
            if hits:
                convicts = detector.convicts(hits, _different(delivered, column), column)
                found.append((column, detector.name, hits, convicts))
    return found


def _looked_at(delivered: DeliveredRows, column: str) -> tuple[np.ndarray, pa.Array]:
    """Texts of a column that could be identifiers, in one form of writing, and where they stand among its texts."""
    texts = delivered.texts(column)
    places = candidates(texts, delivered.tokens(column))
    return places, pc.utf8_normalize(texts.take(pa.array(places)), form="NFKC")


def _count(looked_at: pa.Array, places: list[int]) -> int:
    """How many different texts stand at these places."""
    return len(looked_at.take(pa.array(places)).unique())


def _different(delivered: DeliveredRows, column: str) -> pa.Array:
    texts = delivered.texts(column)
    return texts.unique() if delivered.is_plain(column) else texts


def candidates(texts: pa.Array, tokens: np.ndarray) -> np.ndarray:
    """Positions of the texts that could be an identifier at all, ascending; `tokens` are none."""
    if not len(texts):
        return np.empty(0, dtype=np.int64)
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    plain = pc.string_is_ascii(texts).to_numpy(zero_copy_only=False)
    possible = np.where(plain, lengths >= _SHORTEST_NUMBER, lengths >= _SHORTEST_NAME)
    short = plain & (lengths >= _SHORTEST_ADDRESS) & (lengths < _SHORTEST_NUMBER)
    if short.any():
        possible |= short & pc.match_substring(texts, "@").to_numpy(zero_copy_only=False)
    return np.flatnonzero(possible & ~tokens)


def _at(delivered: DeliveredRows, column: str, detector: Detector, found: list[int]) -> Refusal:
    line = delivered.first_row(column, found) + FIRST_LINE
    what = f"a cell holds {detector.what}" if detector.least == 1 else f"the column holds {detector.what}"
    return _refusal(delivered.file, line, column, what)


def _refusal(file: str, line: int | None, column: str | None, what: str) -> Refusal:
    # A file whose own name is an id isn't called by it.
    return Refusal(
        "REFUSED/IDENTITY",
        f"{what}.",
        file=file if not holds_resident_id(file) else "the data file",
        line=line,
        column=column,
        remedy="Delete the file, tell the data protection officer; the source must pseudonymise (gscene pseudonymise).",
    )
