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
_TOKEN_BYTES = 43
_WRITTEN_TOKEN = r"^\s*[kK][0-9]+:[0-9a-fA-F]{40}\s*$"
_HEXADECIMAL = np.zeros(256, dtype=bool)
_HEXADECIMAL[list(b"0123456789abcdef")] = True


def refuse_identities(delivered: DeliveredRows, pseudonymised: Collection[str] = ()) -> None:
    """Raise REFUSED/IDENTITY at the first cell of the first column that holds direct identifiers.

    Columns in `pseudonymised` are replaced on entry and may hold the enterprise codes that the adapter expects there; ids of
    residents are refused in them too, since providers must not send those.
    """
    if holds_resident_id(delivered.file):
        raise _refusal(delivered.file, None, None, "the file's name holds a resident id")
    for column in delivered.columns:
        texts = delivered.texts(column)
        places = candidates(texts)
        if not len(places):
            continue
        looked_at = pc.utf8_normalize(texts.take(pa.array(places)), form="NFKC")
        # Tokens written in capitals, full width or between blanks are tokens still.
        others = np.flatnonzero(
            ~pc.match_substring_regex(looked_at, _WRITTEN_TOKEN).to_numpy(zero_copy_only=False)
        )
        places, looked_at = places[others], looked_at.take(pa.array(others))
        for detector in DETECTORS:
            if column in pseudonymised and detector.name != "resident_id":
                continue
            found = detector.find(looked_at)
            if detector.convicts(len(found), texts, column):
                raise _at(delivered, column, detector, [int(places[place]) for place in found])


def findings(table: pa.Table) -> list[tuple[str, str, int, bool]]:
    """(column, detector, different texts that look like it, whether that refuses the column), to look before sending."""
    found = []
    delivered = DeliveredRows(table, "")
    for column in delivered.columns:
        texts = delivered.texts(column)
        looked_at = pc.utf8_normalize(texts.take(pa.array(candidates(texts))), form="NFKC")
        for detector in DETECTORS:
            hits = len(detector.find(looked_at)) if len(looked_at) else 0
            if hits:
                found.append((column, detector.name, hits, detector.convicts(hits, texts, column)))
    return found


def candidates(texts: pa.Array) -> np.ndarray:
    """Positions of the texts that could be an identifier at all, ascending."""
    if not len(texts):
        return np.empty(0, dtype=np.int64)
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    plain = pc.string_is_ascii(texts).to_numpy(zero_copy_only=False)
    possible = np.where(plain, lengths >= _SHORTEST_NUMBER, lengths >= _SHORTEST_NAME)
    short = plain & (lengths >= _SHORTEST_ADDRESS) & (lengths < _SHORTEST_NUMBER)
    if short.any():
        possible |= short & pc.match_substring(texts, "@").to_numpy(zero_copy_only=False)
    if not possible.any():
        return np.empty(0, dtype=np.int64)
    possible &= ~_tokens(texts, lengths)
    return np.flatnonzero(possible)


def _tokens(texts: pa.Array, lengths: np.ndarray) -> np.ndarray:
    """Which texts are pseudonyms `k<digit>:` and 40 hexadecimal digits, by their bytes."""
    found = np.zeros(len(texts), dtype=bool)
    sized = np.flatnonzero(lengths == _TOKEN_BYTES)
    if len(sized):
        chosen = texts if len(sized) == len(texts) else texts.take(pa.array(sized))
        data = np.frombuffer(chosen.buffers()[2], dtype=np.uint8)
        start = int(np.frombuffer(chosen.buffers()[1], dtype=np.int32)[chosen.offset])
        letters = data[start : start + _TOKEN_BYTES * len(sized)].reshape(len(sized), _TOKEN_BYTES)
        good = (letters[:, 0] == ord("k")) & (letters[:, 2] == ord(":"))
        good &= (letters[:, 1] >= ord("0")) & (letters[:, 1] <= ord("9"))
        good &= _HEXADECIMAL[letters[:, 3:]].all(axis=1)
        found[sized] = good
    return found


def _at(delivered: DeliveredRows, column: str, detector: Detector, found: list[int]) -> Refusal:
    hits = pc.is_in(delivered.columns[column].indices, value_set=pa.array(found, pa.int32()))
    line = int(pc.index(hits, True).as_py()) + FIRST_LINE
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
