"""Quarantine: source rows of accepted deliveries that are held back until their adapter is mended.

`quarantine/<owner>/<table>` says which rows, by number, reason and column: no values, the archive keeps the bytes. The ledger
counts them by reason and column, with the shape of one such cell. Rows released later are noted beside, by the delivery that
brought them in, so that nothing is ever rewritten and a process that died half way through is completed by the next.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.state import Delivery, Quarantined, StateDatabase
from core.table_schema import TableSchema
from core.table_store import TableStore
from sources.convert import Converted
from sources.grain import group_numbers
from sources.hold_reasons import BY_WORD, TEXTS, Reason
from sources.holding import HELD
from sources.ledger import ACCEPTED, raw_table_of, same_feed

#: `Delivery.basis` of an entry that brings rows of an earlier delivery in, after its adapter was mended.
RELEASED = "released"

ROWS = pa.schema(
    [
        pa.field("delivery_no", pa.int32(), nullable=False),
        pa.field("row_no", pa.int32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("released_by", pa.int32()),
    ]
)


def quarantine_table(entry: Delivery) -> str:
    """Table-store name of the held rows of an entry's table."""
    return f"quarantine/{entry.subject}/{entry.table}"


def hold(session: Session, store: TableStore, entry: Delivery, converted: Converted) -> None:
    """Note what a delivery's reading held back, in the caller's transaction; for an entry that releases rows, what it brought
    in. Doing it again changes nothing.
    """
    if entry.basis == RELEASED:
        _note_released(session, store, entry, converted)
        return
    held = converted.quarantined
    entry.rows_quarantined = held.num_rows
    if not held.num_rows:
        return
    _append(store, entry, entry.delivery_no, held.select(["row_no", "reason", "column"]), None)
    shapes = Counter(
        zip(*(held.column(name).to_pylist() for name in ("reason", "column", "shape")), strict=True)
    )
    counts: Counter[tuple[str, str]] = Counter()
    for (reason, column, _), rows in shapes.items():
        counts[reason, column] += rows
    for (reason, column), rows in sorted(counts.items()):
        alike = {shape: n for (r, c, shape), n in shapes.items() if (r, c) == (reason, column)}
        # The commonest shape, the first of them by letters where several are as common.
        shape = min(alike, key=lambda one: (-alike[one], one))
        session.add(
            Quarantined(
                delivery_no=entry.delivery_no,
                reason=reason,
                column=column,
                rows=rows,
                released=0,
                shape=shape,
            )
        )


def held_rows(session: Session, store: TableStore, entry: Delivery) -> pa.Table:
    """Rows of a delivery that are held still: row_no, reason, column, in the order of the file."""
    noted = noted_rows(store, entry)
    came_in = [
        number
        for number in pc.unique(noted.column("released_by")).drop_null().to_pylist()
        if (releasing := session.get(Delivery, number)) is not None and releasing.state == ACCEPTED
    ]
    released = noted.filter(pc.is_in(noted.column("released_by"), value_set=pa.array(came_in, pa.int32())))
    held = noted.filter(pc.is_null(noted.column("released_by")))
    gone = pc.is_in(held.column("row_no"), value_set=released.column("row_no").combine_chunks())
    return held.filter(pc.invert(gone)).select(["row_no", "reason", "column"]).sort_by("row_no")


def held_positions(session: Session, store: TableStore, entry: Delivery) -> np.ndarray:
    """Positions (from 0) of the rows that an entry of basis RELEASED is about."""
    origin = session.get_one(Delivery, entry.made_from)
    return held_rows(session, store, origin).column("row_no").to_numpy().astype(np.int64) - 1


def without_collisions(
    converted: Converted,
    rows: pa.Table,
    entry: Delivery,
    schema: TableSchema,
    store: TableStore,
    state: StateDatabase,
) -> tuple[Converted, pa.Table]:
    """Released rows without those whose business key the same delivery has brought in already; those stay held.

    `rows` are the canonical rows with subject numbers and envelope; both come back without the collisions.
    """
    key = ["subject_no" if name == "subject_id" else name for name in schema.business_key if name != "period"]
    table = raw_table_of(entry)
    if not key or not schema.unique_per_delivery or not rows.num_rows or not store.exists(table):
        return converted, rows
    with state.session() as session:
        query = select(Delivery.delivery_no).where(Delivery.made_from == entry.made_from)
        siblings = [entry.made_from, *session.scalars(query)]
    there = store.read(table, [entry.period], columns=[*key, "delivery_no"])
    theirs = [number for number in siblings if number != entry.delivery_no]
    there = there.filter(pc.is_in(there.column("delivery_no"), value_set=pa.array(theirs, pa.int32())))
    keys = pa.concat_tables([there.select(key), rows.select(key)], promote_options="permissive")
    groups, count = group_numbers(keys)
    known = np.zeros(count, dtype=bool)
    known[groups[: there.num_rows]] = True
    numbers = np.abs(rows.column("row_no").to_numpy())
    collided = np.isin(numbers, numbers[known[groups[there.num_rows :]]])
    if not collided.any():
        return converted, rows
    still = np.unique(numbers[collided]).astype(np.int32)
    texts = {"reason": Reason.DUPLICATE_KEY.word, "column": "", "shape": ""}
    columns = {name: pa.repeat(pa.scalar(text), len(still)) for name, text in texts.items()}
    held = pa.table({"row_no": pa.array(still), **columns}, schema=HELD)
    kept = pa.array(~np.isin(np.abs(converted.rows.column("row_no").to_numpy()), still))
    converted = replace(
        converted,
        rows=converted.rows.filter(kept),
        subject_codes=converted.subject_codes.filter(kept),
        quarantined=pa.concat_tables([converted.quarantined, held]),
    )
    return converted, rows.filter(pa.array(~collided))


@dataclass(frozen=True)
class Held:
    """Rows of one delivery that are held under one reason because of one source column. `shape` is that of one such cell."""

    delivery_no: int
    source: str
    adapter: str
    subject: str
    table: str
    period: str
    revision: int
    reason: str
    column: str
    rows: int
    released: int
    shape: str

    @property
    def still(self) -> int:
        """How many are held now."""
        return self.rows - self.released

    @property
    def remedy(self) -> str:
        """What to do about them."""
        return TEXTS[BY_WORD[self.reason]].remedy.format(self.adapter)

    @property
    def reason_zh(self) -> str:
        """The reason in Chinese."""
        return TEXTS[BY_WORD[self.reason]].zh


def in_quarantine(
    session: Session, *, delivery: int | None = None, owner: str | None = None, table: str | None = None,
    period: str | None = None,
) -> list[Held]:  # fmt: skip
    """What deliveries that count still hold back, of all tables or some. What a later full revision replaced isn't there."""
    query = (
        select(Delivery, Quarantined)
        .join(Quarantined, Quarantined.delivery_no == Delivery.delivery_no)
        .where(Delivery.state == ACCEPTED, Delivery.withdrawn_at.is_(None))
        .order_by(Delivery.delivery_no, Quarantined.rows.desc(), Quarantined.reason, Quarantined.column)
    )
    wanted = {
        Delivery.delivery_no: delivery, Delivery.subject: owner, Delivery.table: table, Delivery.period: period,
    }  # fmt: skip
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    found = [(entry, held) for entry, held in session.execute(query) if held.rows > held.released]
    replaced = {entry.delivery_no for entry, _ in found if _replaced(session, entry)}
    return [
        Held(
            entry.delivery_no, entry.source, entry.adapter, entry.subject, entry.table, entry.period, entry.revision,
            held.reason, held.column, held.rows, held.released, held.shape,
        )
        for entry, held in found
        if entry.delivery_no not in replaced
    ]  # fmt: skip


def _replaced(session: Session, entry: Delivery) -> bool:
    """Whether a standing full delivery of a higher revision made the entry's rows meaningless."""
    return any(
        other.mode == "full"
        and other.revision > entry.revision
        and other.state == ACCEPTED
        and other.withdrawn_at is None
        for other in same_feed(session, entry, entry.period)
    )


def _note_released(session: Session, store: TableStore, entry: Delivery, converted: Converted) -> None:
    origin = session.get_one(Delivery, entry.made_from)
    held = held_rows(session, store, origin)
    still = pc.is_in(held.column("row_no"), value_set=converted.quarantined.column("row_no").combine_chunks())
    came_in = held.filter(pc.invert(still))
    # What is held still stays with the delivery that brought it; this entry tells of what came in.
    entry.rows_delivered = came_in.num_rows
    entry.rows_quarantined = 0
    if not came_in.num_rows:
        return
    _append(store, entry, origin.delivery_no, came_in, entry.delivery_no)
    for (reason, column), rows in Counter(
        zip(came_in.column("reason").to_pylist(), came_in.column("column").to_pylist(), strict=True)
    ).items():
        session.get_one(Quarantined, (origin.delivery_no, reason, column)).released += rows


def _append(
    store: TableStore, entry: Delivery, delivery_no: int, rows: pa.Table, released_by: int | None
) -> None:
    columns = {
        "delivery_no": pa.repeat(pa.scalar(delivery_no, pa.int32()), rows.num_rows),
        **{name: rows.column(name) for name in ("row_no", "reason", "column")},
        "released_by": pa.repeat(pa.scalar(released_by, pa.int32()), rows.num_rows),
    }
    store.append(quarantine_table(entry), entry.period, pa.table(columns, schema=ROWS).combine_chunks())


def noted_rows(store: TableStore, entry: Delivery) -> pa.Table:
    """All that was noted (ROWS) of the rows that a delivery held back; of an entry that releases rows, of the first
    delivery's."""
    table = quarantine_table(entry)
    if not store.exists(table):
        return ROWS.empty_table()
    number = entry.made_from if entry.basis == RELEASED else entry.delivery_no
    rows = store.read(table, [entry.period], columns=ROWS.names)
    return rows.filter(pc.equal(rows.column("delivery_no"), number))
