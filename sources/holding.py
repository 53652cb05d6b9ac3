"""Rows that can't come in: the first reason of each, held back where the adapter says so, else the delivery is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import Refusal
from core.table_schema import Column
from sources.adapter import Adapter
from sources.column_rule import Reading
from sources.delivered_rows import FIRST_LINE, DeliveredRows
from sources.hold_reasons import TEXTS, Reason

#: One row for each held source row; no values.
HELD = pa.schema(
    [
        pa.field("row_no", pa.int32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("shape", pa.string(), nullable=False),
    ]
)


class Holding:
    """Reason and column of each held row of one delivery."""

    def __init__(self, delivered: DeliveredRows, adapter: Adapter) -> None:
        self._delivered = delivered
        self._adapter = adapter
        self._reasons = np.zeros(delivered.rows, dtype=np.uint8)
        self._columns = np.zeros(delivered.rows, dtype=np.int16)
        self._names: list[str] = []

    def held(self, rows: np.ndarray) -> np.ndarray:
        """Which of the rows (positions) are held, bool (rows,)."""
        return self._reasons[rows] != Reason.GOOD

    def forget(self, rows: np.ndarray) -> None:
        """Rows (positions) that were left out after all: a row has one fate."""
        self._reasons[rows] = Reason.GOOD

    @property
    def any(self) -> bool:
        """Whether a row is held."""
        return bool(self._reasons.any())

    def judge(
        self,
        rows: np.ndarray,
        faults: np.ndarray,
        source: str,
        rule: Reading | None = None,
        column: Column | None = None,
    ) -> None:
        """Note the faults (uint8 reasons, one for each of `rows`) that a source column gave as it was read for `column`; rows
        held before keep their reason. Raises the Refusal of the first row whose reason the adapter doesn't hold back.
        """
        faults = np.where(self.held(rows), Reason.GOOD, faults)
        found = [Reason(int(reason)) for reason in np.unique(faults) if reason != Reason.GOOD]
        if not found:
            return
        refused = [reason for reason in found if not self._holds(reason, rule)]
        if refused:
            first = int(np.isin(faults, refused).argmax())
            raise self._refusal(Reason(int(faults[first])), int(rows[first]), source, column)
        hit = faults != Reason.GOOD
        self._reasons[rows[hit]] = faults[hit]
        if source not in self._names:
            self._names.append(source)
        self._columns[rows[hit]] = self._names.index(source)

    def table(self) -> pa.Table:
        """One row for each held row, in the order of the file."""
        rows = np.flatnonzero(self._reasons)
        words = pa.array([reason.word for reason in Reason], pa.string())
        shapes = pa.array([""] * len(rows), pa.string())
        for place, name in enumerate(self._names):
            mine = self._columns[rows] == place
            if name in self._delivered.columns and mine.any():
                told = self._delivered.shapes(name, rows[mine])
                where = np.cumsum(mine) - 1
                shapes = pc.if_else(pa.array(mine), told.take(pa.array(where, mask=~mine)), shapes)
        return pa.table(
            {
                "row_no": pa.array((rows + 1).astype(np.int32)),
                "reason": words.take(pa.array(self._reasons[rows])),
                "column": pa.array(self._names or [""], pa.string()).take(pa.array(self._columns[rows])),
                "shape": shapes,
            },
            schema=HELD,
        )

    def require_few(self, delivered: int) -> None:
        """Refuse the delivery where more than the adapter's share of its rows is held: then it isn't rows that are wrong."""
        held = int((self._reasons != Reason.GOOD).sum())
        if held <= self._adapter.quarantine.at_most * delivered:
            return
        counts = np.bincount(self._reasons, minlength=len(Reason))
        counts[Reason.GOOD] = 0
        worst = Reason(int(counts.argmax()))
        first = int((self._reasons == worst).argmax())
        raise Refusal(
            "REFUSED/QUARANTINE",
            f"{held:,} of {delivered:,} rows would be held back, more than {self._adapter.quarantine.at_most:.1%}; "
            f"most often: {worst.word}.",
            file=self._delivered.file,
            line=first + FIRST_LINE,
            column=self._names[self._columns[first]],
            remedy=TEXTS[worst].remedy.format(self._adapter.adapter),
        )

    def _holds(self, reason: Reason, rule: Reading | None) -> bool:
        if reason is Reason.HELD_WITH_GROUP or reason is Reason.SEVERAL_CODES:
            # Both come up only where the adapter asked for them (`grain` with something held; `split`).
            return True
        if (
            reason in (Reason.UNKNOWN_CODE, Reason.RETIRED_CODE)
            and rule is not None
            and rule.on_unknown is not None
        ):
            return rule.on_unknown == "quarantine"
        key = self._adapter.key
        if reason is Reason.NO_KEY and key is not None and key.missing is not None:
            return key.missing == "quarantine"
        return reason.word in self._adapter.quarantine.hold

    def _refusal(self, reason: Reason, row: int, source: str, column: Column | None) -> Refusal:
        text = TEXTS[reason]
        what = _told(reason, column)
        remedy = text.remedy.format(self._adapter.adapter)
        if source in self._delivered.columns:
            return self._delivered.refuse(text.code, row, source, what, remedy)
        return Refusal(
            text.code,
            f"{what}.",
            file=self._delivered.file,
            line=row + FIRST_LINE,
            column=source,
            remedy=remedy,
        )


def _told(reason: Reason, column: Column | None) -> str:
    what = TEXTS[reason].what
    if column is None:
        return what.format("value")
    if reason is Reason.OUT_OF_RANGE:
        low, high = ("…" if limit is None else f"{limit:,.12g}" for limit in (column.minimum, column.maximum))
        return f"{what} of {column.name}, {low} to {high} {column.unit}".rstrip()
    return what.format(column.type if reason is Reason.UNREADABLE else column.name)
