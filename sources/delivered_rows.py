"""The delivered strings as they came, a text that many rows have held once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from sources.alike_rows import text_marks
from sources.shape import shape
from sources.token_form import are_tokens

#: The header is line 1, so the first row (position 0) is line 2.
FIRST_LINE = 2


class DeliveredRows:
    """The delivered strings; nothing is lost or changed here.

    A column is held as its different texts and the place of each row's among them, or, where nearly every row has its own
    (tokens, bill numbers), plainly: then `texts` are the cells themselves and a text may stand among them more than once.
    """

    def __init__(self, delivered: pa.Table, file: str) -> None:
        self.file = file
        self.rows = delivered.num_rows
        self.columns: dict[str, pa.StringArray | pa.DictionaryArray] = {
            name: _whole(delivered.column(name)) for name in delivered.column_names
        }
        self._tokens: dict[str, np.ndarray] = {}
        self._marks: dict[str, np.ndarray | None] = {}

    def is_plain(self, column: str) -> bool:
        """Whether the column is held as its cells."""
        return not pa.types.is_dictionary(self.columns[column].type)

    def texts(self, column: str) -> pa.Array:
        """The texts of a column, each at least once."""
        held = self.columns[column]
        return held if self.is_plain(column) else held.dictionary

    def places(self, column: str) -> np.ndarray:
        """Which of the texts each row has, int32 (rows,)."""
        return self.each_row if self.is_plain(column) else self.columns[column].indices.to_numpy()

    @cached_property
    def each_row(self) -> np.ndarray:
        """The places of a plain column; told from other places by being this very array."""
        return np.arange(self.rows, dtype=np.int32)

    def marks(self, column: str) -> np.ndarray | None:
        """A number for each row, the same where the texts are and nearly always another where they aren't; None where only
        looking at the texts would tell."""
        if not self.is_plain(column):
            return self.places(column)
        if column not in self._marks:
            self._marks[column] = text_marks(self.columns[column])
        return self._marks[column]

    def cells(self, column: str, rows: np.ndarray) -> pa.Array:
        """The cells of these rows."""
        return self.texts(column).take(pa.array(self.places(column)[rows]))

    def tokens(self, column: str) -> np.ndarray:
        """Which of the texts are pseudonyms just as they are written at rest, bool (texts,)."""
        if column not in self._tokens:
            self._tokens[column] = are_tokens(self.texts(column))
        return self._tokens[column]

    def first_row(self, column: str, found: Sequence[int] | np.ndarray) -> int:
        """The first row that has one of the texts at these places."""
        hit = np.zeros(len(self.texts(column)), dtype=bool)
        hit[np.asarray(found)] = True
        return int(hit[self.places(column)].argmax())

    def holds(self, column: str, wanted: tuple[str, ...]) -> np.ndarray:
        """Which rows have one of these texts in a column, blanks around it apart; bool (rows,)."""
        meant = pc.is_in(
            pc.utf8_trim_whitespace(self.texts(column)), value_set=pa.array(list(wanted), pa.string())
        )
        return meant.to_numpy(zero_copy_only=False).astype(bool)[self.places(column)]

    def shapes(self, column: str, rows: np.ndarray) -> pa.Array:
        """Shapes of the cells of some rows (positions), `9999-9-99`; each different text is looked at once."""
        places = self.places(column)[rows]
        different, at = np.unique(places, return_inverse=True)
        shapes = [shape(text) for text in self.texts(column).take(pa.array(different)).to_pylist()]
        return pa.array(shapes, pa.string()).take(pa.array(at))

    def refuse(self, code: str, row: int, column: str, what: str, remedy: str) -> Refusal:
        """A refusal that points at one cell."""
        text = self.texts(column)[int(self.places(column)[row])].as_py()
        return Refusal(
            code,
            f"{what} (a cell of the shape `{shape(text)}`).",
            file=self.file,
            line=row + FIRST_LINE,
            column=column,
            remedy=remedy,
        )


def _whole(column: pa.ChunkedArray) -> pa.StringArray | pa.DictionaryArray:
    if column.num_chunks == 0:
        return pa.array([], pa.string()).dictionary_encode()
    whole = column.combine_chunks() if column.num_chunks > 1 else column.chunk(0)
    return whole if isinstance(whole, pa.Array) else whole.chunk(0)
