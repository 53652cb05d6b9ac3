"""The search through a delivery: every column, ignored ones too, every row.

Each different text is looked at once. Most are settled by the classes of their bytes; the rest go to the detectors that
their form calls for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from sources.delivered_rows import FIRST_LINE, DeliveredRows
from sources.identity.byte_classes import (
    AT,
    BLANK,
    DIGIT,
    HIGH,
    LOWER,
    MARK,
    UPPER,
    ByteClasses,
    byte_classes,
    lengths_of,
    shortest_that_identifies,
    whole_tokens,
)
from sources.identity.clues import CARD, PHONE, SHORT_RESIDENT, USCC, Clue, Kind
from sources.identity.whole_numbers import number_clues
from sources.identity.words import email_clue, word_clues
from sources.identity.written_numbers import base64_clues, code_clues, hex_clues, prose_clues

#: Digits of a mobile telephone, the shortest number looked for. A landline written apart has ten.
_FEWEST_DIGITS = 10
#: A card number; nothing longer is a number of somebody. Letters stand in credit codes and at the end of resident ids.
_LONGEST_NUMBER, _CREDIT_CODE = 19, 18
#: Digits that every credit code has: its kind of body and its region; its other characters may all be letters.
_FEWEST_IN_CREDIT_CODE = 7
#: Nine digits in base64, and eleven in hexadecimal ASCII.
_SHORTEST_BASE64, _FEWEST_IN_HEX = 12, 22
#: Characters around a whole number that don't belong to it: blanks, quotes, the apostrophe of spreadsheets.
_AROUND = " \t\u00a0\u3000\u200b\ufeff'\"`"
#: What a source's own codes may be, or look like.
_CODES = (USCC, PHONE, CARD, SHORT_RESIDENT)
_REMEDY = "Delete the file, tell the data protection officer; the source must pseudonymise."


def column_clues(texts: pa.Array, rows: int) -> list[Clue]:
    """Clues in the different texts of one column of `rows` rows; positions are those in `texts`."""
    lengths = lengths_of(texts)
    wanted = lengths >= shortest_that_identifies(texts)
    if wanted.any():
        wanted &= ~whole_tokens(texts, lengths)
    places = np.flatnonzero(wanted)
    if not len(places):
        return []
    some = texts if len(places) == len(texts) else texts.take(pa.array(places))
    some, classes = _plain(some, byte_classes(some))
    # A pseudonym with blanks around it or in full width is one still.
    left = np.flatnonzero(~whole_tokens(some, classes.lengths))
    if len(left) < len(places):
        some, classes, places = some.take(pa.array(left)), classes.of(left), places[left]
    clues = _looked(some, classes, texts, rows)
    return [clue.at(places) for clue in clues]


def _plain(texts: pa.Array, classes: ByteClasses) -> tuple[pa.Array, ByteClasses]:
    """Texts with full-width and other compatibility characters in their plain form and without what stands around."""
    if not classes.has(HIGH | BLANK | MARK).any():
        return texts, classes
    if classes.has(HIGH).any():
        # Decomposed, so that an accent laid over a digit or an X doesn't hide it.
        texts = pc.replace_substring_regex(pc.utf8_normalize(texts, form="NFKD"), r"\p{M}+", "")
    texts = pc.utf8_trim(texts, characters=_AROUND)
    return texts, byte_classes(texts)


def _looked(texts: pa.Array, classes: ByteClasses, column: pa.Array, rows: int) -> list[Clue]:
    """Each text to the detectors that its bytes call for."""
    high = classes.has(HIGH)
    numeric = classes.digits >= _FEWEST_DIGITS
    lettered = (classes.digits >= _FEWEST_IN_CREDIT_CODE) & (classes.lengths >= _CREDIT_CODE)
    lettered &= classes.has(UPPER | LOWER)
    whole = numeric & classes.only(DIGIT) & (classes.lengths <= _LONGEST_NUMBER)
    whole |= lettered & classes.only(DIGIT | UPPER | LOWER) & (classes.lengths == _CREDIT_CODE)
    # Digits of other scripts, and Chinese numerals, take two bytes at least.
    spoken = high & (classes.lengths + classes.digits >= 2 * _FEWEST_DIGITS)
    prose = spoken | (numeric & classes.has(MARK)) | (lettered & classes.has(MARK | BLANK))
    # Letters and digits without a break hold an id only where the digits are enough for one.
    code = numeric & ~prose & ~whole & ((classes.digits >= 17) | ~classes.only(DIGIT | UPPER | LOWER))
    mixed = classes.has(UPPER) & classes.has(LOWER) & (classes.lengths >= _SHORTEST_BASE64)
    looks: tuple[tuple[np.ndarray, Callable[[pa.Array, np.ndarray], list[Clue]]], ...] = (
        (whole, lambda some, lengths: number_clues(pc.utf8_upper(some), lengths, column)),
        (code, lambda some, _: code_clues(some)),
        (prose, lambda some, _: prose_clues(some)),
        (mixed, lambda some, _: base64_clues(some)),
        (classes.digits >= _FEWEST_IN_HEX, lambda some, _: hex_clues(some)),
        (classes.has(AT), lambda some, _: [email_clue(some)]),
        (high, lambda some, _: word_clues(some, rows)),
    )
    clues: list[Clue] = []
    for mask, look in looks:
        at = np.flatnonzero(mask)
        if len(at):
            some = texts if len(at) == len(texts) else texts.take(pa.array(at))
            clues += [clue.at(at) for clue in look(some, classes.lengths[at])]
    return clues


def convincing(column: str, clues: Iterable[Clue], exempt: bool = False) -> Clue | None:
    """What the column holds by the clues that convince: of the kind with most of them, all its hits; None where it is clean.

    `exempt`: the adapter replaces this column's codes by pseudonyms on entry, so credit codes, and codes that look like a
    telephone or a card, may stand in it; ids of residents may not.
    """
    told = [clue for clue in clues if not (exempt and clue.kind in _CODES) and clue.convinces(column)]
    if not told:
        return None
    kind = max(told, key=lambda clue: len(clue.hits)).kind
    hits = np.unique(np.concatenate([clue.hits for clue in told if clue.kind is kind]))
    return Clue(kind, hits, len(hits))


def refuse_identities(delivered: DeliveredRows, pseudonymised: Collection[str] = ()) -> None:
    """Raise REFUSED/IDENTITY at the first cell of the first column that holds identifiers, or at the file's name.

    `pseudonymised` names columns whose codes the adapter replaces on entry.
    """
    check_file_name(delivered.file)
    for column in delivered.columns:
        found = convincing(column, _clues(delivered, column), column in pseudonymised)
        if found is not None:
            line = delivered.first_row(column, found.hits) + FIRST_LINE
            raise refusal(found.kind, delivered.file, column, line)


def _clues(delivered: DeliveredRows, column: str) -> list[Clue]:
    """Clues in the different texts of a column. Of a plain one the cells are looked at as they are: only where there is a clue
    does it matter that some stand more than once."""
    texts, others = delivered.texts(column), np.flatnonzero(~delivered.tokens(column))
    if not len(others):
        return []
    some = texts if len(others) == len(texts) else texts.take(pa.array(others))
    clues = column_clues(some, delivered.rows)
    if delivered.is_plain(column) and any(len(clue.hits) for clue in clues):
        _, first = np.unique(some.dictionary_encode().indices.to_numpy(), return_index=True)
        clues = [clue.at(first) for clue in column_clues(some.take(pa.array(first)), delivered.rows)]
    return [clue.at(others) for clue in clues]


def check_file_name(name: str) -> None:
    """Raise REFUSED/IDENTITY where a file's name holds an identifier; the name isn't quoted."""
    # Names are joined by underscores and hyphens; to a reader they are blanks.
    words = pa.array([name.replace("_", " ") + " ."])
    found = convincing("", [*column_clues(words, 1), *column_clues(pa.array([Path(name).stem]), 1)])
    if found is not None:
        raise Refusal(
            "REFUSED/IDENTITY",
            f"the file's name holds {found.kind.told}.",
            file="a data file",
            remedy=_REMEDY,
        )


def refusal(kind: Kind, file: str, column: str, line: int, remedy: str = _REMEDY) -> Refusal:
    """What is said of a column that holds such identifiers; never the cell."""
    return Refusal(
        "REFUSED/IDENTITY",
        f"a cell holds {kind.told}.",
        file=file,
        line=line,
        column=column,
        remedy=remedy,
    )
