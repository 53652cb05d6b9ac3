"""Replace the ids in one file by tokens, chunk by chunk: memory doesn't depend on the file.

What stays of an id is its token and, where asked for, what kind it was. Every other column is looked through for direct
identifiers on the way out, so that a name in a remark stops the file at the provider and not at the bank.
"""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import GsceneError, Refusal
from core.progress import Progress, SilentProgress
from core.subject import SubjectKind
from sources.convert import DeliveredRows
from sources.gateway.plan import IdColumn, Plan, TextFile
from sources.gateway.token_keys import Tokeniser, TokenKey
from sources.identity import written_id
from sources.identity.guard import findings, refuse_identities

#: Rows in memory at once.
CHUNK_ROWS = 100_000

_FORMS: dict[SubjectKind, Callable[[str], tuple[str, str]]] = {
    SubjectKind.RESIDENT: written_id.resident,
    SubjectKind.ENTERPRISE: written_id.enterprise,
}


@dataclass
class GatewayReport:
    """What was done: rows read = written + rejected (by id column); different ids and their kinds by column. No id, no token."""

    read: int = 0
    written: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)


def pseudonymise(
    source: Path, target: Path, plan: Plan, key: TokenKey, progress: Progress | None = None
) -> GatewayReport:
    """Write `target` (made whole under another name first) from `source`.

    Refusal names the line of a row whose columns don't fit, of an id that may not be invalid (`stop`), and of a direct identifier
    in another column; then nothing is written.
    """
    if target.exists():
        raise GsceneError(f"{target} is there already.", "Choose another name, or move it away.")
    if key.key_id != plan.key_id or key.algorithm != plan.algorithm:
        raise GsceneError(
            f"the plan wants the key {plan.key_id} with {plan.algorithm}, not {key.key_id} with {key.algorithm}.",
            "Hand over the key that the plan names.",
        )
    report = GatewayReport()
    tokenisers = {
        name: key.tokeniser(plan.purpose, plan.source, column.kind) for name, column in plan.ids.items()
    }
    part = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        with (progress or SilentProgress()).stage(f"pseudonymise {source.name}") as stage:
            chunks = _replaced(source, plan, tokenisers, report, lambda n: stage.advance(n))
            _WRITERS[plan.file.format](chunks, part, plan)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return report


def ids_of(source: Path, plan: Plan, column: str) -> Iterator[str]:
    """The different ids of one column, chunk by chunk; a missing one is left out."""
    for chunk in _READERS[plan.file.format](source, plan):
        if column not in chunk.column_names:
            raise Refusal(
                "REFUSED/SCHEMA", f"the file has no column `{column}`.", file=source.name, line=1, remedy="Correct the plan.",
            )  # fmt: skip
        yield from (text for text in pc.unique(chunk.column(column)).to_pylist() if text)


def findings_in(file: Path, encoding: str, delimiter: str) -> list[tuple[str, str, int, bool]]:
    """(column, detector, different cells that look like it, whether the column would be refused) of a text file, in its order."""
    form = TextFile.model_validate({"encoding": encoding, "delimiter": delimiter})
    return findings(pa.concat_tables(list(_read_text(file, form))))


def _replaced(
    source: Path,
    plan: Plan,
    tokenisers: dict[str, Tokeniser],
    report: GatewayReport,
    advance: Callable[[int], None],
) -> Iterator[pa.Table]:
    for chunk in _READERS[plan.file.format](source, plan):
        _check_columns(chunk, plan, source.name)
        first_line = report.read + 2
        report.read += chunk.num_rows
        keep = pa.array([True] * chunk.num_rows)
        columns: dict[str, pa.Array] = {}
        for name in chunk.column_names:
            values = chunk.column(name).combine_chunks()
            if name in plan.drop:
                continue
            if name not in plan.ids:
                columns[name] = values
                continue
            column = plan.ids[name]
            tokens, kinds, good = _tokens(values, column, tokenisers[name])
            _count(report, name, kinds)
            if column.on_invalid != "flag":
                bad = pc.invert(good)
                if column.on_invalid == "stop" and pc.any(bad).as_py():
                    raise _stop(source.name, name, first_line + int(pc.index(bad, True).as_py()))
                lost = int(pc.sum(pc.and_(keep, bad)).as_py() or 0)
                report.rejected[name] = report.rejected.get(name, 0) + lost
                keep = pc.and_(keep, good)
            columns[column.to] = tokens
            if column.on_invalid == "flag":
                columns[f"{column.to}_kind"] = kinds
        made = pa.table(columns)
        refuse_identities(DeliveredRows(made, source.name))
        made = made.filter(keep)
        report.written += made.num_rows
        advance(chunk.num_rows)
        yield made


def _tokens(values: pa.Array, column: IdColumn, tokeniser: Tokeniser) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Token (empty for a missing id), kind and whether the id may stand, per row; each different text is worked out once."""
    encoded = values.dictionary_encode()
    tokens, kinds, good = [], [], []
    for text in encoded.dictionary.to_pylist():
        plain, kind = _FORMS[column.kind](text or "")
        if not plain:
            tokens.append("")
            kinds.append("missing")
            good.append(column.optional)
            continue
        # An invalid id is still one person's or firm's: it gets a token where the plan lets it pass.
        tokens.append(tokeniser.token(plain))
        kinds.append(kind)
        good.append(kind != "unknown")
    return (
        pa.array(tokens, pa.string()).take(encoded.indices),
        pa.array(kinds, pa.string()).take(encoded.indices),
        pa.array(good, pa.bool_()).take(encoded.indices),
    )


def _count(report: GatewayReport, name: str, kinds: pa.Array) -> None:
    own = report.kinds.setdefault(name, {})
    for entry in pc.value_counts(kinds).to_pylist():
        own[entry["values"]] = own.get(entry["values"], 0) + entry["counts"]


def _check_columns(chunk: pa.Table, plan: Plan, name: str) -> None:
    missing = [column for column in (*plan.ids, *plan.drop) if column not in chunk.column_names]
    if missing:
        raise Refusal(
            "REFUSED/SCHEMA",
            f"the file has no column `{missing[0]}`, which the plan names.",
            file=name,
            line=1,
            remedy="Correct the plan, or export the column.",
        )


def _stop(name: str, column: str, line: int) -> Refusal:
    return Refusal(
        "REFUSED/IDENTITY",
        "an id that is none: its check digit or form is wrong.",
        file=name,
        line=line,
        column=column,
        remedy="Correct it at the source, or let the plan reject or flag such rows.",
    )


# -- reading and writing, chunk by chunk -------------------------------------------------------------------------------


def _read_csv(source: Path, plan: Plan) -> Iterator[pa.Table]:
    yield from _read_text(source, plan.file)


def _read_text(source: Path, form: TextFile) -> Iterator[pa.Table]:
    with source.open(encoding=form.encoding, newline="") as opened:
        try:
            rows = csv.reader(opened, delimiter=form.delimiter, strict=True)
            header = next(rows, None)
            if header is None:
                raise _structure(source.name, 1, "the file is empty")
            chunk: list[list[str]] = []
            for row in rows:
                if len(row) != len(header):
                    raise _structure(source.name, rows.line_num, f"the line doesn't have {len(header)} cells")
                chunk.append(row)
                if len(chunk) == CHUNK_ROWS:
                    yield _columns(header, chunk)
                    chunk = []
            yield _columns(header, chunk)
        except csv.Error:
            raise _structure(source.name, rows.line_num, "a quote that doesn't fit") from None
        except UnicodeDecodeError:
            raise Refusal(
                "REFUSED/ENCODING", f"not valid {form.encoding.upper()}.", file=source.name,
                remedy="State the encoding of the export in the plan.",
            ) from None  # fmt: skip


def _columns(header: list[str], rows: list[list[str]]) -> pa.Table:
    return pa.table(
        {name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(header)}
    )


def _read_jsonl(source: Path, plan: Plan) -> Iterator[pa.Table]:
    chunk: list[dict[str, str]] = []
    with source.open(encoding=plan.file.encoding) as opened:
        for number, line in enumerate(opened, 1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                raise _structure(source.name, number, "not a JSON object") from None
            if not isinstance(row, dict) or any(isinstance(value, dict | list) for value in row.values()):
                raise _structure(source.name, number, "not a flat JSON object")
            if chunk and row.keys() != chunk[0].keys():
                raise _structure(source.name, number, "other keys than the first line's")
            chunk.append({key: "" if value is None else str(value) for key, value in row.items()})
            if len(chunk) == CHUNK_ROWS:
                yield pa.Table.from_pylist(chunk)
                chunk = chunk[:0]
    if chunk:
        yield pa.Table.from_pylist(chunk)


def _read_parquet(source: Path, plan: Plan) -> Iterator[pa.Table]:
    for batch in pq.ParquetFile(source).iter_batches(CHUNK_ROWS):
        columns = [pc.fill_null(column.cast(pa.string()), "") for column in batch.columns]
        yield pa.table(columns, names=batch.schema.names)


def _write_csv(chunks: Iterator[pa.Table], target: Path, plan: Plan) -> None:
    with target.open("x", encoding=plan.file.encoding, newline="") as opened:
        writer = csv.writer(opened, delimiter=plan.file.delimiter, lineterminator="\n")
        for place, chunk in enumerate(chunks):
            if place == 0:
                writer.writerow(chunk.column_names)
            writer.writerows(zip(*(column.to_pylist() for column in chunk.columns), strict=True))


def _write_jsonl(chunks: Iterator[pa.Table], target: Path, plan: Plan) -> None:
    with target.open("x", encoding="utf-8") as opened:
        for chunk in chunks:
            text = io.StringIO()
            for row in chunk.to_pylist():
                text.write(json.dumps(row, ensure_ascii=False) + "\n")
            opened.write(text.getvalue())


def _write_parquet(chunks: Iterator[pa.Table], target: Path, plan: Plan) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for chunk in chunks:
            writer = writer or pq.ParquetWriter(target, chunk.schema, write_page_checksum=True)
            writer.write_table(chunk)
    finally:
        if writer is not None:
            writer.close()


_READERS = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet}
_WRITERS = {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}


def _structure(name: str, line: int, what: str) -> Refusal:
    return Refusal("REFUSED/STRUCTURE", f"{what}.", file=name, line=line, remedy="Correct the export.")
