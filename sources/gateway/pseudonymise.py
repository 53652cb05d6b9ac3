"""One file through the gateway: ids become tokens, dropped columns go, everything else is written as it came.

Nothing is written where the plan doesn't name every column, where an id is refused, or where what is left still identifies
somebody: the written file appears whole or not at all.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import GsceneError, Refusal
from core.progress import Progress, SilentProgress
from sources.delivery import sha256_of
from sources.gateway.blocks import Block, read_blocks, texts_of, written
from sources.gateway.keyring import MasterKey
from sources.gateway.plan import IdColumn, Plan, names_made
from sources.gateway.token_maker import MadeTokens, TokenMaker, token_maker
from sources.identity import IdentityScan
from sources.identity.guard import check_file_name

_REMEDY = "Name the column under `ids`, or under `drop`, in the plan."


@dataclass
class Outcome:
    """Counts of one run; no id, no token. `kinds`: per id column, rows by kind and whether valid (`uscc`, `uscc invalid`)."""

    rows_read: int = 0
    rows_written: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    control_sums: dict[str, Decimal] = field(default_factory=dict)
    sha256: str = ""

    def told(self, plan: Plan, key: MasterKey) -> dict[str, Any]:
        """The report of the run: how it was made, and what became of the rows."""
        return {
            "format": "gscene-pseudonymisation/1",
            "plan": plan.plan,
            "plan_sha256": plan.definition_hash,
            "source": plan.source,
            "domain": plan.token_domain,
            "purpose": str(plan.purpose),
            "key_id": key.key_id,
            "algorithm": key.algorithm,
            "key_check": key.check,
            "rows_read": self.rows_read,
            "rows_written": self.rows_written,
            "rejected": dict(sorted(self.rejected.items())),
            "ids": {column: dict(sorted(kinds.items())) for column, kinds in self.kinds.items()},
            "dropped": list(plan.drop),
            "sha256": self.sha256,
        }


def pseudonymise(
    source: Path,
    target: Path,
    plan: Plan,
    key: MasterKey,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Outcome:
    """Write `target` from `source` as the plan says. Beside it: `<target>.report.json`, and `<target>.rejected.csv` (line,
    column, reason) where rows were left out.

    Raises Refusal for a file that isn't as the plan declares, an id that the plan refuses, or identifiers in kept columns.
    """
    if not source.is_file():
        raise GsceneError(f"there is no file {source}.", "Check the path.")
    if target.resolve() == source.resolve():
        raise GsceneError("the file can't be written over itself.", "Name another file to write.")
    check_file_name(target.name)
    outcome, scan = Outcome(kinds={column: Counter() for column in plan.ids}), IdentityScan()
    rejections = target.with_name(f"{target.name}.rejected.csv")
    with (
        token_maker(key.subkey(plan.purpose, plan.token_domain), workers) as maker,
        (progress or SilentProgress()).stage(f"pseudonymise {source.name}") as stage,
        written(target, plan.file) as out,
        _rejected(rejections) as rejected,
    ):
        for block in read_blocks(source, plan.file, plan.columns):
            table = _replaced(block, plan, maker, outcome, rejected, source.name)
            made = [name for column, rule in plan.ids.items() for name in names_made(column, rule)]
            out.write(table, made)
            for column in plan.keep:
                scan.look(column, texts_of(block.table.column(column), plan.file), block.first)
            outcome.rows_read += block.table.num_rows
            outcome.rows_written += table.num_rows
            _add_sums(outcome, table, plan, source.name)
            stage.advance(block.table.num_rows)
        scan.refuse(source.name, _REMEDY)
    outcome.sha256 = sha256_of(target)
    report = json.dumps(outcome.told(plan, key), ensure_ascii=False, indent=1)
    target.with_name(f"{target.name}.report.json").write_text(report + "\n", encoding="utf-8")
    return outcome


def _replaced(
    block: Block, plan: Plan, maker: TokenMaker, outcome: Outcome, rejected: _Rejections, name: str
) -> pa.Table:
    """The block with tokens for ids and without dropped columns and rejected rows, columns in the file's order."""
    keep = np.ones(block.table.num_rows, dtype=bool)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for column in block.table.column_names:
        if column in plan.drop:
            continue
        rule = plan.ids.get(column)
        if rule is None:
            columns[column] = block.table.column(column)
            continue
        cells = texts_of(block.table.column(column), plan.file)
        made = maker.column(cells, rule.kind, plan.message_domain(rule), plan.nulls)
        _count(outcome, column, made)
        _judge(block, column, rule, made, keep, outcome, rejected, name)
        new = (made.tokens, made.valid, made.kinds)
        columns |= dict(zip(names_made(column, rule), new, strict=False))
    table = pa.table(columns)
    return table if keep.all() else table.filter(pa.array(keep))


def _count(outcome: Outcome, column: str, made: MadeTokens) -> None:
    pairs = pa.table({"kind": made.kinds, "valid": pc.fill_null(made.valid, True)})
    for row in pairs.group_by(["kind", "valid"]).aggregate([([], "count_all")]).to_pylist():
        named = (row["kind"] or "missing") + ("" if row["valid"] else " invalid")
        outcome.kinds[column][named] += row["count_all"]


def _judge(
    block: Block,
    column: str,
    rule: IdColumn,
    made: MadeTokens,
    keep: np.ndarray,
    outcome: Outcome,
    rejected: _Rejections,
    name: str,
) -> None:
    """What the plan says of missing and invalid ids; a row has one reason, the first."""
    invalid = ~pc.fill_null(made.valid, True).to_numpy(zero_copy_only=False).astype(bool)
    if rule.on_invalid == "refuse" and invalid.any():
        raise Refusal(
            "REFUSED/ID",
            "an id whose form or check character is wrong.",
            file=name,
            line=block.first + int(invalid.argmax()),
            column=column,
            remedy="Correct it at the source, or have the plan flag or reject such rows.",
        )
    for hit, reason, wanted in (
        (made.missing, "missing id", rule.missing == "reject"),
        (invalid, "invalid id", rule.on_invalid == "reject"),
    ):
        if wanted and (out := np.flatnonzero(hit & keep)).size:
            keep[out] = False
            outcome.rejected[f"{column}: {reason}"] += len(out)
            rejected.add(block.first + out, column, reason)


def _add_sums(outcome: Outcome, table: pa.Table, plan: Plan, name: str) -> None:
    for column in plan.delivery.control_sums if plan.delivery else ():
        cells = texts_of(table.column(column), plan.file)
        times = np.bincount(cells.indices.to_numpy(), minlength=len(cells.dictionary))
        try:
            total = sum(
                (
                    Decimal(text.strip()) * int(count)
                    for text, count in zip(cells.dictionary.to_pylist(), times, strict=True)
                    if text.strip() not in ("", *plan.nulls)
                ),
                start=Decimal(0),
            )
        except InvalidOperation:
            raise Refusal(
                "REFUSED/TYPE",
                "a cell of a column with a control sum is no number.",
                file=name,
                column=column,
                remedy="Correct it at the source, or leave the column out of `control_sums`.",
            ) from None
        outcome.control_sums[column] = outcome.control_sums.get(column, Decimal(0)) + total


class _Rejections:
    """Lines, columns and reasons of rows left out; the file is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: TextIO | None = None

    def add(self, lines: np.ndarray, column: str, reason: str) -> None:
        """Note some lines."""
        if self.file is None:
            self.file = self.path.open("w", encoding="utf-8", newline="")
            csv.writer(self.file).writerow(["line", "column", "reason"])
        csv.writer(self.file).writerows([line, column, reason] for line in lines.tolist())


@contextmanager
def _rejected(path: Path) -> Iterator[_Rejections]:
    path.unlink(missing_ok=True)
    rejections = _Rejections(path)
    try:
        yield rejections
    finally:
        if rejections.file is not None:
            rejections.file.close()
