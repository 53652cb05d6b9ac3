"""A first look at many texts: how long they are and of what they consist, in two passes over their bytes.

Nearly every cell of a delivery is an amount, a date, a code or a pseudonym, and can't hold an identifier for want of digits
or letters. Saying so costs a nanosecond a byte; a regular expression costs a hundred times that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

DIGIT, UPPER, LOWER, AT, HIGH, OTHER, MARK, BLANK = 1, 2, 4, 8, 16, 32, 64, 128

_CLASS = np.full(256, OTHER, dtype=np.uint8)
_CLASS[[ord(character) for character in " \t"]] = BLANK
#: Punctuation of prose, lists, JSON and addresses of pages; hyphens, dots and underscores stand in codes too.
_CLASS[[ord(character) for character in ",:;{}[]()<>\"'=&?/|\\%"]] = MARK
_CLASS[ord("0") : ord("9") + 1] = DIGIT
_CLASS[ord("A") : ord("Z") + 1] = UPPER
_CLASS[ord("a") : ord("z") + 1] = LOWER
_CLASS[ord("@")] = AT
_CLASS[128:] = HIGH
_TABLE = _CLASS.tobytes()
_IS_HEX = np.zeros(256, dtype=bool)
_IS_HEX[[ord(character) for character in "0123456789abcdefABCDEF"]] = True

#: `k1:` to `k9:` and `k10:` to `k99:` with their 40 hexadecimal digits; longer ones are searched like other text.
_TOKEN_LENGTHS = (43, 44)


@dataclass(frozen=True)
class ByteClasses:
    """Of each text: `lengths` in bytes, `digits` how many are ASCII digits, `kinds` which classes of bytes it has (bits);
    all of shape (texts,).
    """

    lengths: np.ndarray
    digits: np.ndarray
    kinds: np.ndarray

    def of(self, places: np.ndarray) -> ByteClasses:
        """The classes of some texts."""
        return ByteClasses(self.lengths[places], self.digits[places], self.kinds[places])

    def has(self, kind: int) -> np.ndarray:
        """Which texts have a byte of one of these classes."""
        return (self.kinds & kind) != 0

    def only(self, kind: int) -> np.ndarray:
        """Which texts have bytes of these classes alone; empty ones too."""
        return (self.kinds & (255 - kind)) == 0


def lengths_of(texts: pa.Array) -> np.ndarray:
    """Bytes of each text, int32 (texts,); null counts as empty."""
    return np.diff(_offsets(texts))


def shortest_that_identifies(texts: pa.Array) -> int:
    """Bytes that a text must have to hold an identifier: a number has ten, a name or an e-mail address six."""
    data = _data(texts, _offsets(texts))
    return 6 if len(data) and (data.max() >= 128 or (data == ord("@")).any()) else 10


def byte_classes(texts: pa.Array) -> ByteClasses:
    """The classes of texts of the type string."""
    offsets = _offsets(texts)
    lengths = np.diff(offsets)
    data = _data(texts, offsets)
    digits, kinds = np.zeros(len(texts), dtype=np.int32), np.zeros(len(texts), dtype=np.uint8)
    filled = np.flatnonzero(lengths)
    if len(filled):
        # Empty texts take no bytes, so the next start is where a text ends.
        starts = (offsets[:-1][filled] - offsets[0]).astype(np.int64)
        # `translate` is ten times as fast as looking up by an array.
        classes = np.frombuffer(bytes(data).translate(_TABLE), dtype=np.uint8)
        kinds[filled] = np.bitwise_or.reduceat(classes, starts)
        digits[filled] = np.add.reduceat((classes == DIGIT).view(np.uint8), starts, dtype=np.int32)
    return ByteClasses(lengths, digits, kinds)


def whole_tokens(texts: pa.Array, lengths: np.ndarray) -> np.ndarray:
    """Which texts are a pseudonym and nothing else: `k1:` and 40 hexadecimal digits in either case, random by their making."""
    found = np.zeros(len(texts), dtype=bool)
    for length in _TOKEN_LENGTHS:
        right = lengths == length
        if not right.any():
            continue
        every = right.all()
        rows = np.flatnonzero(right)
        some = texts if every else texts.take(pa.array(rows))
        offsets = _offsets(some)
        table = _data(some, offsets).reshape(len(some), length)
        good = ((table[:, 0] | 32) == ord("k")) & (table[:, length - 41] == ord(":"))
        good &= (_CLASS[table[:, 1 : length - 41]] == DIGIT).all(axis=1)
        good &= _IS_HEX[table[:, length - 40 :]].all(axis=1)
        found[rows] = good
    return found


def _offsets(texts: pa.Array) -> np.ndarray:
    if not len(texts):
        return np.zeros(1, dtype=np.int32)
    return np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]


def _data(texts: pa.Array, offsets: np.ndarray) -> np.ndarray:
    buffer = texts.buffers()[2] if len(texts) else None
    if buffer is None:
        return np.zeros(0, dtype=np.uint8)
    return np.frombuffer(buffer, dtype=np.uint8)[int(offsets[0]) : int(offsets[-1])]
