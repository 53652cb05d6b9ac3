"""The adapter linter: everything that is wrong or odd about one adapter file, alone and against a file of its source.

What a sample holds is told by counts and shapes. Only a code that can't be anyone's name or number (short, no Chinese, no long
run of digits) is named, because whoever maps it must know it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.definition_file import line_of
from core.errors import Refusal
from core.months import Month
from core.table_schema import ColumnType, TableSchema
from sources.adapter import Adapter, load_adapter
from sources.adapter_lint import Place, lint
from sources.column_reader import ColumnReader
from sources.convert import DeliveredRows, convert
from sources.coverage import coverage, fed_twice
from sources.hold_reasons import BY_WORD, TEXTS, Reason
from sources.identity.guard import refuse_identities
from sources.row_rules import Quarantine
from sources.shape import shape

Level = Literal["error", "warning", "note"]

#: Codes of code books: at most so many letters and digits, and no number as long as a telephone's.
_CODE_LIKE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,7}")
#: Two columns that agree in this share of rows tell the same.
_SAME = 0.99
#: Fewer rows than this may agree by chance.
_FEWEST = 20


@dataclass(frozen=True)
class Finding:
    """`check` is one word; `message` says what is wrong and `remedy` what to do."""

    level: Level
    check: str
    message: str
    remedy: str
    file: str = ""
    line: int | None = None

    @property
    def place(self) -> str:
        """`file:line`, as far as known."""
        return f"{self.file}:{self.line}" if self.line is not None else self.file


def lint_file(path: Path, schemas: dict[str, TableSchema]) -> tuple[Adapter | None, list[Finding]]:
    """What the file alone shows; the adapter comes back where it loads."""
    try:
        adapter = load_adapter(path)
    except Refusal as refusal:
        told = Finding("error", "definition", refusal.message, refusal.remedy, str(path), refusal.line)
        return None, [told]
    if adapter.target not in schemas:
        known = f"There is no contract for the table {adapter.target}."
        return None, [_at(path, ("target",), "error", "target", known, "Name a table of the dictionary.")]
    schema = schemas[adapter.target]
    remedy = "Correct the entry; docs/adapters.md describes what an adapter may hold."
    findings = [
        _at(path, place, "error", "contract", f"{message}.", remedy)
        for place, message in lint(adapter, schema)
    ]
    for column in coverage(adapter, schema):
        if column.lacks_unit:
            message = f"{column.name} is a number and nobody says in which unit {column.origin} is."
            remedy = "Ask the source and declare `unit`; the contract's unit is the target."
            findings.append(_at(path, ("columns", column.name), "error", "unit", message, remedy))
        elif column.how == "not fed":
            findings.append(
                _at(
                    path,
                    ("columns",),
                    "note",
                    "not_fed",
                    f"Nothing feeds {column.name}.",
                    "Ask whether it is sent.",
                )
            )
    for source, names in fed_twice(adapter, schema):
        message = f"{source} feeds {' and '.join(names)}."
        remedy = "Look whether the source has a column of its own for each of them (fault F15)."
        findings.append(_at(path, ("columns", names[-1]), "warning", "fed_twice", message, remedy))
    findings += [
        _at(
            path,
            ("ignore",),
            "note",
            "not_taken",
            f"{name} is named and not taken.",
            "Nothing to do where meant.",
        )
        for name in adapter.ignore
    ]
    return adapter, findings


def lint_sample(
    path: Path, adapter: Adapter, schema: TableSchema, delivered: DeliveredRows, period: Month | None = None
) -> list[Finding]:
    """What a file of the source shows about the adapter file `path`. `period`: the month that its rows belong to; by default the
    commonest.
    """
    try:
        refuse_identities(delivered)
    except Refusal as refusal:
        return [Finding("error", "identity", refusal.message, refusal.remedy, str(path))]
    month = period or _commonest_month(adapter, schema, delivered)
    findings = [
        *_unmapped(path, adapter, schema, delivered, month),
        *_same_columns(path, adapter, schema, delivered),
    ]
    return findings + _held(path, adapter, schema, delivered, month)


def _unmapped(
    path: Path, adapter: Adapter, schema: TableSchema, delivered: DeliveredRows, period: Month
) -> list[Finding]:
    """Codes that no map and no `codes` entry knows."""
    reader, findings = ColumnReader(delivered, adapter, schema, period), []
    for name, rule in adapter.columns.items():
        column = schema.column(name)
        if rule.source_column is None or not (rule.has_codes or column.codes):
            continue
        read = reader.read(column, rule)
        if read.faults is None:
            continue
        times = np.bincount(delivered.places(read.source), minlength=len(read.faults))
        for reason in (Reason.UNKNOWN_CODE, Reason.RETIRED_CODE, Reason.SEVERAL_CODES):
            texts = np.flatnonzero((read.faults == reason) & (times > 0))
            if len(texts):
                named = Counter[str]()
                for text, rows in zip(read_texts(delivered, read.source, texts), times[texts], strict=True):
                    named[named_code(text)] += int(rows)
                told = ", ".join(f"{code} ({rows:,} rows)" for code, rows in named.most_common(12))
                message = f"{TEXTS[reason].what} in {read.source} for {name}: {told}."
                remedy = TEXTS[reason].remedy.format(adapter.adapter)
                findings.append(_at(path, ("columns", name), "error", reason.word, message, remedy))
    return findings


def read_texts(delivered: DeliveredRows, column: str, places: np.ndarray) -> list[str]:
    """Some of a column's different texts, stripped."""
    return [text.strip() for text in delivered.texts(column).take(places).to_pylist()]


def named_code(text: str) -> str:
    """The code itself where it is code-like, else its shape.

    >>> named_code("0400"), named_code("王小明"), named_code("13800138000")
    ('0400', 'shape `字字字`', 'shape `99999999999`')
    """
    return text if _CODE_LIKE.fullmatch(text) else f"shape `{shape(text)}`"


def _same_columns(
    path: Path, adapter: Adapter, schema: TableSchema, delivered: DeliveredRows
) -> list[Finding]:
    """Two source columns that hold the same: a subject's number also where the employer's belongs (fault F15)."""
    subjects = {adapter.key.source_column: "subject_id"} if adapter.key is not None else {}
    for column in schema.columns:
        rule = adapter.columns.get(column.name)
        if rule is not None and rule.source_column is not None and column.type is ColumnType.SUBJECT:
            subjects.setdefault(rule.source_column, column.name)
    names, findings = list(subjects), []
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            both, same = _agreement(delivered, adapter, one, other)
            if both >= _FEWEST and same >= _SAME * both:
                message = f"{one} ({subjects[one]}) and {other} ({subjects[other]}) are the same in {same:,} of {both:,} rows."
                remedy = "One of the two was filled with the other: ask the source which column is which (fault F15)."
                findings.append(
                    _at(path, ("columns", subjects[other]), "error", "same_column_twice", message, remedy)
                )
    return findings


def _agreement(delivered: DeliveredRows, adapter: Adapter, one: str, other: str) -> tuple[int, int]:
    nulls = pa.array(list(adapter.nulls), pa.string())
    texts = [pc.utf8_trim_whitespace(delivered.columns[name].dictionary_decode()) for name in (one, other)]
    there = [pc.invert(pc.is_in(column, value_set=nulls)) for column in texts]
    both = pc.and_(*there)
    same = pc.and_(both, pc.equal(*texts))
    return int(pc.sum(both).as_py() or 0), int(pc.sum(same).as_py() or 0)


def _held(
    path: Path, adapter: Adapter, schema: TableSchema, delivered: DeliveredRows, period: Month
) -> list[Finding]:
    """Rows that couldn't come in, by reason and column; codes are told by `_unmapped`."""
    everything = Quarantine(
        hold=tuple(w for w in BY_WORD if BY_WORD[w] is not Reason.HELD_WITH_GROUP), at_most=1.0
    )
    lenient = adapter.model_copy(
        update={
            "quarantine": everything,
            "key": adapter.key.model_copy(update={"missing": "quarantine"})
            if adapter.key is not None
            else None,
            "columns": {
                name: rule.model_copy(update={"on_unknown": None}) for name, rule in adapter.columns.items()
            },
        }
    )
    held = convert(delivered, lenient, schema, period).quarantined
    counts = Counter(zip(held.column("reason").to_pylist(), held.column("column").to_pylist(), strict=True))
    shapes = dict(
        zip(
            zip(held.column("reason").to_pylist(), held.column("column").to_pylist(), strict=True),
            held.column("shape").to_pylist(),
            strict=True,
        )
    )
    coded = {Reason.UNKNOWN_CODE.word, Reason.RETIRED_CODE.word, Reason.SEVERAL_CODES.word}
    return [
        Finding(
            "error",
            reason,
            f"{rows:,} rows would be held back or refuse the delivery because of {column} (a cell of the shape "
            f"`{shapes[reason, column]}`).",
            TEXTS[BY_WORD[reason]].remedy.format(adapter.adapter),
            str(path),
        )
        for (reason, column), rows in sorted(counts.items())
        if reason not in coded
    ]


def _commonest_month(adapter: Adapter, schema: TableSchema, delivered: DeliveredRows) -> Month:
    rule = adapter.columns.get("period")
    if rule is None or rule.source_column is None:
        return Month(2000, 1)
    reader = ColumnReader(delivered, adapter, schema, Month(2000, 1))
    read = reader.read(schema.column("period"), rule)
    times = np.bincount(delivered.places(read.source), minlength=len(read.values))
    months = Counter[str]()
    for month, rows in zip(read.values.to_pylist(), times, strict=False):
        if month is not None:
            months[month] += int(rows)
    return Month.parse(months.most_common(1)[0][0]) if months else Month(2000, 1)


def _at(path: Path, place: Place, level: Level, check: str, message: str, remedy: str) -> Finding:
    return Finding(level, check, message, remedy, str(path), line_of(path, *place))
