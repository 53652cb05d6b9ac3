"""Where pseudonyms stand in a growing list of them: a hash table that is kept and only added to.

Arrow's `index_in` builds its table anew at every call, which costs more than looking up a delivery. Pseudonyms of one length are
what nearly every list holds, and their digits are as good as random: a few of them are the hash.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

#: Bytes of a pseudonym that are hashed, the last ones; a shorter one can't be indexed.
SHORTEST = 16
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)
_EMPTY = np.int32(-1)


class TokenIndex:
    """Places of different texts of `width` bytes each, in the order in which they were added."""

    def __init__(self, width: int) -> None:
        if width < SHORTEST:
            raise ValueError(f"texts of {width} bytes are too short for this index")
        self.width = width
        self._texts = np.empty(0, dtype=f"S{width}")
        self._hashes = np.empty(0, dtype=np.uint64)
        self._size = 0
        self._slots = np.full(16, _EMPTY)

    def __len__(self) -> int:
        return self._size

    def add(self, texts: np.ndarray) -> None:
        """Add texts, uint8 of shape (texts, width), that are all different and not here yet."""
        first, self._size = self._size, self._size + len(texts)
        if self._size > len(self._texts):
            room = max(self._size, 2 * len(self._texts))
            self._texts = _enlarged(self._texts, first, room)
            self._hashes = _enlarged(self._hashes, first, room)
        self._texts[first : self._size] = _whole(texts)
        self._hashes[first : self._size] = _hashes(texts)
        if 2 * self._size > len(self._slots):
            self._slots = np.full(1 << int(4 * self._size - 1).bit_length(), _EMPTY)
            first = 0
        self._insert(np.arange(first, self._size, dtype=np.int32))

    def find(self, texts: np.ndarray) -> np.ndarray:
        """int32 of shape (texts,): the place of each text, -1 where it isn't here."""
        hashes, whole = _hashes(texts), _whole(texts)
        found = np.full(len(texts), _EMPTY)
        asked = np.arange(len(texts))
        slots = self._first_slots(hashes)
        while len(asked):
            places = self._slots[slots]
            there = places >= 0
            asked, slots, places = asked[there], slots[there], places[there]
            same = self._hashes[places] == hashes[asked]
            same[same] = self._texts[places[same]] == whole[asked[same]]
            found[asked[same]] = places[same]
            asked, slots = asked[~same], (slots[~same] + 1) & (len(self._slots) - 1)
        return found

    def _insert(self, places: np.ndarray) -> None:
        slots = self._first_slots(self._hashes[places])
        while len(places):
            free = self._slots[slots] == _EMPTY
            # Several may want one slot; whoever is written last has it, the others go on.
            self._slots[slots[free]] = places[free]
            left = self._slots[slots] != places
            places, slots = places[left], (slots[left] + 1) & (len(self._slots) - 1)

    def _first_slots(self, hashes: np.ndarray) -> np.ndarray:
        return (hashes >> np.uint64(65 - len(self._slots).bit_length())).astype(np.int64)


def fixed_width(texts: pa.Array) -> np.ndarray | None:
    """The bytes of texts of one length without nulls, uint8 of shape (texts, length), not copied; None for others."""
    if texts.null_count or not len(texts) or not pa.types.is_string(texts.type):
        return None
    ends = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    width = int(ends[1] - ends[0])
    if not width or int(ends[-1] - ends[0]) != width * len(texts) or (np.diff(ends) != width).any():
        return None
    written = np.frombuffer(texts.buffers()[2], dtype=np.uint8)
    return written[int(ends[0]) : int(ends[-1])].reshape(-1, width)


def _whole(texts: np.ndarray) -> np.ndarray:
    # NumPy takes no notice of zero bytes at the end, which can't make two texts of one length the same.
    return np.ascontiguousarray(texts).view(f"S{texts.shape[1]}").ravel()


def _hashes(texts: np.ndarray) -> np.ndarray:
    words = np.ascontiguousarray(texts[:, -SHORTEST:]).view(np.uint64)
    mixed = words[:, 0] * _MIX[0] + words[:, 1] * _MIX[1]
    return (mixed ^ (mixed >> np.uint64(29))) * _MIX[0]


def _enlarged(values: np.ndarray, used: int, room: int) -> np.ndarray:
    larger = np.empty(room, dtype=values.dtype)
    larger[:used] = values[:used]
    return larger
