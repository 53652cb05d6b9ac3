"""Run a contract's suite on the rows of one partition. Great Expectations judges (the witness first, the whole partition where
that fails); only counts leave this file, never a value.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.money import MONEY, fen
from core.months import CHINA_AHEAD_US, Month
from core.row_keys import count_of_different
from core.table_store import TableStore
from core.telemetry import quiet
from expectations.contract import Contract
from expectations.suite import MONTHS_LATE, expectation_suite, rules_of, suite_hash
from expectations.witness import witness

if TYPE_CHECKING:
    import pandas as pd

#: Rows judged in one run of Great Expectations; more would only cost memory.
ROWS_AT_ONCE = 250_000

#: No value of a failing row may come back with the verdict.
_COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0, "include_unexpected_rows": False}


@dataclass(frozen=True)
class ValidationOutcome:
    """The verdict on one partition. `failures` name rule, column and how many rows; `counts`: rows,
    deliveries, subjects, rules.
    """

    passed: bool
    failures: tuple[str, ...]
    suite_hash: str
    counts: Mapping[str, int] = field(hash=False)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else f"failed: {'; '.join(self.failures)}"
        return f"{self.counts['rules']} rules on {self.counts['rows']} rows {verdict}"


def validate(contract: Contract, rows: pa.Table) -> ValidationOutcome:
    """Judge the raw canonical rows of one partition (as `TableStore.read` gives them, with `period`)."""
    rules = rules_of(contract)
    timed = rows.append_column(MONTHS_LATE, pa.array(_months_late(rows)))
    failures = _failures(contract, timed.take(pa.array(witness(timed, rules))))
    if failures and rows.num_rows:
        failures = _failures(contract, timed)
    return ValidationOutcome(not failures, failures, suite_hash(contract), _counts(rows, len(rules)))


def _failures(contract: Contract, rows: pa.Table) -> tuple[str, ...]:
    """What Great Expectations finds in these rows: rule, column and how many rows each."""
    rules = rules_of(contract)
    result = (
        _batch_definition()
        .get_batch(batch_parameters={"dataframe": _frame(rows)})
        .validate(_suite(contract), result_format=_COUNTS_ONLY)
    )
    failed = sorted(
        (int(one.expectation_config.meta["rule"]), dict(one.result))
        for one in result.results
        if not one.success
    )
    return tuple(f"{rules[place]}: {_how_many(told)}" for place, told in failed)


@dataclass(frozen=True)
class ValidatedPartition:
    """An outcome and the exact content that it is about."""

    table: str
    partition: str
    content_hash: str
    outcome: ValidationOutcome


def validate_partitions(
    store: TableStore, contract: Contract, table: str, partitions: Sequence[str]
) -> list[ValidatedPartition]:
    """Read partitions at one table version and judge each: what a concurrent writer adds is in neither hash nor verdict.

    Months are judged together as long as they pass. Every rule holds row by row, or (uniqueness) within one delivery, so what
    holds for several months together holds for each of them; a run of Great Expectations costs much more than its rows. Only
    where the months together fail is each judged alone.
    """
    # Rows that came under an earlier version of the contract lack the columns that came later.
    version, schema = store.version(table), contract.schema().arrow_with_envelope()
    judged: list[ValidatedPartition] = []
    for group in _groups(store, table, partitions):
        pieces = [
            _telling(store.read(table, [partition], version=version, schema=schema)) for partition in group
        ]
        together = validate(contract, pa.concat_tables(pieces)) if len(group) > 1 else None
        for partition, rows in zip(group, pieces, strict=True):
            if together is not None and together.passed and rows.num_rows:
                outcome = replace(together, counts=_counts(rows, together.counts["rules"]))
            else:
                outcome = validate(contract, rows)
            content = store.content_hash(table, partition, version)
            judged.append(ValidatedPartition(table, partition, content, outcome))
    return judged


def _telling(rows: pa.Table) -> pa.Table:
    """Without rows that withdraw their key: they hold nothing that could be judged, and no reader sees them."""
    withdrawing = pc.less(rows.column("row_no"), 0)
    return rows.filter(pc.invert(withdrawing)) if pc.any(withdrawing).as_py() else rows


def _groups(store: TableStore, table: str, partitions: Sequence[str]) -> list[list[str]]:
    """Partitions in order, together up to ROWS_AT_ONCE rows."""
    groups: list[list[str]] = []
    held = 0
    for partition in partitions:
        rows = store.rows(table, partition)
        if not groups or held + rows > ROWS_AT_ONCE:
            groups.append([])
            held = 0
        groups[-1].append(partition)
        held += rows
    return groups


def validate_partition(
    store: TableStore, contract: Contract, table: str, partition: str
) -> ValidatedPartition:
    """`validate_partitions` for one."""
    return validate_partitions(store, contract, table, [partition])[0]


def _frame(rows: pa.Table) -> pd.DataFrame:
    """The rows as Great Expectations reads them: amounts as float yuan (ranges need no fen), dates as
    datetime64.
    """
    columns: dict[str, Any] = {}
    for name in rows.column_names:
        column = rows.column(name)
        if column.type == MONEY:
            missing = column.is_null().to_numpy()
            columns[name] = np.where(missing, np.nan, fen(column) / 100)
        else:
            columns[name] = column.to_pandas(date_as_object=False)
    import pandas as pd

    return pd.DataFrame(columns)


def _months_late(rows: pa.Table) -> np.ndarray:
    """Chinese calendar months from period to receipt, int64 (rows,); missing columns or cells count as
    received in time.
    """
    if not {"period", "received_at"} <= set(rows.column_names):
        return np.zeros(rows.num_rows, dtype=np.int64)
    local = pc.add(rows.column("received_at").cast(pa.int64()), CHINA_AHEAD_US)
    received = (
        pc.fill_null(local, 0).to_numpy().astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    )
    encoded = rows.column("period").combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    begun = np.array(
        [Month.parse(period).index - Month(1970, 1).index for period in encoded.dictionary.to_pylist()],
        dtype=np.int64,
    )
    return received - begun[encoded.indices.to_numpy()] if len(received) else received


def _how_many(told: Mapping[str, Any]) -> str:
    """Counts alone; what the result says of values is dropped."""
    count = told.get("unexpected_count")
    if isinstance(count, int):
        return f"{count} of {told.get('element_count', '?')} rows"
    observed = told.get("observed_value")
    return f"{observed} rows" if isinstance(observed, int) else "does not hold"


def _counts(rows: pa.Table, rules: int) -> dict[str, int]:
    def different(column: str) -> int:
        return count_of_different(rows.column(column).to_numpy()) if column in rows.column_names else 0

    return {
        "rows": rows.num_rows,
        "deliveries": different("delivery_no"),
        "subjects": different("subject_no"),
        "rules": rules,
    }


@cache
def _batch_definition() -> Any:
    """One ephemeral context for the process: making one costs more than a validation."""
    quiet(os.environ)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("partitions").add_dataframe_asset("partition")
    return asset.add_batch_definition_whole_dataframe("whole")


_SUITES: dict[str, Any] = {}


def _suite(contract: Contract) -> Any:
    """The contract's suite, made once a process."""
    _batch_definition()
    known = suite_hash(contract)
    if known not in _SUITES:
        _SUITES[known] = expectation_suite(contract)
    return _SUITES[known]
