"""Delta tables rewritten without the subject, and everything that vouches for their content renewed.

Rows about the subject go; where it stands in rows about others (an employer, a payer) a stand-in takes its place. Hashes of
contents before and after are kept per partition: receipts, derivations and the ledger's counts follow from them, so that
every gate goes on vouching for what is there.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.state import Delivery, Derivation, ErasedPartition, LeftOut, Receipt
from expectations.receipts import write_receipt
from expectations.validate import validate_partitions
from rights.installation import Installation
from rights.subject import KnownSubject, holder, is_about
from sources.erased import LEFT_OUT, stand_in


def erase_from_tables(
    home: Installation, subject: KnownSubject, erasure_no: int, tombstone: str
) -> dict[str, int]:
    """Rewrite every partition that holds the subject, then delete the bytes of the versions before."""
    tables = [table for table in home.store.tables() if not table.startswith("registry/")]
    rows = files = 0
    with home.progress.stage("tables", len(tables)) as stage:
        for table in tables:
            for partition in _partitions(home, subject, erasure_no, table):
                rows += _erase_partition(home, subject, erasure_no, tombstone, table, partition)
            files += home.store.purge(table, holder(subject, table, home.party_columns(table)))
            stage.advance(note=table)
    renew(home, erasure_no)
    return {"table_rows_removed": rows, "old_files_removed": files}


def _partitions(home: Installation, subject: KnownSubject, erasure_no: int, table: str) -> list[str]:
    """Partitions that hold the subject, and those that a killed erasure had begun."""
    holds = holder(subject, table, home.party_columns(table))
    found = {
        file.parent.name.split("=", 1)[1] for file in home.store.files(table) if holds(home.store.open(file))
    }
    with home.state.session() as session:
        begun = session.scalars(
            select(ErasedPartition.partition).where(
                ErasedPartition.erasure_no == erasure_no,
                ErasedPartition.table == table,
                ErasedPartition.after.is_(None),
            )
        )
        return sorted(found | set(begun))


def _erase_partition(
    home: Installation, subject: KnownSubject, erasure_no: int, tombstone: str, table: str, partition: str
) -> int:
    key = (erasure_no, table, partition)
    with home.state.session() as session:
        if session.get(ErasedPartition, key) is None:
            session.add(_begun(home, subject, key))
    number, parties = subject.number_in(table), home.party_columns(table)

    def without(rows: pa.Table) -> pa.Table | None:
        about = is_about(rows, number)
        kept = rows.filter(pa.array(~about))
        named = 0
        for column in parties:
            hits = pc.fill_null(pc.is_in(kept.column(column), value_set=pa.array(subject.names)), False)
            named += int(pc.sum(hits).as_py() or 0)
            place = kept.schema.get_field_index(column)
            changed = pc.if_else(hits, stand_in(tombstone), kept.column(column))
            kept = kept.set_column(place, rows.schema.field(column), changed)
        if not about.any() and not named:
            return None
        if "known_at" not in kept.schema.names and "subject_no" in kept.schema.names:
            # Files of several deliveries become one; facts are one file already, in an order of their own.
            kept = kept.sort_by("subject_no")
        return kept.combine_chunks()

    done = home.store.rewrite(table, partition, without, metadata={"erasure": str(erasure_no)})
    with home.state.session() as session:
        begun = session.get_one(ErasedPartition, key)
        if begun.after is None:
            begun.after = done.after
            _count_in_ledger(session, begun)
        return begun.rows


def _begun(home: Installation, subject: KnownSubject, key: tuple[int, str, str]) -> ErasedPartition:
    """What is about to be done to a partition, counted before it is touched."""
    erasure_no, table, partition = key
    rows = home.store.read(table, [partition])
    theirs = rows.filter(pa.array(is_about(rows, subject.number_in(table))))
    by_delivery: dict[str, dict[str, int]] = {}
    if "delivery_no" in theirs.schema.names:
        numbers, row_no = theirs.column("delivery_no").to_numpy(), theirs.column("row_no").to_numpy()
        for number in np.unique(numbers):
            mine = row_no[numbers == number]
            by_delivery[str(number)] = {"source_rows": len(np.unique(mine)), "rows": len(mine)}
    return ErasedPartition(
        erasure_no=erasure_no, table=table, partition=partition, before=home.store.content_hash(table, partition),
        after=None, rows=theirs.num_rows, by_delivery=by_delivery,
    )  # fmt: skip


def _count_in_ledger(session: Session, begun: ErasedPartition) -> None:
    """Rows that were accepted are left out now: delivered = accepted + left out + quarantined goes on holding."""
    if not begun.table.startswith(("raw/", "trial/")):
        return
    for number, count in begun.by_delivery.items():
        entry = session.get(Delivery, int(number))
        if entry is None or entry.rows_accepted is None:
            continue
        moved = min(entry.rows_accepted, count["source_rows"])
        entry.rows_accepted -= moved
        if entry.rows_made is not None:
            entry.rows_made -= min(entry.rows_made, count["rows"])
        left = session.get(LeftOut, (entry.delivery_no, LEFT_OUT))
        if left is None:
            session.add(LeftOut(delivery_no=entry.delivery_no, reason=LEFT_OUT, rows=moved))
        else:
            left.rows += moved


def renew(home: Installation, erasure_no: int) -> None:
    """Derivations get the new hashes in place of the old; raw months are validated again and get receipts of their own."""
    with home.state.session() as session:
        done = list(session.scalars(select(ErasedPartition).where(ErasedPartition.erasure_no == erasure_no)))
        hashes = {(each.table, each.partition): (each.before, each.after or "") for each in done}
        for derivation in session.scalars(select(Derivation)):
            _renew_derivation(session, derivation, hashes)
    _validate_again(home, [each for each in done if each.table.startswith("raw/") and each.after])


def _renew_derivation(
    session: Session, derivation: Derivation, hashes: dict[tuple[str, str], tuple[str, str]]
) -> None:
    before, after = hashes.get((derivation.table, derivation.partition), ("", ""))
    if before and derivation.content_hash == before:
        if not after:
            session.delete(derivation)
            return
        derivation.content_hash = after
    inputs = dict(derivation.inputs)
    for name, known in derivation.inputs.items():
        table, _, partition = name.rpartition("/")
        # What others' facts carry over of the subject (its staff's) goes when these are joined again: they lag behind from now.
        if derivation.table.startswith("facts/") and table.split("/")[1] != derivation.table.split("/")[1]:
            continue
        before, after = hashes.get((table, partition), ("", ""))
        if before and known == before:
            inputs[name] = after
    derivation.inputs = inputs


def _validate_again(home: Installation, done: Iterable[ErasedPartition]) -> None:
    """Only months that a passing receipt vouched for; what nobody vouched for stays behind the gate."""
    by_table: dict[str, list[str]] = {}
    with home.state.session() as session:
        for each in done:
            latest = session.scalars(
                select(Receipt)
                .where(Receipt.table == each.table, Receipt.partition == each.partition)
                .order_by(Receipt.receipt_no.desc())
                .limit(1)
            ).first()
            if latest is not None and latest.passed and latest.content_hash == each.before:
                by_table.setdefault(each.table, []).append(each.partition)
    for table, partitions in sorted(by_table.items()):
        contract = home.contracts.get(table.rsplit("/", 1)[1])
        if contract is None:
            continue
        for judged in validate_partitions(home.store, contract, table, sorted(partitions)):
            write_receipt(
                home.state, judged.table, judged.partition, judged.content_hash, judged.outcome, home.clock
            )
