"""The rows of a table as a reader of it could group them: quasi-identifiers and sensitive columns as small whole numbers.

Everything measured here asks only whether two cells are equal, so each column is held as the position of its text among its
different texts. A missing cell is a value of its own: an attacker sees that it is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.errors import GsceneError

#: Combined groups are held in 63 bits; beyond this product they are numbered afresh.
_ROOM = 2**62


@dataclass(frozen=True)
class Coded:
    """One column: `places` int32 (rows,) into `texts`, the different ones."""

    texts: tuple[str, ...]
    places: np.ndarray

    def mapped(self, change: Callable[[str], str]) -> Coded:
        """The column with each different text replaced; texts that become equal become one."""
        changed = [change(text) for text in self.texts]
        position: dict[str, int] = {}
        at = np.array([position.setdefault(text, len(position)) for text in changed], dtype=np.int32)
        return Coded(tuple(position), at[self.places] if len(at) else self.places)


@dataclass(frozen=True)
class People:
    """Rows of a table; `subject` says whose they are (codes, or None where each row is somebody else). `weights`: each row
    stands for so many people, by default one.
    """

    columns: dict[str, Coded]
    subject: np.ndarray | None
    rows: int
    weights: np.ndarray | None = None

    def groups(self, names: Sequence[str]) -> np.ndarray:
        """int64 (rows,): rows that are equal in these columns have the same number."""
        combined, product = np.zeros(self.rows, dtype=np.int64), 1
        for name in names:
            column = self.columns[name]
            size = max(1, len(column.texts))
            if product > _ROOM // size:
                different, combined = np.unique(combined, return_inverse=True)
                product = len(different)
            combined = combined * size + column.places
            product *= size
        return combined

    def class_sizes(self, names: Sequence[str]) -> np.ndarray:
        """People in each set of rows that are equal in these columns, int64 (classes,); each subject counts once a class."""
        groups = self.groups(names)
        if self.subject is not None:
            _, at = np.unique(groups, return_inverse=True)
            subjects = int(self.subject.max(initial=0)) + 1
            pairs = np.unique(at.astype(np.int64) * subjects + self.subject)
            return np.unique(pairs // subjects, return_counts=True)[1]
        if self.weights is None:
            return np.unique(groups, return_counts=True)[1]
        _, at = np.unique(groups, return_inverse=True)
        return np.bincount(at, weights=self.weights).astype(np.int64)

    def distinct(self, names: Sequence[str]) -> People:
        """One row for each different combination of these columns, weighted by how many there are; where subjects are told,
        the rows as they are, since a subject may have several.
        """
        if self.subject is not None:
            return self
        _, first, counts = np.unique(self.groups(names), return_index=True, return_counts=True)
        columns = {name: Coded(self.columns[name].texts, self.columns[name].places[first]) for name in names}
        return People(columns, None, len(first), counts)


class Gathering:
    """Collects the wanted columns of a file that comes block by block."""

    def __init__(self, names: Iterable[str], subject: str | None) -> None:
        self.names = list(dict.fromkeys(names))
        self.subject = subject
        self._wanted = [*self.names, *([subject] if subject and subject not in self.names else [])]
        self._position: dict[str, dict[str, int]] = {name: {} for name in self._wanted}
        self._pieces: dict[str, list[np.ndarray]] = {name: [] for name in self._wanted}

    def add(self, name: str, cells: pa.DictionaryArray) -> None:
        """One block of a column; others than the wanted are passed over."""
        if name not in self._position:
            return
        position = self._position[name]
        at = np.array(
            [position.setdefault(text, len(position)) for text in cells.dictionary.to_pylist()],
            dtype=np.int32,
        )
        places = cells.indices.to_numpy()
        self._pieces[name].append(at[places] if len(at) else places.astype(np.int32))

    def people(self) -> People:
        """All blocks; GsceneError where a wanted column never came."""
        missing = [name for name, pieces in self._pieces.items() if not pieces]
        if missing:
            raise GsceneError(
                f"the table has no column {', '.join(missing)}.", "Name columns that it has with --quasi."
            )
        whole = {name: np.concatenate(pieces) for name, pieces in self._pieces.items()}
        columns = {name: Coded(tuple(self._position[name]), whole[name]) for name in self.names}
        subject = whole[self.subject] if self.subject else None
        return People(columns, subject, len(next(iter(whole.values()))))
