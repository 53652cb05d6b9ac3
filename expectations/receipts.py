"""Receipts: the proof that a partition's exact content passed the rules of its contract. Readers of the next
stage demand one.

Great Expectations validates, the receipt decides: it also stands in the way of a backfill, a retry or a
command that never saw the check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import select

from core.clock import Clock
from core.errors import GateRefused
from core.state import Receipt, StateDatabase
from core.table_store import TableStore
from expectations.contract import Contract, load_contracts
from expectations.plausibility import Finding
from expectations.suite import suite_hash
from expectations.validate import ValidationOutcome

#: SQLite takes a limited number of variables in one query.
_AT_ONCE = 500


def write_receipt(
    state: StateDatabase,
    table: str,
    partition: str,
    content_hash: str,
    outcome: ValidationOutcome,
    clock: Clock,
    blocking: Sequence[Finding] = (),
) -> int:
    """Keep what a validation said of one partition's content, pass or fail; returns the receipt's number.

    `blocking` findings (of days that aren't reconciled) fail it as a broken rule does.
    """
    failures = [*outcome.failures, *(f"{one.check}: {one.rows} of {one.of} rows" for one in blocking)]
    with state.session() as session:
        receipt = Receipt(
            table=table,
            partition=partition,
            content_hash=content_hash,
            suite_hash=outcome.suite_hash,
            passed=not failures,
            failures={"failures": failures, "counts": dict(outcome.counts)},
            rows=outcome.counts["rows"],
            validated_at=clock.now(),
        )
        session.add(receipt)
        session.flush()
        return receipt.receipt_no


def require_receipt(
    state: StateDatabase,
    store: TableStore,
    table: str,
    partition: str,
    contracts: Mapping[str, Contract] | None = None,
) -> None:
    """GateRefused unless the latest receipt of the partition passed, for its content and its contract as they
    are now.
    """
    require_receipts(state, store, table, [partition], contracts)


def require_receipts(
    state: StateDatabase,
    store: TableStore,
    table: str,
    partitions: Sequence[str],
    contracts: Mapping[str, Contract] | None = None,
) -> None:
    """`require_receipt` for several partitions; the error names each without a valid one, and why."""
    latest = _latest(state, table, partitions)
    rules = _rules_now(table, contracts)
    told = []
    for partition in partitions:
        why = _why_not(latest.get(partition), store.content_hash(table, partition), rules)
        if why is not None:
            told.append(f"{partition} ({why})")
    if told:
        raise GateRefused(
            f"{table} may not be read: {', '.join(told)}.",
            f"Mend what fails and validate these months again: run the asset {table} and its checks.",
        )


def _why_not(receipt: Receipt | None, content: str, rules: str | None) -> str | None:
    if receipt is None:
        return "never validated"
    if receipt.content_hash != content:
        return "its content has changed since it was validated"
    if rules is not None and receipt.suite_hash != rules:
        return "its contract has changed since it was validated"
    if not receipt.passed:
        failures = receipt.failures.get("failures", [])
        return f"failed {len(failures)} rules: {'; '.join(failures[:3])}"
    return None


def _latest(state: StateDatabase, table: str, partitions: Sequence[str]) -> dict[str, Receipt]:
    found: dict[str, Receipt] = {}
    with state.session() as session:
        for first in range(0, len(partitions), _AT_ONCE):
            query = (
                select(Receipt)
                .where(Receipt.table == table, Receipt.partition.in_(partitions[first : first + _AT_ONCE]))
                .order_by(Receipt.receipt_no)
            )
            found.update({receipt.partition: receipt for receipt in session.scalars(query)})
    return found


def _rules_now(table: str, contracts: Mapping[str, Contract] | None) -> str | None:
    """Hash of the rules that hold for `raw/<subject>/<table>` (or `trial/…`) today; None for tables without a contract."""
    layer, _, rest = table.partition("/")
    name = rest.rpartition("/")[2]
    known = _shipped() if contracts is None else contracts
    return suite_hash(known[name]) if layer in ("raw", "trial") and name in known else None


@cache
def _shipped() -> dict[str, Contract]:
    return load_contracts()
