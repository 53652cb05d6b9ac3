"""Rows of an erased subject that were held back: the archive has lost them, so nothing may wait for them any more.

What was noted of them (row number, reason, column) goes, and the ledger counts them as left out: erased. Rows that were released
before lie in the raw table and go with it.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import Refusal
from core.state import Delivery, LeftOut, Quarantined
from rights.installation import Installation
from sources.erased import LEFT_OUT
from sources.quarantine import noted_rows, quarantine_table
from sources.redaction import read_archived, redaction_of


def forget_held_rows(home: Installation) -> dict[str, int]:
    """Every delivery that holds or held rows, against what its archived files still have. Doing it again changes nothing."""
    forgotten = 0
    with home.state.session() as session:
        held = select(Quarantined.delivery_no).distinct()
        entries = list(
            session.scalars(
                select(Delivery).where(Delivery.delivery_no.in_(held)).order_by(Delivery.delivery_no)
            )
        )
    for entry in entries:
        left = _numbers_left(home, entry)
        if left is not None:
            _forget_notes(home, entry, left)
            with home.state.session() as session:
                forgotten += _account(session, home, session.get_one(Delivery, entry.delivery_no))
    return {"held_rows_removed": forgotten}


def _numbers_left(home: Installation, entry: Delivery) -> np.ndarray | None:
    """Numbers, among all rows of the delivery, of those that its archived files still have; None where nobody was erased from
    any of them."""
    names = entry.archive.split()
    if all(redaction_of(home.state, name) is None for name in names):
        return None
    before, found = 0, [np.empty(0, dtype=np.int64)]
    for name in names:
        try:
            rows = read_archived(home.settings.archive, name, home.adapters[entry.adapter], home.state)
        except Refusal:
            return None
        if rows is None:
            return None
        found.append(rows.row_no.astype(np.int64) + before)
        before += len(rows.row_no) + rows.removed
    return np.concatenate(found)


def _forget_notes(home: Installation, entry: Delivery, left: np.ndarray) -> None:
    """Take out the notes of rows that are held still and in no archived file any more."""

    def without(rows: pa.Table) -> pa.Table | None:
        mine = pc.equal(rows.column("delivery_no"), entry.delivery_no).to_numpy()
        numbers = rows.column("row_no").to_numpy()
        released = numbers[mine & rows.column("released_by").is_valid().to_numpy()]
        gone = mine & ~np.isin(numbers, left) & ~np.isin(numbers, released)
        return rows.filter(pa.array(~gone)).combine_chunks() if gone.any() else None

    home.store.rewrite(quarantine_table(entry), entry.period, without)


def _account(session: Session, home: Installation, entry: Delivery) -> int:
    """Bring the ledger in step with what is noted still; returns how many rows moved from quarantined to left out."""
    noted = noted_rows(home.store, entry)
    noted = noted.filter(pc.is_null(noted.column("released_by")))
    moved = (entry.rows_quarantined or 0) - noted.num_rows
    if moved <= 0:
        return 0
    pairs = zip(noted.column("reason").to_pylist(), noted.column("column").to_pylist(), strict=True)
    counts = Counter(pairs)
    for held in list(entry.quarantined):
        held.rows = counts[held.reason, held.column]
        if not held.rows:
            session.delete(held)
    entry.rows_quarantined = noted.num_rows
    left = session.get(LeftOut, (entry.delivery_no, LEFT_OUT))
    if left is None:
        session.add(LeftOut(delivery_no=entry.delivery_no, reason=LEFT_OUT, rows=moved))
    else:
        left.rows += moved
    return moved
