"""The delivered strings as they came, each different text of a column once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from sources.shape import shape

#: The header is line 1, so the first row (position 0) is line 2.
FIRST_LINE = 2


class DeliveredRows:
    """The delivered strings, one dictionary-encoded column each; nothing is lost or changed here."""

    def __init__(self, delivered: pa.Table, file: str) -> None:
        self.file = file
        self.rows = delivered.num_rows
        self.columns: dict[str, pa.DictionaryArray] = {
            name: _encoded(delivered.column(name)) for name in delivered.column_names
        }

    def texts(self, column: str) -> pa.Array:
        """The different texts of a column."""
        return self.columns[column].dictionary

    def places(self, column: str) -> np.ndarray:
        """Which of the different texts each row has, int32 (rows,)."""
        return self.columns[column].indices.to_numpy()

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


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if column.num_chunks == 0:
        return pa.array([], pa.string()).dictionary_encode()
    whole = column.combine_chunks()
    return whole.dictionary_encode() if isinstance(whole, pa.Array) else whole.chunk(0).dictionary_encode()
