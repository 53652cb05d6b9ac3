"""Rows on their way into a file: what the source means, before its dialect writes it down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Nothing known: amounts (fen, int64), moments (seconds since 1970 in China's civil time), days since 1970 (int32), and codes,
#: flags and indexes (negative).
NO_AMOUNT = np.iinfo(np.int64).min
NO_MOMENT = -1
NO_DAY = np.iinfo(np.int32).min
NO_CODE = -1


@dataclass(frozen=True)
class Rows:
    """`subject` (rows,) indexes the population; each column has shape (rows,).

    Amounts are int64 fen, days int32 since 1970-01-01, codes and flags positions in the feed's list, references to subjects,
    employers, meters and accounts positions in their pools; text is an Arrow string array.
    """

    subject: np.ndarray
    columns: dict[str, np.ndarray | pa.Array]

    def __len__(self) -> int:
        return len(self.subject)

    def take(self, mask: np.ndarray) -> Rows:
        """The rows of a mask."""
        if mask.all():
            return self
        kept = np.flatnonzero(mask)
        columns = {
            n: c[kept] if isinstance(c, np.ndarray) else c.take(pa.array(kept))
            for n, c in self.columns.items()
        }
        return Rows(self.subject[kept], columns)

    def followed_by(self, other: Rows) -> Rows:
        """These rows and then the other's, which has the same columns."""
        columns = {
            name: np.concatenate([mine, theirs])
            if isinstance(mine, np.ndarray) and isinstance(theirs := other.columns[name], np.ndarray)
            else pa.concat_arrays([mine, other.columns[name]])
            for name, mine in self.columns.items()
        }
        return Rows(np.concatenate([self.subject, other.subject]), columns)

    def with_columns(self, **columns: np.ndarray) -> Rows:
        """The same rows with other content in these columns."""
        return Rows(self.subject, self.columns | columns)


@dataclass(frozen=True)
class Versions:
    """One month of a table: `first` as it looks at the first sending, `final` one month later, row by row.

    `happened` (days since 1970) is when an event came to be, or None where rows stand for the whole month.
    """

    first: Rows
    final: Rows
    happened: np.ndarray | None = None

    def changed(self) -> np.ndarray:
        """Mask of rows whose two versions differ."""
        differs = np.zeros(len(self.final), dtype=bool)
        for name, last in self.final.columns.items():
            early = self.first.columns[name]
            if early is not last:
                assert isinstance(early, np.ndarray), "text is never restated"
                differs |= early != last
        return differs


def fen(yuan: np.ndarray) -> np.ndarray:
    """Whole fen from CNY."""
    return np.rint(np.asarray(yuan, dtype=np.float64) * 100).astype(np.int64)


def numbered(prefix: str, count: int, digits: int = 6) -> pa.Array:
    """Serial numbers `prefix000000`, `prefix000001`, ... shape (count,)."""
    serial = pc.utf8_lpad(pc.cast(pa.array(np.arange(count)), pa.string()), digits, "0")
    return pc.binary_join_element_wise(prefix, serial, "")
